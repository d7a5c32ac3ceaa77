"""The catalogue as entities of an Atlas, and an export that changes only what is not so yet."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lakehouse.catalogue import Catalogue, catalogue
from lakehouse.catalogue.atlas.entities import Entities, entities_of
from lakehouse.catalogue.atlas.export import Done, export
from lakehouse.catalogue.atlas.server import Atlas, atlas_of
from lakehouse.catalogue.atlas.types import CLASSIFICATION, ENTITIES, RELATIONSHIPS, RUN, TABLE
from lakehouse.catalogue.model import Table
from lakehouse.cli.reading.catalogue import Form
from lakehouse.cli.reading.catalogue import export as command
from lakehouse.contracts import load_contracts
from lakehouse.errors import ConfigError, LakehouseError, StoreError, UsageError
from lakehouse.judging.suites import load_suites
from lakehouse.settings import Settings, secret_variables
from tests.catalogue.atlas import InMemory, changes, faults_of, handler, types_of_atlas
from tests.web_server import Handler, proxy, serving

pytestmark = pytest.mark.unit
CONTRACTS = load_contracts()
SUITES = load_suites(CONTRACTS)
LEDGER = "0b51f9c2"
DAY = date(2026, 3, 10)
AT = datetime(2026, 3, 11, 3, 4, 5, tzinfo=UTC)
PASSWORD = "hush-4711"


class Standing:
    """What a ledger says of which silver's orders alone have been published."""

    def published(self) -> list[dict[str, Any]]:
        return [{"layer": "silver", "table": "orders", "version": 7, "rows": 12, "business_date": DAY, "published_at": AT,
                 "run_id": "silver-1"}]  # fmt: skip

    def verdicts(self) -> list[dict[str, Any]]:
        return [{"layer": "silver", "table": "orders", "rule": "ordered_in_future", "severity": "warning", "success": False,
                 "unexpected": 3, "rows": 7, "run_id": "silver-1"}]  # fmt: skip

    def runs(self) -> list[dict[str, Any]]:
        return [{"layer": "silver", "table": "orders", "run_id": "silver-1", "business_date": DAY, "finished_at": AT,
                 "version": 7, "rows_kept": 11, "rows_quarantined": 1}]  # fmt: skip


@pytest.fixture
def model() -> Catalogue:
    return catalogue(CONTRACTS, SUITES, Standing())  # type: ignore[arg-type]


def entities(model: Catalogue) -> Entities:
    return entities_of(model, LEDGER, "ecommerce_gold", "UTC")


def named(model: Catalogue, name: str) -> Any:
    return next(e for e in entities(model) if e.name == f"{name}@{LEDGER}")


def changed(model: Catalogue, name: str, **facts: Any) -> Catalogue:
    """The catalogue with another table of that name."""
    return replace(model, tables=tuple(replace(t, **facts) if t.name == name else t for t in model.tables))


def column(table: Table, name: str, **facts: Any) -> tuple[Any, ...]:
    """The columns of a table, one of them another."""
    return tuple(replace(c, **facts) if c.name == name else c for c in table.columns)


def test_there_is_an_entity_for_each_table_column_and_run(model: Catalogue) -> None:
    made = entities(model)
    columns = {t.name: len(t.columns) for t in model.tables}
    of_source = sum(n for name, n in columns.items() if name.startswith("bronze."))
    assert len(made.tables) == 6 + 4 * 6
    assert len(made.runs) == 4 * 6
    assert sum(len(group) - 1 for group in made.tables) == sum(columns.values()) + of_source
    assert len(list(made)) == 1 + 30 + 24 + sum(columns.values()) + of_source
    assert len({e.name for e in made}) == len(list(made))


def test_every_entity_meets_its_type(model: Catalogue) -> None:
    types = types_of_atlas() | {d["name"]: d for d in (*ENTITIES, *RELATIONSHIPS, CLASSIFICATION)}
    assert [s for d in ENTITIES for s in d["superTypes"] if s not in types] == []
    made = list(entities(model))
    guids = {e.name: f"-{n}" for n, e in enumerate(made, 1)}
    assert [f for e in made for f in faults_of(types, e.document(guids))] == []


def test_what_may_be_missing_is_text_as_atlas_knows_no_missing_number(model: Catalogue) -> None:
    others = {a["name"] for d in ENTITIES for a in d["attributeDefs"] if "string" not in a["typeName"]}
    assert others == {"position"}
    assert all(e.attributes["position"] for e in entities(model) if e.kind == "lakehouse_column")


