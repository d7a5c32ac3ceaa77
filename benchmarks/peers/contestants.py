"""The peers as contestants: each a module of benchmarks/peers that is run in the peers' environment."""

from __future__ import annotations

import json
import os
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from benchmarks.contestant import Contestant, Step, clean_environment
from benchmarks.measure.processes import Measured
from benchmarks.peers.environment import ENVIRONMENT, PYTHON
from benchmarks.place import Site


class Peer:
    """A peer by the name of its module, with its options, and what it does less than the lakehouse."""

    def __init__(self, name: str, does_less: str, **options: str) -> None:
        self.name, self.does_less, self._options = name, does_less, options

    def settings(self) -> dict[str, str]:
        """Its options, and the versions in the peers' environment."""
        folders = [str(folder) for folder in ENVIRONMENT.glob("lib/python*/site-packages")]
        versions = sorted((str(d.metadata["Name"]), d.version) for d in distributions(path=folders))
        return {**self._options, **dict(versions)}

    def command(self, step: Step, site: Site) -> list[str]:
        """A first load makes all from the source; a day upserts."""
        return self.program("day" if step.number else "full", str(step.date), site.folder)

    def program(self, what: str, date: str, folder: Path) -> list[str]:
        """The command of its module."""
        options = [word for name, value in self._options.items() for word in (f"--{name}", value)]
        dates = [date] if date else []
        return [str(PYTHON), "-m", f"benchmarks.peers.{self.name}", what, *dates, "--lake", str(folder), *options]

    def environment(self, site: Site) -> dict[str, str]:
        """The two databases."""
        return clean_environment({"SHOPDAY_SOURCE_DSN": site.source_dsn, "SHOPDAY_GOLD_DSN": site.gold_dsn})

    def facts(self, measured: Measured, site: Site) -> dict[str, Any]:
        """The seconds of its phases, and its rows."""
        said = json.loads(measured.output.strip().splitlines()[-1])
        rows_in = sum(table["read"] for table in said["silver"].values())
        rows = {"silver": said["silver"], "gold": said["gold"]}
        return {"phases": said["phases"], "rows_in": rows_in, "rows": rows}


DUCKDB = Peer(
    "duckdb",
    "Parquet instead of Delta; no deletes, ledger, lock, views or pages; silver is not partitioned",
    threads=str(len(os.sched_getaffinity(0))),
    memory=f"{(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')) >> 21}MiB",  # half of the machine's
)
PANDAS = Peer(
    "pandas",
    "Parquet instead of Delta; no deletes, ledger, lock, views or pages; silver is not partitioned and written whole",
)
PEERS: tuple[Contestant, ...] = (DUCKDB, PANDAS)
