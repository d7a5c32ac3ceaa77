"""What the report says, asked of gold in one read-only transaction, so that every figure is of the same moment.

Aggregates only: no row here stands for a customer. A sum of which an amount did not fit its column is null, as in the
views of conf/postgres/marts: no sum leaves an amount out as if it were nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import RealDictCursor

from lakehouse.database import Database
from lakehouse.records import Row

DAYS, WEEKS, MONTHS = 42, 26, 24
YEAR = timedelta(days=365)
MOST_NAMES, MOST_CAMPAIGNS, MOST_TO_REORDER, MOST_COHORTS, MOST_RESTATED = 12, 15, 30, 13, 30
# Days whose changes are told by the runs that made them.
LOOK_BACK = timedelta(days=7)
# Days of which the next report is told what they were: two years.
REMEMBERED = timedelta(days=731)


def whole(column: str, *, where: str = "") -> str:
    """The sum of a column, null if one of its amounts is."""
    only = f" filter (where {where})" if where else ""
    return f"case when count(*){only} = count({column}){only} then coalesce(sum({column}){only}, 0) end"


STANDING = """
    select max(business_date) as as_of, max(published_at) as published_at,
           (select run_id from ops.runs where layer = 'gold' and state = 'published' order by seq desc limit 1) as run_id,
           (select value from ops.settings where name = 'marts_run') as marts_run
    from ops.published where layer = 'gold'
"""
TOTALS = f"""
    select {whole("gross_sales")} as gross, {whole("returns_amount")} as returned, {whole("discount_amount")} as discounts,
           {whole("net_sales")} as net, {whole("gross_profit")} as profit, coalesce(sum(units_sold), 0) as units,
           coalesce(sum(units_returned), 0) as units_returned, min(sales_date) as first, max(sales_date) as last
    from gold.fact_daily_sales
"""  # noqa: S608
ROLL_UPS = f"""
    select (select {whole("net_sales")} from gold.fact_daily_sales) as fact_daily_sales,
           (select {whole("net_amount", where="is_sale")} from gold.fact_customer_orders) as fact_customer_orders,
           (select {whole("lifetime_net_sales")} from gold.dim_customers) as dim_customers
"""  # noqa: S608 - names of columns, written above
# Sales and orders by the periods of a unit that end with the one of the newest day; a period without a sale is there too.
PERIODS = f"""
    with periods as (
        select generate_series(date_trunc(%(unit)s, %(first)s::timestamp), %(as_of)s::timestamp,
                               ('1 ' || %(unit)s)::interval)::date as starts
    ), sales as (
        select date_trunc(%(unit)s, sales_date::timestamp)::date as starts, {whole("gross_sales")} as gross,
               {whole("returns_amount")} as returned, {whole("net_sales")} as net, {whole("gross_profit")} as profit,
               sum(units_sold) as units, sum(units_returned) as units_returned
        from gold.fact_daily_sales where sales_date >= %(first)s and sales_date <= %(as_of)s group by 1
    ), orders as (
        select date_trunc(%(unit)s, order_date::timestamp)::date as starts, count(*) as orders
        from gold.fact_customer_orders where is_sale and order_date >= %(first)s and order_date <= %(as_of)s group by 1
    )
    select p.starts, least((p.starts + ('1 ' || %(unit)s)::interval)::date, %(as_of)s::date + 1) as ends,
           coalesce(o.orders, 0) as orders, coalesce(s.units, 0) as units, coalesce(s.units_returned, 0) as units_returned,
           case when s.starts is null then 0 else s.gross end as gross,
           case when s.starts is null then 0 else s.returned end as returned,
           case when s.starts is null then 0 else s.net end as net,
           case when s.starts is null then 0 else s.profit end as profit
    from periods p left join sales s using (starts) left join orders o using (starts) order by 1
"""  # noqa: S608
# Sales of a year by a column of the products, the best first, beside those of the year before.
BY_NAME = """
    with years as (
        select p.{column} as name, f.sales_date > %(as_of)s::date - 365 as is_now,
               f.net_sales, f.gross_sales, f.returns_amount, f.gross_profit
        from gold.fact_daily_sales f join gold.dim_products p using (product_id)
        where f.sales_date > %(as_of)s::date - 730 and f.sales_date <= %(as_of)s
    )
    select name, {net} as net, {before} as before, {gross} as gross, {returned} as returned, {profit} as profit
    from years group by 1 order by 2 desc nulls last, 1