def test_a_wrong_entity_would_be_found() -> None:
    types = types_of_atlas() | {d["name"]: d for d in (*ENTITIES, *RELATIONSHIPS)}
    wrong = {"typeName": TABLE, "attributes": {"qualifiedName": "a", "colour": "red", "rows": 7},
             "relationshipAttributes": {"table": {"guid": "-1"}}}  # fmt: skip
    assert sorted(faults_of(types, wrong)) == [
        "lakehouse_table has no attribute colour",
        "lakehouse_table is related by no table",
        "lakehouse_table needs name",
        "lakehouse_table.rows is no str",
    ]


def test_a_table_stands_as_the_ledger_says(model: Catalogue) -> None:
    orders = named(model, "silver.orders")
    assert orders.kind == "lakehouse_delta_table"
    told = {
        name: orders.attributes[name]
        for name in ("publishedVersion", "rows", "businessDate", "publishedAt", "brokenRules")
    }
    assert told == {"publishedVersion": "7", "rows": "12", "businessDate": "2026-03-10", "publishedAt": "2026-03-11T03:04:05+00:00",
                    "brokenRules": ["ordered_in_future"]}  # fmt: skip
    run = named(model, "silver.orders/run")
    assert (run.attributes["runId"], run.attributes["rowsKept"], run.attributes["rowsQuarantined"]) == (
        "silver-1",
        "11",
        "1",
    )
    assert named(model, "gold.dim_customers").kind == "lakehouse_postgres_table"
    assert named(model, "gold.dim_customers").attributes["publishedVersion"] is None


def test_what_a_contract_calls_personal_is_marked_and_nothing_else(model: Catalogue) -> None:
    marked = {e.name.partition("@")[0] for e in entities(model) if e.is_personal}
    layers = {"source": "bronze", "quarantine": "bronze"}
    expected = set()
    for layer in ("source", "bronze", "quarantine", "silver", "gold"):
        for table, contract in CONTRACTS[layers.get(layer, layer)].items():
            personal = {f"{layer}.{table}.{c.name}" for c in contract.columns if c.classification == "personal"}
            expected |= personal | ({f"{layer}.{table}"} if personal else set())
    assert marked == expected
    assert {"source.customers.email", "silver.customers", "gold.dim_customers"} <= marked


def test_lineage_leads_from_every_gold_table_to_the_source(model: Catalogue) -> None:
    made_of: dict[str, tuple[str, ...]] = {r.refers["outputs"][0]: r.refers["inputs"] for r in entities(model).runs}

    def origins(name: str) -> set[str]:
        return {name} if name not in made_of else set().union(*map(origins, made_of[name]))

    for gold in CONTRACTS["gold"]:
        found = origins(f"gold.{gold}@{LEDGER}")
        assert found
        assert all(name.startswith("source.") for name in found)
    assert named(model, "gold.dim_customers.lifetime_net_sales").attributes["madeOf"]


@pytest.fixture
def memory() -> InMemory:
    return InMemory()


@pytest.fixture
def atlas(memory: InMemory) -> Iterator[Atlas]:
    with serving(handler(memory)) as url, Atlas(url, "admin", PASSWORD, seconds=20) as atlas:
        yield atlas


def test_a_second_export_changes_nothing(model: Catalogue, memory: InMemory, atlas: Atlas) -> None:
    made = entities(model)
    n = len(list(made))
    assert export(atlas, made) == Done(types=len(ENTITIES) + len(RELATIONSHIPS) + 1, created=n)
    before = json.dumps([memory.entities, memory.types])
    memory.changes.clear()
    again = export(atlas, made)
    assert again == Done(unchanged=n)
    assert str(again) == f"0 created, 0 updated, 0 deleted, {n:,} unchanged; 0 types and 0 marks changed"
    assert json.dumps([memory.entities, memory.types]) == before
    # Of an entity that is as it should be Atlas changes nothing; nothing else was asked of it.
    assert set(memory.changes) == {"POST entity/bulk"}


def test_a_publish_changes_its_table_and_its_run(model: Catalogue, atlas: Atlas) -> None:
    export(atlas, entities(model))
    [run] = next(t.runs for t in model.tables if t.name == "silver.orders")
    later = changed(model, "silver.orders", version=8, rows=13, runs=(replace(run, run_id="silver-2"),))
    done = export(atlas, entities(later))
    assert (done.updated, done.created, done.deleted, done.marks) == (2, 0, 0, 0)


def test_what_becomes_personal_is_marked_and_what_no_longer_is_loses_its_mark(
    model: Catalogue, memory: InMemory, atlas: Atlas
) -> None:
    def marked() -> set[str]:
        return {e["attributes"]["name"] for e in memory.entities.values() if e["classifications"]}

    export(atlas, entities(model))
    before = marked()
    products = next(t for t in model.tables if t.name == "silver.products")
    later = changed(model, "silver.products", columns=column(products, "product_name", personal=True))
    assert export(atlas, entities(later)).marks == 2, "the column, and with it the table"
    assert marked() - before == {"product_name", "silver.products"}
    assert changes(export(atlas, entities(later))) == Done()
    assert export(atlas, entities(model)).marks == 2
    assert marked() == before


