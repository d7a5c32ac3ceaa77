"""The peers as contestants."""

from __future__ import annotations

import json
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from benchmarks.contestant import Step, clean_environment
from benchmarks.measure.processes import Measured
from benchmarks.peers.environment import ENVIRONMENT, PYTHON
from benchmarks.place import Site


class DuckDb:
    """DuckDB with its Postgres scanner; what it does less is in benchmarks/peers/duckdb."""

    name = "duckdb"
    does_less = "Parquet instead of Delta; no deletes, ledger, lock, views or pages; silver is not partitioned"

    def __init__(self, *, threads: int = 2, memory: str = "12GB") -> None:
        self._options = {"--threads": str(threads), "--memory": memory}

    def settings(self) -> dict[str, str]:
        """Its versions, and how much of the machine it may use."""
        folders = [str(folder) for folder in ENVIRONMENT.glob("lib/python*/site-packages")]
        names = ((d.metadata["Name"], d.version) for d in distributions(path=folders))
        return {**{name.strip("-"): value for name, value in self._options.items()}, **dict(sorted(names))}

    def command(self, step: Step, site: Site) -> list[str]:
        """A first load makes all from the source; a day upserts."""
        how = "day" if step.number else "full"
        options = [word for option in self._options.items() for word in option]
        return [str(PYTHON), "-m", "benchmarks.peers.duckdb", how, str(step.date), "--lake", str(site.folder), *options]

    def scan(self, folder: Path) -> list[str]:
        """The command that writes the source as Parquet and does nothing else."""
        options = [word for option in self._options.items() for word in option]
        return [str(PYTHON), "-m", "benchmarks.peers.duckdb", "scan", "--lake", str(folder), *options]

    def environment(self, site: Site) -> dict[str, str]:
        """The two databases."""
        return clean_environment({"SHOPDAY_SOURCE_DSN": site.source_dsn, "SHOPDAY_GOLD_DSN": site.gold_dsn})

    def facts(self, measured: Measured, site: Site) -> dict[str, Any]:
        """The seconds of its phases, and its rows."""
        said = json.loads(measured.output.strip().splitlines()[-1])
        rows_in = sum(table["read"] for table in said["silver"].values())
        return {
            "phases": said["phases"],
            "rows_in": rows_in,
            "rows": {"silver": said["silver"], "gold": said["gold"]},
        }
