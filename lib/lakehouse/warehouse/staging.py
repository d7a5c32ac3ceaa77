"""Staging: tables of one run, into which Spark loads over JDBC, and which the server verifies before anything is published.

Their names hold the run. So a driver that lost its lock and lives on fills, empties and drops its own tables, and never
those which the run that took over has verified.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import count
from typing import Any

import psycopg2
from psycopg2.extensions import cursor as Cursor
from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException
from pyspark.sql import DataFrame

from lakehouse import log
from lakehouse.contracts import Contract
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.warehouse import ddl
from lakehouse.warehouse.differences import carried, carried_columns
from lakehouse.warehouse.patience import patiently

BATCH_ROWS = 5_000
MOST_CONNECTIONS = 4
# A batch goes into a table without index or key that nobody else touches: what takes longer is a server that is gone.
BATCH_SECONDS = 600
# A stopped driver can hold its tables for days: a later run drops them.
DROP_TIMEOUT = "1s"
# Tables in the schema that this role may drop; a name is that of a gold table (the first releases' was no more than that),
# a number where it holds keys of its rows, and the end of the id of a run.
STANDING = """
    select relname from pg_class
    where relnamespace = to_regnamespace(%s) and relkind = 'r' and pg_has_role(relowner, 'usage') and relname ~ %s
    order by 1
"""


class Staging:
    """The staging tables of one run. `rows`: of each table that was verified, as Spark counted them.

    `contracts`: of the tables that the run stages, which are all but the `untouched`. `by_difference`: names of those of
    which it stages what differs from gold, and not every row.
    """

    def __init__(
        self, database: Database, contracts: Sequence[Contract], run_id: str, untouched: Collection[str] = ()
    ) -> None:
        self.database, self.run_id = database, run_id
        self.rows: dict[str, int] = {}
        self.by_difference = set[str]()
        self.contracts = [c for c in contracts if c.table not in untouched]
        self._of_any_run = [c.table for c in contracts]
        self._keys = count(1)

    def table(self, contract: Contract) -> str:
        """The run's own staging table of a gold table."""
        return f"{ddl.STAGING}.{contract.table}_{self._token}"

    @property
    def _token(self) -> str:
        """The end of the run's id: the twelve hexadecimal digits that the ledger draws for each run."""
        return self.run_id.rpartition("-")[2]

    def load(self, frame: DataFrame, contract: Contract) -> None:
        """Loads a whole table, as computed. Raises StoreError for whatever Postgres refuses."""
        self.by_difference.discard(contract.table)
        self._append(carried(frame, contract), contract)

    def load_differences(self, rows: DataFrame, contract: Contract) -> None:
        """Loads the rows of a table that differ from gold's, as `differing` gives them. Raises StoreError as `load` does."""
        self.by_difference.add(contract.table)
        self._append(rows, contract)

    def load_nothing(self, contract: Contract) -> None:
        """Stages that no row of a table differs."""
        self.by_difference.add(contract.table)
        self.rows[contract.table] = 0
        self._make(ddl.staging_ddl(contract, self.table(contract)))

    def load_keys(self, keys: DataFrame, contract: Contract) -> str:
        """Loads keys by which rows of a gold table are looked up, under its columns' names; returns the table they are in."""
        name = f"{ddl.STAGING}.{contract.table}_keys{next(self._keys)}_{self._token}"
        self._make(ddl.keys_ddl(contract, name, keys.columns))
        self._write(keys.select(*carried_columns(contract, keys.columns)), contract, name)
        self._make(f"analyze {name}")
        return name

    def _append(self, rows: DataFrame, contract: Contract) -> None:
        """Loads a frame into its staging table, which is made for it."""
        self._make(ddl.staging_ddl(contract, self.table(contract)))
        self._write(rows, contract, self.table(contract))

    def _make(self, statements: str) -> None:
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(statements)

    def _write(self, rows: DataFrame, contract: Contract, table: str) -> None:
        address = self.database.jdbc(reWriteBatchedInserts="true", socketTimeout=str(BATCH_SECONDS))
        writer = (
            rows.coalesce(MOST_CONNECTIONS)
            .write.format("jdbc")
            .options(**address, batchsize=str(BATCH_ROWS))
            .option("dbtable", table)
            .mode("append")
        )
        try:
            writer.save()
        except (Py4JJavaError, CapturedException) as e:
            refused = self.database.refused_by_jdbc(e, f"while {contract.id} was staged, and nothing was published")
            if refused is None:
                raise
            raise refused from None

    def verify(self, contract: Contract, expected: Mapping[str, Any]) -> None:
        """Holds a staged table's row count and sums, by the server, against Spark's. Raises StoreError."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            names = list(expected)
            cursor.execute(
                f"analyze {self.table(contract)}; select "
                + ", ".join("count(*)" if n == "rows" else f"sum({n})" for n in names)
                + f" from {self.table(contract)}"
            )
            actual = dict(zip(names, cursor.fetchone() or (), strict=True))
        if wrong := [n for n in names if actual[n] != expected[n]]:
            raise _differs(contract, wrong)
        self.rows[contract.table] = expected["rows"]

    def freeze(self, cursor: Cursor) -> None:
        """Lets nobody write to the staging tables until the caller's transaction ends, and counts their rows once more.

        Names keep other runs away. A task of Spark that was given up can still commit after its second attempt was
        verified, and a server that crashed begins with empty unlogged tables. Raises StoreError for either.
        """
        for contract in self.contracts:
            table = self.table(contract)
            patiently(cursor, [f"lock table {table} in share mode"], table)
            cursor.execute(f"select count(*) from {table}")
            if cursor.fetchone() != (self.rows[contract.table],):
                raise _differs(contract, ["rows"])

    def sweep(self, cursor: Cursor) -> None:
        """Drops what dead runs left, in the caller's transaction, which is one of the connection that holds gold's lock.

        On it, because a driver that lost its lock must not take the tables of the run that has it for a dead one's.
        """
        tables = self._standing(cursor)
        self._drop(cursor, [t for t in tables if not self._is_own(t)])

    def drop(self) -> None:
        """Drops the run's own tables. One that is held, by a task of Spark that goes on, is left to the next run."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            self._drop(cursor, [t for t in self._standing(cursor) if self._is_own(t)])

    def _is_own(self, table: str) -> bool:
        return table.endswith(f"_{self._token}")

    def _standing(self, cursor: Cursor) -> list[str]:
        names = "|".join(self._of_any_run)
        cursor.execute(STANDING, (ddl.STAGING, f"^({names})(_keys[0-9]+)?(_[a-z0-9]+)?$"))
        return [name for (name,) in cursor.fetchall()]

    def _drop(self, cursor: Cursor, tables: Iterable[str]) -> None:
        cursor.execute("select set_config('lock_timeout', %s, true)", (DROP_TIMEOUT,))
        for table in tables:
            cursor.execute("savepoint staging")
            try:
                cursor.execute(f"drop table if exists {ddl.STAGING}.{table}")
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DependentObjectsStillExist) as e:
                cursor.execute("rollback to savepoint staging")
                log.warning("staging.left", table=f"{ddl.STAGING}.{table}", sqlstate=e.pgcode)


def _differs(contract: Contract, wrong: Sequence[str]) -> StoreError:
    return StoreError(f"staging of {contract.id} differs from what was sent in {', '.join(wrong)}: nothing was published; "
                      f"run gold again")  # fmt: skip
