"""The gold database: what a run has staged is published as one transaction of changed rows.

Readers see all of a publish or none of it and are never blocked: rows of ordinary tables change, never the tables, so
views and grants that people built on gold stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import psycopg2
from psycopg2.extensions import cursor as Cursor
from pyspark.sql import DataFrame

from lakehouse.contracts import Contract
from lakehouse.database import KNOWS_CRC, Database
from lakehouse.database.rights import missing_schema_rights, missing_table_rights, unfit
from lakehouse.errors import ConfigError, GateError, LedgerError, StoreError
from lakehouse.records import Changes
from lakehouse.warehouse import ddl
from lakehouse.warehouse.differences import MANY_ROWS, differing
from lakehouse.warehouse.marts import Marts
from lakehouse.warehouse.patience import CHANGING_ROWS, FOR_A_PUBLISH, READING, holders, patiently
from lakehouse.warehouse.restatements.record import record_restatements
from lakehouse.warehouse.staging import Staging
from lakehouse.warehouse.straight import straight

# Of so many changed rows a table's statistics are gathered at once.
MANY_CHANGES = 5_000


class Gold:
    """Tables that change together or not at all."""

    def __init__(self, database: Database, contracts: Mapping[str, Contract]) -> None:
        self.database = database
        # Rows are inserted in this order and deleted in the other, as foreign keys ask.
        self._contracts = parents_first(contracts)
        self.marts = Marts(database)

    def check_rights(self) -> None:
        """Raises LedgerError that lists, before anything is written, all that the database or the role lacks for gold."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            faults = unfit(cursor)
            stand = [(c, ddl.standing(cursor, c.table)) for c in self._contracts]
            to_change = [
                f"{ddl.GOLD}.{c.table}"
                for c, there in stand
                if there and (ddl.retyped(c, there) or any(ddl.table_ddl(c, there)))
            ]
            # Where the owner has made all, a run makes nothing.
            is_made = not to_change and all(there for _, there in stand)
            missing = missing_schema_rights(
                cursor, (ddl.GOLD, ddl.STAGING, "ops"), (ddl.GOLD, "ops") if is_made else ()
            )
            # As the first releases named their staging tables: what they left is to be dropped.
            to_drop = [f"{ddl.STAGING}.{c.table}" for c in self._contracts]
            tables = [f"{ddl.GOLD}.{c.table}" for c in self._contracts]
            missing += missing_table_rights(cursor, tables, [*to_change, *to_drop])
        faults += [f"its role lacks rights: {'; '.join(missing)}"] if missing else []
        if faults:
            raise LedgerError(f"the gold database at {self.database.where} cannot take gold, and nothing was written: "
                              f"{'; '.join(faults)}")  # fmt: skip

    def prepare(self) -> None:
        """Makes schemas, tables, keys, indexes and comments on first use, and what contracts gained since; else nothing.

        Raises LedgerError for what the role may not do, StoreError for a table that must change and that somebody holds.
        """
        self.check_rights()
        with self.database.connection() as connection, connection.cursor() as cursor:
            ddl.ensure_schemas(cursor, ddl.GOLD, ddl.STAGING)
        for contract in self._contracts:
            # Each for itself, so that no table is kept from its readers while the next one is waited for.
            with self.database.connection() as connection, connection.cursor() as cursor:
                ddl.ensure_tables(cursor, [contract])

    def staging(self, run_id: str, untouched: Collection[str] = ()) -> Staging:
        """The staging tables of a run: none yet, and nobody else's ever. `untouched`: tables that it does not stage."""
        return Staging(self.database, self._contracts, run_id, untouched)

    def differing(self, frame: DataFrame, contract: Contract) -> DataFrame:
        """What a computed table would change of the rows that stand, in the staged form."""
        return differing(frame, contract, self.database)

    def compares(self, held: Mapping[str, int]) -> set[str]:
        """Tables of which only what differs is to be staged: those that hold many rows, on a server that can tell."""
        with self.database.connection() as connection:
            knows = connection.info.server_version >= KNOWS_CRC
        return {table for table, rows in held.items() if knows and rows >= MANY_ROWS}

    def publish(self, cursor: Cursor, staging: Staging) -> dict[str, Changes]:
        """Changes the rows that differ from a run's staging, in the caller's transaction, once nobody changes the tables.

        Raises GateError for a repeated, dangling or missing value, StoreError where somebody holds a table or its rows,
        or where the staging is not what was verified any more.
        """
        staging.freeze(cursor)
        for contract in staging.contracts:
            table = f"{ddl.GOLD}.{contract.table}"
            patiently(cursor, [f"lock table {table} in row exclusive mode"], table, FOR_A_PUBLISH, CHANGING_ROWS)
        changes: dict[str, list[int]] = {c.table: [0, 0, 0] for c in staging.contracts}
        at_work = ""
        record_restatements(cursor, staging)
        try:
            tables = [f"{ddl.GOLD}.{c.table}" for c in staging.contracts]
            with straight(cursor, tables, sum(staging.rows.values())):
                for contract in staging.contracts:
                    at_work, source = contract.table, staging.table(contract)
                    if len(contract.key) < len(contract.names):
                        cursor.execute(_update(contract, source), (staging.run_id,))
                        changes[contract.table][1] = cursor.rowcount
                    cursor.execute(_insert(contract, source), (staging.run_id,))
                    changes[contract.table][0] = cursor.rowcount
            for contract in reversed(staging.contracts):
                at_work = contract.table
                gone = _delete_gone if contract.table in staging.by_difference else _delete
                cursor.execute(gone(contract, staging.table(contract)))
                changes[contract.table][2] = cursor.rowcount
            ddl.validate_foreign_keys(cursor, self._contracts)
        except psycopg2.IntegrityError as e:
            what = e.diag.constraint_name or f"the rule that {e.diag.column_name} has a value in every row"
            raise GateError(f"gold was not published: {e.diag.table_name or at_work} breaks {what}") from None
        except psycopg2.errors.LockNotAvailable:
            with self.database.connection() as connection, connection.cursor() as asks:
                held = holders(asks, f"{ddl.GOLD}.{at_work}", READING, cursor.connection.info.backend_pid)
            raise StoreError(f"gold was not published: another transaction changes rows of {ddl.GOLD}.{at_work} ({held}); "
                             f"end it, and run gold again") from None  # fmt: skip
        return {table: Changes(*counts) for table, counts in changes.items()}

    def remake(self, cursor: Cursor, tables: Sequence[str]) -> None:
        """Drops tables whose contract changed and makes them again, empty, in the caller's transaction.

        Views of marts go and come with them, with what was granted on them. Raises LedgerError where something of other
        people's stands on either: it is theirs to take down.
        """
        if not tables:
            return
        try:
            dropped = self.marts.drop(cursor)
            ddl.drop_tables(cursor, tables, [c.table for c in self._contracts])
        except psycopg2.errors.DependentObjectsStillExist:
            raise LedgerError(
                f"views of your own stand on {', '.join(tables)}, or on a view of marts; drop them, rebuild, and make them again"
            ) from None
        ddl.ensure_tables(cursor, self._contracts)
        self.marts.make_again(cursor, dropped)

    def settle(self, changes: Mapping[str, Changes]) -> None:
        """After the commit: gathers statistics where much has changed."""
        with self.database.connection() as connection, connection.cursor() as cursor:
            for table, change in changes.items():
                if change.inserted + change.updated + change.deleted > MANY_CHANGES:
                    cursor.execute(f"analyze {ddl.GOLD}.{table}")

    def refresh_marts(self, run_id: str) -> None:
        """Brings the materialised views up to the published gold. Raises StoreError naming each that could not be."""
        self.marts.refresh(run_id)


