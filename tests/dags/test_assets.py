"""Assets: what a task tells of the tables it has published, and the day carried from layer to layer by them alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from airflow.models.asset import AssetEvent, AssetModel
from airflow.sdk import DagRunState
from airflow.utils.session import create_session
from conftest import ROOT

LAYERS = {
    "daily_bronze_ingestion": ("bronze", "ingest_to_bronze"),
    "daily_silver_transformation": ("silver", "transform_to_silver"),
    "daily_gold_aggregation": ("gold", "aggregate_to_gold"),
}


def tables(layer: str) -> set[str]:
    """The tables of a layer: the files of its contracts."""
    return {f"{layer}.{file.stem}" for file in (ROOT / "conf" / "contracts" / layer).glob("*.yml")}


@pytest.mark.parametrize("schedule", ["cron", "assets"])
@pytest.mark.parametrize("dag_id", LAYERS)
def test_a_task_has_an_asset_a_table_of_its_layer_whatever_the_schedule(dags, dag_id, schedule):
    layer, task_id = LAYERS[dag_id]
    task = dags(LAKEHOUSE_SCHEDULE=schedule)[dag_id].get_task(task_id)
    assert len(tables(layer)) == 6
    assert {asset.name for asset in task.outlets} == tables(layer)


@pytest.mark.parametrize(
    ("dag_id", "upstream"), [("daily_silver_transformation", "bronze"), ("daily_gold_aggregation", "silver")]
)
def test_by_assets_a_dag_starts_when_all_tables_before_it_are_published_and_waits_no_more(dags, dag_id, upstream):
    dag = dags(LAKEHOUSE_SCHEDULE="assets")[dag_id]
    condition = dag.timetable.asset_condition
    assert type(condition).__name__ == "AssetAll"
    assert {asset.name for asset in condition.objects} == tables(upstream)
    assert dag.task_ids == [LAYERS[dag_id][1]]


def test_by_assets_bronze_still_starts_by_the_clock(dags):
    assert dags(LAKEHOUSE_SCHEDULE="assets")["daily_bronze_ingestion"].timetable.expression == "0 1 * * *"


def test_by_assets_the_deadline_of_gold_counts_from_its_start(dags):
    [deadline] = dags(LAKEHOUSE_SCHEDULE="assets")["daily_gold_aggregation"].deadline
    assert deadline.reference.reference_name == "DagRunQueuedAtDeadline"


def test_a_day_that_is_published_is_told_to_each_table_with_its_date_and_nothing_else(
    dags, complete, checkout, metadata
):
    complete()
    run = dags()["daily_bronze_ingestion"].test(logical_date=datetime(2026, 3, 1, 1, tzinfo=UTC))
    assert run.state == DagRunState.SUCCESS
    with create_session() as session:
        told = (
            session.query(AssetModel.name, AssetEvent.extra)
            .join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
            .filter(AssetEvent.source_run_id == run.run_id)
            .all()
        )
    assert {name for name, _ in told} == tables("bronze")
    assert [extra for _, extra in told] == 6 * [{"business_date": "2026-02-28"}]


def test_a_task_leaves_no_value_behind(dags, complete, checkout, metadata):
    """XCom is for everybody to read: there is nothing in it."""
    from airflow.models.xcom import XComModel

    complete()
    run = dags()["daily_bronze_ingestion"].test(logical_date=datetime(2026, 3, 2, 1, tzinfo=UTC))
    with create_session() as session:
        assert session.query(XComModel).filter(XComModel.run_id == run.run_id).count() == 0