def test_what_the_catalogue_no_longer_has_is_deleted_with_what_belongs_to_it(
    model: Catalogue, memory: InMemory, atlas: Atlas
) -> None:
    export(atlas, entities(model))
    orders = next(t for t in model.tables if t.name == "silver.orders")
    fewer = changed(model, "silver.orders", columns=orders.columns[:-1])
    fewer = replace(fewer, tables=tuple(t for t in fewer.tables if t.name != "gold.agg_campaign_performance"))
    done = export(atlas, entities(fewer))
    gone = {e["attributes"]["name"] for e in memory.entities.values() if e["status"] == "DELETED"}
    table = next(t for t in model.tables if t.name == "gold.agg_campaign_performance")
    assert gone == {orders.columns[-1].name, table.name, f"run of {table.name}", *(c.name for c in table.columns)}
    assert (done.deleted, done.updated) == (len(table.columns) + 3, 0)
    assert changes(export(atlas, entities(fewer))) == Done()
    assert export(atlas, entities(model)).created == done.deleted


def test_an_export_that_was_ended_goes_on_where_it_was(model: Catalogue, memory: InMemory, atlas: Atlas) -> None:
    made = entities(model)
    export(atlas, replace(made, tables=made.tables[:9], runs=()))
    n = len(list(made))
    done = export(atlas, made)
    assert done.created + done.unchanged == n
    assert done.unchanged == 1 + sum(map(len, made.tables[:9]))
    assert export(atlas, made) == Done(unchanged=n)


def test_two_lakehouses_in_one_atlas_do_not_meet(model: Catalogue, memory: InMemory, atlas: Atlas) -> None:
    export(atlas, entities(model))
    other = entities_of(model, "another", "ecommerce_gold", "UTC")
    assert export(atlas, other) == Done(created=len(list(other)))
    assert changes(export(atlas, entities(model))) == Done()


def test_types_of_an_earlier_release_get_what_they_lack(model: Catalogue, memory: InMemory, atlas: Atlas) -> None:
    export(atlas, entities(model))
    table = memory.types[TABLE]
    memory.types[TABLE] = {**table, "attributeDefs": [a for a in table["attributeDefs"] if a["name"] != "grain"]}
    assert export(atlas, entities(model)).types == 1
    assert memory.types[TABLE] == table


@pytest.mark.parametrize(
    ("name", "theirs", "said"),
    [
        (TABLE, {"category": "ENTITY", "serviceType": "warehouse", "attributeDefs": []}, "is not ours"),
        (RUN, {"category": "STRUCT", "serviceType": "lakehouse", "attributeDefs": []}, "is not ours"),
        (
            TABLE,
            {
                "category": "ENTITY",
                "serviceType": "lakehouse",
                "attributeDefs": [{"name": "rows", "typeName": "long"}],
            },
            "is of another release of ours, and differs",
        ),
        ("PII", {"category": "ENTITY", "attributeDefs": []}, "is no classification for any entity"),
        (
            "PII",
            {"category": "CLASSIFICATION", "attributeDefs": [{"name": "level", "isOptional": False}]},
            "is no classification for any entity without more words",
        ),
    ],
)
def test_foreign_types_are_refused_before_anything_is_exported(
    model: Catalogue, memory: InMemory, atlas: Atlas, name: str, theirs: dict[str, Any], said: str
) -> None:
    memory.types[name] = {"name": name, **theirs}
    with pytest.raises(ConfigError, match=f"has a type {name} that {said}"):
        export(atlas, entities(model))
    assert memory.changes == []


def test_a_classification_of_others_is_taken_as_it_is(model: Catalogue, memory: InMemory, atlas: Atlas) -> None:
    theirs = {"name": "PII", "category": "CLASSIFICATION", "description": "Theirs", "attributeDefs": [{"name": "why", "isOptional": True}]}  # fmt: skip
    memory.types["PII"] = theirs
    export(atlas, entities(model))
    assert memory.types["PII"] is theirs


