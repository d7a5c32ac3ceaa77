"""Backfill: a range of days is planned from the ledger, run in one session, and asked of an Airflow that lets us in."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest
from typer.testing import CliRunner

from lakehouse.airflow import Airflow
from lakehouse.business_date import BusinessDate
from lakehouse.cli import app
from lakehouse.errors import ConfigError, StoreError, UsageError
from lakehouse.runs import backfill
from tests.e2e.lakehouse import RealPipeline

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent.parent


def day(text: str, zone: str = "UTC") -> BusinessDate:
    return BusinessDate(date.fromisoformat(text), ZoneInfo(zone))


def test_a_range_is_planned_run_in_one_session_and_then_has_nothing_left(postgres: Any, tmp_path: Path) -> None:
    source = postgres.create_database("backfill_source")
    with closing(psycopg2.connect(source)) as connection, connection, connection.cursor() as cursor:
        cursor.execute((ROOT / "samples" / "schema.sql").read_text())
        cursor.execute("insert into customers (customer_id, created_at, updated_at) select 'c' || n, t, t from "
                       "generate_series(1, 3) n, lateral (select timestamptz '2020-01-01 12:00+00' + n * interval '1 day' t) t")  # fmt: skip
    lakehouse = RealPipeline(source, postgres.create_database("backfill_gold"), tmp_path)
    house = lakehouse.lakehouse
    lakehouse.run_day(date(2020, 1, 2))
    range_ = backfill.days(day("2020-01-01"), day("2020-01-04"))

    steps = backfill.plan(house.ledger, range_)

    assert [(str(s.day), s.layer, s.state, s.would) for s in steps] == [
        ("2020-01-01", "bronze", "within 2020-01-02", "nothing"),
        ("2020-01-02", "bronze", "published", "nothing"),
        ("2020-01-03", "bronze", "missing", "run"),
        ("2020-01-04", "bronze", "missing", "run"),
        ("2020-01-04", "silver", "missing", "run"),
        ("2020-01-04", "gold", "missing", "run"),
    ]
    by_day = backfill.plan(house.ledger, range_, by_day=True)
    assert [(str(s.day), s.layer) for s in by_day if s.would != "nothing"] == [
        (day, layer) for day in ("2020-01-03", "2020-01-04") for layer in ("bronze", "silver", "gold")
    ]
    outcomes = list(backfill.run(house, steps))
    assert [(o.layer, o.business_date.day, o.state) for o in outcomes] == [
        ("bronze", 3, "published"),
        ("bronze", 4, "published"),
        ("silver", 4, "published"),
        ("gold", 4, "published"),
    ]
    assert {r["customer_id"] for r in lakehouse.silver("customers")} == {"C1", "C2", "C3"}
    assert {s.would for s in backfill.plan(house.ledger, range_)} == {"nothing"}
    again = backfill.plan(house.ledger, backfill.days(day("2020-01-03"), day("2020-01-03")), replaces=True)
    assert [(s.layer, s.would) for s in again] == [("bronze", "replace"), ("silver", "run"), ("gold", "run")]
    assert [o.layer for o in backfill.run(house, again)] == ["bronze", "silver", "gold"]
    assert len(list(lakehouse.silver("customers"))) == 3


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(UsageError, match="--from 2020-01-02 is after --to 2020-01-01"):
        backfill.days(day("2020-01-02"), day("2020-01-01"))


def test_the_dag_runs_of_a_range_fire_on_the_days_after_in_the_shops_zone() -> None:
    begin, end = backfill.logical_dates(day("2024-02-28", "Europe/Berlin"), day("2024-02-29", "Europe/Berlin"))
    assert begin.astimezone(UTC) == datetime(2024, 2, 28, 23, 0, tzinfo=UTC)
    assert end.astimezone(UTC).replace(microsecond=0) == datetime(2024, 3, 1, 22, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--from", "2020-01-02", "--to", "2020-01-01"], 2, "the range runs backwards"),
        (["--from", "2020-13-01", "--to", "2020-12-01"], 2, "is not a day written as"),
        (["--from", "2020-01-01", "--to", "9000-01-01"], 2, "is not over"),
        (["--from", "2020-01-01", "--to", "2020-01-01", "--airflow", "--replace"], 2, "leave one of the two out"),
    ],
)
def test_a_wrong_range_is_refused_before_anything_runs(
    options: list[str], code: int, said: str, tmp_path: Path
) -> None:
    done = CliRunner(env={"LAKEHOUSE_HOME": str(tmp_path / "home")}).invoke(app, ["backfill", *options])
    assert getattr(done.exception, "exit_code", None) == code
    assert said in str(done.exception)
    assert not (tmp_path / "home").exists()


def test_an_airflow_that_is_away_is_named_with_what_to_do() -> None:
    with pytest.raises(StoreError, match=r"Airflow at http://127\.0\.0\.1:9 does not answer .* LAKEHOUSE_AIRFLOW_URL"):
        Airflow("http://127.0.0.1:9", "admin", "secret").backfill("d", datetime.now(UTC), datetime.now(UTC))


def test_without_a_password_airflow_is_not_asked(postgres: Any, tmp_path: Path) -> None:
    gold = postgres.create_database("backfill_no_password")
    run = CliRunner(env={"LAKEHOUSE_HOME": str(tmp_path), "LAKEHOUSE_GOLD_DSN": gold, "LAKEHOUSE_AIRFLOW_PASSWORD": ""})
    done = run.invoke(app, ["backfill", "--from", "2020-01-01", "--to", "2020-01-01", "--airflow"])
    assert isinstance(done.exception, ConfigError)
    assert "LAKEHOUSE_AIRFLOW_PASSWORD is not set" in str(done.exception)
