"""`make dbt`: builds and tests the marts of transform/ on the published gold, and puts their page among the Data Docs.

Ends with 0, or with one of the exit codes of `lakehouse`: 6 where a test failed, 7 where something could not be built, 8 where
gold has not published yet. A failure changes neither gold nor the schema marts.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, closing

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import LedgerError, SetupError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.records import Last
from lakehouse.server.databases import database_url
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse
from tools.dbt import page, project
from tools.dbt.access import as_dbt, let_in
from tools.dbt.builds import record
from tools.dbt.environment import DBT
from tools.dbt.lines import load
from tools.tool import run

# A gold that is published while dbt builds is built on once more, so that all marts are of one gold.
MOST_BUILDS = 3


def build(settings: Settings) -> None:
    """Makes role and schema where they are missing, builds, notes how it went, and publishes the page."""
    dsn = database_url(settings, "gold", create=False)
    with closing(Database(dsn, "gold", StoreError)) as database:
        database.check_sessions()
        _build_alone(settings, database, dsn)


def _build_alone(settings: Settings, database: Database, dsn: str) -> None:
    with _alone(database) as lock:
        gold = _published(database)
        if not DBT.mark.is_file():
            raise SetupError("dbt is not installed: run `make dbt`")
        let_in(settings, load_contracts()["gold"].values())
        given = project.environment(dsn, settings.home)
        for _ in range(MOST_BUILDS):
            built = _build_on(settings, database, gold, given, lock)
            if (now := _published(database)).run_id == gold.run_id:
                break
            gold = now
        built.check(project.log_of(given))
    lakehouse = Lakehouse(settings)
    lakehouse.pages.publish_whole(
        page.NAME, page.cleaned(project.document(given), settings.home / "dbt", [given["DBT_ENV_SECRET_GOLD"]])
    )
    print(f"The page of the marts is {lakehouse.pages.folder / page.NAME}")


def _build_on(settings: Settings, database: Database, gold: Last, given: dict[str, str], lock: int) -> project.Built:
    began = time.monotonic()
    if (lines := load(settings, database, gold.inputs["order_items"])) is not None:
        print(f"{lines:,} lines of orders loaded", flush=True)
    built = project.build(given, lock)
    with as_dbt(database) as cursor:
        record(cursor, gold, built, settings.retention)
    models = [n for n in built.of(*project.GOOD) if n.kind in ("model", "snapshot")]
    tests = [n for n in built.nodes if n.kind in ("test", "unit_test")]
    passed = [n for n in tests if n.state in project.GOOD]
    print(f"dbt built {len(models)} tables on the gold of {gold.as_of} ({gold.run_id}); {len(passed)} of {len(tests)} tests "
          f"passed; {time.monotonic() - began:.1f} s", flush=True)  # fmt: skip
    return built


def _alone(database: Database) -> AbstractContextManager[int]:
    """One build at a time: folder and tables are the same for all. Raises BusyError."""
    refusal = f"another build of dbt is at work on gold at {database.where}: wait for it to end"
    return database.alone("lakehouse dbt", refusal)


def _published(database: Database) -> Last:
    last = Ledger(database).last("gold")
    if last is None:
        raise LedgerError(
            f"gold at {database.where} has not published anything yet: run a day, or `make demo`, then `make dbt`"
        )
    if "order_items" not in last.inputs:
        raise LedgerError(
            f"gold at {database.where} was published by an earlier release, which did not note of which silver: run gold for "
            "the last day, then `make dbt`"
        )
    return last


if __name__ == "__main__":
    run(build)
