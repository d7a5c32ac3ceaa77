"""A file of raw figures: what ran, on what, and every run of it, those that failed or took too long included.

The file is written again after each run, so that a series that was interrupted leaves what it had.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure.machine import machine, versions
from benchmarks.place import ROOT
from benchmarks.shop.columns import SEED
from lakehouse.errors import UsageError

FOLDER = ROOT / "benchmarks" / "results"


class Results:
    """The figures of one command; lists of records by kind: `runs`, `parity`, `limits`."""

    def __init__(self, path: Path, plan: dict[str, Any]) -> None:
        self.path = path
        began_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._content: dict[str, Any] = {
            "began_at": began_at, "seed": SEED, "plan": plan, "machine": machine(), "versions": versions(),
        }  # fmt: skip
        self._write()

    def state(self, name: str, facts: object) -> None:
        """Keeps what holds for all of the file's figures."""
        self._content[name] = facts
        self._write()

    def add(self, kind: str, record: dict[str, Any]) -> None:
        """Keeps one more record."""
        self._content.setdefault(kind, []).append(record)
        self._write()

    def __getitem__(self, kind: str) -> list[dict[str, Any]]:
        """The records of a kind so far."""
        records: list[dict[str, Any]] = self._content.get(kind, [])
        return records

    def _write(self) -> None:
        new = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(self._content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            new.replace(self.path)
        except OSError as e:
            raise UsageError(f"{self.path} cannot be written ({e.strerror}): name another file with --json") from None


def default_path(label: str) -> Path:
    """A new file among the results, named by the time and what is measured."""
    return FOLDER / f"{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}-{label}.json"


def read_all(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """Every file of results, oldest first."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda content: str(content["began_at"]))
