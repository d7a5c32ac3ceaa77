"""Rewind: bronze, silver, quarantine, gold and the ledger go back to what was published as of a day, all at once.

The lake's tables are restored to the versions they had, as new commits; gold is computed again from that silver; then one
transaction moves every pointer. Broken off before it, nothing has moved, and the next run, or the same command, begins by
restoring. What is taken out of bronze is kept, and comes back when a run reaches its day again (layers/archive.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date

from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS
from lakehouse.errors import LedgerError
from lakehouse.frame.restore import refuse_lost
from lakehouse.frame.run import OpenRun, opened
from lakehouse.lake.reading import LostError
from lakehouse.layers import gold
from lakehouse.ledger.lease import Lease
from lakehouse.ledger.past import Cut
from lakehouse.parts import Lakehouse
from lakehouse.records import RUNS_OF, Outcome, Published, Row, TableRun
from lakehouse.upkeep.locks import who
from lakehouse.upkeep.readable import missing_files

# Tables looked at, or restored, at once.
AT_ONCE = 3
# Behind every run there can be: the greatest number that the order of runs knows.
MOST = 2**63 - 1


@dataclass(frozen=True)
class Plan:
    """What a rewind would do: the day it comes to, runs taken back by layer, and the version of each table of the lake.

    `lost`: the newest version of each table of bronze that is older in the lake than in the ledger.
    """

    to: date
    as_of: date
    silver: Cut
    runs: Mapping[str, list[str]]
    versions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not any(self.runs.values())

    def rows(self) -> list[Row]:
        """The plan as a table: one row per layer, none where nothing was published after the day."""
        if self.is_empty:
            return []
        does = {"bronze": "be restored; what is taken out is kept", "silver": "be restored, quarantine too"}
        if self.lost:
            does["bronze"] += (
                f", but of {', '.join(self.lost)} is read from the source again: the lake does not have it"
            )
        return [
            {"layer": layer, "as_of": str(self.as_of), "runs_taken_back": len(self.runs[layer]),
             "would": "be computed again" if layer == "gold" else does[layer] if self.runs[layer] else "stay"}
            for layer in LAYERS
        ]  # fmt: skip


def plan(lakehouse: Lakehouse, to: date) -> Plan:
    """What a rewind to a day would take back. Raises LedgerError for a day that is not kept any more, or never was.

    Raises StoreError where the lake does not answer.
    """
    ledger = lakehouse.ledger
    silver, bronze = ledger.cut("silver", to), ledger.cut("bronze", to)
    if silver is None or bronze is None:
        first = ledger.first_day("silver")
        raise LedgerError(f"nothing was published as of {to}" + (f": the first day is {first}" if first else ""))
    if silver.seq < ledger.first_without():
        raise LedgerError(f"customers were forgotten since {to}, and nothing that was published before is kept: rewind to a day "
                          f"on which they were forgotten, or a later one; see lakehouse actions")  # fmt: skip
    # What silver has judged stays in bronze, also where bronze was a day ahead of it.
    seq = {"bronze": max(bronze.seq, ledger.judged_up_to(silver.seq)), "silver": silver.seq}
    last_gold = ledger.cut("gold", to)
    seq["gold"] = last_gold.seq if last_gold else 0
    runs: dict[str, list[str]] = {layer: ledger.runs_after(layer, seq[layer]) for layer in LAYERS}
    versions = {layer: _versions(lakehouse, layer, of, seq[of]) for layer, of in RUNS_OF.items() if runs[of]}
    if unaccounted := ledger.unaccounted(silver.seq) if runs["silver"] else []:
        raise LedgerError(
            f"the ledger does not know which runs of bronze silver had judged as of {to} ({', '.join(unaccounted)}), as it was "
            "rebuilt by an earlier release since; rewind to the day of the rebuild or a later one"
        )
    with lakehouse.lake.answering():
        _refuse_what_is_gone(lakehouse, to, versions)
        lost = _lost(lakehouse) if runs["bronze"] else {}
    return Plan(to, silver.as_of, silver, runs, versions, lost)


def _lost(lakehouse: Lakehouse) -> dict[str, int]:
    """The newest version of each table of bronze whose published version is above it, as in a lake of an older backup.

    -1 where there is no table at all.
    """
    published = lakehouse.ledger.published("bronze")
    heads = {t: -1 if (head := lakehouse.lake.head("bronze", t)) is None else head for t in published}
    return {t: head for t, head in heads.items() if head < published[t].version}


def _versions(lakehouse: Lakehouse, layer: str, of: str, seq: int) -> dict[str, int]:
    """The version of each table as of a cut; of a table that nothing wrote to since, the one that is published now."""
    ledger = lakehouse.ledger
    published, newest = ledger.published(layer), ledger.versions_at(layer, of, MOST)
    return {
        table: published[table].version if table in published and newest[table] == version else version
        for table, version in ledger.versions_at(layer, of, seq).items()
    }


def _refuse_what_is_gone(lakehouse: Lakehouse, to: date, versions: Mapping[str, Mapping[str, int]]) -> None:
    lake = lakehouse.lake

    def is_gone(which: tuple[str, str, int]) -> bool:
        layer, table, version = which
        try:
            return not lake.log(layer, table).loadable(version) or missing_files(lake, layer, table, version) > 0
        except LostError:
            return True

    tables = [(layer, table, version) for layer, its in versions.items() for table, version in its.items()]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        gone = [f"{w[0]}.{w[1]}" for w, is_it in zip(tables, pool.map(is_gone, tables), strict=True) if is_it]
    if gone:
        raise LedgerError(
            f"what was published as of {to} is not kept any more ({', '.join(gone)}): versions are kept as long as "
            "LAKEHOUSE_RETENTION says; rewind to a later day"
        )


def run(lakehouse: Lakehouse, plan: Plan, leases: Mapping[str, Lease], reason: str) -> list[Outcome]:
    """Carries a plan out, made under the same locks. Raises GateError where gold, computed again, breaks a rule."""
    ledger, day = lakehouse.ledger, BusinessDate(plan.as_of, lakehouse.settings.zone)
    with ExitStack() as frames:

        def frame(layer: str) -> OpenRun:
            return frames.enter_context(opened(lakehouse, layer, day, reason=reason, lease=leases[layer]))

        work: dict[str, OpenRun] = {layer: frame(layer) for layer in LAYERS}
        heads = {layer: _restored(work[of], layer, plan.versions[layer])
                 for layer, of in RUNS_OF.items() if layer in plan.versions}  # fmt: skip
        published = {**ledger.published("silver"), **_pointers(lakehouse, plan, heads.get("silver", {}))}
        if "silver" in heads:
            published = {t: p for t, p in published.items() if t in heads["silver"]}
        due = gold.Plan(plan.as_of, published, gold.inputs_for(lakehouse, published, plan.as_of))

        def also(cursor: Cursor) -> None:
            _publish_the_others(lakehouse, cursor, plan, work, heads, reason)

        outcome = gold.carry_out(lakehouse, work["gold"], due, {}, also=also)
    return [outcome]


def _restored(run: OpenRun, layer: str, versions: Mapping[str, int]) -> dict[str, int]:
    """Makes the content of a version the head of each table, several at a time; returns the heads.

    Raises LedgerError where a version is gone, and where bronze holds rows that this ledger has lost.
    """
    lake = run.lakehouse.lake
    run.enter_lake()
    if layer == "bronze":
        refuse_lost(run.lakehouse, versions)

    def restored(table: str) -> int:
        version = versions[table]
        if lake.head(layer, table) != version:
            version = lake.restore(layer, table, version)
            log.event("table.restored", layer=layer, table=table, version=version)
        return lake.keep_log(layer, table, version) or version

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return dict(zip(versions, pool.map(restored, versions), strict=True))
    except LostError as e:
        raise LedgerError(f"{e}; nothing was rewound") from None


def _shapes(lakehouse: Lakehouse, layer: str) -> dict[str, Mapping[str, str]]:
    """The shape of each table of a lake layer: its contract's, and of one whose contract was taken away the published one."""
    contracts = lakehouse.contracts["silver" if layer == "silver" else "bronze"]
    published = {t: p.shape for t, p in lakehouse.ledger.published(layer).items()}
    return {**published, **{t: c.shape for t, c in contracts.items()}}


