"""Delta's log as files: which versions there are, which can still be loaded, and what a commit says of itself.

A table's log is `_delta_log/<version>.json`, contiguous from its oldest checkpoint on. Delta loads a version from the
newest checkpoint at or below it and every commit above that, and asks for the version's own commit even where it has a
checkpoint. Compacted logs, checksums and files in the making (`a.b.compacted.json`, `.crc`, `.tmp`) carry nothing that
the commits do not. None of it costs a Spark job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.records import Commit, Stamp, Stamped

FOLDER = "_delta_log"
COMMIT = re.compile(r"(\d{20})\.json")
WHOLE_CHECKPOINT = re.compile(
    r"(\d{20})\.checkpoint(?:\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:json|parquet)|\.parquet)"
)
PART_OF_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint\.\d{10}\.(\d{10})\.parquet")
COMPACTED = re.compile(r"\d{20}\.(\d{20})\.compacted\.json")
CHECKSUM = re.compile(r"(\d{20})\.crc")


@dataclass(frozen=True)
class Log:
    """The versions that a table's log has a commit of, and those it has a complete checkpoint of."""

    commits: frozenset[int]
    checkpoints: frozenset[int]

    @property
    def head(self) -> int | None:
        """The newest version; None where there is no table."""
        return max(self.commits | self.checkpoints, default=None)

    def loadable(self, version: int) -> bool:
        """Whether Delta can still load a version."""
        base = self.checkpoint_below(version)
        return all(v in self.commits for v in (*range(0 if base is None else base + 1, version), version))

    def checkpoint_below(self, version: int) -> int | None:
        """The newest checkpoint at or below a version."""
        return max((c for c in self.checkpoints if c <= version), default=None)


def read_names(names: Iterable[str]) -> Log:
    """The log that consists of files of these names."""
    commits, checkpoints, parts = set[int](), set[int](), dict[tuple[int, int], int]()
    for name in names:
        if found := COMMIT.fullmatch(name):
            commits.add(int(found[1]))
        elif found := WHOLE_CHECKPOINT.fullmatch(name):
            checkpoints.add(int(found[1]))
        elif found := PART_OF_CHECKPOINT.fullmatch(name):
            key = int(found[1]), int(found[2])
            parts[key] = parts.get(key, 0) + 1
    checkpoints.update(version for (version, of), there in parts.items() if there == of)
    return Log(frozenset(commits), frozenset(checkpoints))


def newest_version_in(name: str) -> int | None:
    """The newest version that a file of the log is about; None for a file that is about none."""
    for pattern in (COMMIT, WHOLE_CHECKPOINT, PART_OF_CHECKPOINT, COMPACTED, CHECKSUM):
        if found := pattern.fullmatch(name):
            return int(found[1])
    return None


def commit_name(version: int) -> str:
    """The name of a version's commit."""
    return f"{version:020d}.json"


def lines_of(text: str) -> list[str]:
    """The actions of a commit, one a line. Statistics quote values, in which any other end of a line may stand."""
    return text.split("\n")


def commit_info(text: str) -> dict[str, Any]:
    """What a commit says of itself; empty where it says nothing."""
    for line in lines_of(text):
        if '"commitInfo"' in line:
            action = json.loads(line)
            if "commitInfo" in action:
                return dict(action["commitInfo"])
    return {}


def figures(version: int, info: dict[str, Any]) -> Commit:
    """A commit's own count of what it wrote."""
    metrics = info.get("operationMetrics", {})
    rows = int(metrics.get("numOutputRows", 0))
    return Commit(
        version,
        rows,
        int(metrics.get("numOutputBytes", metrics.get("numTargetBytesAdded", 0))),
        # A merge writes rows again that it leaves alone; any other write holds none but new ones.
        inserted=int(metrics.get("numTargetRowsInserted", rows)),
        updated=int(metrics.get("numTargetRowsUpdated", 0)),
        deleted=int(metrics.get("numTargetRowsDeleted", 0)),
    )


def words(stamp: Stamp, facts: Mapping[str, Any] | None = None) -> str:
    """A stamp as Delta keeps it in a commit."""
    held = {"ledger": stamp.ledger, "run": stamp.run, "layer": stamp.layer, "date": stamp.business_date.isoformat()}
    return json.dumps({**held, **({"facts": dict(facts)} if facts else {})})


def stamped(version: int, info: dict[str, Any]) -> Stamped:
    """Who made a commit, by the stamp it bears; a commit of anybody else has no ledger and no run."""
    held = _stamp(info.get("userMetadata"))
    day = held.get("date")
    return Stamped(
        version=version,
        operation=str(info.get("operation", "")),
        ledger=held.get("ledger"),
        run=held.get("run"),
        layer=held.get("layer"),
        facts=held.get("facts", {}),
        rows=figures(version, info).rows,
        timestamp=datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
        business_date=date.fromisoformat(day) if day else None,
    )


def _stamp(text: str | None) -> dict[str, Any]:
    try:
        held = json.loads(text or "{}")
    except ValueError:
        return {}
    return held if isinstance(held, dict) and {"ledger", "run"} <= held.keys() else {}
