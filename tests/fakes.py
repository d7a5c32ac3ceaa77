"""Fakes of every part of a lakehouse: plain Python, no server and no Spark, so that the order of a run is milliseconds.

All of them write what is asked of them into one list of steps; a test says at which step what breaks. Only the frame's
own rules are modelled: a lock, rows of runs, pointers that move in a transaction or not at all, heads of tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lakehouse.contracts import load_contracts
from lakehouse.errors import BusyError, LedgerError, RightLostError, StoreError, safe_words
from lakehouse.frame.held import Gone
from lakehouse.judging.suites import load_suites
from lakehouse.layers import bronze, gold, silver
from lakehouse.layers.extract import Written
from lakehouse.ledger.past import Aside
from lakehouse.records import (
    Changes,
    Counts,
    Extracted,
    Finding,
    KeptTotals,
    Last,
    Marks,
    Published,
    Run,
    Stamped,
    TableRun,
    Totals,
)
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse

CONTRACTS = load_contracts()
SUITES = load_suites(CONTRACTS)


class Steps(list[str]):
    """What was asked, in order; `breaks` holds what is raised at a step, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks: dict[str, BaseException] = {}

    def __call__(self, step: str) -> None:
        self.append(step)
        if step in self.breaks:
            raise self.breaks[step]


@dataclass
class Row:
    """A row of `ops.runs`."""

    layer: str
    day: date
    state: str = "running"
    code: int | None = None
    message: str | None = None
    inputs: dict[str, int] = field(default_factory=dict)
    reason: str | None = None


class FakeLease:
    """A layer's lock: `lost` once it is, `reply_lost` where the next commit arrives and its answer does not."""

    def __init__(self, ledger: FakeLedger) -> None:
        self.ledger, self.lost, self.reply_lost, self.watched = ledger, False, False, False

    def watch(self, run_id: str) -> None:
        self.watched = True
        self.ledger.steps("watch")

    def unwatch(self) -> None:
        if self.watched:
            self.ledger.steps("unwatch")
        self.watched = False

    def check(self) -> None:
        if self.lost:
            raise RightLostError("this run lost its lock")

    def behind(self, error: BaseException) -> BaseException:
        return RightLostError("this run lost its lock") if self.lost else error

    @contextmanager
    def transaction(self) -> Iterator[FakeLedger]:
        if self.lost:
            raise RightLostError("this run lost its lock")
        ledger, began = self.ledger, len(self.ledger.steps)
        before = deepcopy((ledger.runs, ledger.pointers, ledger.windows, ledger.judged))
        try:
            yield ledger
            publishes = "publish" in ledger.steps[began:]
            if publishes:
                ledger.steps("commit")
        except BaseException:
            ledger.runs, ledger.pointers, ledger.windows, ledger.judged = before
            raise
        if self.reply_lost and publishes:
            raise RightLostError("this run lost its lock")


