"""Gold: six tables computed from the published silver, staged, verified, and published in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date

from psycopg2.extensions import cursor as Cursor
from pyspark.sql import DataFrame

from lakehouse.business_date import BusinessDate
from lakehouse.errors import NotYetError
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.published import frame as frame_of
from lakehouse.frame.restore import recognise
from lakehouse.frame.run import OpenRun, opened
from lakehouse.frame.transforms import digest, inputs_of, transform_of
from lakehouse.lake.reading import check_shape
from lakehouse.layers.bronze_gate import too_many_gone
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import Changes, Finding, Last, Outcome, Published, TableRun
from lakehouse.units.tables import Tables
from lakehouse.units.totals import ROLL_UPS, Totals, roll_ups
from lakehouse.units.way import kept_totals, whole_or_since
from lakehouse.units.whole import Stage


@dataclass(frozen=True)
class Plan:
    """What a run computes: gold as of a date, from versions of silver and the meaning of its tables (`inputs`).

    `untouched`: tables that stay as they are, as what they are made of is what the last run made them of.
    """

    as_of: date
    silver: Mapping[str, Published]
    inputs: Mapping[str, int]
    untouched: frozenset[str] = frozenset()
    covered_by: Last | None = None
    last: Last | None = None


def plan(lakehouse: Lakehouse, day: BusinessDate, *, rebuilds: bool = False) -> Plan:
    """What a run through a business date would compute: nothing, where gold was made of the same inputs.

    Raises NotYetError where silver has not published the day.
    """
    ledger = lakehouse.ledger
    # Silver may publish at any moment: its versions, asked for last, are never older than the day they are taken for.
    last, silver_run, silver = ledger.last("gold"), ledger.last("silver"), ledger.published("silver")
    if silver_run is None or silver_run.as_of < day.day:
        raise NotYetError(f"silver has not published {day} yet; run: lakehouse run silver --date {day}")
    as_of = max(day.day, last.as_of) if last else day.day
    inputs = inputs_for(lakehouse, silver, as_of)
    if last is None or rebuilds:
        return Plan(as_of, silver, inputs)
    untouched = _untouched(lakehouse, inputs, last.inputs)
    return Plan(as_of, silver, inputs, untouched, last if last.inputs == inputs else None, last)


def _untouched(lakehouse: Lakehouse, inputs: Mapping[str, int], before: Mapping[str, int]) -> frozenset[str]:
    """Tables whose transform would be given what it was given before. Those whose sums are held against each other go together."""
    if inputs["transforms"] != before.get("transforms"):
        return frozenset()
    changed = {n for n in inputs if inputs[n] != before.get(n)}
    arguments, published = inputs_of(lakehouse.contracts["gold"]), lakehouse.ledger.published("gold")

    def is_touched(name: str) -> bool:
        if name in arguments:
            return name not in published or any(is_touched(a) for a in arguments[name])
        return ("as_of" if name == "business_date" else name) in changed

    touched = {table for table in arguments if is_touched(table)}
    if touched & ROLL_UPS.keys():
        touched |= ROLL_UPS.keys()
    return frozenset(arguments.keys() - touched)


def inputs_for(lakehouse: Lakehouse, silver: Mapping[str, Published], as_of: date) -> dict[str, int]:
    """What gold is made of: versions of silver, a date, and the meaning of its tables."""
    return {**{t: p.version for t, p in silver.items()}, "as_of": as_of.toordinal(),
            "transforms": digest(lakehouse, "gold")}  # fmt: skip


def run(
    lakehouse: Lakehouse, day: BusinessDate, *, rebuilds: bool = False, reason: str | None = None, lease: Lease | None = None
) -> Outcome:  # fmt: skip
    """Publishes gold from what silver has published, as of the greatest business date so far.

    `lease`: gold's lock, where the caller holds it. Raises NotYetError where silver has not published the day, GateError
    where a critical rule fails.
    """
    with opened(lakehouse, "gold", day, reason=reason, lease=lease) as run:
        due = plan(lakehouse, day, rebuilds=rebuilds)
        if due.covered_by:
            last = due.covered_by
            run.after(lambda: lakehouse.gold.refresh_marts(last.run_id))
            return run.cover(f"{day} was already published ({last.run_id})", due.inputs)
        before = {} if rebuilds or _shrank(lakehouse) else lakehouse.ledger.table_rows("gold")
        return carry_out(lakehouse, run, due, before, rebuilds=rebuilds, last=None if rebuilds else due.last)


def _shrank(lakehouse: Lakehouse) -> bool:
    """Whether, since gold's last run, so many rows left a table of silver as only a person lets through: gold follows."""
    removed, totals = lakehouse.ledger.removed_since_gold(), lakehouse.ledger.totals("silver")
    return any(
        too_many_gone(lakehouse, rows, rows + totals[table].held) for table, rows in removed.items() if table in totals
    )