"""
SUMS = {
    "net": whole("net_sales", where="is_now"),
    "before": whole("net_sales", where="not is_now"),
    "gross": whole("gross_sales", where="is_now"),
    "returned": whole("returns_amount", where="is_now"),
    "profit": whole("gross_profit", where="is_now"),
}
CUSTOMERS = f"""
    select count(*) filter (where customer_id <> 'UNKNOWN') as registered,
           count(*) filter (where customer_id <> 'UNKNOWN' and lifetime_orders > 0) as buyers,
           count(*) filter (where is_repeat_customer) as repeats,
           {whole("lifetime_net_sales", where="customer_id <> 'UNKNOWN'")} as net_known,
           {whole("lifetime_net_sales", where="customer_id = 'UNKNOWN'")} as net_guests
    from gold.dim_customers
"""  # noqa: S608
NEW_AND_REPEAT = f"""
    select date_trunc('month', order_date::timestamp)::date as starts,
           count(*) filter (where is_first_order) as new, count(*) filter (where customer_order_number > 1) as repeat,
           count(*) filter (where customer_id = 'UNKNOWN') as guest,
           {whole("net_amount", where="is_first_order")} as net_new,
           {whole("net_amount", where="customer_order_number > 1")} as net_repeat,
           {whole("net_amount", where="customer_id = 'UNKNOWN'")} as net_guest,
           {whole("net_amount", where="customer_order_number is null and customer_id <> 'UNKNOWN'")} as net_other
    from gold.fact_customer_orders where is_sale and order_date >= %(first)s and order_date <= %(as_of)s
    group by 1 order by 1
"""  # noqa: S608
COHORTS = """
    select cohort_month, months_since, customers, net_sales from marts.customer_cohorts
    where cohort_month > date_trunc('month', %(as_of)s::timestamp) - interval '{months} months' and months_since <= 12
    order by 1, 2
"""
CAMPAIGNS = """
    select campaign_name as name, channel, start_date, end_date, budget, orders, customers, new_customers, net_sales as net,
           return_on_ad_spend as return_on_spend
    from gold.agg_campaign_performance order by net_sales desc nulls last, campaign_id limit %(most)s
"""
STOCK = f"""
    select coalesce(stock_status, 'unknown') as status, count(*) as places, {whole("stock_value")} as value
    from gold.agg_inventory_status group by 1
"""  # noqa: S608
TO_REORDER = """
    select p.product_name as name, i.warehouse_id as warehouse, i.available, i.reorder_point, i.units_sold_30d,
           i.days_of_supply, i.stock_status as status, count(*) over () as all
    from gold.agg_inventory_status i left join gold.dim_products p using (product_id)
    where i.available <= i.reorder_point
    order by i.days_of_supply nulls last, i.units_sold_30d desc, i.product_id, i.warehouse_id limit %(most)s
"""
# A row of a day that an earlier publish had told of already, and that a later run of the last days changed. What a rebuild
# writes is left out: it writes every row again. The first run of all has none before it.
CHANGED = """
    with runs as (
        select run_id, seq, business_date, finished_at, rebuilds,
               max(business_date) over (order by seq rows between unbounded preceding and 1 preceding) as told_to
        from ops.runs where layer = 'gold' and state = 'published'
    )
    select r.run_id, r.business_date, r.finished_at, count(*) as rows, count(distinct f.sales_date) as days,
           min(f.sales_date) as first, max(f.sales_date) as last
    from runs r join gold.fact_daily_sales f on f._run_id = r.run_id
    where not r.rebuilds and r.business_date > %(since)s and f.sales_date <= r.told_to
    group by r.seq, r.run_id, r.business_date, r.finished_at order by r.seq desc
"""
# Days that runs of the last days told otherwise than readers had been told, newest run first.
RESTATED = """
    select d.sales_date, r.run_id, r.business_date, d.net_sales_before as before, d.net_sales_after as now,
           d.units_sold_after - d.units_sold_before as sold, d.units_returned_after - d.units_returned_before as returned,
           count(*) over () as all
    from ops.restatements d join ops.runs r using (run_id)
    where r.business_date > %(since)s order by r.seq desc, d.sales_date desc limit %(most)s
"""
NET_BY_DAY = f"""
    select sales_date as day, {whole("net_sales")} as net from gold.fact_daily_sales where sales_date > %(since)s
    group by 1 order by 1
