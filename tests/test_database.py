"""The pool and the addresses of a database: more readers than connections wait, and JDBC is given what libpq reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from lakehouse.database import MOST_CONNECTIONS, Database
from lakehouse.database.address import jdbc_address
from lakehouse.errors import ConfigError, LedgerError, SourceError, StoreError
from tests.faults.pooler import TransactionPooler

SECRET = "s3cret-word"


@pytest.mark.integration
def test_more_readers_than_connections_wait_for_one_another(postgres: Any) -> None:
    database = Database(postgres.create_database("pool"), "gold", StoreError)

    def asked(number: int) -> int:
        with database.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select pg_sleep(0.02), %s", (number,))
            return int((cursor.fetchone() or (None, 0))[1])

    with database.connection(), database.connection(), ThreadPoolExecutor(3 * MOST_CONNECTIONS) as readers:
        assert list(readers.map(asked, range(100))) == list(range(100))
    database.close()


@pytest.mark.integration
def test_the_servers_statistics_say_about_how_many_rows_tables_hold_and_nothing_of_views(postgres: Any) -> None:
    database = Database(postgres.create_database("believed"), "source", SourceError)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("create table mugs as select from generate_series(1, 1000); create table cups as select from mugs;"
                       "create table \"Odd\" (n int); create view pots as select from mugs; analyze mugs; analyze cups")  # fmt: skip
    assert database.rows_believed("public", ["mugs", "cups", "Odd", "pots", "absent"]) == 2000
    assert database.rows_believed("public", []) == 0
    database.close()


@pytest.mark.integration
def test_a_connection_that_breaks_off_is_an_error_of_its_database_in_words_without_values(postgres: Any) -> None:
    database = Database(postgres.create_database("broken"), "gold", StoreError)
    with (
        pytest.raises(
            StoreError, match=r"the gold database at .*/broken broke off the work \((OperationalError|AdminShutdown)"
        ) as refused,
        database.connection() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"select pg_terminate_backend(pg_backend_pid()), '{SECRET}'")
    assert SECRET not in str(refused.value)
    database.check()
    database.close()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("url", "jdbc"),
    [
        ("postgresql://u:p@db/shop", "jdbc:postgresql://db:5432/shop?"),
        ("postgresql://u:a%40b%2Fc@db:6543/my%20shop", "jdbc:postgresql://db:6543/my%20shop?"),
        ("postgresql://u:p@[::1]:5432/shop", "jdbc:postgresql://[::1]:5432/shop?"),
        ("postgresql://db/shop?user=u&password=p", "jdbc:postgresql://db:5432/shop?"),
    ],
)
def test_jdbc_is_given_what_libpq_reads_and_no_password_in_the_url(url: str, jdbc: str) -> None:
    options = jdbc_address("source", parse_dsn(url), {"password": SECRET}, {})
    assert options["url"].startswith(jdbc)
    assert (options["user"], options["password"]) == ("u", SECRET)
    assert SECRET not in options["url"]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("sslmode=verify-full&sslrootcert=/ca.pem", "sslmode=verify-full&sslrootcert=%2Fca.pem"),
        ("sslmode=require&sslrootcert=/ca.pem", "sslmode=verify-ca&sslrootcert=%2Fca.pem"),
        ("target_session_attrs=read-write", "targetServerType=primary"),
        ("connect_timeout=3", "connectTimeout=3"),
        ("options=-c%20work_mem%3D9MB", "options=-c%20work_mem%3D9MB"),
        ("channel_binding=require", "channelBinding=require"),
        ("application_name=night", "ApplicationName=night"),
    ],
)
def test_a_parameter_of_libpq_reaches_jdbc_in_jdbcs_words(parameters: str, expected: str) -> None:
    url = jdbc_address(
        "source", parse_dsn(f"postgresql://u@db/shop?{parameters}"), {}, {"reWriteBatchedInserts": "true"}
    )["url"]
    query = url.partition("?")[2].split("&")
    assert set(expected.split("&")) < set(query)
    assert {"tcpKeepAlive=true", "reWriteBatchedInserts=true"} < set(query)
    assert len(query) == len({part.partition("=")[0] for part in query})


@pytest.mark.unit
def test_what_only_libpq_understands_is_refused_by_name_and_without_its_value(tmp_path: Path) -> None:
    key = tmp_path / "client.key"
    key.write_text("-----BEGIN PRIVATE KEY-----")
    url = f"postgresql://u@db/shop?sslrootcert=system&sslcrl=/{SECRET}&sslkey={key}&keepalives_idle=3"
    with pytest.raises(ConfigError) as refused:
        jdbc_address("gold", parse_dsn(url), {}, {})
    words = str(refused.value)
    assert words.startswith("LAKEHOUSE_GOLD_DSN")
    assert all(part in words for part in ("sslcrl (", "sslrootcert=system (", "sslkey (a PEM file"))
    assert SECRET not in words
    assert "keepalives_idle" not in words


@pytest.mark.unit
def test_nothing_that_libpq_does_not_know_gets_into_jdbcs_url() -> None:
    with pytest.raises(psycopg2.ProgrammingError):
        Database("postgresql://u@db/shop?socketFactory=java.lang.Runtime", "gold", StoreError)


@pytest.mark.unit
def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"the gold database at 127\.0\.0\.1:9/shop does not let us in") as refused:
        Database(f"postgresql://u:{SECRET}@127.0.0.1:9/shop", "gold", StoreError).check()
    assert SECRET not in str(refused.value)
    assert isinstance(refused.value.__context__, psycopg2.Error)


@pytest.fixture(scope="module")
def dsn(postgres: Any) -> str:
    return str(postgres.create_database("sessions"))


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    made = Database(dsn, "gold", StoreError)
    yield made
    made.close()


def ask(dsn: str, *statements: str) -> list[tuple[Any, ...]]:
    """Rows of the last statement, by a session of its own."""
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def limited(dsn: str) -> Iterator[str]:
    """A URL of a role on which somebody has set every limit there is, and which owns the schema `mine`."""
    ask(dsn, "drop schema if exists mine cascade; drop role if exists limited; create role limited login password 'pw'",
        *(f"alter role limited set {name} = '{value}'" for name, value in {
            "statement_timeout": "5s", "idle_session_timeout": "6s", "idle_in_transaction_session_timeout": "7s",
            "transaction_timeout": "8s", "default_transaction_read_only": "on"}.items()),
        "create schema mine authorization limited")  # fmt: skip
    parts = parse_dsn(dsn)
    yield f"postgresql://limited:pw@{parts['host']}:{parts['port']}/{parts['dbname']}"
    ask(dsn, "drop schema mine cascade; drop role limited")


def settings_of(database: Database) -> dict[str, str]:
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("select name, setting from pg_settings where name ~ 'timeout$|^default_transaction_read_only$'")
        return dict(cursor.fetchall())


@pytest.mark.integration
def test_limits_of_the_role_do_not_end_our_sessions_and_a_forgotten_lock_does(limited: str) -> None:
    database = Database(limited, "gold", StoreError)
    found = settings_of(database)
    assert {found[n] for n in ("statement_timeout", "idle_session_timeout", "transaction_timeout",
                               "idle_in_transaction_session_timeout")} == {"0"}  # fmt: skip
    assert found["lock_timeout"] == "60000"
    with database.connection() as connection, connection.cursor() as cursor:
        assert connection.info.dsn_parameters["tcp_user_timeout"] == "60000"
        cursor.execute("create table mine.written ()")
    database.close()


@pytest.mark.integration
def test_a_lock_timeout_that_somebody_chose_stays(dsn: str) -> None:
    database = Database(f"{dsn}?options=-c%20lock_timeout%3D7s", "gold", StoreError)
    assert settings_of(database)["lock_timeout"] == "7000"
    database.close()


@pytest.mark.integration
def test_jdbc_lifts_the_limits_of_the_role_and_only_those(limited: str, dsn: str) -> None:
    """A source's role that may only read is right as it is."""
    gold, source = Database(limited, "gold", StoreError), Database(limited, "source", SourceError)
    assert "default_transaction_read_only%3Doff" in gold.jdbc()["url"]
    assert "statement_timeout%3D0" in source.jdbc()["url"]
    assert "read_only" not in source.jdbc()["url"]
    plain = Database(dsn, "gold", StoreError)
    assert "options=" not in plain.jdbc()["url"]
    for database in (gold, source, plain):
        database.close()


