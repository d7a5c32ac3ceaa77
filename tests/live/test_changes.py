"""Events of Debezium, and the live table that they leave: given batches of events, expected rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import DriftError
from lakehouse.live import events
from lakehouse.live.events import UNAVAILABLE
from tests.live.conftest import LiveTable, event
from tests.tables import contract

pytestmark = pytest.mark.unit

ITEMS = contract("bronze.order_items")
CREATED_AT = "2026-03-01 09:00:00.123456"


@dataclass(frozen=True)
class Case:
    """Events in batches, on keys of the case's own; the columns to look at, rows that are there, and rows that are gone."""

    says: str
    batches: tuple[tuple[str | None, ...], ...]
    columns: str
    rows: set[tuple[Any, ...]]
    gone: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def key(self) -> str:
        return f"{self.says}/"


def case(says: str, columns: str, rows: set[tuple[Any, ...]], *batches: tuple[Any, ...], gone: Any = ()) -> Case:
    """An event is written as (op, key, lsn, {column: value}), a tombstone as None."""
    written = tuple(
        tuple(e and event(e[0], f"{says}/{e[1]}", e[2], **(e[3] if len(e) > 3 else {})) for e in batch)
        for batch in batches
    )
    return Case(says, written, columns, rows, set(gone))


CASES = [
    case(
        "created, updated, deleted and read rows are as the source has them",
        "order_item_id quantity",
        {("1", "5"), ("3", "1"), ("4", "1")},
        (("r", 1, 10), ("c", 2, 20), ("c", 3, 21), None),
        (("u", 1, 30, {"quantity": 5}), ("d", 2, 31), None, ("c", 4, 32)),
        gone={("2", None)},
    ),
    case(
        "of what is gone no value is left, and the instant that a delete makes up is not taken for one",
        "order_item_id order_id created_at _op",
        set(),
        (("c", 1, 20),),
        (("d", 1, 30), None),
        gone={("1", None, None, "d")},
    ),
    case(
        "an instant keeps its microseconds and a price its digits",
        "created_at unit_price",
        {(CREATED_AT, "12.3456")},
        (("c", 1, 20, {"unit_price": "12.3456"}),),
    ),
    case(
        "a key that changes is one row gone and one more",
        "order_item_id",
        {("9",)},
        (("c", 1, 20),),
        (("d", 1, 30), None, ("c", 9, 30)),
        gone={("1",)},
    ),
    case(
        "a key that comes again is there with its new values",
        "order_item_id quantity _unknown",
        {("1", "3", ()), ("2", "4", ())},
        (("c", 1, 20), ("c", 2, 21), ("d", 2, 22), ("c", 2, 23, {"quantity": 4})),
        (("d", 1, 30),),
        (("c", 1, 40, {"quantity": 3}),),
    ),
    case(
        "a value that did not come with the change stays as it was",
        "product_id quantity _unknown",
        {("long", "2", ())},
        (("c", 1, 20, {"product_id": "long"}),),
        (("u", 1, 30, {"product_id": UNAVAILABLE, "quantity": 2}),),
    ),
    case(
        "of several changes in a batch the last known value counts",
        "product_id quantity _unknown",
        {("new", "8", ())},
        (("c", 1, 20, {"product_id": "old"}),),
        (
            ("u", 1, 30, {"product_id": "new"}),
            ("u", 1, 31, {"product_id": UNAVAILABLE, "quantity": 7}),
            ("u", 1, 32, {"product_id": UNAVAILABLE, "quantity": 8}),
        ),
    ),
    case(
        "a value that nobody here knows is named and not taken for null",
        "product_id quantity _unknown",
        {(None, "2", ("product_id",))},
        (("u", 1, 30, {"product_id": UNAVAILABLE}),),
        (("u", 1, 31, {"product_id": UNAVAILABLE, "quantity": 2}),),
    ),
    case(
        "a value that comes later is known from then on",
        "product_id _unknown",
        {("known", ())},
        (("u", 1, 30, {"product_id": UNAVAILABLE}),),
        (("u", 1, 32, {"product_id": "known"}),),
    ),
    case(
        "NaN and infinity are named and not taken for null",
        "order_item_id unit_price updated_at _unknown",
        {("1", None, None, ("unit_price", "updated_at")), ("2", None, CREATED_AT, ())},
        (("c", 1, 20, {"unit_price": "NAN", "updated_at": "infinity"}), ("c", 2, 21, {"unit_price": None})),
    ),
    case(
        "the order is that of commits and not of the log",
        "order_item_id quantity",
        {("1", "3"), ("2", "4")},
        (("c", 1, 58_098_840), ("c", 2, 58_098_064)),
        (("u", 2, 58_098_512, {"quantity": 4}), ("u", 1, 58_098_900, {"quantity": 3})),
    ),
    case(
        "a row of a snapshot never covers what was streamed from a later place of the log",
        "order_item_id quantity",
        {("1", "5"), ("3", "1"), ("4", "6")},
        (("u", 1, 50, {"quantity": 5}), ("d", 2, 51)),
        (("r", 1, 40), ("r", 2, 40), ("r", 3, 40), ("u", 4, 60, {"quantity": 6}), ("r", 4, 40)),
        gone={("2", None)},
    ),
    case(
        "a row of a new snapshot covers what was streamed before it",
        "quantity",
        {("9",)},
        (("u", 1, 50, {"quantity": 5}),),
        (("r", 1, 90, {"quantity": 9}),),
    ),
    case(
        "events that Connect sends again after it was killed leave the rows",
        "order_item_id quantity",
        {("1", "2")},
        (("c", 1, 20), ("u", 1, 21, {"quantity": 2}), ("c", 2, 22), ("d", 2, 23)),
        (("u", 1, 21, {"quantity": 2}), ("c", 2, 22), ("d", 2, 23)),
        gone={("2", None)},
    ),
]