class FakeLedger:
    """Runs, pointers, windows and locks, in memory; cursors are the ledger itself."""

    def __init__(self, steps: Steps) -> None:
        self.steps, self.id = steps, "ours"
        self.runs: dict[str, Row] = {}
        self.pointers: dict[str, dict[str, Published]] = {}
        self.windows: list[Extracted] = []
        self.judged: set[tuple[str, str]] = set()
        self.locked: set[str] = set()
        self.lease = FakeLease(self)

    @contextmanager
    def alone(self, layer: str) -> Iterator[FakeLease]:
        self.steps("lock")
        if layer in self.locked:
            raise BusyError(f"another run of {layer} is at work")
        try:
            yield self.lease
        finally:
            self.steps("unlock")

    def prepare(self, timezone: str) -> None:
        self.steps("prepare")

    def identity(self) -> str:
        return self.id

    def first_without(self) -> int:
        return 0

    def open(self, cursor: object, layer: str, day: date, reason: str | None = None) -> Run:
        self.steps("open")
        for row in self.runs.values():
            if (row.layer, row.state) == (layer, "running"):
                row.state = "abandoned"
        run_id = f"{layer}-{day}-{len(self.runs)}"
        self.runs[run_id] = Row(layer, day, reason=reason)
        return Run(run_id, layer, day, datetime.now(UTC))

    def close(self, _: object, run: Run, state: str, message: str | None, inputs: Any = None) -> None:
        self.steps(state)
        row = self.runs[run.run_id]
        if row.state != "running":
            raise RightLostError(f"the run {run.run_id} is not at work any more")
        row.state, row.message, row.inputs = state, message, dict(inputs or {})

    def publish(
        self, cursor: object, run: Run, tables: Mapping[str, list[TableRun]], shapes: Any, inputs: Any = None
    ) -> None:
        self.steps("publish")
        self.close(cursor, run, "published", None, inputs)
        for layer, done in tables.items():
            for t in done:
                if t.version is not None:
                    held = Published(t.table, t.version, run.run_id, run.business_date, dict(shapes[layer][t.table]))
                    self.pointers.setdefault(layer, {})[t.table] = held
                if t.window_end is not None:
                    self.windows.append(
                        Extracted(run.run_id, t.table, run.business_date, t.window_start, t.window_end, "", t.rows_read,
                                  t.rows_removed)
                    )  # fmt: skip

    def point_at(self, _: object, layer: str, table: str, version: int) -> None:
        self.steps(f"point at {layer}.{table}")
        self.pointers[layer][table] = replace(self.pointers[layer][table], version=version)

    def fail(self, run_id: str, error: BaseException) -> None:
        self.steps("fail")
        row = self.runs[run_id]
        if row.state == "running":
            row.state, row.code, row.message = "failed", getattr(error, "exit_code", 1), safe_words(error)

    def refused(self, layer: str, day: date, error: Any) -> None:
        self.steps("refused")
        self.runs[f"{layer}-{day}-{len(self.runs)}"] = Row(layer, day, "failed", error.exit_code, str(error))

    def state(self, run_id: str) -> str | None:
        self.steps("state")
        return self.runs[run_id].state if run_id in self.runs else None

    def known(self, run_ids: list[str]) -> set[str]:
        return set(run_ids) & self.runs.keys()

    def published(self, layer: str) -> dict[str, Published]:
        return dict(self.pointers.get(layer, {}))

    def last(self, layer: str) -> Last | None:
        self.steps(f"last {layer}")
        done = [(i, r) for i, r in self.runs.items() if (r.layer, r.state) == (layer, "published")]
        return Last(done[-1][0], done[-1][1].day, max(r.day for _, r in done), done[-1][1].inputs) if done else None

    def marks(self, tables: Iterable[str]) -> dict[str, Extracted]:
        self.steps("plan")
        return {e.table: e for e in sorted(self.windows, key=lambda e: e.window_end) if e.table in tables}

    def covering(self, tables: Iterable[str], end: datetime) -> dict[str, Extracted]:
        reaching = sorted((e for e in self.windows if e.window_end >= end), key=lambda e: e.window_end, reverse=True)
        return {e.table: e for e in reaching if e.table in tables}

    def first_covering(self, end: datetime) -> Extracted | None:
        return next(iter(self.covering(CONTRACTS["bronze"], end).values()), None)

    def windows_of(self, day: date) -> list[Extracted]:
        return [e for e in self.windows if e.business_date == day]

    def windows_between(self, first: date, last: date) -> list[Extracted]:
        return [e for e in self.windows if first <= e.business_date <= last]

    def pending(self, tables: Iterable[str], *, whole: bool = False) -> dict[str, list[Extracted]]:
        self.steps("plan")
        left = [e for e in self.windows if whole or (e.table, e.run_id) not in self.judged]
        return {table: [e for e in left if e.table == table] for table in tables}

    def aside(self, day: date, end: datetime) -> list[Aside]:
        return []

    def waived(self) -> dict[str, list[str]]:
        return {}

    def consume(self, _: object, run: Run, windows: Mapping[str, list[Extracted]]) -> None:
        self.judged |= {(table, e.run_id) for table, extracts in windows.items() for e in extracts}

    def totals(self, layer: str) -> dict[str, Totals]:
        return {}

    def quarantined(self) -> list[dict[str, Any]]:
        return []

    def removed_since_gold(self) -> dict[str, int]:
        return {}

    def table_rows(self, layer: str) -> dict[str, int]:
        return {}

    def keep_totals(self, cursor: object, totals: Mapping[str, KeptTotals]) -> None:
        self.steps("keep totals")

    def count_changes(self, *_: object) -> None:
        self.steps("count changes")

    def record_findings(self, run: Run, findings: list[Finding]) -> None:
        self.steps("findings")
        self.findings = list(findings)

    def listed_run(self, run_id: str) -> Any:
        return SimpleNamespace(run_id=run_id, state=self.runs[run_id].state)

    def listed_runs(self, limit: int) -> Any:
        return [self.listed_run(run_id) for run_id in self.runs][-limit:], len(self.runs)


