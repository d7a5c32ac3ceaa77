"""What repairs ask the ledger and change in it, on a ledger of three days made by its own publishes."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from lakehouse.database import Database
from lakehouse.errors import StoreError
from lakehouse.ledger import Ledger
from lakehouse.ledger.past import Adopted, AdoptedTable, Undone
from lakehouse.records import Run, TableRun, Totals

pytestmark = pytest.mark.integration
SHAPES = {layer: {"orders": {"order_id": "text"}} for layer in ("bronze", "silver", "quarantine", "gold")}
MIDNIGHT = datetime(2020, 1, 1, tzinfo=UTC)


def day(n: int) -> date:
    return date(2020, 1, n)


def end(n: int) -> datetime:
    return MIDNIGHT + timedelta(days=n)


class Lived:
    """A ledger, and runs published in it: each day three rows come, one of them waits in quarantine."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.ledger = dsn, Ledger(Database(dsn, "gold", StoreError))
        self.ledger.prepare("UTC")
        self.runs: dict[tuple[str, int], str] = {}

    def publish(self, layer: str, n: int, tables: dict[str, list[TableRun]], *, rebuilds: bool = False) -> Run:
        with self.ledger.alone(layer) as lease, lease.transaction() as cursor:
            opened = self.ledger.open(cursor, layer, day(n))
            run = Run(opened.run_id, layer, day(n), opened.started_at, rebuilds)
            pending = self.ledger.pending(["orders"], whole=rebuilds) if layer == "silver" else {}
            self.ledger.publish(cursor, run, tables, SHAPES, {"transforms": n})
            self.ledger.consume(cursor, run, pending)
        self.runs[layer, n] = run.run_id
        return run

    def bronze(self, n: int) -> None:
        window = {"window_start": end(n - 1) if n > 1 else None, "window_end": end(n), "snapshot": "1:1:"}
        self.publish("bronze", n, {"bronze": [TableRun("orders", n, 3, 3, **window)]})  # type: ignore[arg-type]

    def silver(self, n: int) -> None:
        waiting = TableRun("orders", n, rows_kept=n)
        done = TableRun("orders", n, rows_read=3, rows_kept=2, rows_quarantined=n, reasons={"null": n})
        self.publish("silver", n, {"silver": [done], "quarantine": [waiting]})

    def change(self, *calls: Any) -> None:
        with self.ledger.database.connection() as connection, connection.cursor() as cursor:
            for call in calls:
                call(cursor)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


@pytest.fixture
def lived(postgres: Any) -> Lived:
    made = Lived(postgres.create_database("ledger_repairs"))
    for n in (1, 2, 3):
        made.bronze(n)
        made.silver(n)
    return made


def test_a_cut_is_the_last_run_of_a_day_and_knows_what_was_judged_and_open_by_then(lived: Lived) -> None:
    ledger = lived.ledger
    cut = ledger.cut("silver", day(2))
    assert cut is not None
    assert (cut.run_id, cut.as_of, cut.inputs) == (lived.runs["silver", 2], day(2), {"transforms": 2})
    assert ledger.cut("silver", date(2019, 12, 31)) is None
    assert ledger.first_day("silver") == day(1)
    assert ledger.runs_after("silver", cut.seq) == [lived.runs["silver", 3]]
    assert ledger.versions_at("quarantine", "silver", cut.seq) == {"orders": 2}
    assert ledger.open_at(cut.seq) == {"orders": (2, {"null": 2})}
    bronze = ledger.cut("bronze", day(2))
    assert bronze is not None
    assert ledger.judged_up_to(cut.seq) == bronze.seq


def test_a_rebuild_hides_nothing_of_what_was_judged_before_it(lived: Lived) -> None:
    cut = lived.ledger.cut("silver", day(2))
    assert cut is not None
    lived.publish("silver", 3, {"silver": [TableRun("orders", 9, rows_read=9, rows_kept=9)]}, rebuilds=True)
    assert lived.ledger.unaccounted(cut.seq) == []
    # As the first release kept it: only the newest judging of each bronze run.
    lived.change(lambda c: c.execute("delete from ops.consumed where silver_run_id <> %s", (lived.runs["silver", 3],)))
    assert lived.ledger.unaccounted(cut.seq) == ["orders"]


