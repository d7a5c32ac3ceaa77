"""The ledger's schema: made once, by runs; brought on from the first release; never by a reader, never over another's."""

from __future__ import annotations

import lzma
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from lakehouse.database import Database
from lakehouse.errors import LedgerError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.ledger.migrations import files

pytestmark = pytest.mark.integration
FIRST_RELEASE = Path(__file__).parent.parent / "fixtures" / "first_release" / "gold.sql.xz"


def ask(dsn: str, sql: str) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def ledger(dsn: str) -> Ledger:
    return Ledger(Database(dsn, "gold", StoreError))


def schema(dsn: str) -> list[tuple[Any, ...]]:
    return ask(
        dsn,
        "select table_name, column_name, data_type, is_nullable from information_schema.columns "
        "where table_schema = 'ops' order by 1, 2",
    )


@pytest.fixture
def first_release(postgres: Any) -> str:
    dsn: str = postgres.create_database("ledger_first_release")
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        # As psql would run it, without its COPY blocks of gold, which the ledger has no use for.
        for statement in statements(lzma.decompress(FIRST_RELEASE.read_bytes()).decode()):
            cursor.execute(statement) if isinstance(statement, str) else cursor.copy_expert(*statement)
    return dsn


def statements(dump: str) -> list[Any]:
    """A dump as statements; each COPY with its rows."""
    import io

    found: list[Any] = []
    lines, pending = iter(dump.split("\n")), []
    for line in lines:
        if line.startswith("COPY "):
            rows = []
            for row in lines:
                if row == r"\.":
                    break
                rows.append(row + "\n")
            found.append((line, io.StringIO("".join(rows))))
        elif not line.startswith("--"):
            pending.append(line)
            if line.endswith(";") and "".join(pending).count("$$") % 2 == 0:
                found.append("\n".join(pending))
                pending = []
    return found


def test_a_ledger_of_the_first_release_goes_on_with_its_runs_pointers_and_sums(
    first_release: str, postgres: Any
) -> None:
    one, runs = ledger(first_release), ask(first_release, "select run_id, state from ops.runs order by seq")
    open_before = ask(
        first_release,
        "select distinct on (table_name) table_name, rows_quarantined from ops.run_tables join ops.runs using (run_id) "
        "where run_tables.layer = 'silver' and state = 'published' order by table_name, seq desc",
    )

    one.prepare("Europe/Berlin")

    fresh = postgres.create_database("ledger_fresh")
    ledger(fresh).prepare("UTC")
    assert schema(first_release) == schema(fresh)
    assert ask(first_release, "select run_id, state from ops.runs order by seq") == runs
    assert sorted((t, n.open) for t, n in one.totals("silver").items()) == open_before
    assert {t: n.held for t, n in one.totals("silver").items()} == {
        "campaigns": one.totals("silver")["campaigns"].read
        - one.totals("silver")["campaigns"].gone
        - one.totals("silver")["campaigns"].open,
        **{t: n.read - n.gone - n.open for t, n in one.totals("silver").items()},
    }
    assert all(not windows for windows in one.pending(one.published("silver")).values()), (
        "silver had judged every window"
    )


def test_who_only_looks_at_a_ledger_of_the_first_release_is_told_so_and_changes_nothing(first_release: str) -> None:
    before = schema(first_release)
    with pytest.raises(LedgerError, match="of an earlier release, and the next run brings it up to date"):
        ledger(first_release).totals("silver")
    assert schema(first_release) == before


def test_a_schema_that_is_up_to_date_is_left_alone(postgres: Any) -> None:
    dsn = postgres.create_database("ledger_twice")
    ledger(dsn).prepare("UTC")
    before = ask(dsn, "select oid, xmin::text from pg_class where relnamespace = 'ops'::regnamespace order by 1")
    identity = ledger(dsn).identity()
    ledger(dsn).prepare("UTC")
    assert (
        ask(dsn, "select oid, xmin::text from pg_class where relnamespace = 'ops'::regnamespace order by 1") == before
    )
    assert ledger(dsn).identity() == identity


def test_who_only_looks_makes_nothing(postgres: Any) -> None:
    dsn = postgres.create_database("ledger_looked_at")
    assert (ledger(dsn).recent(), ledger(dsn).published("gold"), ledger(dsn).last("gold")) == ([], {}, None)
    assert ask(dsn, "select count(*) from pg_namespace where nspname = 'ops'") == [(0,)]


def test_a_ledger_of_a_newer_release_is_refused_and_left_alone(postgres: Any) -> None:
    dsn = postgres.create_database("ledger_newer")
    ledger(dsn).prepare("UTC")
    newer = max(files()) + 1
    ask(dsn, f"insert into ops.migrations (number) values ({newer})")
    with pytest.raises(LedgerError, match=f"made by a newer release .* {newer}"):
        ledger(dsn).prepare("UTC")


def test_a_schema_ops_of_another_application_is_refused_by_name(postgres: Any) -> None:
    dsn = postgres.create_database("ledger_of_others")
    ask(dsn, "create schema ops; create table ops.runs (machine text); create table ops.alarms (n int)")
    with pytest.raises(LedgerError, match="has a schema ops that belongs to another application"):
        ledger(dsn).prepare("UTC")
    assert ask(dsn, "select count(*) from pg_class where relnamespace = 'ops'::regnamespace") == [(2,)]


def test_another_zone_is_refused_once_something_is_published_and_free_before(postgres: Any) -> None:
    dsn = postgres.create_database("ledger_zones")
    ledger(dsn).prepare("UTC")
    ledger(dsn).prepare("Europe/Berlin")
    ask(
        dsn,
        "insert into ops.runs (run_id, layer, business_date, state) values ('r', 'bronze', '2020-01-01', 'published')",
    )
    with pytest.raises(LedgerError, match=r"built in the zone Europe/Berlin; LAKEHOUSE_TIMEZONE=UTC would move"):
        ledger(dsn).prepare("UTC")


def test_a_role_without_the_right_to_create_works_where_the_schema_is_there(postgres: Any) -> None:
    dsn = postgres.create_database("ledger_no_create")
    ledger(dsn).prepare("UTC")
    ask(dsn, "drop role if exists ledger_worker; create role ledger_worker login password 'works'; "
             "grant usage on schema ops to ledger_worker; "
             "grant select, insert, update, delete on all tables in schema ops to ledger_worker")  # fmt: skip
    as_worker = dsn.replace(dsn.split("//")[1].split("@")[0], "ledger_worker:works")
    ledger(as_worker).prepare("UTC")
    assert ledger(as_worker).recent() == []
