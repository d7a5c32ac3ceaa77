"""Who may do what in the gold database, as statements derived from contracts: nothing about a table is written here.

owner       owns schemas, tables and views; the only one who changes them, by `lakehouse setup`
loader      runs as this: changes rows of gold and the ledger, makes tables in the staging schema and nowhere else
reader      reads gold and the views of marts, without columns that a contract calls personal
pii_reader  reads them with these; neither reads working columns
dbt         reads gold as a reader does, and makes tables in the schema analytics and nowhere else; nobody logs in as it

What a contract does not know is not granted to a reader. A view that is made of a personal column is a pii_reader's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from psycopg2.extensions import cursor as Cursor

from lakehouse.contracts import Contract
from lakehouse.warehouse.ddl import GOLD, STAGING
from lakehouse.warehouse.marts import SCHEMA as MARTS

LEDGER = "ops"
# dbt's role and its schema, as transform/profiles.yml has them.
DBT, ANALYTICS = "lakehouse_dbt", "analytics"
OWNED = (GOLD, LEDGER, MARTS)
# Of the columns that every table of gold has beside those of its contract.
TECHNICAL = ("_published_at", "_run_id")
# So that nobody's session is in the way for long. A run lifts what stops it, as it works on tables of any size.
LIMITS = {
    "loader": {"statement_timeout": "1h", "lock_timeout": "1min"},
    "reader": {"statement_timeout": "5min", "lock_timeout": "5s", "idle_in_transaction_session_timeout": "5min"},
}
LIMITS["pii_reader"] = LIMITS["reader"]


# Names of databases and roles come as SQL writes them.


def closed(database: str) -> Iterator[str]:
    """Statements after which nobody may do anything unless it was granted to him."""
    yield f"revoke all on database {database} from public"
    for schema in ("public", STAGING, *OWNED):
        yield f"revoke all on schema {schema} from public"


def for_loader(database: str, role: str) -> Iterator[str]:
    """What a run needs where somebody else owns the tables."""
    yield f"grant connect, temporary on database {database} to {role}"
    yield f"revoke create on schema {', '.join(OWNED)} from {role}"
    yield f"grant usage on schema {', '.join(OWNED)} to {role}"
    yield f"grant usage, create on schema {STAGING} to {role}"
    for schema in (GOLD, LEDGER):
        yield f"grant select, insert, update, delete, maintain on all tables in schema {schema} to {role}"
        yield (
            f"alter default privileges in schema {schema} grant select, insert, update, delete, maintain on tables to {role}"
        )
    yield f"grant usage on all sequences in schema {LEDGER} to {role}"
    yield f"grant select, maintain on all tables in schema {MARTS} to {role}"


def for_reader(
    database: str, role: str, contracts: Iterable[Contract], marts: Collection[str], *, sees_personal: bool
) -> Iterator[str]:
    """What a reader needs, and nothing that an earlier contract or release had granted; `marts`: those that are there for it."""
    yield f"grant connect on database {database} to {role}"
    # A default for tables cannot leave a column out: after a change of contracts `lakehouse setup` grants again.
    yield f"alter default privileges revoke select on tables from {role}"
    yield f"alter default privileges revoke usage on schemas from {role}"
    for schema in ("public", STAGING, *OWNED):
        yield f"revoke all on all tables in schema {schema} from {role}"
        yield f"revoke all on schema {schema} from {role}"
    yield f"grant usage on schema {GOLD}, {MARTS} to {role}"
    for contract in contracts:
        is_whole = not contract.working and (sees_personal or not personal(contract))
        columns = "" if is_whole else f" ({', '.join(readable(contract, sees_personal=sees_personal))})"
        yield f"grant select{columns} on {GOLD}.{contract.table} to {role}"
    for mart in sorted(marts):
        yield f"grant select on {MARTS}.{mart} to {role}"


def for_dbt(database: str, contracts: Iterable[Contract]) -> Iterator[str]:
    """What dbt needs where the owner of gold has made it a schema; nothing that an earlier contract had granted."""
    yield f"grant temporary on database {database} to {DBT}"
    yield f"grant usage on schema {GOLD} to {DBT}"
    yield f"grant usage, create on schema {ANALYTICS} to {DBT}"
    yield f"revoke all on all tables in schema {GOLD} from {DBT}"
    for contract in contracts:
        yield f"grant select ({', '.join(readable(contract))}) on {GOLD}.{contract.table} to {DBT}"


def limits(database: str, kind: str, role: str) -> Iterator[str]:
    """How long a session of a role may take, wait and idle."""
    for name, value in LIMITS[kind].items():
        yield f"alter role {role} in database {database} set {name} = '{value}'"


def personal(contract: Contract) -> list[str]:
    """The columns that a contract calls personal."""
    return [c.name for c in contract.columns if c.classification == "personal"]


def readable(contract: Contract, *, sees_personal: bool = False) -> list[str]:
    """The columns of a table that a reader may see: those of the contract, none that gold keeps for its own tables."""
    return [*(c.name for c in contract.columns if sees_personal or c.classification is None), *TECHNICAL]


def marts_of(cursor: Cursor, contracts: Iterable[Contract]) -> Mapping[str, bool]:
    """Each view of marts, and whether it is made of a personal column, by what the server itself noted of it."""
    columns = [f"{GOLD}.{c.table}.{name}" for c in contracts for name in personal(c)]
    cursor.execute(
        "select v.relname, bool_or(n.nspname || '.' || t.relname || '.' || a.attname = any(%s)) from pg_class v "
        "join pg_rewrite r on r.ev_class = v.oid join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = r.oid "
        "left join pg_class t on d.refclassid = 'pg_class'::regclass and t.oid = d.refobjid "
        "left join pg_namespace n on n.oid = t.relnamespace "
        "left join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid "
        "where v.relnamespace = to_regnamespace(%s) and v.relkind in ('v', 'm') group by 1",
        (columns, MARTS),
    )
    return {name: bool(is_personal) for name, is_personal in cursor.fetchall()}


def handed_over(cursor: Cursor, before: str, owner: str) -> Iterator[str]:
    """Statements by which what an earlier installation's only role made becomes the owner's; its staging stays its own."""
    cursor.execute(
        "select format('alter schema %%I owner to', nspname) from pg_namespace "
        "where nspname = any(%(all)s) and nspowner = to_regrole(%(role)s) union all "
        "select format('alter %%s %%s owner to', case relkind when 'v' then 'view' when 'm' then 'materialized view' "
        "when 'S' then 'sequence' else 'table' end, c.oid::regclass) from pg_class c "
        "where relnamespace in (select to_regnamespace(s) from unnest(%(owned)s) s) and relkind in ('r', 'p', 'v', 'm', 'S') "
        "and relowner = to_regrole(%(role)s) and not exists (select from pg_depend where classid = 'pg_class'::regclass "
        "and objid = c.oid and deptype in ('a', 'i') and c.relkind = 'S') order by 1",
        {"all": [STAGING, *OWNED], "owned": list(OWNED), "role": before},
    )
    for (statement,) in cursor.fetchall():
        yield f"{statement} {owner}"
