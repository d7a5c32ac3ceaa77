"""The gold database: staged over JDBC, verified on the server, then published as one transaction of changed rows.

Readers see all of a publish or none of it and are never blocked: rows of ordinary tables change, never the tables, so
views and grants that people built on gold stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg2
from psycopg2.extensions import cursor as Cursor
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import Contract, resource_folder
from lakehouse.database import Database
from lakehouse.errors import GateError, LedgerError, StoreError
from lakehouse.records import Changes
from lakehouse.warehouse import ddl

BATCH_ROWS = 5_000
ROWS_A_CONNECTION = 50_000
MOST_CONNECTIONS = 4
MARTS = ("monthly_sales_by_category", "customer_cohorts")


class Gold:
    """Six tables that change together or not at all."""

    def __init__(self, database: Database, contracts: Mapping[str, Contract]) -> None:
        self.database = database
        # Dimensions first: rows are inserted in this order and deleted in the other, as foreign keys ask.
        self._contracts = sorted(contracts.values(), key=lambda c: (bool(c.parents), c.table))

    def prepare(self) -> None:
        """Makes schemas, tables, keys, indexes and comments on first use; adds columns that contracts gained."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            ddl.ensure_tables(cursor, self._contracts)

    def stage(self, frame: DataFrame, contract: Contract, rows: int) -> None:
        """Loads a frame into its staging table, made afresh."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(ddl.staging_ddl(contract))
        connections = max(1, min(MOST_CONNECTIONS, rows // ROWS_A_CONNECTION))
        (
            frame.select(*(_carried(c.name, c.type) for c in contract.columns))
            .coalesce(connections)
            .write.format("jdbc")
            .options(**self.database.jdbc(reWriteBatchedInserts="true"), batchsize=str(BATCH_ROWS))
            .option("dbtable", f"{ddl.STAGING}.{contract.table}")
            .mode("append")
            .save()
        )

    def verify(self, contract: Contract, expected: Mapping[str, object]) -> None:
        """Holds a staged table's row count and sums, by the server, against Spark's. Raises StoreError."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            names = list(expected)
            cursor.execute(
                f"analyze {ddl.STAGING}.{contract.table}; select "
                + ", ".join("count(*)" if n == "rows" else f"sum({n})" for n in names)
                + f" from {ddl.STAGING}.{contract.table}"
            )
            found = dict(zip(names, cursor.fetchone() or (), strict=True))
        wrong = [n for n in names if found[n] != expected[n]]
        if wrong:
            raise StoreError(f"staging of {contract.id} differs from what was sent in {', '.join(wrong)}: nothing was "
                             f"published; run gold again")  # fmt: skip

    def publish(self, cursor: Cursor, run_id: str) -> dict[str, Changes]:
        """Changes the rows that differ, in the caller's transaction. Raises GateError for a repeated or dangling key."""
        changes: dict[str, list[int]] = {c.table: [0, 0, 0] for c in self._contracts}
        try:
            for contract in self._contracts:
                cursor.execute(_update(contract), (run_id,))
                changes[contract.table][1] = cursor.rowcount
                cursor.execute(_insert(contract), (run_id,))
                changes[contract.table][0] = cursor.rowcount
            for contract in reversed(self._contracts):
                cursor.execute(_delete(contract))
                changes[contract.table][2] = cursor.rowcount
        except psycopg2.IntegrityError as e:
            raise GateError(f"gold was not published: {e.diag.table_name} breaks {e.diag.constraint_name}") from None
        return {table: Changes(*counts) for table, counts in changes.items()}

    def remake(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """Drops tables whose contract changed and makes them anew, empty, in the caller's transaction.

        Raises LedgerError where something of other people's stands on them: it is theirs to take down.
        """
        if not tables:
            return
        try:
            for mart in MARTS:
                cursor.execute(f"drop materialized view if exists marts.{mart}")
            for contract in self._contracts:
                for name, _ in ddl.foreign_keys(contract):
                    cursor.execute(f"alter table {ddl.GOLD}.{contract.table} drop constraint if exists {name}")
            for table in tables:
                cursor.execute(f"drop table if exists {ddl.GOLD}.{table}")
        except psycopg2.errors.DependentObjectsStillExist:
            raise LedgerError(
                f"views of your own stand on {', '.join(tables)}, or on a view of marts; drop them, rebuild, and make them anew"
            ) from None
        cursor.execute("delete from ops.settings where name = 'marts_run'")
        ddl.ensure_tables(cursor, self._contracts)

    def settle(self, changes: Mapping[str, Changes]) -> None:
        """After the commit: drops the staging tables and gathers statistics where much has changed."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            for contract in self._contracts:
                cursor.execute(f"drop table if exists {ddl.STAGING}.{contract.table}")
                done = changes[contract.table]
                if done.inserted + done.updated + done.deleted > BATCH_ROWS:
                    cursor.execute(f"analyze {ddl.GOLD}.{contract.table}")

    def refresh_marts(self, run_id: str) -> None:
        """Brings the materialised views up to the published gold; concurrently, so that readers go on reading."""
        definition = (resource_folder("conf") / "postgres" / "marts.sql").read_text(encoding="utf-8")
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(definition)
            cursor.execute("select value from ops.settings where name = 'marts_run'")
            made = cursor.fetchone()
        if made == (run_id,):
            return
        for mart in MARTS:
            with self.database.connection() as connection, connection.cursor() as cursor:
                cursor.execute(f"refresh materialized view concurrently marts.{mart}")
        with self.database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(
                "insert into ops.settings values ('marts_run', %s) on conflict (name) do update set value = excluded.value",
                (run_id,),
            )

    def counts(self) -> dict[str, int]:
        """Rows of each gold table."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            found = {}
            for contract in self._contracts:
                cursor.execute(f"select count(*) from {ddl.GOLD}.{contract.table}")
                found[contract.table] = (cursor.fetchone() or (0,))[0]
        return found


def _carried(name: str, kind: str) -> Column:
    if kind == "timestamptz":
        return F.unix_micros(name).alias(name)
    return F.unix_date(name).alias(name) if kind == "date" else F.col(name)


def _staged(contract: Contract) -> str:
    columns = ", ".join(f"{ddl.restored(c)} as {c.name}" for c in contract.columns)
    return f"(select {columns} from {ddl.STAGING}.{contract.table}) s"


def _same_key(contract: Contract) -> str:
    return " and ".join(f"t.{k} = s.{k}" for k in contract.key)


def _list(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + c for c in columns)


def _update(contract: Contract) -> str:
    rest = [n for n in contract.names if n not in contract.key]
    return (
        f"update {ddl.GOLD}.{contract.table} t set ({_list(rest)}, _published_at, _run_id) = "
        f"row({_list(rest, 's.')}, now(), %s) from {_staged(contract)} where {_same_key(contract)} "
        f"and row({_list(rest, 't.')}) is distinct from row({_list(rest, 's.')})"
    )


def _insert(contract: Contract) -> str:
    return (
        f"insert into {ddl.GOLD}.{contract.table} ({_list(contract.names)}, _published_at, _run_id) "
        f"select {_list(contract.names, 's.')}, now(), %s from {_staged(contract)} "
        f"where not exists (select from {ddl.GOLD}.{contract.table} t where {_same_key(contract)})"
    )


def _delete(contract: Contract) -> str:
    return (
        f"delete from {ddl.GOLD}.{contract.table} t "
        f"where not exists (select from {_staged(contract)} where {_same_key(contract)})"
    )
