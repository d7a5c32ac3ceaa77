"""What a data set has to say about the source tables: one image of a row for each day on which the row changed.

A shop reads its data set as a stream of images, each key's in the order of time. The state of the source at the end of
a day is then the last image of every key up to that day, and what a day brings is the last image of every key that
changed on it. Loading a history and advancing by a day are the same question with another beginning.
"""

from collections.abc import Hashable, Iterable, Iterator
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Generic, NamedTuple, TypeVar, cast

Row = tuple[object, ...]
Image = tuple[str, Row]
"""A table's name and the row's values in the order of its columns. The last one, updated_at, is a time in UTC."""


class Table(NamedTuple):
    """The columns of a source table as the images fill them; the key columns come first."""

    columns: tuple[str, ...]
    key_length: int = 1

    @property
    def key(self) -> tuple[str, ...]:
        return self.columns[: self.key_length]


def _columns(words: str) -> tuple[str, ...]:
    return (*words.split(), "created_at", "updated_at")


TABLES: dict[str, Table] = {
    "customers": Table(_columns("customer_id first_name last_name email phone city state country")),
    "products": Table(_columns("product_id product_name category brand price cost is_active")),
    "orders": Table(_columns("order_id customer_id campaign_id status ordered_at")),
    "order_items": Table(_columns("order_item_id order_id product_id quantity unit_price discount unit_cost")),
    "inventory": Table(
        _columns("product_id warehouse_id quantity_on_hand quantity_reserved reorder_point"), key_length=2
    ),
    "campaigns": Table(_columns("campaign_id campaign_name channel start_date end_date budget")),
}


def changes(images: Iterable[Image], after: date | None, until: date) -> dict[str, list[Row]]:
    """The last image of each key with after < date(updated_at) <= until, by table; after None: since ever."""
    last: dict[str, dict[Row, Row]] = {table: {} for table in TABLES}
    key_lengths = {table: spec.key_length for table, spec in TABLES.items()}
    beginning = after or date.min
    for table, row in images:
        if beginning < cast(datetime, row[-1]).date() <= until:
            last[table][row[: key_lengths[table]]] = row
    return {table: list(rows.values()) for table, rows in last.items()}


Key = TypeVar("Key", bound=Hashable)


class Known(NamedTuple, Generic[Key]):
    """What is known of a key at the end of a day on which it changed."""

    key: Key
    values: Row
    created_at: datetime
    updated_at: datetime


class MasterFromEvents(Generic[Key]):
    """Rows that nobody wrote down, known only through the events that name them.

    The state of a row is, for each column, the last value an event said. A day makes an image only where that state
    differs from the one before: a product sold again at the same price did not change.
    """

    def __init__(self) -> None:
        self._created_at: dict[Key, datetime] = {}
        self._state: dict[Key, Row] = {}
        self._last_image: dict[Key, Row] = {}
        self._heard_today: dict[Key, datetime] = {}

    def hear(self, key: Key, at: datetime, *values: object) -> None:
        """An event at this time, in the order of time, says these values; None says nothing about its column."""
        state = self._state.get(key)
        if state is None:
            self._created_at[key] = at
            self._state[key] = values
        elif state != values:
            self._state[key] = tuple(old if new is None else new for old, new in zip(state, values, strict=True))
        self._heard_today[key] = at

    def end_of_day(self) -> Iterator[Known[Key]]:
        """The rows that the day changed, dated at its last event that named them; the next day begins."""
        for key, at in self._heard_today.items():
            state = self._state[key]
            if self._last_image.get(key) != state:
                self._last_image[key] = state
                yield Known(key, state, self._created_at[key], at)
        self._heard_today.clear()


def four_places(number: Decimal) -> Decimal:
    """The number as the source tables hold it: four decimals, rounded half up (away from zero), never a float."""
    return number.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
