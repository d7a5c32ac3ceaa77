"""What the ledger knows of a run that has ended: its tables, what its gates found, and the versions that it read.

Everything is asked of the ledger, so that a run can be told of again, years later, in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from lakehouse.ledger.questions import Questions
from lakehouse.records import RUNS_OF, Finding

ENDED = """
    select run_id, seq, layer, business_date, state, started_at, finished_at, message, inputs, started_by
    from ops.runs where state <> 'running' and finished_at is not null
"""
TABLES = """
    select layer, table_name as table, version, rows_read, rows_kept, bytes_written, snapshot
    from ops.run_tables where run_id = %s order by 1, 2
"""
FINDINGS = """
    select layer, table_name as table, rule, severity, success, unexpected, rows
    from ops.quality_results where run_id = %s order by 1, 2, 3
"""
# From the run backwards, table by table, to the run that wrote its version.
STANDING = """
    select n.layer, n.table_name as table, v.version
    from unnest(%(layers)s, %(run_layers)s, %(tables)s) as n (layer, run_layer, table_name)
    cross join lateral (
        select t.version
        from ops.runs r
        join ops.run_tables t on t.run_id = r.run_id and t.layer = n.layer and t.table_name = n.table_name
        where r.layer = n.run_layer and r.seq <= %(seq)s and t.version is not null
              -- A run that was set aside since is told of as it was.
              and (r.state = 'published' or r.seq = %(own)s)
        order by r.seq desc limit 1
    ) v
"""
CONSUMED = """
    select c.table_name as table, max(t.version) as version
    from ops.consumed c
    join ops.run_tables t on t.run_id = c.bronze_run_id and t.layer = 'bronze' and t.table_name = c.table_name
    where c.silver_run_id = %s group by 1
"""


@dataclass(frozen=True)
class TableEnded:
    """What a run did to one table. `version`: the one that it left, its own or an earlier one; `snapshot`: the source's."""

    layer: str
    table: str
    version: int | None
    rows_read: int
    rows_kept: int
    bytes_written: int
    snapshot: str | None

    @property
    def name(self) -> str:
        return f"{self.layer}.{self.table}"


@dataclass(frozen=True)
class Ended:
    """A run that has ended. `read`: the version of each table of the lake and of gold that it read, by full names;
    `started_by`: what its environment said of a scheduler's task."""

    run_id: str
    layer: str
    business_date: date
    state: str
    started_at: datetime
    finished_at: datetime
    message: str | None
    started_by: Mapping[str, str] | None = None
    tables: tuple[TableEnded, ...] = ()
    findings: tuple[Finding, ...] = ()
    read: Mapping[str, int] | None = None

    @property
    def was_published(self) -> bool:
        return self.state in ("published", "rewound")


class EndedRuns(Questions):
    """Runs that have ended, as the ledger has them."""

    def run(self, run_id: str) -> Ended | None:
        """A run; None where the ledger has none of that name that has ended."""
        rows = self._rows(f"{ENDED} and run_id = %s", (run_id,))
        return self._ended(rows[0]) if rows else None

    def of_date(self, day: date) -> list[Ended]:
        """The runs for a business date, in their order."""
        return [self._ended(row) for row in self._rows(f"{ENDED} and business_date = %s order by seq", (day,))]

    def _ended(self, row: dict[str, Any]) -> Ended:
        seq, inputs = row.pop("seq"), row.pop("inputs")
        run = Ended(**row)
        findings = tuple(Finding(**f) for f in self._rows(FINDINGS, (run.run_id,)))
        tables = self._rows(TABLES, (run.run_id,)) if run.was_published else []
        own = self._standing(((t["layer"], t["table"]) for t in tables), seq, seq)
        done = tuple(TableEnded(**{**t, "version": own.get(f"{t['layer']}.{t['table']}")}) for t in tables)
        return Ended(**row, tables=done, findings=findings, read=self._read(run, seq, inputs, done, own))

    def _read(
        self, run: Ended, seq: int, inputs: Mapping[str, Any], tables: Iterable[TableEnded], own: Mapping[str, int]
    ) -> dict[str, int]:
        if run.layer == "gold":  # whose plan is its inputs; what is built on gold is built on what the run itself left
            return {**{f"silver.{t}": v for t, v in inputs.items() if isinstance(v, int)}, **own}
        if run.layer == "silver":
            names = [t.table for t in tables if t.layer == "silver"]
            before = self._standing(((of, t) for of in ("bronze", "quarantine") for t in names), seq - 1, seq)
            return before | {f"bronze.{r['table']}": r["version"] for r in self._rows(CONSUMED, (run.run_id,))}
        return {}

    def _standing(self, tables: Iterable[tuple[str, str]], seq: int, own: int) -> dict[str, int]:
        """The version of each table after the run of a place in the order of runs; none where it had none yet."""
        asked = list(tables)
        parameters = {"layers": [of for of, _ in asked], "run_layers": [RUNS_OF.get(of, of) for of, _ in asked],
                      "tables": [t for _, t in asked], "seq": seq, "own": own}  # fmt: skip
        rows = self._rows(STANDING, parameters) if asked else []
        return {f"{r['layer']}.{r['table']}": r["version"] for r in rows}