"""  # noqa: S608


@dataclass(frozen=True)
class Facts:
    """Everything the page shows; `as_of` None where nothing is published yet."""

    as_of: date | None = None
    published_at: datetime | None = None
    run_id: str = ""
    totals: Row = field(default_factory=dict)
    # The same net sales by three tables.
    roll_ups: dict[str, Decimal | None] = field(default_factory=dict)
    days: list[Row] = field(default_factory=list)
    weeks: list[Row] = field(default_factory=list)
    months: list[Row] = field(default_factory=list)
    categories: list[Row] = field(default_factory=list)
    brands: list[Row] = field(default_factory=list)
    customers: Row = field(default_factory=dict)
    new_and_repeat: list[Row] = field(default_factory=list)
    # None where the view is missing or shows an earlier gold.
    cohorts: list[Row] | None = None
    campaigns: list[Row] = field(default_factory=list)
    stock: list[Row] = field(default_factory=list)
    to_reorder: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)
    restated: list[Row] = field(default_factory=list)
    net_by_day: dict[date, Decimal | None] = field(default_factory=dict)

    @property
    def agrees(self) -> bool | None:
        """Whether the three tables have the same net sales; None where one of the sums is not known."""
        sums = list(self.roll_ups.values())
        return None if None in sums else len(set(sums)) <= 1


def facts_of(gold: Database) -> Facts:
    """Asks gold for everything, as of one moment. Raises StoreError where it does not answer."""
    with gold.connection() as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
        connection.set_session(isolation_level="repeatable read", readonly=True)
        cursor.execute(
            "select to_regclass('ops.published') is null or to_regclass('gold.fact_daily_sales') is null as absent"
        )
        if _one(cursor)["absent"]:
            return Facts()
        standing = _rows(cursor, STANDING)[0]
        if standing["as_of"] is None:
            return Facts()
        return _published(cursor, standing)


def _published(cursor: Cursor, standing: Row) -> Facts:
    as_of: date = standing["as_of"]
    months = {"as_of": as_of, "first": _months_before(as_of, MONTHS - 1)}
    fresh = standing["marts_run"] == standing["run_id"] and _stands(cursor, "marts.customer_cohorts")
    return Facts(
        as_of,
        standing["published_at"],
        standing["run_id"],
        totals=_rows(cursor, TOTALS)[0],
        roll_ups=_rows(cursor, ROLL_UPS)[0],
        days=_rows(cursor, PERIODS, unit="day", as_of=as_of, first=as_of - timedelta(days=DAYS - 1)),
        weeks=_rows(cursor, PERIODS, unit="week", as_of=as_of, first=_monday(as_of) - timedelta(weeks=WEEKS - 1)),
        months=_rows(cursor, PERIODS, unit="month", **months),
        categories=_rows(cursor, BY_NAME.format(column="category", **SUMS), as_of=as_of),
        brands=_rows(cursor, BY_NAME.format(column="brand", **SUMS), as_of=as_of),
        customers=_rows(cursor, CUSTOMERS)[0],
        new_and_repeat=_rows(cursor, NEW_AND_REPEAT, **months),
        cohorts=_rows(cursor, COHORTS.format(months=MOST_COHORTS), as_of=as_of) if fresh else None,
        campaigns=_rows(cursor, CAMPAIGNS, most=MOST_CAMPAIGNS),
        stock=_rows(cursor, STOCK),
        to_reorder=_rows(cursor, TO_REORDER, most=MOST_TO_REORDER),
        changed=_rows(cursor, CHANGED, since=as_of - LOOK_BACK),
        # A ledger of an earlier release has none before its next run.
        restated=_rows(cursor, RESTATED, since=as_of - LOOK_BACK, most=MOST_RESTATED)
        if _stands(cursor, "ops.restatements")
        else [],
        net_by_day={r["day"]: r["net"] for r in _rows(cursor, NET_BY_DAY, since=as_of - REMEMBERED)},
    )


def _rows(cursor: Cursor, sql: str, **parameters: object) -> list[Row]:
    cursor.execute(sql, parameters)
    return [dict(row) for row in cursor.fetchall()]


def _one(cursor: Cursor) -> Row:
    return dict(cursor.fetchall()[0])


def _stands(cursor: Cursor, view: str) -> bool:
    cursor.execute(
        "select coalesce((select relispopulated from pg_class where oid = to_regclass(%s)), false) as there", (view,)
    )
    return bool(_one(cursor)["there"])


def _monday(at: date) -> date:
    return at - timedelta(days=at.weekday())


def _months_before(at: date, months: int) -> date:
    """The first day of the month so many months before that of a day."""
    number = at.year * 12 + at.month - 1 - months
    return date(number // 12, number % 12 + 1, 1)
