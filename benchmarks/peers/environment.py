"""Makes .venv-benchmarks: the environment of the peers, apart from the jobs' because a peer brings versions of its own.

Finished when its mark holds the fingerprint of what it was made from, like .venv (tools/setup/environment.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import time

from tools.setup.environment import variables
from tools.setup.machine import ROOT, VENV, exit_with_sentence, python, run

LOCK = ROOT / "conf" / "requirements" / "benchmarks.lock"
ENVIRONMENT = ROOT / ".venv-benchmarks"
PYTHON = ENVIRONMENT / "bin" / "python"
MARK = ENVIRONMENT / "made-by-make-bench"


def main() -> None:
    """Makes the environment; does nothing where nothing changed."""
    interpreter = python()
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fingerprint = hashlib.sha256(f"{ROOT}\n{interpreter}\n".encode() + LOCK.read_bytes()).hexdigest()
        if MARK.is_file() and MARK.read_text() == fingerprint:
            return
        started, given = time.monotonic(), variables()
        print("Making .venv-benchmarks (60 MB of downloads the first time)", flush=True)
        if ENVIRONMENT.exists():
            shutil.rmtree(ENVIRONMENT)
        uv = VENV / "bin" / "uv"
        run("Making .venv-benchmarks", [uv, "venv", "--quiet", "--python", interpreter, ENVIRONMENT], env=given)
        run("Installing the peers", [uv, "pip", "sync", "--python", PYTHON, "--require-hashes", LOCK], env=given)
        MARK.write_text(fingerprint)
        print(f"  peers     {time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    exit_with_sentence(main)