@pytest.mark.integration
@pytest.mark.parametrize("way", ["PGPASSWORD", "PGPASSFILE", "service"])
def test_a_password_that_libpq_finds_by_itself_is_given_to_jdbc(
    dsn: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parse_dsn(dsn)
    user, where = f"{parts['user']}@" * (way != "service"), f"{parts['host']}:{parts['port']}/{parts['dbname']}"
    passfile, services = tmp_path / "pass", tmp_path / "services"
    passfile.write_text(f"*:*:*:*:{parts['password']}\n")
    passfile.chmod(0o600)
    services.write_text(f"[mine]\nuser={parts['user']}\npassword={parts['password']}\n")
    variable, value = {"PGPASSWORD": ("PGPASSWORD", parts["password"]), "PGPASSFILE": ("PGPASSFILE", str(passfile)),
                       "service": ("PGSERVICEFILE", str(services))}[way]  # fmt: skip
    monkeypatch.setenv(variable, value)
    database = Database(f"postgresql://{user}{where}" + "?service=mine" * (way == "service"), "gold", StoreError)
    database.check()
    options = database.jdbc()
    assert (options["user"], options["password"]) == (parts["user"], parts["password"])
    assert quote(parts["password"]) not in options["url"]
    database.close()


@pytest.mark.integration
def test_open_connections_are_kept_and_dead_ones_are_not_handed_out(database: Database, dsn: str) -> None:
    def backends(number: int) -> set[int]:
        found = set()
        with ExitStack() as stack:
            for connection in [stack.enter_context(database.connection()) for _ in range(number)]:
                with connection.cursor() as cursor:
                    cursor.execute("select pg_backend_pid()")
                    found.add(int((cursor.fetchone() or (0,))[0]))
        return found

    first = backends(3)
    assert len(first) == 3
    assert backends(3) == first
    ask(dsn, f"select pg_terminate_backend(pid, 5000) from unnest(array{sorted(first)}) pid")
    assert not backends(3) & first


@pytest.mark.integration
def test_a_callers_read_only_mode_is_not_the_next_ones(database: Database) -> None:
    with database.connection() as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute("select current_setting('transaction_read_only'), current_setting('transaction_isolation')")
        assert cursor.fetchone() == ("off", "read committed")


def work(cursor: Any, statements: str) -> None:
    """Statement by statement, with a moment of thought before the last."""
    for statement in [statements] if statements.startswith("do ") else statements.split("; "):
        cursor.execute(statement)
    time.sleep(0.2)
    cursor.execute("select 1")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (f"select '{SECRET}' from nowhere", r"lacks a table that should be there \(UndefinedTable 42P01\); look"),
        (f"select missing, '{SECRET}'", r"lacks a column .* \(UndefinedColumn 42703\)"),
        ("create schema ops; create schema ops", r"has a schema of that name already \(DuplicateSchema 42P06\)"),
        ("create temp table t (id int primary key); insert into t values (1), (1)",
         r"refused rows that break a constraint at pg_temp\w*\.t\.t_pkey \(UniqueViolation 23505\)"),
        (f"select '{SECRET}'::integer", r"refused a value \(InvalidTextRepresentation 22P02\)"),
        ("set transaction read only; create table t ()", r"only lets us read \(ReadOnlySqlTransaction 25006\); name the"),
        ("set local statement_timeout = 10; select pg_sleep(5)", r"cancelled a statement.* \(QueryCanceled 57014\)"),
        ("set local role pg_monitor; create schema x", r"does not give the role the right.* \(InsufficientPrivilege 42501"),
        ("set local idle_in_transaction_session_timeout = 50; select pg_sleep(0)",
         r"ended our session by idle_in_transaction_session_timeout|broke off the work"),
        ("do $$ begin raise disk_full; end $$", r"has no disk space left \(DiskFull 53100\); free or add"),
        ("do $$ begin raise sqlstate '53999'; end $$", r"is out of resources \("),
        ("do $$ begin raise sqlstate 'QQ000'; end $$", r"refused the work \("),
    ],
)  # fmt: skip
def test_whatever_postgres_refuses_is_one_sentence_by_its_code_and_shows_no_value(
    database: Database, statement: str, words: str
) -> None:
    with (
        pytest.raises(StoreError, match=f"^the gold database at .*/sessions ({words})") as refused,
        database.connection() as connection,
        connection.cursor() as cursor,
    ):
        work(cursor, statement)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    database.check()