class FakeLake:
    """Tables as lists of stamped commits; each write asks the guard before and after, as the real one does."""

    def __init__(self, steps: Steps) -> None:
        self.steps, self.owner = steps, None
        self.tables: dict[tuple[str, str], list[Stamped]] = {}
        self.kept: dict[str, Marks] = {}
        self.stamped: tuple[str | None, str | None] = (None, None)
        self.guard = lambda: None

    def stamp(self, ledger_id: str, run_id: str, layer: str, day: date) -> None:
        self.stamped = (ledger_id, run_id)

    def unstamp(self) -> None:
        self.steps("unstamp")
        self.stamped = (None, None)

    def path(self, layer: str, table: str) -> str:
        return f"file:///lake/{layer}/{table}"

    def identity(self) -> str | None:
        self.steps("identity")
        return self.owner

    def claim(self, ledger_id: str) -> None:
        self.steps("claim")
        self.owner = ledger_id

    def mark(self, layer: str, ledger_id: str, run_id: str, versions: Mapping[str, int]) -> None:
        self.steps(f"mark {layer}")
        self.kept[layer] = Marks(ledger_id, run_id, dict(versions))

    def marks(self, layer: str) -> Marks | None:
        return self.kept.get(layer)

    def head(self, layer: str, table: str, known: int | None = None) -> int | None:
        return len(self.tables.get((layer, table), [])) - 1 if (layer, table) in self.tables else None

    def commits(self, layer: str, table: str, after: int) -> list[Stamped]:
        return self.tables[layer, table][after + 1 :]

    def write(self, layer: str, table: str, rows: int = 1, *, before: int | None = None) -> int:
        """A commit; `before`: the version it is written on, above which nobody else may have committed."""
        self.steps(f"write {layer}.{table}")
        self.guard()
        held = self.tables.setdefault((layer, table), [])
        held.append(Stamped(len(held), "WRITE", *self.stamped, layer, {}, rows, datetime.now(UTC)))
        self.guard()
        if before is not None and any((c.ledger, c.run) != self.stamped for c in held[before + 1 :]):
            raise StoreError(f"a version of {layer}.{table} was committed by another run while this run wrote to it")
        return len(held) - 1

    def restore(self, layer: str, table: str, version: int) -> int:
        self.steps(f"restore {layer}.{table} to {version}")
        head = self.write(layer, table, rows=0)
        held = self.tables[layer, table]
        held[head] = replace(held[head], operation="RESTORE", facts={"version": version})
        return head

    def clear(self, layer: str, table: str, ledger_id: str) -> None:
        self.steps(f"clear {layer}.{table}")
        if any(c.ledger != ledger_id for c in self.tables[layer, table]):
            raise LedgerError(f"the lake holds {layer}.{table}, which this ledger never published")

    def keep_log(self, layer: str, table: str, head: int) -> int | None:
        return None


def schema_of(table: str) -> dict[str, str]:
    """A table of the shop as its contract says, in Postgres's words."""
    words = {"timestamptz": "timestamp with time zone"}
    return {c.name: words.get(c.type, c.type) for c in CONTRACTS["bronze"][table].columns}


class FakeSource:
    """A shop whose tables are as their contracts say, or as `schemas` does."""

    def __init__(self, steps: Steps) -> None:
        self.steps, self.schemas, self.hidden = steps, dict[str, dict[str, str]](), set[str]()
        self.database = SimpleNamespace(check=lambda: steps("source"), where="shop:5432/shop")
        self.standing = SimpleNamespace(clock=datetime.now(UTC))
        # Of each table keys that are gone, and keys that are held.
        self.gone = dict[str, tuple[int, int]]()

    @contextmanager
    def snapshot(self) -> Iterator[FakeSource]:
        self.steps("snapshot")
        yield self
        self.steps("snapshot closed")

    def require_over(self, end: datetime) -> None:
        self.steps("clock")

    def require_readable(self, tables: Iterable[str]) -> None:
        self.steps("readable")

    def schema(self, table: str) -> dict[str, str]:
        return self.schemas.get(table) or schema_of(table)

    def hides_rows(self, table: str) -> bool:
        return table in self.hidden

    def keeps_keys_once(self, contract: Any) -> bool:
        return True