def test_what_was_set_aside_in_versions_that_an_older_lake_lacks_is_not_waited_for(lived: Lived) -> None:
    ledger = lived.ledger
    lived.change(
        lambda c: ledger.set_back(c, {"bronze": [lived.runs["bronze", 3]]}),
        lambda c: ledger.point_at(c, "bronze", "orders", 2),
        lambda c: ledger.set_back(c, {"bronze": [lived.runs["bronze", 2]]}),
    )
    assert [(a.run_id, a.version) for a in ledger.aside(day(3), end(3))] == [
        (lived.runs["bronze", 2], 2),
        (lived.runs["bronze", 3], 3),
    ]
    lived.change(lambda c: ledger.forget_aside(c, {"orders": 2, "products": 0}))
    assert [a.run_id for a in ledger.aside(day(3), end(3))] == [lived.runs["bronze", 2]]
    assert ledger.needed_versions("bronze") == {"orders": {2}}
    assert ledger.marks(["orders"])["orders"].run_id == lived.runs["bronze", 1], "the source is read again from here"


def test_runs_set_back_come_back_as_the_newest_and_the_sums_follow(lived: Lived) -> None:
    ledger, sums = lived.ledger, [lived.ledger.totals(layer) for layer in ("bronze", "silver", "quarantine")]
    back = {layer: [lived.runs[layer, n] for n in (2, 3)] for layer in ("bronze", "silver")}
    layers = ("bronze", "silver", "quarantine")
    lived.change(lambda c: ledger.set_back(c, back), lambda c: ledger.add_up(c, layers))
    assert ledger.totals("bronze") == {"orders": Totals(3, 0, 3, 0)}
    assert ledger.totals("silver") == {"orders": Totals(3, 0, 2, 1)}
    assert ledger.totals("quarantine") == {"orders": Totals(0, 0, 1, 0)}
    assert not any(ledger.pending(["orders"]).values()), "what is set aside is not to be judged"

    # Of the runs that are set aside a day needs its own, and those whose window it lies in.
    assert [(a.run_id, a.version, a.rows) for a in ledger.aside(day(2), end(2))] == [(lived.runs["bronze", 2], 3, 3)]
    assert [a.run_id for a in ledger.aside(day(9), end(9))] == [lived.runs["bronze", n] for n in (2, 3)]
    assert ledger.aside(day(1), end(1)) == []
    assert 3 in ledger.kept_versions("bronze", timedelta(0))["orders"]
    assert ledger.needed_versions("bronze") == {"orders": {3}}
    assert ledger.needed_versions("silver") == {}

    ids = [lived.runs["bronze", n] for n in (2, 3)]
    lived.change(lambda c: ledger.put_back(c, ids), lambda c: ledger.add_up(c, ["bronze"]))
    assert ledger.totals("bronze") == sums[0]
    assert [e.run_id for e in ledger.pending(["orders"])["orders"]] == ids
    assert ledger.aside(day(9), end(9)) == []


def test_runs_set_aside_come_back_in_the_order_in_which_they_were(lived: Lived) -> None:
    ledger, bronze = lived.ledger, {n: lived.runs["bronze", n] for n in (1, 2, 3)}
    # The second day is read again when the third has been.
    lived.bronze(2)
    again = lived.runs["bronze", 2]

    def aside(n: int) -> list[str]:
        return [a.run_id for a in ledger.aside(day(n), end(n))]

    lived.change(lambda c: ledger.set_back(c, {"bronze": [bronze[2], bronze[3], again]}))
    assert aside(2) == [bronze[2]], "what was read again waits for the day that it followed"
    assert aside(3) == [bronze[2], bronze[3], again]
    lived.change(lambda c: ledger.put_back(c, [bronze[2]]), lambda c: ledger.set_back(c, {"bronze": [bronze[2]]}))
    assert aside(3) == [bronze[2], bronze[3], again], "rewound once more, before the others had come back"


