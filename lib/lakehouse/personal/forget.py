"""Forgets customers: the list first, so that nobody comes back; then bronze, of which silver and gold are made again; then
the past of every table that held them. Each step may be repeated: broken off anywhere, the same command completes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from delta.tables import DeltaTable
from psycopg2.extensions import cursor as Cursor
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.database import Database
from lakehouse.features.tables import SCHEMA as FEATURES
from lakehouse.features.tables import without_forgotten
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.frame.door import CUSTOMERS, FORGOTTEN, Reach, marked, reaches
from lakehouse.frame.restore import mark
from lakehouse.frame.run import OpenRun, opened
from lakehouse.judging.tombstones import is_tombstone
from lakehouse.lake.maintain import Purged, purge, superseded
from lakehouse.layers import gold, silver
from lakehouse.layers.archive import shape_of
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.personal.objects import delete_old_objects
from lakehouse.personal.plan import Plan, backups
from lakehouse.records import RUNS_OF, Outcome, Row, TableRun
from lakehouse.upkeep.locks import who
from lakehouse.warehouse.ddl import GOLD
from lakehouse.warehouse.grants import ANALYTICS, DBT
from lakehouse.warehouse.marts import SCHEMA as MARTS

CUSTOMERS_OF_GOLD = "dim_customers"
COLUMNS = ("store", "table", "rows", "files", "log_entries", "versions", "objects", "did")


def forget(lakehouse: Lakehouse, plan: Plan, leases: Mapping[str, Lease], reason: str) -> list[Row]:
    """Carries a plan out, made under the same locks; the report, a row per table. Raises GateError where silver or gold,
    made again, breaks a rule: the customers stay out meanwhile, and the command goes on where it stopped."""
    ledger = lakehouse.ledger
    with leases["bronze"].transaction() as cursor:
        ledger.keep_out(cursor, plan.digests)
    report = [_row("ledger", "forgotten", "kept out", rows=len(plan.digests))]
    last = ledger.last("bronze")
    silver_run = None
    if last is not None:
        day = BusinessDate(last.as_of, lakehouse.settings.zone)
        changed = _out_of_bronze(lakehouse, day, leases["bronze"], plan, reason)
        silver_run, outcomes = _made_again(lakehouse, leases, reason)
        past = [p for layer in ("bronze", "silver") for p in _past_of(lakehouse, layer, day, leases[layer], reason)]
        report += _report(plan, changed, past)
        report += [_row(o.layer, "all", o.message) for o in outcomes]
        if any(o.layer == "gold" for o in outcomes):
            report += [
                _row("analytics", t, "gone", rows=n) for t, n in delete_from_analytics(lakehouse.gold.database).items()
            ]
            report += [_row(FEATURES, t, "gone", rows=n) for t, n in without_forgotten(lakehouse.gold.database).items()]
            report.append(_row("gold", "all", "dead rows and statistics cleaned", files=_vacuumed(lakehouse)))
    report.append(_row("backups", None, backups(lakehouse.settings)))
    with leases["bronze"].transaction() as cursor:
        ledger.forgotten(cursor, silver_run)
        ledger.record_action(cursor, "forget", reason, report, who())
    return report


def _out_of_bronze(
    lakehouse: Lakehouse, day: BusinessDate, lease: Lease, plan: Plan, reason: str
) -> dict[str, int]:  # fmt: skip
    """Takes the rows out of bronze, in one publish; how many of each table."""
    ledger, found = lakehouse.ledger, reaches(lakehouse.contracts)
    tables = [t for t in found if t in ledger.published("bronze")]
    with opened(lakehouse, "bronze", day, reason=reason, lease=lease) as run:
        published = run.restore("bronze", tables)
        changed, runs = dict[str, int](), list[TableRun]()
        for table in tables:
            rows, version = _changed(run, found[table], published[table].version, plan)
            changed[table] = rows
            if rows:
                runs.append(TableRun(table, version))
        heads = {t: p.version for t, p in published.items()} | {t.table: t.version or 0 for t in runs}
        held = _held(lakehouse, heads[CUSTOMERS]) if CUSTOMERS in heads else {}

        def recounted(cursor: Cursor) -> None:
            ledger.recount(cursor, CUSTOMERS, held)
            ledger.add_up(cursor, ["bronze"])

        if not runs:
            with lease.transaction() as cursor:
                recounted(cursor)
            run.cover("bronze held nothing of customers who were forgotten")
            return changed
        shapes = {"bronze": {t.table: shape_of(lakehouse, published, t.table) for t in runs}}
        message = f"{sum(changed.values()):,} rows of customers who were forgotten"
        run.publish({"bronze": runs}, shapes, message, also=recounted)
    return changed


def _changed(run: OpenRun, reach: Reach, head: int, plan: Plan) -> tuple[int, int]:
    """Deletes rows of a table of bronze, or empties what names a customer in them; how many rows, and the version after it."""
    lake = run.lakehouse.lake
    rows = lake.read_by_delta("bronze", reach.table, head).select(reach.column)
    # By the ids as they are written, in every spelling: Delta keeps the condition of a merge in its log, and no value of it.
    found = checkpoint(marked(rows, reach.column, plan.kept_out).where(FORGOTTEN).select(reach.column), eager=True)
    number = found.count()
    if not number:
        return 0, head
    names, column = found.distinct().alias("s"), reach.column
    nothing: dict[str, str | Column] = {name: F.lit(None).cast("string") for name in reach.emptied}

    def merge(table: DeltaTable) -> object:
        matched = table.alias("t").merge(names, f"t.{column} = s.{column}")
        return (matched.whenMatchedUpdate(set=nothing) if nothing else matched.whenMatchedDelete()).execute()

    commit = lake.change("bronze", reach.table, head, merge)
    log.event("forget.bronze", table=reach.table, rows=number)
    return number, commit.version


def _held(lakehouse: Lakehouse, version: int) -> dict[str, tuple[int, int]]:
    """Images and tombstones that the table of customers holds of each run of bronze."""
    rows = lakehouse.lake.read("bronze", CUSTOMERS, version)
    dead = F.count_if(is_tombstone(rows))
    counted = rows.groupBy("_run_id").agg((F.count(F.lit(1)) - dead).alias("images"), dead.alias("tombstones"))
    return {run_id: (images, tombstones) for run_id, images, tombstones in counted.collect()}


def _made_again(
    lakehouse: Lakehouse, leases: Mapping[str, Lease], reason: str
) -> tuple[str | None, list[Outcome]]:  # fmt: skip
    """Silver and gold, as far as there are any, from a bronze without the customers; the run of silver."""
    ledger, zone, outcomes = lakehouse.ledger, lakehouse.settings.zone, list[Outcome]()
    for layer, run in (("silver", silver.run), ("gold", gold.run)):
        if last := ledger.last(layer):
            day = BusinessDate(last.as_of, zone)
            outcomes.append(run(lakehouse, day, rebuilds=True, reason=reason, lease=leases[layer]))
    return next((o.run_id for o in outcomes if o.layer == "silver"), None), outcomes


def _past_of(
    lakehouse: Lakehouse, of: str, day: BusinessDate, lease: Lease, reason: str
) -> list[tuple[Purged, int]]:  # fmt: skip
    """Deletes the past of each table that held customers, in the layers of a run, and what its bucket keeps of it."""
    ledger, lake, done = lakehouse.ledger, lakehouse.lake, list[tuple[Purged, int]]()
    layers = [layer for layer, its in RUNS_OF.items() if its == of]
    with opened(lakehouse, of, day, reason=reason, lease=lease) as run:
        for layer in layers:
            tables = [t for t in reaches(lakehouse.contracts) if t in ledger.published(layer)]
            for table, published in run.restore(layer, tables).items():
                if table not in tables:
                    continue
                version = superseded(lake, layer, table, published.version)
                with lease.transaction() as cursor:
                    ledger.renumber(cursor, layer, table, published.version, version)
                purged = purge(lake, layer, table, version)
                done.append((purged, delete_old_objects(lakehouse.settings, layer, table)))
                log.event("forget.past", layer=layer, table=table, files=purged.files, versions=purged.versions)
        with lease.transaction() as cursor:
            ledger.close(cursor, run.record, "maintained", f"the past of {len(done)} tables was deleted")
        mark(lakehouse, run.record, layers)
    return done


def delete_from_analytics(gold: Database) -> dict[str, int]:
    """Deletes customers whom gold no longer has from the tables that dbt has made of it; how many rows of each.

    What is summed over them, the next build of dbt sums again.
    """
    with gold.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select relname, c.oid::regclass::text from pg_attribute join pg_class c on c.oid = attrelid "
            "where relnamespace = to_regnamespace(%s) and relkind = 'r' and attname = 'customer_id' "
            # A schema of that name may be somebody else's: what dbt made is its role's.
            "and relowner = to_regrole(%s) order by 1",
            (ANALYTICS, DBT),
        )
        gone = dict[str, int]()
        for name, table in cursor.fetchall():
            cursor.execute(
                f"delete from {table} t where not exists (select from {GOLD}.{CUSTOMERS_OF_GOLD} g where g.customer_id = t.customer_id)"
            )
            gone[name] = cursor.rowcount
    return gone


def _vacuumed(lakehouse: Lakehouse) -> int:
    """Frees the space of gold's dead rows, and gathers statistics again, which hold values; of how many tables."""
    connection = lakehouse.gold.database.dedicated()
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "select c.oid::regclass::text from pg_class c where c.relkind in ('r', 'm') and case when "
                "current_setting('server_version_num')::int >= 170000 then has_table_privilege(c.oid, 'maintain') "
                "else pg_has_role(c.relowner, 'usage') end "
                "and c.relnamespace in (select oid from pg_namespace where nspname = any(%s)) order by 1",
                ([GOLD, MARTS, ANALYTICS, FEATURES],),
            )
            tables = [name for (name,) in cursor.fetchall()]
            for table in tables:
                cursor.execute(f"vacuum (analyze) {table}")
        return len(tables)
    finally:
        connection.close()


def _report(plan: Plan, changed: Mapping[str, int], past: list[tuple[Purged, int]]) -> list[Row]:
    """A row per table of the lake: what became of its rows, and what was deleted of its past."""
    held = {(h.layer, h.reach.table): h for h in plan.held}
    rows = list[Row]()
    for p, objects in past:
        of = held.get((p.layer, p.table))
        number = changed.get(p.table, 0) if p.layer == "bronze" else of.rows if of else 0
        did = "now a guest's" if of and of.reach.emptied else "gone"
        rows.append(
            _row(
                p.layer,
                p.table,
                did,
                rows=number,
                files=p.files,
                log_entries=p.log_entries,
                versions=p.versions,
                objects=objects,
            )
        )
    return rows


def _row(store: str, table: str | None, did: str, **counts: int) -> Row:
    return {"store": store, "table": table, **{c: counts.get(c) for c in COLUMNS[2:-1]}, "did": did}
