"""Which days of sales a publish restates: days that readers were told of before, and whose rows it is about to change.

Gold keeps how things are, not how they were. So what a day was is written down in the transaction that changes it, from the
rows that stand and those that are staged.
"""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor

from lakehouse.contracts import Contract
from lakehouse.warehouse import ddl
from lakehouse.warehouse.staging import Staging

TABLE = "fact_daily_sales"
COLUMNS = ("sales_date", "product_id", "net_sales", "units_sold", "units_returned")
# A day that the shop had not published yet is no restatement, nor is what a first load writes: nobody had been told of it.
RECORD = """
    with told as (
        select max(business_date) as upto from ops.runs where layer = 'gold' and state = 'published' and run_id <> %(run)s
    ), staged as materialized (
        select {staged}, s.{is_gone} from {staging} s
    ), changed as (
        select s.sales_date, t.sales_date is null as is_new, false as is_gone,
               t.net_sales as net_before, s.net_sales as net_after,
               s.units_sold - coalesce(t.units_sold, 0) as sold, s.units_returned - coalesce(t.units_returned, 0) as returned
        from staged s left join {gold} t on {same_key}
        where not s.{is_gone} and (t.sales_date is null or row({theirs}) is distinct from row({ours}))
        union all
        select t.sales_date, false, true, t.net_sales, null, -t.units_sold, -t.units_returned
        from {gold} t where {gone}
    ), by_day as (
        select sales_date, count(*) filter (where is_new) as inserted, count(*) filter (where is_gone) as deleted,
               count(*) filter (where not is_new and not is_gone) as updated,
               sum(sold) as sold, sum(returned) as returned, sum(net_before) as net_before, sum(net_after) as net_after,
               count(*) filter (where not is_new and net_before is null) as unknown_before,
               count(*) filter (where not is_gone and net_after is null) as unknown_after
        from changed where sales_date <= (select upto from told) group by sales_date
    ), standing as (
        select sales_date, sum(units_sold) as sold, sum(units_returned) as returned, sum(net_sales) as net,
               count(*) filter (where net_sales is null) as unknown
        from {gold} where sales_date in (select sales_date from by_day) group by sales_date
    )
    insert into ops.restatements (run_id, sales_date, rows_inserted, rows_updated, rows_deleted, units_sold_before,
                                  units_sold_after, units_returned_before, units_returned_after, net_sales_before,
                                  net_sales_after)
    select %(run)s, d.sales_date, d.inserted, d.updated, d.deleted,
           coalesce(s.sold, 0), coalesce(s.sold, 0) + d.sold, coalesce(s.returned, 0), coalesce(s.returned, 0) + d.returned,
           case when coalesce(s.unknown, 0) = 0 then coalesce(s.net, 0) end,
           case when coalesce(s.unknown, 0) - d.unknown_before + d.unknown_after = 0
                then coalesce(s.net, 0) - coalesce(d.net_before, 0) + coalesce(d.net_after, 0) end
    from by_day d left join standing s using (sales_date)
"""


def record_restatements(cursor: Cursor, staging: Staging) -> None:
    """Writes the days that a run restates to the ledger, in the caller's transaction, before any row of gold changes."""
    contract = next((c for c in staging.contracts if c.table == TABLE), None)
    if contract is None or not set(COLUMNS) <= set(contract.names):
        return
    cursor.execute(f"select exists (select from {ddl.GOLD}.{TABLE})")
    if cursor.fetchone() == (
        True,
    ):  # else it is filled for the first time, or made again: there is nothing to compare with
        cursor.execute(_statement(contract, staging), {"run": staging.run_id})


def _statement(contract: Contract, staging: Staging) -> str:
    same_key = " and ".join(f"t.{k} = s.{k}" for k in contract.key)
    is_listed = TABLE in staging.by_difference
    gone = f"exists (select from staged s where {same_key} and s.{ddl.IS_GONE})"
    missing = f"not exists (select from staged s where {same_key} and not s.{ddl.IS_GONE})"
    return RECORD.format(
        staged=", ".join(f"{ddl.restored(c)} as {c.name}" for c in contract.columns),
        staging=staging.table(contract),
        gold=f"{ddl.GOLD}.{TABLE}",
        is_gone=ddl.IS_GONE,
        same_key=same_key,
        theirs=", ".join(f"t.{n}" for n in contract.names),
        ours=", ".join(f"s.{n}" for n in contract.names),
        gone=gone if is_listed else missing,
    )
