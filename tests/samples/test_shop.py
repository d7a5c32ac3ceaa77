"""What loading and advancing rest on: the last image of a key, masters from events, rounding, safe errors."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from lakehouse.errors import SourceError
from samples.images import TABLES, Image, MasterFromEvents, changes, four_places
from samples.shop import SCHEMA, Shop

pytestmark = pytest.mark.unit


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def order(order_id: str, status: str, updated_at: str) -> Image:
    return "orders", (order_id, None, None, status, None, at("2020-01-01"), at(updated_at))


ORDERS = [
    order("A", "pending", "2020-01-01 09:00"),
    order("B", "pending", "2020-01-01 23:59:59.999999"),
    order("A", "shipped", "2020-01-02 00:00"),
    order("A", "delivered", "2020-01-03 12:00"),
]


@pytest.mark.parametrize(
    ("after", "until", "expected"),
    [
        (None, "2019-12-31", {}),
        (None, "2020-01-01", {"A": "pending", "B": "pending"}),
        (None, "2020-01-02", {"A": "shipped", "B": "pending"}),
        ("2020-01-01", "2020-01-02", {"A": "shipped"}),
        ("2020-01-01", "2020-01-09", {"A": "delivered"}),
        ("2020-01-03", "2020-01-09", {}),
    ],
)
def test_a_window_brings_the_last_image_of_each_key_it_changed(
    after: str | None, until: str, expected: dict[str, str]
) -> None:
    found = changes(ORDERS, date.fromisoformat(after) if after else None, date.fromisoformat(until))
    assert {row[0]: row[3] for row in found["orders"]} == expected


def test_a_window_names_every_table() -> None:
    assert changes([], None, date(2020, 1, 1)) == {table: [] for table in TABLES}


def test_the_stock_of_a_product_in_two_warehouses_is_two_rows() -> None:
    noon = at("2020-01-01 12:00")
    images: list[Image] = [("inventory", ("P", warehouse, 1, 0, 5, noon, noon)) for warehouse in ("W1", "W2")]
    assert len(changes(images, None, date(2020, 1, 1))["inventory"]) == 2


def images_of(*days: list[tuple[str, str, str | None, str | None]]) -> list[tuple[object, ...]]:
    """The images that events (key, time, two values) make, day by day: key, two values, created and updated day."""
    master: MasterFromEvents[str] = MasterFromEvents()
    found: list[tuple[object, ...]] = []
    for events in days:
        for key, time, one, two in events:
            master.hear(key, at(time), one, two)
        for known in master.end_of_day():
            found.append((known.key, *known.values, f"{known.created_at:%d %H}", f"{known.updated_at:%d %H}"))
    return found


def test_each_column_keeps_the_last_value_that_was_said() -> None:
    assert images_of(
        [("K", "2020-01-01 08", "a", None), ("K", "2020-01-01 09", None, "x"), ("K", "2020-01-01 10", None, None)],
        [("K", "2020-01-02 08", "b", None)],
    ) == [("K", "a", "x", "01 08", "01 10"), ("K", "b", "x", "01 08", "02 08")]


def test_a_day_that_says_nothing_new_makes_no_image_but_the_first_always_does() -> None:
    assert images_of(
        [("K", "2020-01-01 08", None, None)],
        [("K", "2020-01-02 08", None, None)],
        [("K", "2020-01-03 08", "a", None)],
        [("K", "2020-01-04 08", "a", None)],
    ) == [("K", None, None, "01 08", "01 08"), ("K", "a", None, "01 08", "03 08")]


def test_a_value_that_came_and_went_within_a_day_makes_no_image() -> None:
    assert images_of(
        [("K", "2020-01-01 08", "a", None)],
        [("K", "2020-01-02 08", "b", None), ("K", "2020-01-02 09", "a", None)],
    ) == [("K", "a", None, "01 08", "01 08")]


def test_an_image_is_dated_at_the_last_event_of_its_day_even_one_that_says_nothing() -> None:
    assert images_of([("K", "2020-01-01 08", "a", None), ("K", "2020-01-01 17", None, None)]) == [
        ("K", "a", None, "01 08", "01 17")
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("2.1", "2.1000"),
        ("0.00005", "0.0001"),
        ("0.00015", "0.0002"),
        ("0.00004999", "0.0000"),
        ("-0.00005", "-0.0001"),
    ],
)
def test_numbers_are_rounded_half_up_to_four_places(number: str, expected: str) -> None:
    assert str(four_places(Decimal(number))) == expected


def test_the_columns_of_the_images_are_those_of_the_schema() -> None:
    schema = SCHEMA.read_text(encoding="utf-8")
    for table, spec in TABLES.items():
        body = schema.split(f"create table public.{table} (\n")[1].split("\n);")[0]
        names = [line.split()[0] for line in body.splitlines()]
        assert [name for name in names if name != "primary"] == list(spec.columns)


NOWHERE = Shop("nowhere", date(2020, 1, 1), date(2020, 1, 1), date(2020, 1, 1), lambda _until: [])


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://somebody:s3cret-word@127.0.0.1:1/shop",
        "host=127.0.0.1 port=1 user=somebody password=s3cret-word",
        "postgresql://somebody:@s3cret-word@127.0.0.1:1/shop",
        "somebody:s3cret-word@127.0.0.1/shop",
        "postgresql://somebody:s3cret-word@127.0.0.1:port/shop",
    ],
)
def test_a_failed_connection_says_so_without_the_password(dsn: str) -> None:
    with pytest.raises(SourceError) as caught:
        NOWHERE.load(dsn)
    assert "cannot connect" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__