def carry_out(
    lakehouse: Lakehouse, run: OpenRun, due: Plan, before: Mapping[str, int], *, rebuilds: bool = False, last: Last | None = None,
    also: Callable[[Cursor], None] = lambda _: None,
) -> Outcome:  # fmt: skip
    """Computes, gates and publishes what a plan says; `also` joins the transaction.

    `before`: rows of each table so far, which the gate holds the new ones against; empty where it is not to. `last`: gold's
    newest run, where what changed since may be followed.
    """
    ledger, gold, contracts = lakehouse.ledger, lakehouse.gold, lakehouse.contracts["gold"]
    shapes = {t: c.shape for t, c in contracts.items()}
    run.record = replace(run.record, rebuilds=rebuilds)
    recognise(lakehouse)
    published = ledger.published("gold")
    for table, contract in contracts.items():
        check_shape(contract, None if rebuilds else published.get(table))
    gold.prepare()
    held = ledger.table_rows("gold")
    since = whole_or_since(lakehouse, due.silver, due.inputs, last, held)
    due = replace(due, untouched=due.untouched - {*(since.audited if since else ())})
    staging = gold.staging(run.record.run_id, due.untouched)
    run.at_the_end(staging.drop)
    with run.lease.transaction() as cursor:
        staging.sweep(cursor)
    compared = set() if rebuilds else gold.compares(held)
    stage = Stage(lakehouse, run, staging, before, due.as_of)
    followed = Tables(stage, since, due.silver, due.untouched, compared).followed() if since else None
    totals, findings = followed or _staged(lakehouse, due, stage, compared)
    run.find([*findings, *roll_ups({**(since.totals if since else {}), **totals})])
    tables = [TableRun(t, (published[t].version if t in published else 0) + 1, row["rows"], row["rows"])
              for t, row in totals.items()]  # fmt: skip
    # They are as of this date too, in the version that they have.
    tables += [TableRun(t, published[t].version, rows_kept=held.get(t, 0)) for t in sorted(due.untouched)]
    changes: dict[str, Changes] = {}

    def change(cursor: Cursor) -> None:
        if rebuilds:
            gold.remake(cursor, [t for t, p in published.items() if _shape_changed(p, shapes)])
        changes.update(gold.publish(cursor, staging))
        ledger.count_changes(cursor, run.record, changes)
        ledger.keep_totals(
            cursor, {t.table: kept_totals(lakehouse, t, totals[t.table]) for t in tables if t.table in totals}
        )
        also(cursor)

    run.after(lambda: gold.settle(changes))
    run.after(lambda: gold.refresh_marts(run.record.run_id))
    outcome = run.publish({"gold": tables}, {"gold": shapes}, "", inputs=due.inputs, also=change)
    rows_changed = sum(c.inserted + c.updated + c.deleted for c in changes.values())
    message = f"{sum(t.rows_kept for t in tables):,} rows in {len(tables)} tables, {rows_changed:,} of them changed"
    if followed:
        message += "; by the units that changed"
    if due.untouched:
        message += f"; nothing that {len(due.untouched)} of the tables are made of had changed"
    return replace(outcome, message=message)


def _shape_changed(published: Published, shapes: Mapping[str, Mapping[str, str]]) -> bool:
    return any(shapes.get(published.table, {}).get(name) != kind for name, kind in published.shape.items())


def _staged(
    lakehouse: Lakehouse,
    due: Plan,
    stage: Stage,
    compared: Collection[str],
) -> tuple[dict[str, Totals], list[Finding]]:
    """Computes, stages and gates every touched table, several at a time, each when those its transform names are there.

    Of the `compared` only what differs from gold is staged. Returns the totals of each table, and what the gate found. A
    table built on another is given its computed, still wide frame: sums are narrowed once, when they are published.
    """
    silver = due.silver
    contracts = lakehouse.contracts["gold"]
    arguments = inputs_of(contracts)
    needed = _needed(arguments, contracts.keys() - due.untouched)
    built_on = {name for table in needed for name in arguments[table]}
    wide: dict[str, Future[DataFrame]] = {name: Future() for name in needed}

    def argument(name: str) -> DataFrame | date:
        if name == "business_date":
            return due.as_of
        return wide[name].result() if name in wide else frame_of(lakehouse, "silver", name, silver.get(name))

    def table(name: str) -> tuple[Totals, list[Finding]] | None:
        contract = contracts[name]
        try:
            result = transform_of("gold", name)(*(argument(a) for a in arguments[name]))
            # What is read once is computed as it is staged.
            wide[name].set_result(checkpoint(result, eager=False) if name in built_on else result)
        except BaseException as e:
            wide[name].set_exception(e)
            raise
        return None if name in due.untouched else stage.whole(contract, wide[name].result(), compares=name in compared)

    with ThreadPoolExecutor(max(len(needed), 1)) as pool:
        staged = {name: done for name, done in zip(needed, pool.map(table, needed), strict=True) if done}
    return {n: totals for n, (totals, _) in staged.items()}, [f for _, findings in staged.values() for f in findings]


def _needed(arguments: Mapping[str, list[str]], tables: Iterable[str]) -> list[str]:
    """The tables, and those that they are built on, however deep; in the order of the contracts."""
    found = set[str]()
    ask = list(tables)
    while ask:
        name = ask.pop()
        if name not in found:
            found.add(name)
            ask += [a for a in arguments[name] if a in arguments]
    return [name for name in arguments if name in found]
