"""Whether a run of gold follows what changed in silver, or computes its tables whole: whatever is not as expected is whole."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

from lakehouse import log
from lakehouse.parts import Lakehouse
from lakehouse.records import KeptTotals, Last, Published, TableRun
from lakehouse.units.audit import audited
from lakehouse.units.changes import Changed, changed
from lakehouse.units.tables import Since
from lakehouse.units.totals import OUT_OF_RANGE, ROLL_UP, ROLL_UPS, Totals, meaning, read, written
from lakehouse.warehouse import ddl

# Below so many rows in its largest table gold is computed whole: what a query does costs less than that it is one. At
# 123,000 rows a day took 92 s of CPU whole and 97 s by units; where the two meet is an estimate.
FEW_ROWS = 200_000
# Where more than this share of silver's rows changed, so many units are touched that the whole is cheaper. An estimate too.
MOST_CHANGED = 0.2
# Keys travel to every task of Spark, and into Postgres.
MOST_ROWS_CHANGED = 500_000


def whole_or_since(
    lakehouse: Lakehouse, silver: Mapping[str, Published], inputs: Mapping[str, int], last: Last | None,
    held: Mapping[str, int],
) -> Since | None:  # fmt: skip
    """What has changed since gold's last run, where that can be followed; None where gold is computed whole, and the log says why.

    `held`: rows of each gold table. A run without a last one, and one that rebuilds, computes gold whole.
    """
    found = _since(lakehouse, silver, inputs, last, held)
    if isinstance(found, str):
        log.event("gold.way", way="whole", reason=found)
        return None
    audits = sorted(found.audited)
    log.event("gold.way", way="units", audited=audits, **{f"changed_{t}": c.rows for t, c in found.changed.items()})
    return found


def kept_totals(lakehouse: Lakehouse, table: TableRun, totals: Totals) -> KeptTotals:
    """What the ledger keeps of what was counted of a table."""
    contract, suite = lakehouse.contracts["gold"][table.table], lakehouse.suites["gold"][table.table]
    return KeptTotals(table.version or 0, meaning(contract, suite), written(contract, totals))


def _since(
    lakehouse: Lakehouse, silver: Mapping[str, Published], inputs: Mapping[str, int], last: Last | None,
    held: Mapping[str, int],
) -> Since | str:  # fmt: skip
    if last is None:
        return "it is asked for, or gold has no run yet"
    if max(held.values(), default=0) < FEW_ROWS:
        return "there are few rows"
    if inputs["transforms"] != last.inputs.get("transforms"):
        return "the meaning of its tables has changed"
    if lakehouse.ledger.rebuilt_since_gold():
        return "silver was rebuilt"
    totals = _totals(lakehouse)
    if isinstance(totals, str):
        return totals
    if not _stands(lakehouse, totals):
        return "other rows stand than were published"
    changes = _changes(lakehouse, silver, last)
    if isinstance(changes, str):
        return changes
    return Since(changes, totals, audited(last.as_of, date.fromordinal(inputs["as_of"]), totals))


def _totals(lakehouse: Lakehouse) -> dict[str, Totals] | str:
    """What was counted of each table as it is published; or why it cannot be gone on from."""
    published, all_kept = lakehouse.ledger.published("gold"), lakehouse.ledger.kept_totals()
    found: dict[str, Totals] = {}
    for table, contract in lakehouse.contracts["gold"].items():
        suite, kept = lakehouse.suites["gold"][table], all_kept.get(table)
        if kept is None or table not in published or kept.version != published[table].version:
            return "it was not counted what stands"
        if kept.meaning != meaning(contract, suite):
            return "what is counted of its tables has changed"
        totals = found[table] = read(kept.totals)
        # Gold has null in the place of what others of its tables are made of.
        if any(count for name, count in totals.items() if name.endswith(OUT_OF_RANGE)):
            return "a number does not fit its type"
        # With the date of a run it moves which rows break the rule.
        dated = (e.rule for e in suite.expectations if "next_date" in e.parameters)
        if any(totals.get(f"gate {rule}") for rule in dated):
            return "rows are dated after the business date"
    return found


def _stands(lakehouse: Lakehouse, totals: Mapping[str, Totals]) -> bool:
    """Whether the server counts the rows, and sums up the net sales, that were published."""
    with lakehouse.gold.database.connection() as connection, connection.cursor() as cursor:
        for table, its in totals.items():
            net_sales = f"coalesce(sum({ROLL_UPS[table]}), 0)" if table in ROLL_UPS else "0"
            cursor.execute(f"select count(*), {net_sales} from {ddl.GOLD}.{table}")
            if cursor.fetchone() != (its["rows"], its.get(ROLL_UP, Decimal(0))):
                return False
    return True


def _changes(lakehouse: Lakehouse, silver: Mapping[str, Published], last: Last) -> dict[str, Changed] | str:
    """What changed of each table of silver; or why it cannot be told."""
    lake, contracts, held = lakehouse.lake, lakehouse.contracts["silver"], lakehouse.ledger.table_rows("silver")
    if set(silver) != set(contracts) or any(table not in last.inputs for table in silver):
        return "gold was made of other tables"

    def of(table: str) -> Changed | None:
        return changed(lake, contracts[table], int(last.inputs[table]), silver[table].version)

    with ThreadPoolExecutor(len(contracts)) as pool:
        found = dict(zip(contracts, pool.map(of, contracts), strict=True))
    changes = {table: change for table, change in found.items() if change}
    if len(changes) < len(found):
        return "what changed in silver cannot be told"
    rows = sum(c.rows for c in changes.values())
    if rows > min(MOST_CHANGED * sum(held.values()), MOST_ROWS_CHANGED):
        return "much has changed"
    return changes
