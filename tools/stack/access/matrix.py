"""Who may do what, as a table: every cell of it is tried on real servers by tests/security/test_matrix.py.

`python -m tools.stack.access.matrix > docs/privileges.md` writes the page again after a change of contracts or policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lakehouse.contracts import Contracts, load_contracts
from lakehouse.warehouse import grants
from tools.setup.machine import ROOT
from tools.stack.access.policies import BUCKETS, LIVE, USERS

ROLES = ("owner", "loader", "reader", "pii_reader", "dbt")
EVERYBODY, RUNS, OWNER, NOBODY = (
    frozenset(ROLES),
    frozenset(("owner", "loader")),
    frozenset(("owner",)),
    frozenset[str](),
)
SEE_MARTS = EVERYBODY - {"dbt"}
# Owner and loader may become dbt's role, and so may what it may.
ARE_DBT = RUNS | {"dbt"}
SOURCE = frozenset(("source",))
ACTIONS = ("list", "read", "write", "delete", "list old versions of", "read old versions of", "delete old versions of")
MARTS = sorted(file.stem for file in (ROOT / "conf" / "postgres" / "marts").glob("*.sql"))
MARKS = ("identity", "bronze", "silver", "gold")


class Cell(NamedTuple):
    """What may be done, and by whom; `how`: the statement, or the action and what it is done to."""

    what: str
    how: str
    may: frozenset[str]


def of_gold(contracts: Contracts) -> Iterator[Cell]:
    """Cells of the gold database, from its contracts."""
    for table, contract in sorted(contracts["gold"].items()):
        name, hidden = f"gold.{table}", grants.personal(contract)
        shown = ", ".join(c.name for c in contract.columns if c.name not in hidden)
        yield Cell(f"read {name}", f"select {shown} from {name}", EVERYBODY)
        for column in hidden:
            yield Cell(f"read {name}.{column} (personal)", f"select {column} from {name}", SEE_MARTS - {"reader"})
        for column in (c.name for c in contract.working):
            yield Cell(f"read {name}.{column} (working)", f"select {column} from {name}", RUNS)
        yield Cell(f"insert into {name}", f"insert into {name} select * from {name} where false", RUNS)
        yield Cell(f"update {name}", f"update {name} set _run_id = _run_id where false", RUNS)
        yield Cell(f"delete from {name}", f"delete from {name} where false", RUNS)
        yield Cell(f"truncate {name}", f"truncate {name} cascade", OWNER)
        yield Cell(f"change {name}", f"alter table {name} add column added integer", OWNER)
        yield Cell(f"drop {name}", f"drop table {name} cascade", OWNER)
    for mart in MARTS:
        yield Cell(f"read marts.{mart}", f"select * from marts.{mart}", SEE_MARTS)
        yield Cell(f"refresh marts.{mart}", f"refresh materialized view marts.{mart}", RUNS)
        yield Cell(f"drop marts.{mart}", f"drop materialized view marts.{mart}", OWNER)
    yield Cell("read what dbt has made", "select * from analytics.of_dbt", EVERYBODY)
    yield Cell("change what dbt has made", "update analytics.of_dbt set n = n where false", ARE_DBT)
    yield Cell("drop what dbt has made", "drop table analytics.of_dbt", ARE_DBT)
    yield Cell("make a table in analytics", "create table analytics.made (n integer)", ARE_DBT)
    yield Cell("read ops.runs", "select * from ops.runs", RUNS)
    yield Cell("insert into ops.settings", "insert into ops.settings select * from ops.settings where false", RUNS)
    yield Cell("drop ops.runs", "drop table ops.runs cascade", OWNER)
    for schema, may in (("gold", OWNER), ("ops", OWNER), ("marts", OWNER), ("gold_staging", RUNS), ("public", OWNER)):
        yield Cell(f"make a table in {schema}", f"create table {schema}.made (n integer)", may)
    yield Cell("read a run's staging", "select * from gold_staging.of_a_run", frozenset(("loader",)))
    yield Cell("make a schema", "create schema made", OWNER)
    yield Cell("read passwords' verifiers", "select * from pg_authid", NOBODY)
    yield Cell("read columns' statistics", "select * from pg_statistic", NOBODY)
    yield Cell("read a file of the server", "select pg_read_file('postgresql.conf')", NOBODY)


def of_the_source(contracts: Contracts) -> Iterator[Cell]:
    """Cells of the shop's database, for the role that the jobs read it by."""
    for table in sorted(contracts["bronze"]):
        yield Cell(f"read {table}", f"select * from {table}", SOURCE)
        yield Cell(f"insert into {table}", f"insert into {table} select * from {table} where false", NOBODY)
        yield Cell(f"update {table}", f"update {table} set updated_at = updated_at where false", NOBODY)
        yield Cell(f"delete from {table}", f"delete from {table} where false", NOBODY)
        yield Cell(f"drop {table}", f"drop table {table} cascade", NOBODY)
    yield Cell("make a table", "create table made (n integer)", NOBODY)
    yield Cell("read passwords' verifiers", "select * from pg_authid", NOBODY)


def of_the_store() -> Iterator[Cell]:
    """Cells of the object store; `how` is the action and its bucket, or the object that is written."""
    may = {
        "list": lambda u: u.reads,
        "read": lambda u: u.reads,
        "write": lambda u: u.writes,
        "delete": lambda u: u.deletes,
        "list old versions of": lambda u: u.reads,  # which MinIO cannot keep apart
        "read old versions of": lambda u: u.versions,
        "delete old versions of": lambda u: u.versions,
    }
    for bucket in (*BUCKETS, LIVE):
        for action in ACTIONS:
            users = frozenset(name for name, user in USERS.items() if bucket in may[action](user))
            yield Cell(f"{action} {bucket}", f"{action}:{bucket}", users)
    for mark in MARKS:
        file = f"{mark}.json"
        users = frozenset(name for name, user in USERS.items() if "bronze" in user.writes or file in user.marks)
        yield Cell(f"write bronze/_lakehouse/{file}", f"mark:{file}", users)
    yield Cell("make a bucket", "make:made", NOBODY)
    yield Cell("change how long old versions stay", "lifecycle:bronze", NOBODY)


def page() -> str:
    """docs/privileges.md."""
    contracts = load_contracts()
    return "\n".join(
        [
            "# Privileges",
            "",
            "Who may do what, cell by cell: `yes` works and `–` is refused, tried on a real Postgres and a real MinIO by",
            "[tests/security/test_matrix.py](../tests/security/test_matrix.py). Made from contracts and policies by",
            "`python -m tools.stack.access.matrix`; [security.md](security.md) says how the roles come to be. `dbt` is the role",
            f"`{grants.DBT}`, as which nobody logs in: owner and loader become it ([dbt.md](dbt.md#what-it-may)).",
            *_table("Object store", tuple(USERS), of_the_store()),
            *_table("Gold database", ROLES, of_gold(contracts)),
            *_table("Source", ("source",), of_the_source(contracts)),
            "",
        ]
    )


def _table(title: str, who: Sequence[str], cells: Iterable[Cell]) -> list[str]:
    rows = [f"| {c.what} | {' | '.join('yes' if name in c.may else '–' for name in who)} |" for c in cells]
    return ["", f"## {title}", "", f"| | {' | '.join(who)} |", f"|---{'|---' * len(who)}|", *rows]


if __name__ == "__main__":
    print(page(), end="")
