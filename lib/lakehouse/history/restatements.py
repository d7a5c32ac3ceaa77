"""How each published day of sales changed later: by which runs, from what to what, and through which orders.

Days and amounts were written down as they changed. Orders are found by what silver held when the run computed gold, and when
the run before it did, as long as maintenance has left these versions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from lakehouse.contracts import Contract, Contracts
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.lake import arrow as reader
from lakehouse.ledger.questions import Questions
from lakehouse.records import Row
from lakehouse.settings import Settings

RESTATEMENTS = """
    select d.sales_date, r.run_id, r.business_date, r.finished_at as published_at, d.rows_inserted, d.rows_updated,
           d.rows_deleted, d.units_sold_before, d.units_sold_after, d.units_returned_before, d.units_returned_after,
           d.net_sales_before, d.net_sales_after
    from ops.restatements d join ops.runs r using (run_id)
"""
# What two runs of gold that followed each other were made of.
INPUTS = """
    select r.inputs as after, b.inputs as before
    from ops.runs r cross join lateral (
        select inputs from ops.runs where layer = 'gold' and state = 'published' and seq < r.seq order by seq desc limit 1
    ) b where r.run_id = %s
"""
# Orders of the day, in either version, that differ between the two, or lines of which do.
ORDERS = """
    with orders as (
        select order_id, b.order_id is null as is_new, a.order_id is null as is_gone, a.status as status,
               b.status is distinct from a.status or b.order_date is distinct from a.order_date
               or b.customer_id is distinct from a.customer_id as differs
        from orders_before b full join orders_after a using (order_id)
        where b.order_date = $day or a.order_date = $day
    ), lines as (
        select coalesce(a.order_id, b.order_id) as order_id,
               count(*) filter (where b.order_item_id is null and a.quantity > 0) as lines_added,
               count(*) filter (where b.order_item_id is null and a.quantity <= 0) as lines_returned,
               count(*) filter (where a.order_item_id is null) as lines_gone,
               count(*) filter (where a.order_item_id is not null and b.order_item_id is not null) as lines_changed
        from lines_before b full join lines_after a using (order_item_id)
        where a.order_item_id is null or b.order_item_id is null or row({theirs}) is distinct from row({ours})
        group by 1
    )
    select o.order_id,
           case when o.is_new then 'came' when o.is_gone then 'went' when o.differs then 'changed' else 'lines' end as what,
           o.status, coalesce(l.lines_added, 0) as lines_added, coalesce(l.lines_returned, 0) as lines_returned,
           coalesce(l.lines_changed, 0) as lines_changed, coalesce(l.lines_gone, 0) as lines_gone
    from orders o left join lines l using (order_id)
    where o.is_new or o.is_gone or o.differs or l.order_id is not null
    order by 1 limit {most}
"""
OF_A_LINE = ("order_id", "product_id", "quantity", "unit_price", "discount", "unit_cost")


@dataclass(frozen=True)
class Restatement:
    """A day of sales that a run told otherwise than it had been told before; amounts and units are of the whole day."""

    sales_date: date
    run_id: str
    business_date: date
    published_at: datetime
    rows_inserted: int
    rows_updated: int
    rows_deleted: int
    units_sold_before: int
    units_sold_after: int
    units_returned_before: int
    units_returned_after: int
    net_sales_before: Decimal | None
    net_sales_after: Decimal | None

    @property
    def difference(self) -> Decimal | None:
        """By how much net sales changed; None where an amount is not known."""
        if self.net_sales_before is None or self.net_sales_after is None:
            return None
        return self.net_sales_after - self.net_sales_before


class Restatements(Questions):
    """Days that were restated, as the ledger has them."""

    def newest(self, limit: int) -> list[Restatement]:
        """Those of the newest runs, newest first."""
        return [Restatement(**r) for r in self._rows(f"{RESTATEMENTS} order by r.seq desc, 1 desc limit %s", (limit,))]

    def of_day(self, day: date) -> list[Restatement]:
        """Every time that a day was told otherwise, newest first."""
        return [
            Restatement(**r) for r in self._rows(f"{RESTATEMENTS} where sales_date = %s order by r.seq desc", (day,))
        ]

    def inputs(self, run_id: str) -> tuple[Row, Row] | None:
        """What the run of gold before it was made of, and what a run itself; None where none came before it."""
        rows = self._rows(INPUTS, (run_id,))
        return (rows[0]["before"], rows[0]["after"]) if rows else None


def orders_behind(
    settings: Settings, contracts: Contracts, gold: Database, restated: Restatement, most: int
) -> list[Row]:
    """The orders of a day that changed between what the run was made of and what the run before it was.

    Raises StoreError where maintenance has cleaned these versions of silver up, or they cannot be compared.
    """
    inputs = Restatements(gold).inputs(restated.run_id)
    if inputs is None or not all({"orders", "order_items"} <= of.keys() for of in inputs):
        raise StoreError(f"the ledger does not know what {restated.run_id} and the run of gold before it were made of")
    from duckdb import Error, connect

    silver = contracts["silver"]
    with connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as engine:
        for when, versions in zip(("before", "after"), inputs, strict=True):
            for name, table in (("orders", "orders"), ("lines", "order_items")):
                engine.register(f"{name}_{when}", _table(settings, silver[table], versions[table]))
        theirs, ours = (", ".join(f"{of}.{c}" for c in OF_A_LINE) for of in ("b", "a"))
        try:
            found = engine.execute(
                ORDERS.format(theirs=theirs, ours=ours, most=int(most)), {"day": restated.sales_date}
            )
            names = [c[0] for c in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except Error as e:  # its words may quote a value
            raise StoreError(
                f"the versions of silver that {restated.run_id} and the run of gold before it were made of cannot be compared "
                f"({type(e).__name__}): a column was of another type, or data files have been cleaned up"
            ) from None


def _table(settings: Settings, contract: Contract, version: int) -> object:
    return reader.dataset(settings, "silver", contract.table, version, contract.shown)
