"""A ledger of a thousand nights is asked as little as one of three: Postgres's own counters of what was read say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from lakehouse.business_date import BusinessDate
from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.frame.run import OpenRun
from lakehouse.layers import silver
from lakehouse.ledger import Ledger
from lakehouse.ledger.quality import last_failure
from lakehouse.pages.data_docs import LISTED
from lakehouse.records import Finding
from lakehouse.runs import backfill, dry_run
from lakehouse.runs import day as days
from tests.fakes import CONTRACTS, fake_lakehouse, replace_bodies

pytestmark = pytest.mark.integration
NIGHTS = 1000
RULES = 100
FIRST = date(2020, 1, 1)
# A night of three runs, six tables each, and a hundred results of rules each, as a thousand of them have left them.
HISTORY = """
insert into ops.runs (run_id, layer, business_date, state, started_at, finished_at, inputs)
    select l || '-' || n, l, date '2020-01-01' + n, 'published', t, t, '{}'
    from generate_series(0, %(nights)s - 1) n, unnest(array['bronze', 'silver', 'gold']) with ordinality u (l, place),
         lateral (select timestamptz '2020-01-02 03:00+00' + n * interval '1 day') d (t) order by n, place;
insert into ops.run_tables (run_id, layer, table_name, version, rows_read, rows_kept, rows_deduplicated, rows_quarantined,
                            rows_displaced, bytes_written, window_start, window_end, snapshot)
    select r.run_id, r.layer, t, row_number() over (partition by r.layer, t order by r.seq), 1, 1, 0, 0, 0, 1,
           case when r.layer = 'bronze' then r.business_date::timestamp at time zone 'UTC' end,
           case when r.layer = 'bronze' then (r.business_date + 1)::timestamp at time zone 'UTC' end, ''
    from ops.runs r cross join unnest(case r.layer when 'gold' then %(gold)s else %(lake)s end) t;
insert into ops.consumed select t, 'bronze-' || n, 'silver-' || n
    from generate_series(0, %(nights)s - 1) n, unnest(%(lake)s) t;
insert into ops.quality_results (run_id, layer, table_name, rule, severity, success, unexpected, rows)
    select run_id, layer, 'orders', 'rule_' || n, 'warning', true, 0, 1 from ops.runs, generate_series(1, %(rules)s) n;
insert into ops.published
    select t.layer, t.table_name, t.version, t.run_id, r.business_date, '{}', r.finished_at
    from ops.run_tables t join ops.runs r using (run_id) where r.business_date = (select max(business_date) from ops.runs);
insert into ops.totals (layer, table_name, run_id, rows_read, rows_gone, rows_held, rows_open, consumed_seq)
    select p.layer, p.table_name, p.run_id, %(nights)s, 0, %(nights)s, 0,
           case when p.layer = 'silver' then (select max(seq) from ops.runs where layer = 'bronze') else 0 end
    from ops.published p;
