"""`make faults`: runs every test that injects a fault, in both environments, and writes docs/faults.md.

Ends with 0 where every row has a test and every test held.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from tools.faults.page import PAGE, page, remember, tests_of
from tools.faults.rows import NUMBERS
from tools.setup.machine import ROOT

NOTHING_CHOSEN = 5  # pytest's own code where no test is left
RUNS = {
    "jobs": (".venv", ["tests"]),
    "airflow": (".venv-airflow", ["-c", "tests/dags/pytest.ini", "tests/dags"]),
}


def main(words: list[str]) -> int:
    """`words`: the rows to run, by commas; none are all."""
    rows = [row for word in words for row in word.split(",") if row]
    strangers = sorted(set(rows) - set(NUMBERS))
    if strangers:
        print(f"There is no fault {', '.join(strangers)}: there are {NUMBERS[0]} to {NUMBERS[-1]}.", file=sys.stderr)
        return 2
    untested = [number for number, tests in tests_of().items() if not tests]
    codes = []
    for name, (environment, where) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = Path(folder) / f"{name}.json"
            command = [f"{environment}/bin/python", "-m", "pytest", "-p", "tools.faults.plugin", *where, "-m", "fault",
                       "--faults", str(found), "--rows", ",".join(rows)]  # fmt: skip
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            codes.append(0 if code == NOTHING_CHOSEN else code)
            if found.exists():
                on = datetime.now(timezone.utc).date().isoformat()
                remember(json.loads(found.read_text(encoding="utf-8")), on)
            PAGE.write_text(page(), encoding="utf-8")
    if untested:
        print(f"No test injects {', '.join(untested)}.", file=sys.stderr)
    return max([*codes, 1 if untested else 0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
