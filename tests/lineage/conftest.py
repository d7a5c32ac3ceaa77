"""A ledger of a day's runs, made by its own functions; OpenLineage's own schemas. No Spark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import GateError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.records import Extracted, Finding, TableRun

CONTRACTS = load_contracts()
DAY = date(2026, 3, 10)
SPEC = Path(__file__).parent / "spec"


class Past:
    """Runs as the ledger keeps them."""

    def __init__(self, database: Database) -> None:
        self.database, self.ledger = database, Ledger(database)
        self.ledger.prepare("UTC")
        self.runs: dict[str, str] = {}

    def run(
        self, name: str, layer: str, tables: dict[str, list[TableRun]], *findings: Finding,
        inputs: dict[str, int] | None = None, judges: str = "", fails: bool = False,
    ) -> str:  # fmt: skip
        """A run that is published, or fails; `judges`: the run of bronze whose orders one of silver has judged."""
        ledger = self.ledger
        shapes = {
            of: {t: c.shape for t, c in CONTRACTS["bronze" if of == "quarantine" else of].items()} for of in tables
        }
        with ledger.alone(layer) as lease:
            with lease.transaction() as cursor:
                run = ledger.open(cursor, layer, DAY)
            if fails:
                ledger.fail(run.run_id, GateError("silver.orders breaks ordered_in_future"))
            else:
                with lease.transaction() as cursor:
                    ledger.publish(cursor, run, tables, shapes, inputs)
                    if judges:
                        window = Extracted(self.runs[judges], "orders", DAY, None, run.started_at, "1", 1)
                        ledger.consume(cursor, run, {"orders": [window]})
        ledger.record_findings(run, findings)
        self.runs[name] = run.run_id
        return run.run_id


@pytest.fixture(scope="session")
def past(postgres: Any) -> Iterator[Past]:
    """Two days of orders: silver judged the first of bronze's runs only; quarantine got its first row with the second run."""
    database = Database(postgres.create_database("lineage"), "gold", StoreError)
    past = Past(database)
    in_future = Finding("silver", "orders", "ordered_in_future", "warning", False, 3, 8)
    adds_up = Finding("silver", "orders", "rows_of_run_add_up", "critical", True, None, None)
    past.run("bronze", "bronze", {"bronze": [TableRun("orders", 4, 8, 8, bytes_written=900, snapshot="s1")]})
    past.run("later bronze", "bronze", {"bronze": [TableRun("orders", 5, 1, 1, snapshot="s2")]})
    past.run(
        "silver", "silver", {"silver": [TableRun("orders", 0, 8, 7)], "quarantine": [TableRun("orders", 0, 1, 1)]},
        in_future, adds_up, judges="bronze",
    )  # fmt: skip
    past.run("quiet silver", "silver", {"silver": [TableRun("orders")], "quarantine": [TableRun("orders")]})
    past.run(
        "gold", "gold", {"gold": [TableRun("fact_customer_orders", 3, 7, 7), TableRun("dim_customers", 1, 2, 2)]},
        inputs={"orders": 0, "order_items": 6, "customers": 2, "as_of": DAY.toordinal(), "transforms": 99},
    )  # fmt: skip
    past.run(
        "refused", "silver", {}, Finding("silver", "orders", "ordered_in_future", "critical", False, 8, 8), fails=True
    )
    yield past
    database.close()


@pytest.fixture(scope="session")
def check() -> Callable[[dict[str, Any]], None]:
    """Holds an event, and each of its facets, against the schema that it names."""
    schemas = [json.loads(file.read_text(encoding="utf-8")) for file in SPEC.glob("*.json")]
    registry = Registry().with_resources((s["$id"], Resource.from_contents(s)) for s in schemas)

    def against(url: str, what: object) -> None:
        validator = Draft202012Validator({"$ref": url}, registry=registry, format_checker=FormatChecker())
        assert [f"{e.json_path}: {e.message}" for e in validator.iter_errors(what)] == []

    def facets(part: object) -> Iterator[dict[str, Any]]:
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        for value in inner:
            yield from facets(value)
        if isinstance(part, dict) and "_schemaURL" in part:
            yield part

    def check(event: dict[str, Any]) -> None:
        against(event["schemaURL"], event)
        for facet in facets(event):
            against(facet["_schemaURL"], facet)

    return check
