"""Gold: six tables computed from the published silver, staged, verified, and published in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from psycopg2.extensions import cursor as Cursor
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.conform import conformed, warning_columns
from lakehouse.contracts import Contract
from lakehouse.errors import NotYetError
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.published import frame as frame_of
from lakehouse.frame.restore import recognise
from lakehouse.frame.run import OpenRun, opened
from lakehouse.frame.transforms import digest, inputs_of, transform_of
from lakehouse.gate.measures import Measures, observed
from lakehouse.lake.reading import check_shape
from lakehouse.layers.bronze_gate import too_many_gone
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import Changes, Finding, Last, Outcome, Published, TableRun
from lakehouse.warehouse.staging import Staging

# The net sales of all orders neither pending nor cancelled, by three tables' own sums: they agree to the last digit.
ROLL_UPS = {
    "fact_daily_sales": "net_sales",
    "fact_customer_orders": "case when is_sale then net_amount end",
    "dim_customers": "lifetime_net_sales",
}
ROLL_UP = "_roll_up"
# What is counted of a table, by name: its rows, sums, warnings, and what the suite asks for.
Totals = Mapping[str, Any]


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
    return Plan(as_of, silver, inputs, untouched, last if last.inputs == inputs else None)


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

    `lease`: gold's lock, where the caller holds it. Raises NotYetError where silver has not published the day, GateError where a critical rule fails.
    """
    with opened(lakehouse, "gold", day, reason=reason, lease=lease) as run:
        due = plan(lakehouse, day, rebuilds=rebuilds)
        if due.covered_by:
            last = due.covered_by
            run.after(lambda: lakehouse.gold.refresh_marts(last.run_id))
            return run.cover(f"{day} was already published ({last.run_id})", due.inputs)
        before = {} if rebuilds or _shrank(lakehouse) else lakehouse.ledger.table_rows("gold")
        return carry_out(lakehouse, run, due, before, rebuilds=rebuilds)


def _shrank(lakehouse: Lakehouse) -> bool:
    """Whether, since gold's last run, so many rows left a table of silver as only a person lets through: gold follows."""
    removed, totals = lakehouse.ledger.removed_since_gold(), lakehouse.ledger.totals("silver")
    return any(
        too_many_gone(lakehouse, rows, rows + totals[table].held) for table, rows in removed.items() if table in totals
    )


def carry_out(
    lakehouse: Lakehouse, run: OpenRun, due: Plan, before: Mapping[str, int], *, rebuilds: bool = False,
    also: Callable[[Cursor], None] = lambda _: None,
) -> Outcome:  # fmt: skip
    """Computes, gates and publishes what a plan says; `also` joins the transaction.

    `before`: rows of each table so far, which the gate holds the new ones against; empty where it is not to.
    """
    ledger, gold, contracts = lakehouse.ledger, lakehouse.gold, lakehouse.contracts["gold"]
    shapes = {t: c.shape for t, c in contracts.items()}
    run.record = replace(run.record, rebuilds=rebuilds)
    recognise(lakehouse)
    published = ledger.published("gold")
    for table, contract in contracts.items():
        check_shape(contract, None if rebuilds else published.get(table))
    gold.prepare()
    staging = gold.staging(run.record.run_id, due.untouched)
    run.at_the_end(staging.drop)
    with run.lease.transaction() as cursor:
        staging.sweep(cursor)
    held = ledger.table_rows("gold")
    totals, findings = _staged(lakehouse, run, due, before, staging, set() if rebuilds else gold.compares(held))
    run.find([*findings, *_roll_ups(totals)])
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
        also(cursor)

    run.after(lambda: gold.settle(changes))
    run.after(lambda: gold.refresh_marts(run.record.run_id))
    outcome = run.publish({"gold": tables}, {"gold": shapes}, "", inputs=due.inputs, also=change)
    rows_changed = sum(c.inserted + c.updated + c.deleted for c in changes.values())
    message = f"{sum(t.rows_kept for t in tables):,} rows in {len(tables)} tables, {rows_changed:,} of them changed"
    if due.untouched:
        message += f"; nothing that {len(due.untouched)} of the tables are made of had changed"
    return replace(outcome, message=message)


def _shape_changed(published: Published, shapes: Mapping[str, Mapping[str, str]]) -> bool:
    return any(shapes.get(published.table, {}).get(name) != kind for name, kind in published.shape.items())


