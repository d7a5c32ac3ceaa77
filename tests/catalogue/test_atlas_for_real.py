"""A real Atlas, started as `make atlas` does: the catalogue is found in it by name, by what is personal and by lineage.

It takes minutes, most of them until Atlas answers. The ledger is one of the ledger's own functions, without a run of Spark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from lakehouse.catalogue import Catalogue, catalogue
from lakehouse.catalogue.atlas import export_catalogue
from lakehouse.catalogue.atlas.entities import entities_of
from lakehouse.catalogue.atlas.export import Done, export
from lakehouse.catalogue.atlas.server import Atlas, atlas_of
from lakehouse.catalogue.atlas.types import ENTITIES, RELATIONSHIPS
from lakehouse.catalogue.standing import Standing
from lakehouse.contracts import load_contracts
from lakehouse.database import Database
from lakehouse.errors import ConfigError, StoreError
from lakehouse.judging.suites import load_suites
from lakehouse.ledger import Ledger
from lakehouse.records import TableRun
from lakehouse.settings import Settings
from tests.catalogue.atlas import changes
from tests.catalogue.test_catalogue import publish
from tools.atlas.server import running

pytestmark = pytest.mark.slow
CONTRACTS = load_contracts()
SUITES = load_suites(CONTRACTS)
ALL_TYPES = len(ENTITIES) + len(RELATIONSHIPS) + 1
# Its index follows its graph within a second or so.
FOUND_SECONDS = 60


@pytest.fixture(scope="module")
def ledger(postgres: Any) -> Iterator[Ledger]:
    """One whose four layers have all been published."""
    database = Database(postgres.create_database("catalogue_atlas"), "gold", StoreError)
    ledger = Ledger(database)
    ledger.prepare("UTC")
    for layer in ("bronze", "silver", "gold"):
        tables = {layer: [TableRun(table, 1, 9, 9) for table in CONTRACTS[layer]]}
        if layer == "silver":
            tables["quarantine"] = [TableRun(table, 1) for table in CONTRACTS["silver"]]
        publish(ledger, layer, tables)
    yield ledger
    database.close()


def say(figure: str) -> None:
    """A figure for who runs this by hand."""
    print(f"\n  {figure}", flush=True)  # noqa: T201


def model(ledger: Ledger) -> Catalogue:
    return catalogue(CONTRACTS, SUITES, Standing(ledger.database))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Those of a home for which an Atlas runs."""
    home = tmp_path_factory.mktemp("atlas") / "home"
    began = time.monotonic()
    with running(home, 0) as (_, _, process):
        say(f"Atlas answers after {time.monotonic() - began:.0f} s")
        java = next(p for p in psutil.Process(process.pid).children(recursive=True) if p.name() == "java")
        assert Path(f"/proc/{java.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink(), (
            "what it listens on is its namespace's alone"
        )
        yield Settings(home=home)
        say(f"Atlas has {java.memory_info().rss / 1e6:,.0f} MB of memory")
    assert not java.is_running()
    assert not (home / "atlas" / "secrets").exists()


@pytest.fixture(scope="module")
def atlas(settings: Settings) -> Iterator[Atlas]:
    with atlas_of(settings) as atlas:
        yield atlas


def test_the_first_export_makes_all_and_the_second_changes_nothing(settings: Settings, ledger: Ledger) -> None:
    n = len(list(entities_of(model(ledger), ledger.identity(), "g", "UTC")))
    for expected in (Done(types=ALL_TYPES, created=n), Done(unchanged=n)):
        began = time.monotonic()
        _, done = export_catalogue(settings, model(ledger), ledger)
        say(f"{done} ({time.monotonic() - began:.1f} s)")
        assert done == expected


def found(atlas: Atlas, expected: Callable[[set[str]], bool], **asked: Any) -> set[str]:
    """Names of what a search finds, as soon as it is what is expected, at the latest when it has had its time."""
    deadline = time.monotonic() + FOUND_SECONDS
    while True:
        answer = atlas.send("POST", "search/basic", {"limit": 1000, "excludeDeletedEntities": True, **asked})
        names = {e["attributes"]["name"] for e in answer.get("entities") or ()}
        if expected(names) or time.monotonic() > deadline:
            return names
        time.sleep(1)


def by_name(name: str) -> dict[str, Any]:
    return {"attributeName": "name", "operator": "eq", "attributeValue": name}


def test_a_table_is_found_by_its_name_and_by_words(atlas: Atlas) -> None:
    for table in ("source.orders", "silver.orders", "gold.dim_customers"):
        assert found(atlas, {table}.issuperset, typeName="lakehouse_table", entityFilters=by_name(table)) == {table}
    began = time.monotonic()
    names = found(atlas, {"gold.dim_customers"}.issubset, typeName="lakehouse_table", query="dim_customers")
    say(f"a search by words: {time.monotonic() - began:.2f} s")
    assert "gold.dim_customers" in names


