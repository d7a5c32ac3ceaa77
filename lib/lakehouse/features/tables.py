"""The feature tables: a contract in conf/contracts/features and a question to gold in conf/postgres/features make one.

They live in a schema of their own in gold's database. Nothing of it is taken away when a contract changes: rows of the past
say what was known then, and could not be made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import cursor as Cursor

from lakehouse.contracts import Contract, load_beside, resource_folder
from lakehouse.database import Database
from lakehouse.errors import LedgerError
from lakehouse.warehouse.ddl import GOLD, POSTGRES_NAMES, quoted, schema_of_ours
from lakehouse.warehouse.marts import SCHEMA as MARTS

SCHEMA = "features"
PURPOSE = "Features for models, as of the end of each day: docs/features.md"
# The days that were made, each with the gold that it was made of.
DAYS = f"{SCHEMA}.days"
DAYS_DDL = (
    f"create table {DAYS} (feature_date date primary key, event_ts timestamptz not null, gold_date date not null, "
    "gold_run_id text not null, made_at timestamptz not null default clock_timestamp())"
)
ABOUT_DAYS = "Days of features: of which gold each was made, and when"
# The schema of Feast, which keeps the newest day of each table online there.
ONLINE = "feast"
# Columns that a question does not answer: the day's end, the day, and the gold that was asked.
OF_THE_DAY = ("event_ts", "feature_date", "gold_date")
WRITES = "select, insert, update, delete"
# From this server on who does not own a table may be allowed to vacuum it, as a forgetting does.
MAINTAINING = 170_000


class Table(NamedTuple):
    """A feature table: what it promises, and the question to gold, for a day, that fills it."""

    contract: Contract
    question: str

    @property
    def name(self) -> str:
        return f"{SCHEMA}.{self.contract.table}"


def feature_tables() -> list[Table]:
    """The feature tables; a contract is the registry, as for the layers."""
    questions = resource_folder("conf") / "postgres" / "features"
    return [
        Table(contract, (questions / f"{name}.sql").read_text(encoding="utf-8"))
        for name, contract in load_beside(SCHEMA).items()
    ]


def ensure(owner: Database, loader: str, tables: Iterable[Table]) -> None:
    """Makes schema, tables and grants that are missing, by gold's owner; executes nothing where all are there.

    Raises LedgerError where our role may not, where the schema is somebody else's, or where a table is of another shape.
    """
    with owner.connection() as connection, connection.cursor() as cursor:
        try:
            for statement in _missing(owner, cursor, loader, list(tables)):
                cursor.execute(statement)
        except psycopg2.errors.InsufficientPrivilege:
            connection.rollback()
            raise LedgerError(
                f"the schema {SCHEMA} at {owner.where} lacks something that our role may not make: run `lakehouse features` once "
                "with gold's owner in LAKEHOUSE_OWNER_DSN"
            ) from None


def _missing(owner: Database, cursor: Cursor, loader: str, tables: list[Table]) -> Iterator[str]:
    """What is left to do, one statement after the other: each question supposes that those before were executed."""
    yield from schema_of_ours(cursor, SCHEMA, PURPOSE)
    if not columns_of(cursor, DAYS):
        yield DAYS_DDL
        yield f"comment on table {DAYS} is {quoted(ABOUT_DAYS)}"
    for table in tables:
        stands = columns_of(cursor, table.name)
        if not stands:
            yield from _ddl(table)
        elif stands != {c.name: c.type for c in table.contract.columns}:
            raise LedgerError(
                f"{table.name} at {owner.where} is not of the shape of its contract: rename it, which keeps what was known on days "
                "of the past, and make the days again with `lakehouse features --from … --to …`"
            )
    yield from _grants(cursor, loader)


def _ddl(table: Table) -> Iterator[str]:
    contract = table.contract
    columns = ", ".join(
        f"{c.name} {c.type}{' not null' if c.required or c.primary_key else ''}" for c in contract.columns
    )
    yield f"create table {table.name} ({columns}, primary key ({', '.join(contract.key)}))"
    for index in contract.indexes:
        yield f"create index on {table.name} ({', '.join(index)})"
    yield f"comment on table {table.name} is {quoted(f'{contract.description.purpose}. {contract.grain}.')}"
    for column in contract.columns:
        yield f"comment on column {table.name}.{column.name} is {quoted(column.description)}"


def without_forgotten(gold: Database) -> dict[str, int]:
    """Deletes customers whom gold no longer has, of all days; how many rows of each table that names customers.

    What products sold to them stays: it names nobody. Feast's online store, which cannot be asked for one, loses all of its
    customers, until `make features` fills it again.
    """
    gone = dict[str, int]()
    with gold.connection() as connection, connection.cursor() as cursor:
        for table in feature_tables():
            if "customer_id" in columns_of(cursor, table.name):
                cursor.execute(
                    f"delete from {table.name} f where not exists "
                    f"(select from {GOLD}.dim_customers g where g.customer_id = f.customer_id)"
                )
                gone[table.contract.table] = cursor.rowcount
        online = f"{ONLINE}.lakehouse_customer_daily"
        if columns_of(cursor, online):
            cursor.execute(f"delete from {online}")
            gone[online] = cursor.rowcount
    return gone


def columns_of(cursor: Cursor, table: str) -> Mapping[str, str]:
    """The columns of a table with their types; none where there is no such table."""
    cursor.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = to_regclass(%s) "
        "and attnum > 0 and not attisdropped",
        (table,),
    )
    return {name: POSTGRES_NAMES.get(kind, kind) for name, kind in cursor.fetchall()}


def _grants(cursor: Cursor, loader: str) -> Iterator[str]:
    """For the role of runs, and for those who may read marts: what they lack."""
    cursor.execute(
        "select quote_ident(rolname), rolname = %(loader)s from pg_roles r where (rolname = %(loader)s or exists ("
        "select from pg_namespace n, aclexplode(n.nspacl) a where n.nspname = %(marts)s and a.privilege_type = 'USAGE' "
        "and a.grantee = r.oid)) and rolname <> current_user and (not has_schema_privilege(r.oid, %(schema)s, 'usage') "
        "or exists (select from pg_class where relnamespace = to_regnamespace(%(schema)s) and relkind = 'r' "
        "and not has_table_privilege(r.oid, oid, case when rolname = %(loader)s then 'insert' else 'select' end))) order by 1",
        {"loader": loader, "marts": MARTS, "schema": SCHEMA},
    )
    for role, is_loader in cursor.fetchall():
        yield f"grant usage on schema {SCHEMA} to {role}"
        writes = f"{WRITES}, maintain" if cursor.connection.server_version >= MAINTAINING else WRITES
        yield f"grant {writes if is_loader else 'select'} on all tables in schema {SCHEMA} to {role}"