def _staged(
    lakehouse: Lakehouse,
    run: OpenRun,
    due: Plan,
    before: Mapping[str, int],
    staging: Staging,
    compared: Collection[str],
) -> tuple[dict[str, Totals], list[Finding]]:
    """Computes, stages and gates every touched table, several at a time, each when those its transform names are there.

    Of the `compared` only what differs from gold is staged. Returns the totals of each table, and what the gate found. A table built on another is given its computed, still wide
    frame: sums are narrowed once, when they are published.
    """
    silver, as_of = due.silver, due.as_of
    contracts = lakehouse.contracts["gold"]
    arguments = inputs_of(contracts)
    needed = _needed(arguments, contracts.keys() - due.untouched)
    built_on = {name for table in needed for name in arguments[table]}
    wide: dict[str, Future[DataFrame]] = {name: Future() for name in needed}

    def argument(name: str) -> DataFrame | date:
        if name == "business_date":
            return as_of
        return wide[name].result() if name in wide else frame_of(lakehouse, "silver", name, silver.get(name))

    def table(name: str) -> tuple[Totals, list[Finding]] | None:
        contract, transform = contracts[name], transform_of("gold", name)
        try:
            result = transform(*(argument(a) for a in arguments[name]))
            # What is read once is computed as it is staged.
            wide[name].set_result(checkpoint(result, eager=False) if name in built_on else result)
        except BaseException as e:
            wide[name].set_exception(e)
            raise
        if name in due.untouched:
            return None
        frame = conformed(wide[name].result(), contract)
        parameters = {"previous_rows": before.get(name), "next_date": as_of + timedelta(days=1)}
        suite = lakehouse.gate.measures(contract, lakehouse.suites["gold"][name], frame.columns, parameters)

        def load(rows: DataFrame) -> Totals | None:
            """Stages a table; what was counted of the rows that were sent, where these are not all."""
            if name not in compared:
                _load(run, staging.load, contract, rows)
                return None
            rows = lakehouse.gold.differing(rows, contract)
            # The suite looked at every row, on the way to here.
            suiteless = replace(suite, rules=(), aggregates={})
            counted = _sums(contract)
            return observed(rows, suiteless, counted, lambda r: _load(run, staging.load_differences, contract, r))[1]

        sent, totals = observed(frame, suite, _totals(contract, frame), load)
        sent = sent or {n: totals[n] for n in _sums(contract)}
        staging.verify(contract, sent)
        log.event("gold.staged", table=name, rows=totals["rows"], sent=sent["rows"])
        return totals, _judged(lakehouse, suite, frame, totals)

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


def _totals(contract: Contract, frame: DataFrame) -> dict[str, Column]:
    """What is counted as a table is staged beside what its suite asks for: rows, sums of every number, roll-up, warnings."""
    totals = _sums(contract)
    if contract.table in ROLL_UPS:
        totals[ROLL_UP] = F.coalesce(F.sum(F.expr(ROLL_UPS[contract.table])), F.lit(0))
    return totals | {w: F.count_if(F.col(w)) for w in warning_columns(frame)}


def _sums(contract: Contract) -> dict[str, Column]:
    """What staging is held against: the rows of a table, and the sum of each of its numbers."""
    numbers = [c.name for c in contract.columns if c.numeric or c.type in ("integer", "bigint")]
    return {"rows": F.count(F.lit(1)), **{name: F.sum(name) for name in numbers}}


def _load(run: OpenRun, load: Callable[[DataFrame, Contract], None], contract: Contract, rows: DataFrame) -> None:
    """Stages a table. Raises RightLostError, before anything is written, once the right is lost."""
    run.lease.check()
    load(rows, contract)


def _judged(lakehouse: Lakehouse, suite: Measures, frame: DataFrame, totals: Totals) -> list[Finding]:
    """The gate of one table: the suite, and the counted warnings."""
    table, rows = suite.contract.table, totals["rows"]
    return [
        *lakehouse.gate.judge(suite, frame, totals),
        *(
            Finding("gold", table, w.removeprefix("_warn_"), "warning", totals[w] == 0, totals[w], rows)
            for w in warning_columns(frame)
        ),
    ]


def _roll_ups(totals: Mapping[str, Totals]) -> list[Finding]:
    """Holds the three roll-ups against each other; a sum that did not fit its type (warned of) cannot be compared."""
    if not ROLL_UPS.keys() <= totals.keys():
        return []  # none of them was computed
    if any(totals[t][w] for t in ROLL_UPS for w in totals[t] if w.endswith("_out_of_range")):
        return []
    first, *others = ROLL_UPS
    differ = {t: int(totals[t][ROLL_UP] != totals[first][ROLL_UP]) for t in others}
    rule = f"net_sales_agree_with_{first}"
    return [Finding("gold", t, rule, "critical", not differs, differs, None) for t, differs in differ.items()]
