"""Verify: what ledger, lake and gold say of each other is held against what they hold. Changes nothing.

A table that cannot be read is a broken check, and the others are looked at all the same. A check that could not be made,
as one before it failed, is not in the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg2.extensions import cursor as Cursor
from pyspark.sql import functions as F

from lakehouse.frame.published import published_frame
from lakehouse.lake.maintain import reading
from lakehouse.lake.reading import LostError
from lakehouse.parts import Lakehouse
from lakehouse.records import RUNS_OF, Published, Row, Totals
from lakehouse.units.totals import ROLL_UPS
from lakehouse.upkeep.readable import gaps, missing_files

# Gold tables with a row for each row of a silver table, and how many beside: the guest.
ROWS_OF = {
    "dim_products": ("products", 0),
    "dim_customers": ("customers", 1),
    "fact_customer_orders": ("orders", 0),
    "agg_campaign_performance": ("campaigns", 0),
    "agg_inventory_status": ("inventory", 0),
}
# A check that is not made is not broken.
NO_CONTRACT = "not looked at: its contract was taken away"


@dataclass(frozen=True)
class Check:
    """One look at one table: what it was about, whether it holds, and the figures."""

    layer: str
    table: str
    name: str
    holds: bool
    words: str = ""

    def row(self) -> Row:
        """The check as a row of the table that is printed."""
        return {"layer": self.layer, "table": self.table, "check": self.name, "holds": "yes" if self.holds else "NO",
                "words": self.words}  # fmt: skip


def verify(lakehouse: Lakehouse) -> list[Check]:
    """Every check, by layer and table; the caller holds the locks, so that nothing moves meanwhile.

    Raises StoreError where the lake or the gold database does not answer.
    """
    with lakehouse.lake.answering():
        return [*_identity(lakehouse), *_lake(lakehouse), *_gold(lakehouse)]


def _identity(lakehouse: Lakehouse) -> Iterator[Check]:
    lake, ledger = lakehouse.lake, lakehouse.ledger
    theirs, ours = lake.identity(), ledger.identity()
    yield Check("lake", "", "belongs_to_this_ledger", theirs in (None, ours), "" if theirs == ours else f"of {theirs}")
    for layer in RUNS_OF:
        marks = lake.marks(layer)
        pointers = {t: p.version for t, p in ledger.published(layer).items()}
        # A copy that is behind is of a run that ended before it told the lake: the next run of the layer tells it.
        ahead = [t for t, v in marks.versions.items() if v > pointers.get(t, -1)] if marks else []
        yield Check(layer, "", "pointers_as_the_lake_knows_them", not ahead,
                    f"the lake knows newer ones of {', '.join(ahead)}" if ahead else "")  # fmt: skip


def _lake(lakehouse: Lakehouse) -> Iterator[Check]:
    for layer in RUNS_OF:
        totals = lakehouse.ledger.totals(layer)
        for table, published in lakehouse.ledger.published(layer).items():
            whole = list(_whole(lakehouse, layer, published))
            yield from whole
            if all(c.holds for c in whole):
                rows = _rows(lakehouse, layer, published, totals.get(table, Totals()))
                yield from _read(lakehouse, layer, table, rows)


def _read(lakehouse: Lakehouse, layer: str, table: str, checks: Iterable[Check]) -> list[Check]:
    """Checks that read a lake table; a broken one in their place where it cannot be read."""
    try:
        with reading(lakehouse.lake, layer, table):
            return list(checks)
    except LostError as e:
        return [Check(layer, table, "can_be_read", False, str(e))]


def _whole(lakehouse: Lakehouse, layer: str, published: Published) -> Iterator[Check]:
    lake, table, version = lakehouse.lake, published.table, published.version
    log = lake.log(layer, table)
    lost = gaps(log)
    yield Check(layer, table, "log_is_contiguous", not lost, f"{len(lost)} versions are missing" if lost else "")
    if not log.loadable(version):
        yield Check(layer, table, "published_version_is_there", False, f"version {version} cannot be loaded")
        return
    try:
        missing = missing_files(lake, layer, table, version)
    except LostError as e:
        yield Check(layer, table, "published_version_is_there", False, str(e))
        return
    yield Check(layer, table, "published_version_is_there", not missing,
                f"{missing} data files of version {version} are missing" if missing else f"version {version}")  # fmt: skip


def _rows(lakehouse: Lakehouse, layer: str, published: Published, totals: Totals) -> Iterator[Check]:
    """Rows of one table, counted in one pass, against what the ledger says."""
    table, frame = published.table, lakehouse.lake.read(layer, published.table, published.version)
    contract = lakehouse.contracts["silver"].get(table) if layer == "silver" else None
    known = lakehouse.ledger.known_runs("bronze") if layer == "bronze" else set()
    of_others = ~F.col("_run_id").isin(sorted(known)) if known else F.lit(layer == "bronze")
    keys = F.countDistinct(F.struct(*contract.key)) if contract else F.count(F.lit(1))
    counted = frame.agg(
        F.count(F.lit(1)).alias("rows"), F.count(F.when(of_others, 1)).alias("others"), keys.alias("keys")
    )
    row = counted.first()
    assert row is not None  # noqa: S101 - an aggregate has one row
    rows, others = int(row["rows"]), int(row["others"])
    yield Check(layer, table, "rows_as_the_ledger_counts", rows == totals.held, f"{rows:,} of {totals.held:,}")
    if layer == "bronze":
        yield Check(layer, table, "rows_of_published_runs_only", not others, f"{others:,} of others" if others else "")
        judged = lakehouse.ledger.totals("silver").get(table, Totals()).read
        pending = sum(e.rows for e in lakehouse.ledger.pending([table])[table])
        # A tombstone is no image: it is not judged, images are by it.
        yield Check(layer, table, "rows_are_judged_or_pending", rows == judged + pending + totals.removed,
                    f"{rows:,} = {judged:,} judged + {pending:,} pending + {totals.removed:,} tombstones")  # fmt: skip
    if layer == "silver":
        yield Check(layer, table, "keys_are_unique", rows == row["keys"],
                    f"{rows - row['keys']:,} too many" if contract else NO_CONTRACT)  # fmt: skip
        adds_up = totals.read == totals.held + totals.gone + totals.open + totals.removed
        yield Check(layer, table, "every_image_is_somewhere", adds_up, f"{totals.read:,} read = {totals.held:,} held + "
                    f"{totals.gone:,} gone + {totals.open:,} open + {totals.removed:,} removed")  # fmt: skip
        waiting = lakehouse.ledger.totals("quarantine").get(table, Totals()).held
        yield Check(
            layer, table, "quarantine_holds_what_is_open", waiting == totals.open, f"{waiting:,} of {totals.open:,}"
        )


def _gold(lakehouse: Lakehouse) -> Iterator[Check]:
    published, totals = lakehouse.ledger.published("gold"), lakehouse.ledger.totals("gold")
    if not published:
        return
    contracts = lakehouse.contracts["gold"]
    for table in (t for t in published if t not in contracts):
        yield Check("gold", table, "rows_as_the_ledger_counts", True, NO_CONTRACT)
    tables = [t for t in published if t in contracts]
    with lakehouse.gold.database.connection() as connection, connection.cursor() as cursor:
        for table in tables:
            key = ", ".join(contracts[table].key)
            rows = _one(cursor, f"select count(*) from gold.{table}")
            keys = _one(cursor, f"select count(*) from (select distinct {key} from gold.{table}) k")
            held = totals.get(table, Totals()).held
            yield Check("gold", table, "rows_as_the_ledger_counts", rows == held, f"{rows:,} of {held:,}")
            yield Check("gold", table, "keys_are_unique", rows == keys, f"{rows - keys:,} too many")
        sums = {t: _one(cursor, f"select coalesce(sum({e}), 0) from gold.{t}")
                for t, e in ROLL_UPS.items() if t in tables}  # fmt: skip
        for table in (t for t in sums if "fact_daily_sales" in sums and t != "fact_daily_sales"):
            agree = sums[table] == sums["fact_daily_sales"]
            yield Check("gold", table, "net_sales_agree_with_fact_daily_sales", agree)
        yield from _against_silver(lakehouse, cursor, tables)


def _against_silver(lakehouse: Lakehouse, cursor: Cursor, tables: Collection[str]) -> Iterator[Check]:
    """Gold's rows and sums against the silver it was made of; where silver has moved on since, there is nothing to compare."""
    ledger = lakehouse.ledger
    made, of = ledger.cut("gold", date.max), ledger.cut("silver", date.max)
    if made is None or of is None or made.seq < of.seq:
        yield Check("gold", "", "made_of_this_silver", True, "silver has moved on since: not compared")
        return
    held = {t: totals.held for t, totals in ledger.totals("silver").items()}
    for table, (origin, beside) in ((t, of) for t, of in ROWS_OF.items() if t in tables):
        rows, expected = _one(cursor, f"select count(*) from gold.{table}"), held.get(origin, 0) + beside
        yield Check("gold", table, f"rows_of_silver_{origin}", rows == expected, f"{rows:,} of {expected:,}")
    if "fact_customer_orders" in tables:
        yield from _read(lakehouse, "silver", "order_items", _lines(lakehouse, cursor, held.get("order_items", 0)))


def _lines(lakehouse: Lakehouse, cursor: Cursor, held: int) -> Iterator[Check]:
    """Gold's lines and net amounts against silver's."""
    lines = _one(cursor, "select coalesce(sum(line_count), 0) from gold.fact_customer_orders")
    yield Check("gold", "fact_customer_orders", "lines_of_silver_order_items", lines == held, f"{lines:,} of {held:,}")
    # A sum that did not fit its type is null in gold, and was warned of.
    if not _one(cursor, "select count(*) from gold.fact_customer_orders where net_amount is null"):
        items = published_frame(lakehouse, "silver", "order_items")
        row = items.agg(F.coalesce(F.sum("net_amount"), F.lit(0)).alias("net")).first()
        assert row is not None  # noqa: S101 - an aggregate has one row
        net = _one(cursor, "select coalesce(sum(net_amount), 0) from gold.fact_customer_orders")
        yield Check("gold", "fact_customer_orders", "net_amount_of_silver_order_items", net == row["net"])


def _one(cursor: Cursor, query: str) -> Any:
    cursor.execute(query)
    return (cursor.fetchone() or (None,))[0]
