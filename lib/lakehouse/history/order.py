"""One order's way: the source's row, its images in bronze, silver, what waits in quarantine, gold, and the runs between them.

Versions are read as they are published; nothing is written, and no value of a column that a contract marks as personal is
read. An identifier is compared in its one form, so `a17`, ` A17` and `17.0` find what silver calls A17 and 17.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.dataset
from psycopg2 import sql

from lakehouse.contracts import Contract, Contracts
from lakehouse.database import Database
from lakehouse.errors import LakehouseError, LedgerError
from lakehouse.lake.arrow import dataset, reading
from lakehouse.ledger import Ledger
from lakehouse.settings import Settings

ORDERS, LINES = "orders", "order_items"
# A row of any place, with its columns in the contract's order.
Row = dict[str, Any]
BLANKS = re.compile(r"[ \t\n\x0b\f\r\u00a0]+")
FLOAT = re.compile(r"\A([0-9]+)\.0\Z")


@dataclass(frozen=True)
class Way:
    """What each place holds of an order and of its lines, each row with its columns that may be shown.

    Places are `source.orders`, `bronze.order_items` and so on, from the source to `gold.fact_customer_orders`. A place that
    did not answer is not among them; `unanswered` says why.
    """

    order_id: str
    places: dict[str, list[Row]]
    runs: dict[str, Row]
    unanswered: tuple[str, ...] = ()


def cleaned(identifier: object) -> str | None:
    """An identifier in its one form, as silver writes it: columns.clean_identifier, for one text without Spark."""
    text = BLANKS.sub(" ", "" if identifier is None else str(identifier)).strip(" ").upper()
    return FLOAT.sub(r"\1", text) or None


def way(settings: Settings, contracts: Contracts, gold: Database, source: Database | None, order_id: str) -> Way:
    """Reads the way of an order.

    Raises LedgerError where nothing was published yet, StoreError where a version cannot be read.
    """
    wanted, ledger = cleaned(order_id), Ledger(gold)
    if not ledger.published("bronze"):
        raise LedgerError("nothing was published yet: run a day first, as in `lakehouse run day`")
    if wanted is None:
        return Way("", {}, {})
    places, silent = dict[str, list[Row]](), list[str]()
    lake = _Lake(settings, contracts, ledger)
    lines: set[str | None] = set()
    for layer in ("bronze", "quarantine", "silver"):
        places[f"{layer}.{ORDERS}"] = lake.rows(layer, ORDERS, "order_id", {wanted})
        found = lake.rows(layer, LINES, "order_id", {wanted})
        lines |= {cleaned(row["order_item_id"]) for row in found} - {None}
        places[f"{layer}.{LINES}"] = found
    # A tombstone knows its own key alone.
    places[f"bronze.{LINES}"] += lake.rows("bronze", LINES, "order_item_id", lines, only_dead=True)
    if source is not None:
        of = [f"{layer}.{table}" for layer in ("bronze", "quarantine") for table in (ORDERS, LINES)]
        written = {row["order_id"] for place in of for row in places[place]}
        try:
            places = {**_of_source(source, contracts["bronze"], {wanted, wanted.lower(), *written} - {None}), **places}
        except LakehouseError as e:
            silent.append(f"the source was not read: {e}")
    places["gold.fact_customer_orders"] = _of_gold(gold, contracts["gold"]["fact_customer_orders"], wanted)
    return Way(wanted, places, _runs(gold, places), tuple(silent))


class _Lake:
    """Rows of published versions, by a key in its one form."""

    def __init__(self, settings: Settings, contracts: Contracts, ledger: Ledger) -> None:
        self._settings, self._contracts = settings, contracts
        self._published = {layer: ledger.published(layer) for layer in ("bronze", "quarantine", "silver")}

    def rows(
        self, layer: str, table: str, column: str, wanted: set[str | None], *, only_dead: bool = False
    ) -> list[Row]:
        """The rows whose `column` is one of the wanted, oldest run first; only tombstones with `only_dead`."""
        pointer = self._published[layer].get(table)
        if pointer is None:
            return []
        contract = self._contracts["silver" if layer == "silver" else "bronze"][table]
        whole = dataset(self._settings, layer, table, pointer.version, contract.shown)
        if only_dead and "_deleted" not in whole.schema.names:
            return []
        key = pyarrow.dataset.field(column)
        among = pyarrow.dataset.field("_deleted") if only_dead else key.is_valid()
        # Silver has identifiers in their one form. Elsewhere the keys alone are read first, for the forms that they have.
        forms: set[str | None] = wanted
        with reading(layer, table, pointer.version):
            if layer != "silver":
                keys = whole.to_table(columns=[column], filter=among).column(column).unique().to_pylist()
                forms = {k for k in keys if cleaned(k) in wanted}
            if not forms:
                return []
            found: list[Row] = whole.to_table(filter=among & key.isin(list(forms))).to_pylist()
        return sorted(found, key=lambda row: str(row.get("_ingested_at") or row.get("_first_seen_at") or ""))


def _of_source(source: Database, contracts: Mapping[str, Contract], forms: set[str]) -> dict[str, list[Row]]:
    """Rows of the source as it is now, by the forms of the identifier that bronze has seen, which the server finds by an index."""
    from lakehouse.source.postgres import SCHEMA  # late, as it brings Spark's classes

    found = {}
    for table in (ORDERS, LINES):
        names = contracts[table].shown(contracts[table].names)
        question = sql.SQL("select {} from {} where order_id = any(%s)").format(
            sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(SCHEMA, table)
        )
        found[f"source.{table}"] = _rows(source, question, (sorted(forms),))
    return found


def _of_gold(gold: Database, contract: Contract, wanted: str) -> list[Row]:
    """The order's row in gold; none where gold was never made."""
    there = _rows(gold, sql.SQL("select 1 where to_regclass(%s) is not null"), (f"gold.{contract.table}",))
    if not there:
        return []
    names = [*contract.shown(contract.names), "_published_at", "_run_id"]
    question = sql.SQL("select {} from gold.{} where order_id = %s").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(contract.table)
    )
    return _rows(gold, question, (wanted,))


def _runs(gold: Database, places: Mapping[str, Sequence[Row]]) -> dict[str, Row]:
    """What the ledger knows of each run that the rows name, oldest first."""
    ids = {str(row["_run_id"]) for rows in places.values() for row in rows if row.get("_run_id")}
    question = sql.SQL("select run_id, layer, business_date, state, finished_at from ops.runs "
                       "where run_id = any(%s) order by seq")  # fmt: skip
    return {row["run_id"]: row for row in _rows(gold, question, (sorted(ids),))}


def _rows(database: Database, question: sql.Composable, values: Sequence[object]) -> list[Row]:
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(question, values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def dead(row: Row) -> bool:
    """Whether a row of bronze says that its key was gone from the source."""
    return bool(row.get("_deleted"))
