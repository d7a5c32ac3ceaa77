"""Makes the databases of the stack and the roles that use them: source, gold, and Airflow's metadata.

Each role may do what its work needs: the pipeline reads the source and owns gold, the notebooks read gold, Airflow owns
its metadata and sees nothing else. What may be read is said by schema: Postgres's own role for readers of everything
would read passwords' verifiers and columns' statistics too. Doing it again changes nothing, but gives the roles the
passwords of the secrets. As a program it does so on a server whose superuser's password is among the secrets: that of
docker compose.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from tools.dbt.access import make_role
from tools.stack.access.secrets import dsn

# The libpq URL of a database, for a role that may make databases and roles.
Admin = Callable[[str], str]

# Database, its owner, and who else may connect to it.
GOLD = "ecommerce_gold"
OF_A_SHOP = {"ecommerce_source": ("postgres", ("pipeline",)), GOLD: ("pipeline", ("notebooks",))}
METADATA_DATABASE = "airflow"
DATABASES = {**OF_A_SHOP, METADATA_DATABASE: ("airflow", ())}
SUPERUSER = "postgres"
SAMPLE = ("foodmart", "--until", "1998-12-29")  # its last day is left to be run
# Of these, anyone who may connect without owning the database reads every table, also those that its owner makes later.
READABLE = {"ecommerce_source": ("public",), GOLD: ("gold", "marts", "ops")}


def make_databases(secrets: Path, admin: Admin, databases: Mapping[str, tuple[str, tuple[str, ...]]]) -> None:
    """Makes the databases and their roles where they are missing, and sets what each may do."""
    roles = {role for owner, others in databases.values() for role in (owner, *others)} - {SUPERUSER}
    with _connected(admin("postgres")) as cursor:
        for role in sorted(roles):
            cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
            statement = "ALTER ROLE {} LOGIN PASSWORD {}" if cursor.rowcount else "CREATE ROLE {} LOGIN PASSWORD {}"
            _run(cursor, statement, role, secret=(secrets / f"postgres_{role}_password").read_text(encoding="utf-8"))
            # As the first release granted it to two of them.
            _run(cursor, "REVOKE pg_read_all_data FROM {}", role)
        for database, (owner, others) in databases.items():
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (database,))
            if not cursor.rowcount:
                _run(cursor, "CREATE DATABASE {} TEMPLATE template0", database)
            _run(cursor, "ALTER DATABASE {} OWNER TO {}", database, owner)
            _run(cursor, "REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC", database)
            for role in others:
                _run(cursor, "GRANT CONNECT ON DATABASE {} TO {}", database, role)
        if METADATA_DATABASE in databases:
            # A scheduler that was killed leaves workers behind, which hold its connection open, and with it the locks on
            # the runs it was looking at: the next scheduler would pass these over for ever.
            _run(cursor, "ALTER DATABASE {} SET idle_in_transaction_session_timeout = '1min'", METADATA_DATABASE)

    for database in databases:
        owner, others = databases[database]
        with _connected(admin(database)) as cursor:
            if database == GOLD:
                make_role(cursor, owner)
            for schema in READABLE.get(database, ()):
                _run(cursor, "CREATE SCHEMA IF NOT EXISTS {} AUTHORIZATION {}", schema, owner)
                for role in others:
                    _let_read(cursor, role, schema, owner)


def _let_read(cursor: Cursor, role: str, schema: str, owner: str) -> None:
    _run(cursor, "GRANT USAGE ON SCHEMA {} TO {}", schema, role)
    _run(cursor, "ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {} GRANT SELECT ON TABLES TO {}", owner, schema, role)
    # Only where it is missing: a grant on a table that a run is changing would wait for it.
    cursor.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') "
        "AND NOT has_table_privilege(%s, oid, 'SELECT')",
        (schema, role),
    )
    for (table,) in cursor.fetchall():
        _run(cursor, "GRANT SELECT ON {}.{} TO {}", schema, table, role)


def has_shop(admin: Admin) -> bool:
    """Whether somebody has put a shop's tables into the source."""
    with _connected(admin("ecommerce_source")) as cursor:
        cursor.execute("SELECT to_regclass('public.orders')")
        found = cursor.fetchone()
        return bool(found and found[0])


def load_sample(admin: Admin) -> None:
    """Puts a sample shop into the source, unless there is a shop."""
    if not has_shop(admin):
        command = [Path(sys.executable).with_name("lakehouse"), "sample", "load", *SAMPLE]
        environment = os.environ | {"LAKEHOUSE_SOURCE_DSN": admin("ecommerce_source")}
        sys.exit(subprocess.run(command, env=environment).returncode)


@contextmanager
def _connected(dsn: str) -> Iterator[Cursor]:
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            yield cursor


def _run(cursor: Cursor, statement: str, *names: str, secret: str | None = None) -> None:
    words = [*(sql.Identifier(name) for name in names), *([] if secret is None else [sql.Literal(secret)])]
    cursor.execute(sql.SQL(statement).format(*words))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", required=True, help="host:port of the Postgres")
    parser.add_argument("--secrets", required=True, type=Path, help="folder of the secret files")
    parser.add_argument("--shop-only", action="store_true", help="leave out Airflow's metadata, which are elsewhere")
    parser.add_argument("--sample", action="store_true", help="put a sample shop into an empty source")
    given = parser.parse_args()

    def admin(database: str) -> str:
        return dsn(given.secrets, "postgres", given.server, database)

    make_databases(given.secrets, admin, OF_A_SHOP if given.shop_only else DATABASES)
    if given.sample:
        load_sample(admin)


if __name__ == "__main__":
    main()