def _pointers(lakehouse: Lakehouse, plan: Plan, heads: Mapping[str, int]) -> dict[str, Published]:
    shapes = _shapes(lakehouse, "silver")
    return {t: Published(t, v, plan.silver.run_id, plan.as_of, dict(shapes[t])) for t, v in heads.items()}


def _publish_the_others(
    lakehouse: Lakehouse, cursor: Cursor, plan: Plan, work: Mapping[str, OpenRun],
    heads: Mapping[str, Mapping[str, int]], reason: str,
) -> None:  # fmt: skip
    """In the transaction that publishes gold: runs are taken back, pointers and sums of the lake follow, and why."""
    ledger = lakehouse.ledger
    ledger.set_back(cursor, plan.runs)
    ledger.forget_aside(cursor, plan.lost)
    open_rows = ledger.open_at(plan.silver.seq)
    for of in ("bronze", "silver"):
        # Its run ends with gold's transaction, and a heartbeat after it would take that for a lost lock.
        work[of].lease.unwatch()
        tables: dict[str, list[TableRun]] = {}
        for layer in (layer for layer, its in RUNS_OF.items() if its == of and layer in heads):
            tables[layer] = [_as_it_was(layer, t, v, *open_rows.get(t, (0, {}))) for t, v in heads[layer].items()]
        if not tables:
            ledger.close(cursor, work[of].record, "covered", "nothing of it was rewound")
            continue
        shapes = {layer: _shapes(lakehouse, layer) for layer in tables}
        inputs = plan.silver.inputs if of == "silver" else None
        work[of].join(cursor, tables, shapes, inputs)
        ledger.date_pointers(cursor, tables, plan.as_of, [work[of].record.run_id])
        ledger.add_up(cursor, tables)
    ledger.date_pointers(cursor, ["gold"], plan.as_of, [work["gold"].record.run_id])
    ledger.record_action(cursor, "rewind", reason, asdict(plan), who())


def _as_it_was(layer: str, table: str, version: int, rows: int, reasons: dict[str, int]) -> TableRun:
    """A table of a rewind: no rows of its own, and those that are open again."""
    if layer == "silver":
        return TableRun(table, version, rows_quarantined=rows, reasons=dict(reasons))
    return TableRun(table, version, rows_kept=rows if layer == "quarantine" else 0)