"""
COUNTED = ("runs", "run_tables", "quality_results", "consumed", "quarantine_counts")


class History:
    """The ledger, what has been read of it, and for how long the server worked."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.ledger = Ledger(Database(dsn, "gold", StoreError))
        self.ledger.prepare("UTC")
        lake = sorted(CONTRACTS["bronze"])
        parameters = {"nights": NIGHTS, "rules": RULES, "lake": lake, "gold": sorted(CONTRACTS["gold"])}
        self.ask(HISTORY, parameters)
        with closing(psycopg2.connect(dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("vacuum analyze")

    def ask(self, query: str, parameters: object = None) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

    def read(self) -> dict[str, int]:
        """Rows read of each table so far, by sequence or by index."""
        self.ledger.database.close()  # a session tells what it read when it ends
        found = self.ask(
            "select relname, seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables "
            "where schemaname = 'ops' and relname = any(%s)", (list(COUNTED),)
        )  # fmt: skip
        return {name: int(rows) for name, rows in found}

    def seconds(self) -> float:
        """How long sessions of this database have been at work on statements."""
        self.ledger.database.close()
        return float(
            self.ask("select active_time / 1000 from pg_stat_database where datname = current_database()")[0][0]
        )

    def rows(self, table: str) -> int:
        return int(self.ask(f"select count(*) from ops.{table}")[0][0])


@pytest.fixture(scope="module")
def history(postgres: Any) -> Iterator[History]:
    made = History(postgres.create_database("thousand_nights"))
    yield made
    made.ledger.database.close()


def on(night: int) -> BusinessDate:
    return BusinessDate(FIRST + timedelta(days=night), ZoneInfo("UTC"))


@pytest.fixture
def lakehouse(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real ledger, and fakes of all else: the lake holds what the ledger says."""
    replace_bodies(monkeypatch)
    made = fake_lakehouse(tmp_path, ledger=history.ledger)
    for layer in ("bronze", "silver"):
        for table, pointer in history.ledger.published(layer).items():
            made.lake.tables[layer, table] = [None] * (pointer.version + 1)
    made.lake.owner = history.ledger.identity()
    for layer in ("bronze", "silver", "gold"):
        for table, contract in CONTRACTS[layer].items():
            history.ask("update ops.published set shape = %s where layer = %s and table_name = %s",
                        (json.dumps(dict(contract.shape)), layer, table))  # fmt: skip
    history.ask("update ops.runs set inputs = jsonb_build_object('transforms', %s) where run_id = %s",
                (silver.digest(made, "silver"), f"silver-{NIGHTS - 1}"))  # fmt: skip
    # Each run finds what a night finds.
    publish = OpenRun.publish
    monkeypatch.setattr(
        OpenRun, "publish", lambda run, *a, **k: (run.find(found(run.record.layer)), publish(run, *a, **k))[1]
    )
    return made


QUESTIONS: dict[str, Any] = {
    "a dry run": lambda ledger, house: dry_run.planned(house, ["bronze", "silver", "gold"], on(NIGHTS - 1)),
    "a backfill of a week": lambda ledger, _: backfill.plan(ledger, backfill.days(on(NIGHTS - 7), on(NIGHTS - 1))),
    "what a replacement reads": lambda ledger, _: ledger.windows_of(on(NIGHTS - 1).day),
    "what silver has not judged": lambda ledger, _: ledger.pending(CONTRACTS["silver"]),
    "the status": lambda ledger, _: ledger.recent(15),
    "the tables": lambda ledger, _: [ledger.table_rows(layer) for layer in ("bronze", "silver", "gold")],
    "the quarantine": lambda ledger, _: ledger.quarantined(),
    "the state of a run": lambda ledger, _: (ledger.state("gold-7"), ledger.known(["gold-7"])),
    "an alert": lambda ledger, _: last_failure(ledger.database, "gold", FIRST, datetime(2020, 1, 1, tzinfo=UTC)),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_people_and_alerts_ask_reads_a_handful_of_rows(history: History, lakehouse: Any, question: str) -> None:
    read = history.read()
    QUESTIONS[question](history.ledger, lakehouse)
    now = history.read()
    asked = {table: now[table] - read[table] for table in COUNTED}
    assert {t: n for t, n in asked.items() if n > 300} == {}


def found(layer: str) -> list[Finding]:
    return [Finding(layer, "orders", f"rule_{n}", "warning", True, 0, 1) for n in range(RULES)]


def test_a_day_asks_the_ledger_for_what_it_needs_and_not_for_all_of_history(history: History, lakehouse: Any) -> None:
    read, seconds = history.read(), history.seconds()

    assert [o.state for o in days.run(lakehouse, "day", on(NIGHTS))] == ["published"] * 3

    spent, now = history.seconds() - seconds, history.read()
    asked = {table: now[table] - read[table] for table in COUNTED}
    # The front page lists the newest runs with their rules, whatever there is beside them.
    most = {"quality_results": 8 * LISTED * RULES, "runs": 10 * LISTED, "run_tables": 2000, "consumed": 100}
    too_many = {t: (n, history.rows(t)) for t, n in asked.items() if n > most.get(t, 100)}
    assert too_many == {}, asked
    assert spent <= 1, f"{spent} s of the server for a day, {asked}"