def test_what_is_personal_is_found_by_its_classification(atlas: Atlas, ledger: Ledger) -> None:
    entities = list(entities_of(model(ledger), ledger.identity(), "g", "UTC"))
    for kind, expected in (
        ("lakehouse_table", {e.attributes["name"] for e in entities if e.is_personal and "table" not in e.part_of}),
        ("lakehouse_column", {e.attributes["name"] for e in entities if e.is_personal and "table" in e.part_of}),
    ):
        assert expected
        assert found(atlas, expected.__eq__, typeName=kind, classification="PII") == expected


def guid_of(atlas: Atlas, kind: str, name: str, ledger: Ledger) -> str:
    header = atlas.get(
        f"entity/uniqueAttribute/type/{kind}/header", {"attr:qualifiedName": f"{name}@{ledger.identity()}"}
    )
    return str(header["guid"])


def test_lineage_leads_from_the_source_to_each_of_the_six_gold_tables(atlas: Atlas, ledger: Ledger) -> None:
    made_of = model(ledger).lineage

    def origins(name: str) -> set[str]:
        return {name} if not made_of[name] else set().union(*map(origins, made_of[name]))

    nodes = 0
    for gold in CONTRACTS["gold"]:
        guid = guid_of(atlas, "lakehouse_postgres_table", f"gold.{gold}", ledger)
        lineage = atlas.get(f"lineage/{guid}", {"direction": "INPUT", "depth": "12"})
        names = {e["attributes"]["name"] for e in lineage["guidEntityMap"].values()}
        assert {n for n in names if n.startswith("source.")} == origins(f"gold.{gold}"), gold
        nodes += len(names)
    say(f"lineage of six gold tables: {nodes} nodes")
    guid = guid_of(atlas, "lakehouse_postgres_table", "source.orders", ledger)
    after = atlas.get(f"lineage/{guid}", {"direction": "OUTPUT", "depth": "12"})["guidEntityMap"].values()
    assert {"bronze.orders", "silver.orders", "gold.fact_customer_orders"} <= {e["attributes"]["name"] for e in after}


def test_a_later_publish_changes_its_table_and_its_run_alone(settings: Settings, ledger: Ledger) -> None:
    publish(ledger, "silver", {"silver": [TableRun("orders", 2, 3, 3)]}, day=date(2026, 3, 11))
    _, done = export_catalogue(settings, model(ledger), ledger)
    say(f"{done}")
    assert (done.updated, done.created, done.deleted, done.marks) == (2, 0, 0, 0)


def test_marks_and_columns_that_are_gone_follow_the_contract(atlas: Atlas, ledger: Ledger) -> None:
    was = model(ledger)
    entities = entities_of(was, ledger.identity(), ledger.database.where.rpartition("/")[2], "UTC")

    def without(name: str) -> Catalogue:
        tables = tuple(t for t in was.tables if t.name != name)
        return replace(was, tables=tuple(
            replace(t, columns=tuple(replace(c, personal=True) for c in t.columns[:-1])) if t.name == "silver.products" else t
            for t in tables
        ))  # fmt: skip

    dropped = next(t for t in was.tables if t.name == "gold.agg_campaign_performance")
    products = next(t for t in was.tables if t.name == "silver.products")
    fewer = entities_of(without(dropped.name), ledger.identity(), ledger.database.where.rpartition("/")[2], "UTC")
    done = export(atlas, fewer)
    say(f"{done}")
    assert done.deleted == 1 + len(dropped.columns) + 1 + 1, "a table, its columns and run; and a column of another"
    assert done.marks == 1 + len(products.columns) - 1, "a table and the columns that are left of it"
    assert changes(export(atlas, fewer)) == Done()
    assert found(atlas, set().__eq__, typeName="lakehouse_table", entityFilters=by_name(dropped.name)) == set()
    back = export(atlas, entities)
    assert (back.created, back.marks) == (done.deleted, done.marks)
    assert changes(export(atlas, entities)) == Done()


def test_another_password_is_refused_and_so_is_the_one_that_everybody_knows(
    settings: Settings, ledger: Ledger, atlas: Atlas
) -> None:
    for password in ("admin", "another"):
        theirs = settings.model_copy(
            update={"atlas_url": SecretStr(f"http://{atlas.where}"), "atlas_password": SecretStr(password)}
        )
        with pytest.raises(ConfigError, match=r"refuses our user \(it answered 401\)"):
            export_catalogue(theirs, model(ledger), ledger)
