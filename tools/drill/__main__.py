"""Loses a bucket's objects, a Postgres data folder and a whole machine's state, and comes back to a chosen second.

python -m tools.drill [--only LOSS] [--keep FOLDER]     about a quarter of an hour; ends with 1 where content differs
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg2

from lakehouse.errors import SetupError
from tools.drill.content import Content, content, rows_of
from tools.drill.place import Place, made

FIRST, SECOND, THIRD = "1998-12-29", "1998-12-30", "1998-12-31"
LOSSES = ("objects", "server", "machine", "latest")
WHY = ("--reason", "a drill", "--yes")


@dataclass
class Told:
    """What is printed of a loss: what was lost, how it came back, in how many seconds, and whether the content is the same."""

    loss: str
    way: str
    seconds: float
    rows_lost: int
    is_equal: bool
    replay: str = ""

    def line(self) -> str:
        """A row of the table."""
        equal = "equal" if self.is_equal else "DIFFERENT"
        return (
            f"| {self.loss} | {self.way} | {self.rows_lost:,} | {self.seconds:.0f} s | {equal} | {self.replay or '–'} |"
        )


class Drill:
    """Three days of a shop; the chosen second is between the second and the third."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.told: list[Told] = []

    def live(self) -> None:
        """The days, with a backup after the first and after the third."""
        place = self.place
        place.lakehouse("sample", "load", "foodmart", "--until", FIRST)
        self._day(FIRST)
        print(f"  first backup {place.lakehouse('backup'):.0f} s", flush=True)
        place.lakehouse("sample", "advance", "foodmart", "--to", SECOND)
        self._day(SECOND)
        self.second, self.at_second = datetime.now(UTC), content(place)
        time.sleep(2)
        place.lakehouse("sample", "advance", "foodmart", "--to", THIRD)
        self._day(THIRD)
        self.at_third = content(place)
        print(
            f"  next backup {place.lakehouse('backup'):.0f} s; the chosen second is {self.second:%H:%M:%S}", flush=True
        )

    def objects(self) -> None:
        """Objects of all layers deleted or overwritten by a slip; then two whole buckets, with all that they kept."""
        place = self.place
        lost = sum(place.lose_objects(name, 5) for name in ("bronze", "silver"))
        seconds = place.lakehouse("restore", "--objects", *WHY)
        self._tell(f"{lost} objects, deleted or overwritten", "older versions in the bucket", seconds, self.at_third)
        lost = place.lose_buckets("silver", "quarantine")
        seconds = place.lakehouse("restore", "--objects", *WHY)
        self._tell(f"two buckets: {lost} objects and versions", "the backups", seconds, self.at_third)
        lost = place.lose_buckets("bronze", "silver", "quarantine")
        seconds = self._back()
        self._tell(f"the lake: {lost} objects and versions", f"to {self.second:%H:%M:%S}", seconds, self.at_second)

    def server(self) -> None:
        """The data folder of a server that was killed."""
        self.place.lose_server()
        seconds = self._back()
        self._tell("the server's data folder", f"to {self.second:%H:%M:%S}", seconds, self.at_second)

    def machine(self) -> None:
        """Home, databases and lake."""
        place = self.place
        place.lose_home()
        place.lose_buckets("bronze", "silver", "quarantine", "data-docs")
        seconds = self._back()
        self._tell("home, server and lake", f"to {self.second:%H:%M:%S}", seconds, self.at_second)

    def latest(self) -> None:
        """How much a killed server loses that is written to once a second: what is not archived yet."""
        place = self.place
        place.lakehouse("backup")
        with closing(psycopg2.connect(place.gold_dsn)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("create table if not exists ops.drill (at timestamptz)")
            ends = time.monotonic() + 100
            while time.monotonic() < ends:
                cursor.execute("insert into ops.drill values (clock_timestamp())")
                time.sleep(1)
            cursor.execute("select count(*), max(at) from ops.drill")
            written, last = cursor.fetchone() or (0, None)
        place.lose_server()
        seconds = place.lakehouse("restore", "--latest", "--force", "--no-verify", *WHY)
        with closing(psycopg2.connect(place.gold_dsn)) as connection, connection.cursor() as cursor:
            cursor.execute("select count(*), max(at) from ops.drill")
            found, until = cursor.fetchone() or (0, None)
        lost = (last - until).total_seconds()
        print(f"  a server killed while a row was written each second: {written - found} of {written} rows, {lost:.0f} s of "
              f"work lost; back in {seconds:.0f} s", flush=True)  # fmt: skip

    def _back(self) -> float:
        """To the chosen second; verify is part of it."""
        return self.place.lakehouse("restore", "--to", self.second.isoformat(), "--force", *WHY)

    def _day(self, day: str) -> float:
        return self.place.lakehouse("run", "day", "--date", day)

    def _tell(self, loss: str, way: str, seconds: float, wanted: Content) -> None:
        found, replay = content(self.place), ""
        if wanted is self.at_second:
            took, after = self._day(THIRD), content(self.place)
            replay = f"{'equal' if after == self.at_third else 'DIFFERENT'}, {took:.0f} s"
        told = Told(loss, way, seconds, max(0, rows_of(wanted) - rows_of(found)), found == wanted, replay)
        self.told.append(told)
        print(f"  {told.line()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, help="a new folder in which everything is left, to look at")
    parser.add_argument("--only", choices=LOSSES, help="one loss alone")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="lakehouse-drill-"))
    kept = folder.exists() and any(folder.iterdir())
    if kept:
        sys.exit(f"{folder} is not empty: name another")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    try:
        with made(folder) as place:
            drill = Drill(place)
            drill.live()
            for loss in [arguments.only] if arguments.only else LOSSES:
                getattr(drill, loss)()
    except SetupError as e:
        sys.exit(str(e))
    finally:
        if "lakehouse-drill-" in folder.name:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n| Lost | Came back | Rows lost | Restore and verify | Gold and silver | The next day after it |")
    print("|---|---|--:|--:|---|---|")
    print("\n".join(told.line() for told in drill.told))
    if not all(told.is_equal and "DIFFERENT" not in told.replay for told in drill.told):
        sys.exit(1)


if __name__ == "__main__":
    main()
