"""Makes .venv-airflow: the environment of the scheduler, apart from the jobs' because its Spark provider overwrites pyspark.

Finished when its mark holds the fingerprint of what it was made from, like .venv (see environment.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time

from tools.setup.environment import variables
from tools.setup.machine import ROOT, VENV, exit_with_sentence, python, run

LOCK = ROOT / "conf" / "requirements" / "airflow.lock"
AIRFLOW = ROOT / ".venv-airflow"
MARK = AIRFLOW / "made-by-make-airflow"


def main() -> None:
    interpreter = python()
    with open(LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_from = f"{ROOT}\n{interpreter}\n".encode() + LOCK.read_bytes() + (ROOT / "setup.py").read_bytes()
        fingerprint = hashlib.sha256(made_from).hexdigest()
        if MARK.is_file() and MARK.read_text() == fingerprint:
            return
        _make(interpreter)
        MARK.write_text(fingerprint)


def _make(interpreter: str) -> None:
    started = time.monotonic()
    print("Making .venv-airflow (half a minute and 150 MB of downloads the first time)", flush=True)
    if AIRFLOW.exists():
        shutil.rmtree(AIRFLOW)
    uv, given = VENV / "bin" / "uv", variables()
    run("Making .venv-airflow", [uv, "venv", "--quiet", "--python", interpreter, AIRFLOW], env=given)
    here = ["--python", AIRFLOW / "bin" / "python"]
    run("Installing Airflow", [uv, "pip", "sync", *here, "--require-hashes", LOCK], env=given)
    # The DAGs read contracts and settings from the package; what they need of libraries is in the lock.
    options = ["--offline", "--no-deps", "--no-build-isolation", "--editable", ROOT]
    run("Installing lakehouse", [uv, "pip", "install", *here, *options], env=given)
    print(f"  airflow   {time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    exit_with_sentence(main)
