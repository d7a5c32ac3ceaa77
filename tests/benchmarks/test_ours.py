"""What the lakehouse's own log and Spark's event log say of a day: its phases, and its executions by layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from benchmarks.contestant import Step
from benchmarks.measure.processes import Measured
from benchmarks.ours.executions import Span, event_log, executions
from benchmarks.ours.pipeline import Lakehouse
from benchmarks.place import Site

pytestmark = pytest.mark.unit

BEGAN = 1767312000.0  # 2026-01-02 00:00 UTC
STARTED = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart"
OUTPUT = [
    {"layer": "bronze", "tables": [{"table": "orders", "rows_read": 7, "rows_kept": 7}]},
    {"layer": "silver", "tables": [{"table": "orders", "rows_read": 7, "rows_kept": 6}]},
    {"layer": "gold", "tables": [{"table": "fact_customer_orders", "rows_read": 0, "rows_kept": 6}]},
]


def line(second: float, event: str, **facts: str) -> str:
    return json.dumps({**facts, "event": event, "level": "info", "timestamp": f"2026-01-02T00:00:{second:09.6f}Z"})


LOG = "\n".join(
    [
        "WARN Some words of Java's.",
        line(4, "layer.started", layer="bronze"),
        line(7, "layer.done", layer="bronze"),
        line(7, "layer.started", layer="silver"),
        line(12.5, "layer.done", layer="silver"),
        line(12.5, "layer.started", layer="gold"),
        line(14, "gold.staged", table="dim_products"),
        line(16, "gold.staged", table="dim_customers"),
        line(18, "layer.done", layer="gold"),
    ]
)


def measured() -> Measured:
    return Measured("done", BEGAN, 19.0, 20.0, 1.0, 0.0, 1 << 30, json.dumps(OUTPUT, indent=1), LOG)


def write_events(folder: Path, *events: dict[str, object], torn: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / "local-1").write_text("".join(f"{json.dumps(event)}\n" for event in events) + torn, encoding="utf-8")


def began(second: float) -> dict[str, object]:
    return {"Event": STARTED, "executionId": 1, "time": int((BEGAN + second) * 1000)}


def test_the_phases_of_a_day_follow_from_its_log(tmp_path: Path) -> None:
    facts = Lakehouse().facts(measured(), Site("", "", tmp_path))
    assert facts == {
        "phases": {"P0 start": 4.0, "P1 bronze": 3.0, "P2 silver": 5.5, "P3 gold": 3.5, "P4 publish": 2.0},
        "rows_in": 7,
        "rows": {
            "bronze": {"orders": {"read": 7, "kept": 7}},
            "silver": {"orders": {"read": 7, "kept": 6}},
            "gold": {"fact_customer_orders": {"read": 0, "kept": 6}},
        },
    }


def test_executions_are_counted_in_the_layer_in_which_they_began(tmp_path: Path) -> None:
    write_events(
        tmp_path / "events", began(3), began(5), began(6), began(12), began(17),
        {"Event": "SparkListenerTaskEnd"}, {"Event": "SparkListenerJobEnd", "Completion Time": int((BEGAN + 3.5) * 1000)},
        torn=f'{{"Event": "{STARTED}", "ti',
    )  # fmt: skip
    facts = Lakehouse(counts=True).facts(measured(), Site("", "", tmp_path))
    assert facts["executions"] == {"bronze": 2, "silver": 1, "gold": 1}
    assert facts["phases"]["P0 first job"] == 3.5
    assert list((tmp_path / "events").iterdir()) == [], "the next day writes a log of its own"


def test_a_folder_without_logs_counts_nothing(tmp_path: Path) -> None:
    assert event_log(tmp_path).by_layer({"bronze": Span(0, BEGAN)}) == {"bronze": 0}


def test_a_day_is_run_by_the_command_line_with_nothing_else_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE_TIMEZONE", "Europe/Berlin")
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    site = Site("postgresql://u:p@h/source", "postgresql://u:p@h/gold", tmp_path)
    command, environment = Lakehouse().command(Step(1), site), Lakehouse().environment(site)
    assert command[1:] == ["run", "day", "--date", "2026-01-01", "--json"]
    assert {name for name in environment if name.startswith(("LAKEHOUSE", "PG", "PYSPARK"))} == {
        "LAKEHOUSE_HOME", "LAKEHOUSE_SOURCE_DSN", "LAKEHOUSE_GOLD_DSN",
    }  # fmt: skip
    counting = Lakehouse(counts=True).environment(site)["PYSPARK_SUBMIT_ARGS"]
    assert "spark-defaults.conf" in counting
    assert f"spark.eventLog.dir={(tmp_path / 'events').as_uri()}" in counting


def test_executions_of_a_call_are_counted_in_the_session_of_this_process(spark: SparkSession) -> None:
    frame = spark.range(10)
    assert executions(spark, frame.count) == 1
    assert executions(spark, lambda: (frame.collect(), frame.count())) == 2
    assert executions(spark, lambda: frame.selectExpr("id + 1")) == 0
