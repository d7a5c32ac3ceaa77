"""The pool and the addresses of a database: more readers than connections wait, and JDBC is given what libpq reads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest

from lakehouse.database import MOST_CONNECTIONS, Database
from lakehouse.errors import StoreError

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
    ("url", "jdbc", "user", "password"),
    [
        ("postgresql://u:p@db/shop", "jdbc:postgresql://db:5432/shop?", "u", "p"),
        ("postgresql://u:a%40b%2Fc@db:6543/my%20shop", "jdbc:postgresql://db:6543/my%20shop?", "u", "a@b/c"),
        ("postgresql://u:p@[::1]:5432/shop", "jdbc:postgresql://[::1]:5432/shop?", "u", "p"),
        ("postgresql://db/shop?user=u&password=p", "jdbc:postgresql://db:5432/shop?", "u", "p"),
    ],
)
def test_jdbc_is_given_what_libpq_reads_and_no_password_in_the_url(
    url: str, jdbc: str, user: str, password: str
) -> None:
    options = Database(url, "source", StoreError).jdbc()
    assert options["url"].startswith(jdbc)
    assert (options["user"], options["password"]) == (user, password)
    assert "password" not in options["url"]


@pytest.mark.unit
def test_options_of_the_connection_reach_jdbc() -> None:
    options = Database("postgresql://u:p@db/shop?sslmode=verify-full", "source", StoreError).jdbc(fetchsize="1")
    assert "sslmode=verify-full" in options["url"]
    assert "fetchsize=1" in options["url"]


@pytest.mark.unit
def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(StoreError, match=r"the gold database at 127\.0\.0\.1:9/shop does not let us in") as refused:
        Database(f"postgresql://u:{SECRET}@127.0.0.1:9/shop", "gold", StoreError).check()
    assert SECRET not in str(refused.value)
    assert isinstance(refused.value.__context__, psycopg2.Error)