def parents_first(contracts: Mapping[str, Contract]) -> list[Contract]:
    """Each table after those it refers to, however deep; a table that refers to itself comes when the others are there.

    Raises ConfigError for tables that refer to each other in a circle.
    """
    sorter = TopologicalSorter({t: sorted(set(c.parents) - {t}) for t, c in sorted(contracts.items())})
    try:
        return [contracts[t] for t in sorter.static_order() if t in contracts]
    except CycleError as e:
        raise ConfigError(f"contracts of gold refer to each other in a circle: {', '.join(e.args[1])}") from None


def _staged(contract: Contract, staging: str) -> str:
    columns = ", ".join(f"{ddl.restored(c)} as {c.name}" for c in contract.stored)
    return f"(select {columns} from {staging} where not {ddl.IS_GONE}) s"


def _same_key(contract: Contract) -> str:
    return " and ".join(f"t.{k} = s.{k}" for k in contract.key)


def _list(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(prefix + c for c in columns)


def _update(contract: Contract, staging: str) -> str:
    rest = [c.name for c in contract.stored if c.name not in contract.key]
    return (
        f"update {ddl.GOLD}.{contract.table} t set ({_list(rest)}, _published_at, _run_id) = "
        f"row({_list(rest, 's.')}, now(), %s) from {_staged(contract, staging)} where {_same_key(contract)} "
        f"and row({_list(rest, 't.')}) is distinct from row({_list(rest, 's.')})"
    )


def _insert(contract: Contract, staging: str) -> str:
    names = [c.name for c in contract.stored]
    return (
        f"insert into {ddl.GOLD}.{contract.table} ({_list(names)}, _published_at, _run_id) "
        f"select {_list(names, 's.')}, now(), %s from {_staged(contract, staging)} "
        f"where not exists (select from {ddl.GOLD}.{contract.table} t where {_same_key(contract)})"
    )


def _delete(contract: Contract, staging: str) -> str:
    return (
        f"delete from {ddl.GOLD}.{contract.table} t "
        f"where not exists (select from {_staged(contract, staging)} where {_same_key(contract)})"
    )


def _delete_gone(contract: Contract, staging: str) -> str:
    columns = ", ".join(f"{ddl.restored(contract.column(k))} as {k}" for k in contract.key)
    return (
        f"delete from {ddl.GOLD}.{contract.table} t using (select {columns} from {staging} where {ddl.IS_GONE}) s "
        f"where {_same_key(contract)}"
    )
