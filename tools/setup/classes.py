"""Makes the class archive from which every later JVM of this environment starts in half the time.

Two days of a sample shop, the first load and a merge, load the classes; the JVM stores them, parsed and laid out, as it
ends. A JVM that the archive does not fit (another Java, other jars) ignores it.
"""

import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from lakehouse.session import CLASS_ARCHIVE
from tools.setup.machine import ROOT

DAYS = (date(1997, 1, 5), date(1997, 1, 6))


def record() -> None:
    """Runs in a process of its own, whose JVM writes the archive when it ends."""
    from lakehouse.business_date import BusinessDate
    from lakehouse.cli.databases import Role, dsn_of
    from lakehouse.cli.samples import shop_named
    from lakehouse.runs.day import run
    from lakehouse.server.embedded import EmbeddedPostgres
    from lakehouse.settings import Settings
    from lakehouse.wiring import Lakehouse

    with tempfile.TemporaryDirectory(prefix="lakehouse-classes-") as home:
        settings, shop = Settings(home=Path(home)), shop_named("foodmart")
        try:
            source = dsn_of(settings, Role.source)
            shop.load(source, DAYS[0], lambda _: None)
            lakehouse = Lakehouse(settings)
            for day in DAYS:
                shop.advance(source, day, lambda _: None)
                run(lakehouse, "day", BusinessDate.parse(day.isoformat(), settings.zone))
            lakehouse.spark.stop()
        finally:
            EmbeddedPostgres(settings.home).stop()


def main() -> None:
    CLASS_ARCHIVE.parent.mkdir(parents=True, exist_ok=True)
    unfinished = CLASS_ARCHIVE.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    options = f"--properties-file '{ROOT / 'spark-defaults.conf'}' --conf spark.master=local[2]"
    java = f"--conf spark.driver.defaultJavaOptions=-XX:ArchiveClassesAtExit={unfinished}"
    environment = dict(os.environ, PYSPARK_SUBMIT_ARGS=f"{options} {java} pyspark-shell")
    # The JVM holds this pipe open, so the read below ends when the JVM has written its archive and is gone.
    child = [sys.executable, "-c", "from tools.setup.classes import record; record()"]
    done = subprocess.run(child, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0 and unfinished.exists():
        unfinished.replace(CLASS_ARCHIVE)
    else:
        # A slower start is no reason to stop: everything works without it.
        print("  the class archive could not be made; every start of a JVM will take a few seconds more")


if __name__ == "__main__":
    main()
