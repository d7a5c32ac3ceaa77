"""The door of the lake: rows of customers who were forgotten stay out, and orders that name one come in as a guest's.

The ledger lists them by HMAC-SHA-256 of their identifiers. Key and digests go to Spark as rows of frames, never as
literals, which plans and event logs show. While nobody is listed, nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.columns import clean_identifier
from lakehouse.contracts import Contracts
from lakehouse.errors import ConfigError
from lakehouse.ledger.past import KeptOut
from lakehouse.parts import Lakehouse

CUSTOMERS = "customers"
# Columns of the comparison alone.
DIGEST, FORGOTTEN, INNER, OUTER = "_digest", "_forgotten", "_inner", "_outer"
# The block of SHA-256, to which HMAC fills its key up, and what it mixes in.
BLOCK, INNER_PAD, OUTER_PAD = 64, 0x36, 0x5C


@dataclass(frozen=True)
class Reach:
    """How a table of bronze names a customer: by which column, and which columns of such a row become null.

    None of them: the row is the customer's own and goes.
    """

    table: str
    column: str
    emptied: tuple[str, ...] = ()


def reaches(contracts: Contracts) -> dict[str, Reach]:
    """The tables that hold something of a customer, by the contracts: the customers' own, and those that refer to it.

    Raises ConfigError where bronze has no column of the name by which silver refers.
    """
    bronze, silver = contracts["bronze"], contracts["silver"]
    if CUSTOMERS not in bronze:
        return {}
    found = {CUSTOMERS: Reach(CUSTOMERS, bronze[CUSTOMERS].key[0])}
    for table, contract in silver.items():
        names = [c.name for c in contract.columns if c.references and c.references.table == CUSTOMERS]
        if not names:
            continue
        if len(names) > 1 or names[0] not in bronze[table].names:
            raise ConfigError(f"silver.{table} refers to {CUSTOMERS} by {', '.join(names)}, and one column of that name is what "
                              f"bronze.{table} must have, so that a customer can be forgotten there")  # fmt: skip
        personal = (c.name for c in bronze[table].columns if c.classification == "personal" and c.name != names[0])
        found[table] = Reach(table, names[0], (names[0], *personal))
    return found


def digested(rows: DataFrame, column: str, key: bytes) -> DataFrame:
    """Adds the digest of the identifier in a column, null where that has none."""
    block = key.ljust(BLOCK, b"\0")
    blocks = (bytearray(b ^ INNER_PAD for b in block), bytearray(b ^ OUTER_PAD for b in block))
    keyed = rows.sparkSession.createDataFrame([blocks], f"{INNER} binary, {OUTER} binary")
    names = rows.columns
    return rows.join(F.broadcast(keyed), how="cross").select(*names, _hmac(clean_identifier(column)).alias(DIGEST))


def _hmac(text: Column) -> Column:
    inner = F.unhex(F.sha2(F.concat(F.col(INNER), F.encode(text, "UTF-8")), 256))
    return F.sha2(F.concat(F.col(OUTER), inner), 256)


def marked(rows: DataFrame, column: str, kept_out: KeptOut) -> DataFrame:
    """Adds `_digest`, and `_forgotten`: whether a column names a customer who was forgotten."""
    names = [(digest, True) for digest in sorted(kept_out.digests)]
    listed = rows.sparkSession.createDataFrame(names, f"{DIGEST} string, {FORGOTTEN} boolean")
    found = digested(rows, column, kept_out.key).join(F.broadcast(listed), DIGEST, how="left")
    return found.select(*rows.columns, DIGEST, F.coalesce(FORGOTTEN, F.lit(False)).alias(FORGOTTEN))


class Door:
    """The door as one run finds it."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._kept_out = lakehouse.ledger.kept_out()
        self._reaches: Mapping[str, Reach] = reaches(lakehouse.contracts) if self._kept_out.digests else {}

    def through(self, table: str, rows: DataFrame) -> DataFrame:
        """The rows that may come in, in columns as they were."""
        reach = self._reaches.get(table)
        if reach is None:
            return rows
        found = marked(rows, reach.column, self._kept_out)
        if not reach.emptied:
            return found.where(~F.col(FORGOTTEN)).select(*rows.columns)
        emptied = {c: F.when(~F.col(FORGOTTEN), F.col(c)) for c in reach.emptied if c in rows.columns}
        return found.withColumns(emptied).select(*rows.columns)

    def turned_away(self, table: str, rows: DataFrame) -> int:
        """How many rows stay out."""
        reach = self._reaches.get(table)
        if reach is None or reach.emptied:
            return 0
        return marked(rows, reach.column, self._kept_out).where(FORGOTTEN).count()
