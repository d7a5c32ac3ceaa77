"""Once more: a day that is covered, rows that wait in quarantine, and rules that a person lets pass.

Silver is a function of all images in bronze, of the rules, and of the waivers. So a waiver is of a rule on a table, never of
a row; with the first run after it, or after its end, everything is judged again, and a rebuild gives the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.business_date import BusinessDate
from lakehouse.contracts import LAYERS
from lakehouse.errors import LedgerError, UsageError
from lakehouse.layers import bronze, gold, silver
from lakehouse.parts import Lakehouse
from lakehouse.records import Outcome, Row
from lakehouse.runs.day import timed
from lakehouse.upkeep.locks import who


def plan(lakehouse: Lakehouse, day: BusinessDate, layers: Sequence[str]) -> list[Row]:
    """What running a day again would do, a row per layer. Raises LedgerError where it was never run."""
    ledger, rows = lakehouse.ledger, list[Row]()
    for layer in (layer for layer in LAYERS if layer in layers):
        last = ledger.last(layer)
        if last is None or last.as_of < day.day:
            raise LedgerError(f"{layer} has not published {day} yet, so there is nothing to run again: lakehouse run day "
                              f"--date {day}")  # fmt: skip
        if layer == "bronze":
            does = f"read the windows of {len(bronze.plan(lakehouse, day, replaces=True).windows)} tables again, keep the union"
        elif layer == "silver":
            waiting = sum(t.open for t in ledger.totals("silver").values())
            does = f"judge {waiting:,} open rows again, and what is new"
        else:
            does = f"compute every table again as of {last.as_of}"
        rows.append({"layer": layer, "business_date": str(day), "would": does})
    return rows


def rerun(lakehouse: Lakehouse, day: BusinessDate, layers: Sequence[str], reason: str) -> list[Outcome]:
    """Runs a day again though it is covered: bronze as --replace does, silver with what is open, gold whole."""
    write_down(lakehouse, "rerun", reason, {"date": day.day, "layers": list(layers)})
    calls = {
        "bronze": lambda: bronze.run(lakehouse, day, replaces=True, reason=reason),
        "silver": lambda: silver.run(lakehouse, _newest(lakehouse, "silver", day), again=True, reason=reason),
        "gold": lambda: gold.run(lakehouse, _newest(lakehouse, "gold", day), rebuilds=True, reason=reason),
    }
    return [timed(layer, day, calls[layer]) for layer in LAYERS if layer in layers]


def replay(lakehouse: Lakehouse, reason: str) -> list[Outcome]:
    """Judges every row that is open in quarantine again, whichever table holds it back, and lets gold follow."""
    last = lakehouse.ledger.last("silver")
    if last is None:
        raise LedgerError("silver was never published, so nothing waits in quarantine")
    day = BusinessDate(last.as_of, lakehouse.settings.zone)
    write_down(lakehouse, "replay", reason, {"through": day.day})
    return [timed("silver", day, lambda: silver.run(lakehouse, day, again=True, reason=reason)),
            timed("gold", day, lambda: gold.run(lakehouse, day, reason=reason))]  # fmt: skip


def waivable(lakehouse: Lakehouse, table: str) -> list[str]:
    """Rules of a table that a waiver can be of: those of its suite. What its contract asks for, gold cannot do without."""
    if table not in lakehouse.suites["silver"]:
        raise UsageError(f"there is no table {table}; there are {', '.join(lakehouse.contracts['silver'])}")
    return [e.rule for e in lakehouse.suites["silver"][table].reasoned]


def waive(lakehouse: Lakehouse, table: str, rule: str, reason: str, *, ends: bool = False) -> None:
    """Lets a rule hold no row of a table back from the next run of silver on; `ends`: lets it do so again.

    Raises UsageError for a rule that there is not, or that cannot be waived, LedgerError where nothing would change.
    """
    rules, ledger = waivable(lakehouse, table), lakehouse.ledger
    if rule not in rules:
        raise UsageError(f"silver.{table} has no rule {rule} that can be waived; there are {', '.join(rules) or 'none'}. What the "
                         "contract asks for is changed there, by who owns it")  # fmt: skip
    in_force = rule in ledger.waived().get(table, ())
    if in_force is not ends:
        raise LedgerError(f"{rule} of silver.{table} is {'already' if in_force else 'not'} waived: nothing to change")
    with ledger.database.connection() as connection, connection.cursor() as cursor:
        if ends:
            ledger.end_waiver(cursor, table, rule)
        else:
            ledger.waive(cursor, table, rule, reason, who())
        ledger.record_action(cursor, "end waiver" if ends else "waive", reason, {"table": table, "rule": rule}, who())


def _newest(lakehouse: Lakehouse, layer: str, day: BusinessDate) -> BusinessDate:
    """Silver and gold catch up: through the newest date they have published, never back."""
    last = lakehouse.ledger.last(layer)
    return BusinessDate(max(day.day, last.as_of), day.zone) if last else day


def write_down(lakehouse: Lakehouse, action: str, reason: str, plan: object) -> None:
    """What a person does by command, and why, before it is done."""
    with lakehouse.ledger.database.connection() as connection, connection.cursor() as cursor:
        lakehouse.ledger.record_action(cursor, action, reason, plan, who())
