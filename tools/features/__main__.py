"""`make features`: after the days that are due, tells Feast of the feature tables, and brings their newest day online.

Ends with 0, or with one of the exit codes of `lakehouse`. A failure changes neither gold nor the feature tables.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import closing
from datetime import datetime
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import parse_dsn

from lakehouse.database import Database
from lakehouse.errors import LedgerError, SetupError, StoreError
from lakehouse.features.days import alone
from lakehouse.features.tables import DAYS, ONLINE, columns_of
from lakehouse.server.databases import database_url
from lakehouse.settings import Settings, secret_variables
from lakehouse.warehouse.ddl import schema_of_ours
from tools.dbt.project import OF_LIBPQ
from tools.features.environment import FEATURES
from tools.setup.machine import ROOT
from tools.tool import run

REPOSITORY = ROOT / "features"
VIEWS = ("customer_daily", "product_daily")
PURPOSE = "Feast's registry and online store; make features makes it again: docs/features.md"


def publish(settings: Settings) -> None:
    """Applies Feast's definitions, and makes the online store that of the newest day."""
    dsn = database_url(settings, "gold", create=False)
    with closing(Database(dsn, "gold", StoreError)) as gold, alone(gold):
        newest = _newest(gold)
        if not FEATURES.mark.is_file():
            raise SetupError("Feast is not installed: run `make features`")
        make_schema(settings, parse_dsn(dsn).get("user", ""))
        _rows_online(gold, "event_ts >= %s", newest)  # a day that is made again, or came after one that gold took back
        log = settings.home / "feast" / "feast.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [FEATURES.python, ROOT / "tools" / "features" / "publish.py", REPOSITORY, newest.isoformat()]
        with log.open("wb") as out:
            done = subprocess.run(words, env=environment(dsn), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        if done.returncode:
            raise StoreError(f"Feast ended with code {done.returncode}; {log} says why")
        rows = _rows_online(gold, "event_ts < %s", newest)  # who has no row of the newest day is gone
    print(f"Feast has the features of {newest:%Y-%m-%d %H:%M %Z}: {', '.join(f'{t} {n:,}' for t, n in rows.items())}")


def environment(dsn: str) -> dict[str, str]:
    """The environment of Feast: where gold is, as features/feature_store.yaml asks for it, and that nobody is told of anything."""
    parts = parse_dsn(dsn)
    password = parts.get("password") or os.environ.get("PGPASSWORD", "")
    who = f"{quote(parts.get('user', ''), safe='')}:{quote(password, safe='')}"
    where = f"{parts['host']}:{parts.get('port', '5432')}/{quote(parts['dbname'], safe='')}"
    mode = parts.get("sslmode", "prefer")
    values = {
        "REGISTRY": f"postgresql+psycopg://{who}@{where}?options=-csearch_path%3D{ONLINE}&sslmode={mode}",
        "HOST": parts["host"],
        "PORT": int(parts.get("port", "5432")),
        "DATABASE": parts["dbname"],
        "USER": parts.get("user", ""),
        "PASSWORD": password,
        "SSLMODE": mode,
    }
    theirs = {
        name: value
        for name, value in os.environ.items()
        if name not in secret_variables() and not name.startswith(("FEAST_", "AWS_", "LAKEHOUSE_"))
    }
    return {
        **theirs,
        **{OF_LIBPQ[name]: value for name, value in parts.items() if name in OF_LIBPQ},
        # A text of JSON is one of YAML too, whatever signs a password has.
        **{f"FEAST_{name}": json.dumps(value) for name, value in values.items()},
        "FEAST_USAGE": "False",
        # Feast writes instants of UTC without saying so, which a session of another zone would move.
        "PGTZ": "UTC",
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _newest(gold: Database) -> datetime:
    """The end of the newest day of features."""
    newest = None
    with gold.connection() as connection, connection.cursor() as cursor:
        if columns_of(cursor, DAYS):
            cursor.execute(f"select max(event_ts) from {DAYS}")
            [newest] = cursor.fetchone() or (None,)
    if newest is None:
        raise LedgerError(f"there are no features in gold at {gold.where} yet: run `lakehouse features`")
    return newest


def make_schema(settings: Settings, loader: str) -> None:
    """Makes Feast's schema, by gold's owner, where it is missing; the role of runs makes the tables in it."""
    dsn = database_url(settings, "owner", create=False)
    owner = Database(dsn, "owner" if settings.owner_dsn else "gold", StoreError)
    with closing(owner), owner.connection() as connection, connection.cursor() as cursor:
        is_made = False
        try:
            for statement in schema_of_ours(cursor, ONLINE, PURPOSE):
                cursor.execute(statement)
                is_made = True
            if is_made:
                cursor.execute("select quote_ident(%s)", (loader,))
                cursor.execute(f"grant usage, create on schema {ONLINE} to {(cursor.fetchone() or ('',))[0]}")
        except psycopg2.errors.InsufficientPrivilege:
            connection.rollback()
            raise LedgerError(
                f"there is no schema {ONLINE} at {owner.where}, and our role may make none: run `make features` once with gold's "
                "owner in LAKEHOUSE_OWNER_DSN"
            ) from None


def _rows_online(gold: Database, gone: str, newest: datetime) -> dict[str, int]:
    """Deletes rows of the online store by a condition on the newest day's end; entities that are left, by view."""
    left = {}
    with gold.connection() as connection, connection.cursor() as cursor:
        for view in VIEWS:
            table = f"{ONLINE}.lakehouse_{view}"
            if columns_of(cursor, table):
                cursor.execute(f"delete from {table} where {gone}", (newest,))
                cursor.execute(f"select count(distinct entity_key) from {table}")
                [left[view]] = cursor.fetchone() or (0,)
    return left


if __name__ == "__main__":
    run(publish)