def test_pointers_of_a_rewind_are_of_its_day_and_younger_tables_have_none(lived: Lived) -> None:
    run = lived.publish("silver", 1, {"silver": [TableRun("orders", 7)]})
    lived.change(lambda c: c.execute("insert into ops.published select layer, 'younger', version, %s, business_date, shape, "
                                     "published_at from ops.published where layer = 'silver'", (lived.runs["silver", 3],)))  # fmt: skip
    lived.change(lambda c: lived.ledger.date_pointers(c, ["silver"], day(1), [run.run_id]))
    assert [(p.table, p.version, p.business_date) for p in lived.ledger.published("silver").values()] == [
        ("orders", 7, day(1))
    ]


def test_a_version_under_another_number_is_so_for_readers_of_the_day_too(lived: Lived) -> None:
    lived.change(lambda c: lived.ledger.renumber(c, "silver", "orders", 3, 8))
    assert lived.ledger.published("silver")["orders"].version == 8
    assert lived.ask("select max(version) from ops.run_tables where layer = 'silver'") == [(8,)]
    assert lived.ledger.kept_versions("silver", timedelta(days=1))["orders"] == {1, 2, 8}
    assert lived.ledger.kept_versions("silver", timedelta(0))["orders"] == {8}


def test_a_version_is_pinned_until_it_is_unpinned(lived: Lived) -> None:
    ledger = lived.ledger
    lived.change(lambda c: ledger.pin(c, "silver", "orders", 2, "the report of May"),
                 lambda c: ledger.pin(c, "bronze", "orders", 1, "an audit"))  # fmt: skip
    assert [(p["layer"], p["table"], p["version"], p["reason"]) for p in ledger.pins()] == [
        ("bronze", "orders", 1, "an audit"),
        ("silver", "orders", 2, "the report of May"),
    ]
    assert ledger.needed_versions("silver") == {"orders": {2}}
    assert ledger.kept_versions("silver", timedelta(0))["orders"] == {2, 3}
    lived.change(lambda c: ledger.unpin(c, "silver", "orders", 2))
    assert ledger.needed_versions("silver") == {}
    assert ledger.needed_versions("bronze") == {"orders": {1}}


def test_a_run_that_is_taken_in_is_published_with_its_window(lived: Lived) -> None:
    ledger = lived.ledger
    assert ledger.ever_published()
    table = AdoptedTable("orders", 4, 5, end(3), end(4), "9:9:")
    lived.change(lambda c: ledger.take_in(c, [Adopted("bronze-2020-01-04-lost", day(4), end(4), (table,))]),
                 lambda c: ledger.add_up(c, ["bronze"]), lambda c: ledger.take_identity(c, "another"))  # fmt: skip
    assert ledger.marks(["orders"])["orders"].window_end == end(4)
    assert ledger.totals("bronze")["orders"].held == 14
    assert "bronze-2020-01-04-lost" in ledger.known_runs("bronze")
    assert [e.run_id for e in ledger.pending(["orders"])["orders"]] == ["bronze-2020-01-04-lost"]
    assert ledger.identity() == "another"


def test_tombstones_are_rows_of_bronze_and_no_images(lived: Lived) -> None:
    """However they were written down: by the run that made them, one that is taken in, or the sums that are added up again."""
    ledger, before = lived.ledger, lived.ledger.totals("bronze")["orders"]
    window: dict[str, Any] = {"window_start": end(3), "window_end": end(4), "snapshot": "1:1:"}
    lived.publish("bronze", 4, {"bronze": [TableRun("orders", 4, 3, 5, rows_removed=2, **window)]})
    lost = AdoptedTable("orders", 5, 4, end(4), end(5), "9:9:", tombstones=1)
    lived.change(lambda c: ledger.take_in(c, [Adopted("bronze-2020-01-05-lost", day(5), end(5), (lost,))]))
    assert [(e.rows, e.tombstones) for e in ledger.pending(["orders"])["orders"]] == [(3, 2), (3, 1)]
    lived.change(lambda c: ledger.add_up(c, ["bronze"]))
    assert ledger.totals("bronze")["orders"] == Totals(before.read + 6, 0, before.held + 9, 0, 3, has_ties=True)