class FakeStaging:
    """The staging tables of one run."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def sweep(self, cursor: object) -> None:
        self.steps("sweep staging")

    def load(self, frame: object, contract: Any) -> None:
        self.steps(f"stage {contract.table}")

    def verify(self, contract: Any, expected: object) -> None:
        self.steps(f"verify {contract.table}")

    def drop(self) -> None:
        self.steps("drop staging")


class FakeGold:
    """The warehouse."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def prepare(self) -> None:
        self.steps("prepare gold")

    def remake(self, cursor: object, tables: list[str]) -> None:
        self.steps(f"remake {' '.join(tables)}")

    def staging(self, run_id: str, untouched: Iterable[str] = ()) -> FakeStaging:
        return FakeStaging(self.steps)

    def compares(self, held: dict[str, int]) -> set[str]:
        return set()

    def publish(self, cursor: object, staging: FakeStaging) -> dict[str, Changes]:
        self.steps("change gold")
        return {"dim_customers": Changes(1, 2, 3)}

    def settle(self, changes: object) -> None:
        self.steps("statistics")

    def refresh_marts(self, run_id: str) -> None:
        self.steps("marts")


class FakeGate:
    """Great Expectations, which has a page to show."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def pages(self, run_id: str, layer: str) -> dict[str, str]:
        self.steps("gate pages")
        return {}


class FakePages:
    """The Data Docs."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def publish(self, run: Any, findings: object, pages: object) -> None:
        self.steps(f"page of a run that is {run.state}")

    def publish_whole(self, name: str, page: str) -> None:
        self.steps(f"page {name}")

    def publish_front(self, listing: Any) -> None:
        self.steps("front page")
        listing()


def fake_lakehouse(home: Path, **parts: Any) -> Any:
    """A lakehouse of fakes alone, whose `steps` say what was asked of them."""
    steps = Steps()
    made = {"ledger": FakeLedger(steps), "lake": FakeLake(steps), "source": FakeSource(steps), "gold": FakeGold(steps),
            "gate": FakeGate(steps), "pages": FakePages(steps), "suites": SUITES, "spark": None,
            "report": lambda: "", "catalogue_page": lambda: "", **parts}  # fmt: skip
    lakehouse: Any = Lakehouse(Settings(home=home, timezone="UTC", report="on"), CONTRACTS, **made)
    lakehouse.steps = steps
    return lakehouse


def replace_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of what needs Spark in a run: a write of one row of each table that is due, and no gate."""

    def extract(lakehouse: Any, run: Any, day: Any, snapshot: Any, plans: Any, *, replaces: bool) -> list[Written]:
        return [
            Written(
                p, TableRun(p.contract.table, lakehouse.lake.write("bronze", p.contract.table, before=p.head), 1,
                            rows_removed=p.gone.count, window_start=p.window.mark, window_end=p.window.end), Counts(1, 0, 0), 0, None)
            for p in plans
        ]  # fmt: skip

    def gone(lakehouse: Any, snapshot: Any, tables: Any, asked: Any, kept: Any) -> dict[str, Gone]:
        lakehouse.steps(f"compare {' '.join(tables)}".strip())
        return {t: Gone(None, *counts) for t, counts in lakehouse.source.gone.items() if t in tables}

    def judge(state: Any, contract: Any, pending: Any, gates: Any) -> tuple[TableRun, TableRun, None]:
        table = contract.table
        assert table in state.bronze, "what bronze has not brought cannot be read"
        if not pending:
            return TableRun(table), TableRun(table), None
        lake = state.lakehouse.lake
        return TableRun(table, lake.write("silver", table), 1), TableRun(table, lake.write("quarantine", table)), None

    monkeypatch.setattr(bronze, "extract", extract)
    monkeypatch.setattr(bronze, "ask_for_keys", lambda *_: {})
    monkeypatch.setattr(bronze, "gone_keys", gone)
    monkeypatch.setattr(bronze, "_gated", lambda *_, **__: [])
    monkeypatch.setattr(silver, "_table", judge)

    def staged(lakehouse: Any, due: Any, stage: Any, compared: Any) -> Any:
        return {t: {"rows": 1} for t in CONTRACTS["gold"] if t not in due.untouched}, []

    monkeypatch.setattr(gold, "_staged", staged)
    monkeypatch.setattr(gold, "roll_ups", lambda *_: [])
