"""Once more: a day that is covered, rows that wait in quarantine, and rules that a person lets pass.

Silver is a function of all images in bronze, of the rules, and of the waivers. So a waiver is of a rule on a table, never of
a row; with the first run after it, or after its end, everything is judged again, and a rebuild gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS
from lakehouse.errors import LedgerError, UsageError
from lakehouse.layers import bronze, gold, silver
from lakehouse.parts import Lakehouse
from lakehouse.records import Outcome, Row
from lakehouse.runs.day import timed
from lakehouse.runs.rebuild import rebuild as rebuild_layer
from lakehouse.upkeep.locks import who


@dataclass(frozen=True)
class Step:
    """One layer that runs again, the date it runs through, and what it does there."""

    layer: str
    day: BusinessDate
    does: str

    def row(self) -> Row:
        """The step as a row of the plan that is printed."""
        return {"layer": self.layer, "business_date": str(self.day), "would": self.does}


def plan(lakehouse: Lakehouse, day: BusinessDate, layers: Sequence[str]) -> list[Step]:
    """What running a day again would do, a step per layer. Raises LedgerError where it was never run."""
    ledger, steps = lakehouse.ledger, list[Step]()
    for layer in (layer for layer in LAYERS if layer in layers):
        last = ledger.last(layer)
        if last is None or last.as_of < day.day:
            raise LedgerError(f"{layer} has not published {day} yet, so there is nothing to run again: lakehouse run day "
                              f"--date {day}")  # fmt: skip
        if layer == "bronze":
            tables = len(bronze.plan(lakehouse, day, replaces=True).windows)
            steps.append(Step(layer, day, f"read the windows of {tables} tables again, keep the union"))
            continue
        # Silver and gold catch up: through the newest date they have published, never back.
        newest = BusinessDate(last.as_of, day.zone)
        if layer == "silver":
            waiting = sum(t.open for t in ledger.totals("silver").values())
            steps.append(Step(layer, newest, f"judge {waiting:,} open rows again, and what is new"))
        else:
            steps.append(Step(layer, newest, "compute every table again"))
    return steps


def rerun(lakehouse: Lakehouse, steps: Sequence[Step], reason: str) -> list[Outcome]:
    """Runs a day again though it is covered: bronze as --replace does, silver with what is open, gold whole."""
    calls: dict[str, Callable[[BusinessDate], Outcome]] = {
        "bronze": lambda day: bronze.run(lakehouse, day, replaces=True, reason=reason),
        "silver": lambda day: silver.run(lakehouse, day, again=True, reason=reason),
        "gold": lambda day: gold.run(lakehouse, day, rebuilds=True, reason=reason),
    }
    return _carried_out(lakehouse, "rerun", reason, [(s.layer, s.day, calls[s.layer]) for s in steps])


def replay(lakehouse: Lakehouse, reason: str) -> list[Outcome]:
    """Judges every row that is open in quarantine again, whichever table holds it back, and lets gold follow."""
    last = lakehouse.ledger.last("silver")
    if last is None:
        raise LedgerError("silver was never published, so nothing waits in quarantine")
    day = BusinessDate(last.as_of, lakehouse.settings.zone)
    return _carried_out(lakehouse, "replay", reason, [
        ("silver", day, lambda day: silver.run(lakehouse, day, again=True, reason=reason)),
        ("gold", day, lambda day: gold.run(lakehouse, day, reason=reason)),
    ])  # fmt: skip


def rebuild(lakehouse: Lakehouse, layer: str, reason: str) -> Outcome:
    """Makes every table of silver or gold again from the layer before. Raises LedgerError where it was never published."""
    outcome = rebuild_layer(lakehouse, layer, reason=reason)
    _write_down(lakehouse, "rebuild", reason, [outcome])
    return outcome


def waivable(lakehouse: Lakehouse, table: str) -> list[str]:
    """Rules of a table that a waiver can be of: those of its suite. What its contract asks for, gold cannot do without."""
    if table not in lakehouse.suites["silver"]:
        raise UsageError(f"there is no table {table}; there are {', '.join(lakehouse.contracts['silver'])}")
    return [e.rule for e in lakehouse.suites["silver"][table].reasoned]


def check_waiver(lakehouse: Lakehouse, table: str, rule: str, *, ends: bool = False) -> None:
    """Raises UsageError for a rule that there is not, or that cannot be waived, LedgerError where nothing would change."""
    rules, ledger = waivable(lakehouse, table), lakehouse.ledger
    if rule not in rules:
        raise UsageError(f"silver.{table} has no rule {rule} that can be waived; there are {', '.join(rules) or 'none'}. What the "
                         "contract asks for is changed there, by who owns it")  # fmt: skip
    in_force = rule in ledger.waived().get(table, ())
    if in_force is not ends:
        raise LedgerError(f"{rule} of silver.{table} is {'already' if in_force else 'not'} waived: nothing to change")


def waive(lakehouse: Lakehouse, table: str, rule: str, reason: str, *, ends: bool = False) -> None:
    """Lets a rule hold no row of a table back from the next run of silver on; `ends`: lets it do so again.

    Raises as `check_waiver`.
    """
    check_waiver(lakehouse, table, rule, ends=ends)
    ledger = lakehouse.ledger
    with ledger.database.connection() as connection, connection.cursor() as cursor:
        if ends:
            ledger.end_waiver(cursor, table, rule)
        else:
            ledger.waive(cursor, table, rule, reason, who())
        ledger.record_action(cursor, "end waiver" if ends else "waive", reason, {"table": table, "rule": rule}, who())


def _carried_out(
    lakehouse: Lakehouse, action: str, reason: str, steps: Iterable[tuple[str, BusinessDate, Callable[[BusinessDate], Outcome]]]
) -> list[Outcome]:  # fmt: skip
    """Does one step after the other; what of them was done is written down, also where a later one is refused."""
    outcomes: list[Outcome] = []
    try:
        for layer, day, call in steps:
            outcomes.append(timed(layer, day, partial(call, day)))
    finally:
        if outcomes:
            _write_down(lakehouse, action, reason, outcomes)
    return outcomes


def _write_down(lakehouse: Lakehouse, action: str, reason: str, outcomes: Iterable[Outcome]) -> None:
    """What a person did by command, and why, once it is done: the runs say of themselves how they went."""
    runs = [{"layer": o.layer, "business_date": o.business_date, "run_id": o.run_id} for o in outcomes]
    with lakehouse.ledger.database.connection() as connection, connection.cursor() as cursor:
        lakehouse.ledger.record_action(cursor, action, reason, runs, who())