def test_rows_that_are_gone_are_in_the_sums_of_silver_however_they_are_added_up(lived: Lived) -> None:
    """Nine images so far: six held, three open. A row of silver is recalled; one image is removed, one deduplicated."""
    gone = TableRun("orders", 4, rows_deduplicated=1, rows_quarantined=2, rows_removed=1, rows_recalled=1)
    before = lived.ledger.totals("silver")["orders"]
    assert before == Totals(9, 0, 6, 3)
    lived.publish("silver", 4, {"silver": [gone], "quarantine": []})
    expected = Totals(9, 1, 5, 2, 1)
    assert lived.ledger.totals("silver")["orders"] == expected
    lived.change(lambda c: lived.ledger.add_up(c, ["silver"]))
    assert lived.ledger.totals("silver")["orders"] == expected


@pytest.mark.parametrize("state", ["running", "abandoned", "failed", "rewound"])
def test_a_run_that_stands_otherwise_in_an_older_ledger_is_taken_in_as_published_and_the_newest(
    lived: Lived, state: str
) -> None:
    """As a backup has it that was made while the run was at work, or before it was brought back."""
    ledger, second = lived.ledger, lived.runs["bronze", 2]
    lived.change(lambda c: c.execute("update ops.runs set state = %s, error_code = 1 where run_id = %s", (state, second)),
                 lambda c: c.execute("delete from ops.run_tables where run_id = %s and %s <> 'rewound'", (second, state)),
                 lambda c: c.execute("delete from ops.consumed where bronze_run_id = %s", (second,)))  # fmt: skip
    table = AdoptedTable("orders", 4, 3, end(1), end(2), "1:1:")
    lived.change(lambda c: ledger.take_in(c, [Adopted(second, day(2), end(2), (table,))]),
                 lambda c: ledger.add_up(c, ["bronze"]))  # fmt: skip
    assert lived.ask(f"select state, error_code from ops.runs where run_id = '{second}'") == [("published", None)]
    assert ledger.totals("bronze")["orders"].held == 9
    assert [e.run_id for e in ledger.pending(["orders"])["orders"]] == [second]
    assert ledger.covering(["orders"], end(2))["orders"].run_id == second


def test_a_run_that_is_undone_is_known_from_then_on(lived: Lived) -> None:
    undone = [Undone("bronze-2020-01-04-dead", day(4), end(4), ("orders",), 5),
              Undone(lived.runs["bronze", 3], day(3), end(3), ("customers",), 5)]  # fmt: skip
    lived.change(lambda c: lived.ledger.note_undone(c, undone))
    assert [lived.ledger.state(u.run_id) for u in undone] == ["abandoned", "published"]


def test_waivers_begin_and_end_and_are_remembered(lived: Lived) -> None:
    ledger = lived.ledger
    assert ledger.waived() == {}
    lived.change(lambda c: ledger.waive(c, "orders", "late", "they know", "ada@here"))
    assert ledger.waived() == {"orders": ["late"]}
    with pytest.raises(StoreError, match="waivers_in_force"):
        lived.change(lambda c: ledger.waive(c, "orders", "late", "twice", "ada@here"))
    lived.change(lambda c: ledger.end_waiver(c, "orders", "late"))
    assert ledger.waived() == {}
    assert [(w["rule"], w["reason"], w["ended_at"] is not None) for w in ledger.waivers()] == [
        ("late", "they know", True)
    ]


def test_what_was_done_and_why_is_listed_and_old_results_are_forgotten(lived: Lived) -> None:
    ledger = lived.ledger
    lived.change(lambda c: ledger.record_action(c, "rewind", "a bad file", {"to": day(1)}, "ada@here"))
    assert [(a["action"], a["reason"], a["plan"]) for a in ledger.actions()] == [
        ("rewind", "a bad file", {"to": "2020-01-01"})
    ]
    lived.change(lambda c: c.execute(
        "insert into ops.quality_results (run_id, layer, table_name, rule, severity, success, checked_at) select run_id, layer, "
        "'orders', 'r', 'warning', true, now() - interval '40 days' from ops.runs"))  # fmt: skip
    assert ledger.old_results(timedelta(days=30)) == 6
    lived.change(lambda c: ledger.forget_quality(c, timedelta(days=30)))
    assert ledger.old_results(timedelta(days=30)) == 0
