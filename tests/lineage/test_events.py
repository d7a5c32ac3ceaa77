"""What an event says of a run: by OpenLineage's own schemas, and by a ledger of known runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from openlineage.client.naming.dataset import S3, LocalFileSystem, Postgres

from lakehouse.lineage.ended import EndedRuns, TableEnded
from lakehouse.lineage.events import lines_of
from lakehouse.lineage.names import Names
from lakehouse.lineage.parent import Parent, parent_of
from tests.lineage.conftest import CONTRACTS, DAY, Past

pytestmark = pytest.mark.integration
NAMES = Names("s3a:", "gold.example:5432/shop", "shop.example:5433/web")
TASK = "019b7ca5-cf80-731e-8c05-1def20c27dd0"
Events = dict[tuple[str, str], dict[str, Any]]


def events(past: Past, name: str, parent: Parent | None = None, zone: str = "UTC") -> Events:
    """The events of a run by job and type."""
    run = EndedRuns(past.database).run(past.runs[name])
    assert run is not None
    found = [json.loads(line) for line in lines_of(run, CONTRACTS, NAMES, ZoneInfo(zone), parent)]
    by_kind = {(e["job"]["name"], e["eventType"]): e for e in found}
    assert len(by_kind) == len(found), "one of each"
    return by_kind


def versions(datasets: list[dict[str, Any]]) -> dict[str, str]:
    return {d["name"]: d["facets"]["version"]["datasetVersion"] for d in datasets}


@pytest.mark.parametrize("name", ["bronze", "silver", "quiet silver", "gold", "refused"])
def test_every_event_keeps_the_schemas_it_names(past: Past, check: Callable[[Any], None], name: str) -> None:
    for event in events(past, name, Parent("airflow", "dag.task", TASK)).values():
        check(event)


def test_a_schema_that_is_not_kept_is_found(past: Past, check: Callable[[Any], None]) -> None:
    event = events(past, "gold")["lakehouse.gold.dim_customers", "COMPLETE"]
    event["outputs"][0]["facets"]["schema"]["fields"][0].pop("name")
    with pytest.raises(AssertionError, match="'name' is a required property"):
        check(event)


def test_a_run_of_a_layer_and_each_table_it_published_begin_and_end(past: Past) -> None:
    assert list(events(past, "silver")) == [
        ("lakehouse.silver", "START"),
        ("lakehouse.quarantine.orders", "START"),
        ("lakehouse.quarantine.orders", "COMPLETE"),
        ("lakehouse.silver.orders", "START"),
        ("lakehouse.silver.orders", "COMPLETE"),
        ("lakehouse.silver", "COMPLETE"),
    ]


def test_bronze_is_made_of_the_source_as_of_a_snapshot(past: Past) -> None:
    event = events(past, "bronze")["lakehouse.bronze.orders", "COMPLETE"]
    (read,), (written,) = event["inputs"], event["outputs"]
    assert (read["namespace"], versions([read])) == ("postgres://shop.example:5433", {"web.public.orders": "s1"})
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 8
    assert (written["namespace"], versions([written])) == ("s3://bronze", {"orders": "4"})
    counted = written["outputFacets"]["outputStatistics"]
    assert (counted["rowCount"], counted["size"]) == (8, 900)


def test_silver_is_made_of_the_bronze_it_judged_and_of_what_waited_before(past: Past) -> None:
    first = events(past, "silver")["lakehouse.silver.orders", "COMPLETE"]
    assert versions(first["inputs"]) == {"orders": "4"}, "not 5, which it has not judged; and nothing had waited"
    assert [d["namespace"] for d in first["inputs"]] == ["s3://bronze"]
    second = events(past, "quiet silver")["lakehouse.silver.orders", "COMPLETE"]
    assert {d["namespace"]: versions([d])["orders"] for d in second["inputs"]} == {
        "s3://bronze": "5",
        "s3://quarantine": "0",
    }
    assert versions(second["outputs"]) == {"orders": "0"}, "no version of its own: the one before stands"
    assert second["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0


def test_gold_is_made_of_the_versions_that_its_plan_named(past: Past) -> None:
    made = events(past, "gold")
    orders = made["lakehouse.gold.fact_customer_orders", "COMPLETE"]
    assert versions(orders["inputs"]) == {"orders": "0", "order_items": "6"}
    assert {d["namespace"] for d in orders["inputs"]} == {"s3://silver"}
    assert versions(orders["outputs"]) == {"shop.gold.fact_customer_orders": "3"}
    customers = made["lakehouse.gold.dim_customers", "COMPLETE"]
    read = versions(customers["inputs"])
    assert (read["customers"], read["shop.gold.fact_customer_orders"]) == ("2", "3"), "gold's own of the same run"
    assert (read["orders"], read["order_items"]) == ("0", "6"), "which its columns are made of, by way of that one"


def test_columns_are_named_with_their_origins_and_personal_ones_are_marked(past: Past) -> None:
    (written,) = events(past, "gold")["lakehouse.gold.dim_customers", "COMPLETE"]["outputs"]
    facets = written["facets"]
    contract = CONTRACTS["gold"]["dim_customers"]
    assert [(f["name"], f["type"]) for f in facets["schema"]["fields"]] == [(c.name, c.type) for c in contract.columns]
    assert {(t["key"], t["field"]) for t in facets["tags"]["tags"]} == {
        ("personal", "full_name"),
        ("personal", "email"),
    }
    origins = {(f["namespace"], f["name"], f["field"])
               for f in facets["columnLineage"]["fields"]["lifetime_net_sales"]["inputFields"]}  # fmt: skip
    assert ("postgres://gold.example:5432", "shop.gold.fact_customer_orders", "net_amount") in origins


def test_the_tables_that_columns_come_from_are_all_among_the_inputs(past: Past) -> None:
    for name in ("bronze", "silver", "gold"):
        for (job, kind), event in events(past, name).items():
            inputs = {(d["namespace"], d["name"]) for d in event["inputs"]}
            origins = {
                (f["namespace"], f["name"])
                for d in event["outputs"]
                for column in d["facets"]["columnLineage"]["fields"].values()
                for f in column["inputFields"]
            }
            assert origins <= inputs, f"{job} {kind}"


def test_the_gate_is_told_by_its_rules(past: Past) -> None:
    (judged,) = events(past, "silver")["lakehouse.silver", "COMPLETE"]["inputs"]
    assert (judged["namespace"], versions([judged])) == ("s3://silver", {"orders": "0"})
    rules = judged["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert rules == [
        {"assertion": "ordered_in_future", "success": False, "severity": "warn", "actual": "3", "params": {"rows": 8}},
        {"assertion": "rows_of_run_add_up", "success": True, "severity": "error", "params": {}},
    ]


def test_a_run_that_failed_says_why_and_wrote_nothing(past: Past) -> None:
    made = events(past, "refused")
    assert set(made) == {("lakehouse.silver", "START"), ("lakehouse.silver", "FAIL")}
    end = made["lakehouse.silver", "FAIL"]
    assert end["run"]["facets"]["errorMessage"]["message"] == "silver.orders breaks ordered_in_future"
    assert end["outputs"] == []
    (judged,) = end["inputs"]
    assert "version" not in judged["facets"], "what failed was never published"
    assert judged["inputFacets"]["dataQualityAssertions"]["assertions"][0]["success"] is False


def test_events_told_again_are_of_the_same_runs(past: Past) -> None:
    assert events(past, "gold") == events(past, "gold")
    ids = {e["run"]["runId"] for e in events(past, "gold").values()}
    assert len(ids) == 3, "of the layer, and of two tables"
    assert not ids & {e["run"]["runId"] for e in events(past, "silver").values()}
    tags = events(past, "gold")["lakehouse.gold", "START"]["run"]["facets"]["tags"]["tags"]
    assert {t["key"]: t["value"] for t in tags} == {"ledger_run": past.runs["gold"], "state": "published"}


def test_a_table_without_a_contract_now_is_left_out_of_what_is_told_of_then(past: Past) -> None:
    run = EndedRuns(past.database).run(past.runs["gold"])
    assert run is not None
    gone = TableEnded("gold", "agg_long_ago", 3, 1, 1, 0, None)
    lines = lines_of(replace(run, tables=(*run.tables, gone)), CONTRACTS, NAMES, ZoneInfo("UTC"))
    assert lines == lines_of(run, CONTRACTS, NAMES, ZoneInfo("UTC"))


def test_a_runs_nominal_time_is_its_business_date_in_the_shops_zone(past: Past) -> None:
    facet = events(past, "gold", zone="Europe/Berlin")["lakehouse.gold", "START"]["run"]["facets"]["nominalTime"]
    assert facet["nominalStartTime"] == "2026-03-09T23:00:00+00:00"
    assert facet["nominalEndTime"] == f"{DAY}T23:00:00+00:00"


def test_a_table_belongs_to_its_layers_run_and_that_to_the_task_that_started_it(past: Past) -> None:
    made = events(past, "gold", Parent("airflow", "daily_gold_aggregation.aggregate", TASK))
    layer, table = made["lakehouse.gold", "START"]["run"], made["lakehouse.gold.dim_customers", "START"]["run"]
    above = layer["facets"]["parent"]
    assert (above["job"]["name"], above["run"]["runId"]) == ("daily_gold_aggregation.aggregate", TASK)
    assert table["facets"]["parent"]["run"]["runId"] == layer["runId"]
    assert table["facets"]["parent"]["root"]["run"]["runId"] == TASK
    alone = events(past, "gold")
    assert "parent" not in alone["lakehouse.gold", "START"]["run"]["facets"]
    assert alone["lakehouse.gold.dim_customers", "START"]["run"]["facets"]["parent"]["job"]["name"] == "lakehouse.gold"


AIRFLOW = {
    "AIRFLOW_CTX_DAG_ID": "daily_silver_transformation",
    "AIRFLOW_CTX_TASK_ID": "transform",
    "AIRFLOW_CTX_TRY_NUMBER": "1",
    "AIRFLOW_CTX_DAG_RUN_ID": "asset_triggered__2026-01-02T03:00:00+00:00_Ab3",
}


@pytest.mark.parametrize(
    ("environment", "parent"),
    [
        # The id that apache-airflow-providers-openlineage 2.20.3 gives this task.
        (AIRFLOW, Parent("default", "daily_silver_transformation.transform", TASK)),
        ({**AIRFLOW, "AIRFLOW_CTX_LOGICAL_DATE": "2026-01-02T04:00:00+01:00", "AIRFLOW_CTX_DAG_RUN_ID": "by hand"},
         Parent("default", "daily_silver_transformation.transform", TASK)),
        ({**AIRFLOW, "OPENLINEAGE_PARENT_ID": f"night/shop.silver/{TASK}"}, Parent("night", "shop.silver", TASK)),
        ({**AIRFLOW, "AIRFLOW_CTX_DAG_RUN_ID": "by hand"}, None),
        ({"OPENLINEAGE_PARENT_ID": "night/shop.silver/no-uuid"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_the_parent_is_the_task_that_the_environment_tells_of(
    environment: dict[str, str], parent: Parent | None
) -> None:
    assert parent_of(environment) == parent


@pytest.mark.parametrize(
    ("names", "table", "kind"),
    [
        (NAMES, "source.orders", Postgres("shop.example", "5433", "web", "public", "orders")),
        (NAMES, "gold.dim_customers", Postgres("gold.example", "5432", "shop", "gold", "dim_customers")),
        (NAMES, "silver.orders", S3("silver", "orders")),
        (Names("s3a://lake/shop", ""), "silver.orders", S3("lake", "shop/silver/orders")),
        (Names("file:///srv/lake", ""), "quarantine.orders", LocalFileSystem("/srv/lake/quarantine/orders")),
        (
            Names("s3a:", "::1:5432/shop"),
            "gold.dim_customers",
            Postgres("[::1]", "5432", "shop", "gold", "dim_customers"),
        ),
    ],
)
def test_a_table_is_called_as_openlineage_itself_would_call_it(names: Names, table: str, kind: Any) -> None:
    assert names.of(table) == (kind.get_namespace(), kind.get_name())
