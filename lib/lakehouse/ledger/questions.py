"""How the ledger is asked: every question is one statement that reads the rows it needs, in a transaction of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg2 import errors
from psycopg2.extensions import cursor as Cursor
from psycopg2.extras import RealDictCursor

from lakehouse.database import Database
from lakehouse.errors import LedgerError

Parameters = Sequence[object] | Mapping[str, object] | None


class Questions:
    """A ledger's database, and the way to ask it. Asking never changes it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def _rows(self, sql: str, parameters: Parameters = None) -> list[dict[str, Any]]:
        """The rows of an answer; none where there is no ledger yet. Raises LedgerError for one of an earlier release."""
        with self.database.connection() as connection, connection.cursor(cursor_factory=RealDictCursor) as cursor:
            try:
                cursor.execute(sql, parameters)
            except (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName):
                connection.rollback()
                cursor.execute("select to_regclass('ops.runs') is null as absent")
                if cursor.fetchall()[0]["absent"]:
                    return []
                raise LedgerError(
                    f"the ledger at {self.database.where} is of an earlier release, and the next run brings it up to date: "
                    "run a day first"
                ) from None
            return [dict(r) for r in cursor.fetchall()]

    @staticmethod
    def _one(cursor: Cursor) -> tuple[Any, ...]:
        row = cursor.fetchone()
        if row is None:
            raise LedgerError("the ledger answered nothing where a row was due")
        return tuple(row)