@pytest.fixture(scope="module")
def brought(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> LiveTable:
    """The live table of all cases, whose keys are apart: a batch is one merge, whatever comes in it."""
    live = LiveTable(spark, tmp_path_factory.mktemp("live") / "order_items", ITEMS)
    for number in range(max(len(c.batches) for c in CASES)):
        live.brings(*(e for c in CASES for batch in c.batches[number : number + 1] for e in batch))
    return live


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.says)
def test_a_live_table_is_what_the_events_say(brought: LiveTable, case: Case) -> None:
    assert brought.rows(case.columns, of=case.key) == case.rows
    assert brought.rows(case.columns, of=case.key, gone=True) == case.gone


def test_a_batch_that_is_done_again_leaves_the_rows(live: LiveTable) -> None:
    given = live.messages(event("c", "1", 20), event("u", "1", 21, quantity=2), event("d", "2", 22))
    live.merges(given)
    before = live.rows(), live.rows(gone=True)
    live.merges(given)
    assert (live.rows(), live.rows(gone=True)) == before == ({("1", "2")}, {("2", None)})


def test_a_truncate_takes_every_row_before_it_and_none_after_it(live: LiveTable) -> None:
    live.brings(event("c", "1", 20), event("c", "2", 21))
    live.brings(event("c", "3", 30), event("t", None, 31), event("c", "2", 32, quantity=2), event("c", "4", 33))
    assert live.rows() == {("2", "2"), ("4", "1")}
    # The mark without a key says that rows are gone which never were here.
    assert live.rows("order_item_id product_id _op", gone=True) == {("1", None, "t"), (None, None, "t")}


def test_days_beyond_the_calendar_are_not_taken_for_days(spark: SparkSession) -> None:
    after = '"campaign_id":"C1","start_date":20513,"end_date":-2147472692'
    value = f'{{"op":"c","after":{{{after}}},"source":{{"lsn":1,"txId":1,"ts_ms":1}}}}'
    messages = spark.createDataFrame([(value, 0)], "value string, offset bigint")
    row = events.parse(messages, contract("bronze.campaigns")).first()
    assert row is not None
    assert (str(row.start_date), row.end_date, row._unknown) == ("2026-03-01", None, ["end_date"])


def seen(spark: SparkSession, *values: str) -> events.Seen:
    messages = spark.createDataFrame([(v, n) for n, v in enumerate(values)], "value string, offset bigint")
    return events.look(events.parse(messages, ITEMS))


def test_a_column_that_the_contract_does_not_know_is_named(spark: SparkSession) -> None:
    found = seen(spark, event("c", "1", 20), event("c", "2", 21, colour="red"), event("d", "1", 22))
    assert (found.events, events.check(found, ITEMS)) == (3, {"colour"})


def test_a_column_that_the_source_lost_stops_the_stream(spark: SparkSession) -> None:
    with pytest.raises(DriftError, match="order_items has no unit_price any more"):
        events.check(seen(spark, event("c", "1", 20), event("c", "2", 21, without="unit_price")), ITEMS)


def test_a_column_that_was_renamed_stops_the_stream(spark: SparkSession) -> None:
    with pytest.raises(DriftError, match="has no discount any more") as refused:
        events.check(seen(spark, event("c", "1", 20, without="discount", rebate="0.1")), ITEMS)
    assert refused.value.exit_code == 5


def test_a_message_that_is_no_event_stops_the_stream_and_is_not_quoted(spark: SparkSession) -> None:
    with pytest.raises(DriftError, match="2 messages of order_items are no events") as refused:
        events.check(seen(spark, "Jane Doe", '{"op":"x"}', event("c", "1", 20)), ITEMS)
    assert "Jane" not in str(refused.value)
