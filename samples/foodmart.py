"""FoodMart: a fictional chain of grocery shops, 1997-01-01 to 1998-12-30; the one sample with all six tables.

Its masters are written down and do not change, but for a product's cost and the stock, which are what the sales and
the deliveries say. The data set has days but no times: a sale is booked at noon. Dates are not shifted.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import chain

from samples.archive import csv_files
from samples.images import Image, MasterFromEvents, four_places
from samples.shop import Shop

ARCHIVE = "foodmart.tar.xz"
MIDNIGHT, NOON = time(0), time(12)
OPENING = date(1996, 12, 31)
"""The day from which all products exist: the eve of the first sale."""
NO_PROMOTION = "0"

Record = Mapping[str, str]
Files = Mapping[str, list[Record]]
"""The records of each CSV file, as written, by the file's name without ending."""

FILES = {
    "customer",
    "product",
    "product_class",
    "promotion",
    "time_by_day",
    "sales_fact_1997",
    "sales_fact_dec_1998",
    "inventory_fact_1997",
    "inventory_fact_1998",
}


def read_images(_until: date) -> Iterator[Image]:
    """All images; later ones than asked for are the caller's to leave out, for the files are not kept by day."""
    contents = csv_files(ARCHIVE, wanted=FILES.__contains__)
    return images(
        {
            name: list(csv.DictReader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")))
            for name, content in contents.items()
        }
    )


def images(files: Files) -> Iterator[Image]:
    """The images that the files make, each key's in the order of time."""
    sale_days = {record["time_id"]: _date(record["the_date"]) for record in files["time_by_day"]}
    sales = _by_day(chain(files["sales_fact_1997"], files["sales_fact_dec_1998"]), sale_days)
    stock_facts = _by_day(chain(files["inventory_fact_1997"], files["inventory_fact_1998"]), sale_days)
    yield from _customers(files["customer"])
    yield from _campaigns(files["promotion"])
    yield from _products(files["product"], files["product_class"], sales)
    yield from _orders_and_items(sales)
    yield from _inventory(stock_facts, files["product"])


def _by_day(facts: Iterable[Record], days: Mapping[str, date]) -> dict[date, list[Record]]:
    """The facts of each day in the order of the files; the days in the order of time."""
    found: dict[date, list[Record]] = {}
    for fact in facts:
        found.setdefault(days[fact["time_id"]], []).append(fact)
    return dict(sorted(found.items()))


def _customers(customers: Iterable[Record]) -> Iterator[Image]:
    for record in customers:
        opened = _at(_date(record["date_accnt_opened"]), MIDNIGHT)
        first, last, phone, city, state, country = (
            record[name] or None for name in ("fname", "lname", "phone1", "city", "state_province", "country")
        )
        yield "customers", (record["customer_id"], first, last, None, phone, city, state, country, opened, opened)


def _campaigns(promotions: Iterable[Record]) -> Iterator[Image]:
    for record in promotions:
        if record["promotion_id"] == NO_PROMOTION:
            continue
        start, end = _date(record["start_date"]), _date(record["end_date"])
        name, channel, budget = record["promotion_name"] or None, record["media_type"] or None, record["cost"] or None
        at = _at(start, MIDNIGHT)
        yield "campaigns", (record["promotion_id"], name, channel, start, end, budget, at, at)


def _products(
    products: Iterable[Record], classes: Iterable[Record], sales: dict[date, list[Record]]
) -> Iterator[Image]:
    """A product is written down but for its cost, which is unknown until the first sale says it."""
    category = {record["product_class_id"]: record["product_category"] or None for record in classes}
    written: dict[str, tuple[object, ...]] = {}
    costs: MasterFromEvents[str] = MasterFromEvents()
    for record in products:
        key, name, brand = record["product_id"], record["product_name"] or None, record["brand_name"] or None
        written[key] = (name, category[record["product_class_id"]], brand, _money(record["SRP"]))
        costs.hear(key, _at(OPENING, MIDNIGHT), None)
    for day, sales_of_day in chain([(OPENING, [])], sales.items()):
        for sale in sales_of_day:
            costs.hear(sale["product_id"], _at(day, NOON), _per_unit(sale["store_cost"], sale))
        for key, (cost,), created_at, updated_at in costs.end_of_day():
            yield "products", (key, *written[key], cost, True, created_at, updated_at)


def _orders_and_items(sales: dict[date, list[Record]]) -> Iterator[Image]:
    """What a customer bought on a day in a shop under one promotion is one order."""
    lines_of_order: Counter[str] = Counter()
    for day, sales_of_day in sales.items():
        at = _at(day, NOON)
        for sale in sales_of_day:
            customer, promotion = sale["customer_id"], sale["promotion_id"]
            order_id = "-".join((sale["time_id"], sale["store_id"], customer, promotion))
            lines_of_order[order_id] = number = lines_of_order[order_id] + 1
            if number == 1:
                campaign = None if promotion == NO_PROMOTION else promotion
                yield "orders", (order_id, customer, campaign, "delivered", at, at, at)
            quantity = int(Decimal(sale["unit_sales"]))
            price, cost = _per_unit(sale["store_sales"], sale), _per_unit(sale["store_cost"], sale)
            item = (f"{order_id}-{number:03d}", order_id, sale["product_id"], quantity, price, 0, cost, at, at)
            yield "order_items", item


def _inventory(stock_facts: dict[date, list[Record]], products: Iterable[Record]) -> Iterator[Image]:
    units_per_case = {record["product_id"]: int(record["units_per_case"]) for record in products}
    stock: MasterFromEvents[tuple[str, str]] = MasterFromEvents()
    for day, facts in stock_facts.items():
        for fact in facts:
            product, warehouse = fact["product_id"], fact["warehouse_id"]
            ordered, shipped = int(fact["units_ordered"]), int(fact["units_shipped"])
            stock.hear((product, warehouse), _at(day, NOON), ordered, ordered - shipped, units_per_case[product])
        for key, values, created_at, updated_at in stock.end_of_day():
            yield "inventory", (*key, *values, created_at, updated_at)


def _date(text: str) -> date:
    """`1997-01-01` or `1997-01-01 00:00:00.0`."""
    return date.fromisoformat(text[:10])


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, tzinfo=UTC)


def _money(text: str) -> Decimal | None:
    return four_places(Decimal(text)) if text else None


def _per_unit(total: str, sale: Record) -> Decimal:
    return four_places(Decimal(total) / Decimal(sale["unit_sales"]))


SHOP = Shop(
    name="foodmart",
    first_date=date(1997, 1, 1),
    default_until=date(1998, 12, 30),
    last_date=date(1998, 12, 30),
    read_images=read_images,
)