@pytest.mark.integration
def test_waiting_for_somebodys_lock_ends_with_a_word(database: Database, dsn: str) -> None:
    ask(dsn, "create table if not exists held ()")
    with closing(psycopg2.connect(dsn)) as other, other.cursor() as holds:
        holds.execute("lock table held")
        with (
            pytest.raises(
                StoreError, match=r"wait too long for a lock .* \(LockNotAvailable 55P03\); end that session's"
            ),
            database.connection() as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute("set local lock_timeout = '50ms'; select from held")


@pytest.mark.integration
def test_an_error_of_another_database_is_said_of_that_one(dsn: str, postgres: Any) -> None:
    gold, source = Database(dsn, "gold", StoreError), Database(postgres.create_database("other"), "source", SourceError)
    with (
        pytest.raises(SourceError, match=r"^the source database at .*/other lacks a table"),
        source.connection() as outer,
        outer.cursor() as cursor,
        gold.connection(),
    ):
        cursor.execute("select from nowhere")
    gold.close()
    source.close()


@pytest.mark.integration
def test_sessions_of_the_server_itself_are_kept_and_none_is_refused(database: Database) -> None:
    database.check_sessions()


@pytest.mark.integration
@pytest.mark.parametrize(("servers", "in_turn"), [(1, False), (3, False), (2, True), (3, True)])
def test_a_pooler_in_transaction_mode_is_refused_however_it_hands_its_servers_out(
    dsn: str, servers: int, in_turn: bool
) -> None:
    with TransactionPooler(dsn, servers, in_turn=in_turn) as pooler, ExitStack() as stack:
        for _ in range(servers):  # a server connection is made for each client that signs in, while there is room
            stack.enter_context(closing(psycopg2.connect(pooler.dsn)))
        database = Database(pooler.dsn, "gold", StoreError)
        database.check()
        with pytest.raises(LedgerError, match=r"speaks through a pooler in transaction mode.*pool_mode=session"):
            database.check_sessions()
        database.close()
