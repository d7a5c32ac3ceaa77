"""What is counted of a gold table as it is staged: its rows, sums, warnings, roll-up, and what its suite asks for.

Each is a count or a sum over rows, so those of a whole table follow from what was counted of it before, less what is
counted of the rows that stand in a scope, plus what is counted of the rows that take their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zlib import crc32

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import WARNING_PREFIX
from lakehouse.conform import warning_columns
from lakehouse.contracts import Contract
from lakehouse.judging.suites import Suite
from lakehouse.records import Finding

# The net sales of all orders neither pending nor cancelled, by three tables' own sums: they agree to the last digit.
ROLL_UPS = {
    "fact_daily_sales": "net_sales",
    "fact_customer_orders": "case when is_sale then net_amount end",
    "dim_customers": "lifetime_net_sales",
}
ROLL_UP = "_roll_up"
OUT_OF_RANGE = "_out_of_range"
# What is counted of a table, by name.
Totals = Mapping[str, Any]


def totals_of(contract: Contract, frame: DataFrame) -> dict[str, Column]:
    """What is counted of a table beside what its suite asks for: rows, sums of every number, roll-up, warnings."""
    totals = sums_of(contract)
    if contract.table in ROLL_UPS:
        totals[ROLL_UP] = F.coalesce(F.sum(F.expr(ROLL_UPS[contract.table])), F.lit(0))
    return totals | {w: F.count_if(F.col(w)) for w in warning_columns(frame)}


def sums_of(contract: Contract) -> dict[str, Column]:
    """What staging is held against: the rows of a table, and the sum of each of its numbers."""
    return {"rows": F.count(F.lit(1)), **{name: F.sum(name) for name in _numbers(contract)}}


def _numbers(contract: Contract) -> list[str]:
    return [c.name for c in contract.columns if c.numeric or c.type in ("integer", "bigint")]


def written(contract: Contract, totals: Totals) -> dict[str, str]:
    """Of a table's totals those that the ledger keeps for the next run, as it keeps them; no sum of a column."""
    sums = _numbers(contract)
    return {name: str(value) for name, value in totals.items() if name not in sums}


def read(held: Mapping[str, str]) -> dict[str, int | Decimal]:
    """Totals as the ledger has kept them."""
    return {name: Decimal(value) if name == ROLL_UP else int(value) for name, value in held.items()}


class DoubtfulError(Exception):
    """Rows stand that cannot be those that were published: gold is to be computed whole."""


def followed(before: Totals, gone: Totals, came: Totals) -> dict[str, int | Decimal]:
    """The totals of a table of whose rows some gave way to others. Raises DoubtfulError where more gave way than there were."""
    totals = {
        name: before.get(name, 0) - gone.get(name, 0) + came.get(name, 0)
        for name in {**before, **came}
        if name in before or name.startswith(WARNING_PREFIX)
    }
    if any(count < 0 for name, count in totals.items() if name != ROLL_UP):
        raise DoubtfulError
    return totals


def meaning(contract: Contract, suite: Suite) -> int:
    """A number that changes when what is counted of a table may: with its contract, and with its suite."""
    return crc32(f"{contract.model_dump_json()}{suite.model_dump_json()}{ROLL_UPS.get(contract.table)}".encode())


def roll_ups(totals: Mapping[str, Totals]) -> list[Finding]:
    """Holds the three roll-ups against each other; a sum that did not fit its type (warned of) cannot be compared."""
    if not ROLL_UPS.keys() <= totals.keys():
        return []  # none of them was computed
    if any(totals[t][w] for t in ROLL_UPS for w in totals[t] if w.endswith(OUT_OF_RANGE)):
        return []
    first, *others = ROLL_UPS
    differ = {t: int(totals[t][ROLL_UP] != totals[first][ROLL_UP]) for t in others}
    rule = f"net_sales_agree_with_{first}"
    return [Finding("gold", t, rule, "critical", not differs, differs, None) for t, differs in differ.items()]