def answering(status: int, body: bytes = b"") -> type[Handler]:
    class Always(Handler):
        def get(self) -> None:
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/login.jsp")
            self.end_headers()
            self.wfile.write(body)

    return Always


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (
            500,
            b'{"errorCode":"ATLAS-500-00-001","errorMessage":"hush-4711"}',
            StoreError,
            "answered 500, ATLAS-500-00-001 to GET",
        ),
        (503, b"<html>hush-4711</html>", StoreError, "answered 503 to GET types/typedef/name/PII"),
        (401, b"", ConfigError, r"refuses our user \(it answered 401\): check LAKEHOUSE_ATLAS_USER"),
        (403, b"", ConfigError, r"refuses our user \(it answered 403\)"),
        (302, b"", ConfigError, r"refuses our user \(it answered 302\)"),
        (
            200,
            b"<html>hush-4711</html>",
            StoreError,
            "is no Atlas: its answer to GET types/typedef/name/PII is no JSON",
        ),
    ],
)
def test_an_answer_that_is_none_is_told_in_a_sentence_without_its_words(
    model: Catalogue, status: int, body: bytes, kind: type[LakehouseError], said: str
) -> None:
    with (
        serving(answering(status, body)) as url,
        Atlas(url.replace("//", "//admin:hush-4711@"), "admin", PASSWORD) as atlas,
        pytest.raises(kind, match=said) as refused,
    ):
        export(atlas, entities(model))
    assert PASSWORD not in str(refused.value)
    assert kind.exit_code == {StoreError: 7, ConfigError: 3}[kind]


def test_an_atlas_that_is_down_or_never_answers_is_not_waited_for(model: Catalogue) -> None:
    over = threading.Event()

    class Never(Handler):
        def get(self) -> None:
            over.wait(60)

    with serving(Never) as url:
        with (
            Atlas(url, "admin", PASSWORD, seconds=0.3) as atlas,
            pytest.raises(StoreError, match=r"does not answer \(ReadTimeout\)"),
        ):
            export(atlas, entities(model))
        over.set()
    with (
        Atlas(url, "admin", PASSWORD) as atlas,
        pytest.raises(StoreError, match=r"does not answer \(ConnectError\): check"),
    ):
        export(atlas, entities(model))


def test_the_atlas_is_that_of_the_settings_else_the_one_of_this_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(**more: Any) -> Settings:
        return Settings(home=tmp_path, **more)

    url, password = SecretStr("https://atlas.example.com:21443/"), SecretStr(PASSWORD)
    assert atlas_of(settings(atlas_url=url, atlas_password=password)).where == "atlas.example.com:21443"
    with pytest.raises(ConfigError, match="LAKEHOUSE_ATLAS_URL is not set"):
        atlas_of(settings())
    with pytest.raises(ConfigError, match="LAKEHOUSE_ATLAS_PASSWORD is not set"):
        atlas_of(settings(atlas_url=url))
    (tmp_path / "atlas" / "secrets").mkdir(parents=True)
    (tmp_path / "atlas" / "secrets" / "LAKEHOUSE_ATLAS_URL").write_text("http://127.0.0.1:21000")
    (tmp_path / "atlas" / "secrets" / "LAKEHOUSE_ATLAS_USER").write_text("admin")
    (tmp_path / "atlas" / "secrets" / "LAKEHOUSE_ATLAS_PASSWORD").write_text(PASSWORD)
    assert atlas_of(settings()).where == "127.0.0.1:21000"
    ours = atlas_of(settings(atlas_user="of another", atlas_password=SecretStr("of another")))
    assert authorization(ours) == authorization(Atlas("http://127.0.0.1:21000", "admin", PASSWORD))
    with pytest.raises(ConfigError, match="LAKEHOUSE_ATLAS_PASSWORD is not set"):
        atlas_of(settings(atlas_url=url))
    with pytest.raises(ValueError, match="LAKEHOUSE_ATLAS_PASSWORD: everybody knows this password"):
        settings(atlas_url=url, atlas_password=SecretStr("admin"))
    assert {"LAKEHOUSE_ATLAS_URL", "LAKEHOUSE_ATLAS_PASSWORD"} <= secret_variables()


def authorization(atlas: Atlas) -> str:
    """What an Atlas is shown by its client."""
    [request] = atlas._client.auth.auth_flow(atlas._client.build_request("GET", "types"))  # type: ignore[union-attr]
    return request.headers["Authorization"]


def test_an_atlas_on_loopback_is_asked_past_the_proxy_of_the_environment(
    memory: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(handler(memory)) as url, proxy(monkeypatch) as seen, Atlas(url, "admin", PASSWORD) as atlas:
        assert atlas.get("types/typedef/name/Referenceable")
        with Atlas("http://atlas.example.com", "admin", PASSWORD) as elsewhere, pytest.raises(StoreError):
            elsewhere.get("types")
    assert seen == ["http://atlas.example.com/api/atlas/v2/types"]


def test_an_export_to_atlas_writes_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="writes no file: leave --out away"):
        command(Form.atlas, tmp_path / "atlas.json")
