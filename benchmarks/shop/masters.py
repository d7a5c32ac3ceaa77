"""Customers, products, campaigns and inventory, as they stand at the end of the history: streams of tables of Arrow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.shop.columns import (
    NO_BREAK_SPACE,
    Faults,
    Mask,
    Numbers,
    Table,
    Zipf,
    amounts,
    campaign_ids,
    customer_ids,
    dates,
    edited,
    generator,
    identifiers,
    instants,
    integers,
    microseconds,
    one_of,
    product_ids,
    respelt,
    without,
    words,
)
from benchmarks.shop.size import BEGINNING, CAMPAIGNS, CHUNK, DAY, END, Shop
from samples.images import TABLES

FIRST_NAMES = ("Anna", "Ben", "Chloé", "David", "Eva", "Farid", "Grace", "Hugo", "Inès", "Jan", "Kofi", "Lena", "Mia",
               "Noah", "Olga", "Priya", "Quinn", "Rosa", "Sam", "Tomás")  # fmt: skip
LAST_NAMES = ("Smith", "Müller", "García", "O'Neil", "Van Dyk", "Li", "Novak", "Silva", "Khan", "Jensen", "Rossi",
              "Dubois", "Kim", "Brown", "Haddad", "Santos")  # fmt: skip
CITIES = ("London", "Berlin", "Paris", "Madrid", "Rome", "Wien", "Zürich", "Oslo", "Dublin", "Porto", "Lyon", "Leeds")
COUNTRIES = ("United Kingdom", "Germany", "France", "Spain", "Italy", "Austria", "Switzerland", "Norway", "Ireland",
             "Portugal", "France", "United Kingdom")  # fmt: skip
CATEGORIES = ("Kitchen", "Garden", "Toys", "Books", "Home Decor", "Lighting", "Stationery", "Gifts", "Pets", "Sports",
              "Music", "Office Supplies")  # fmt: skip
BRANDS = ("Acme", "Northwind", "Globex", "Initech", "Umbra", "Élan", "Hooli", "Stark Home")
CHANNELS = ("email", "paid_search", "social", "Display Ads", " Affiliate", "TV")
HOUR = 3_600_000_000
FAULTS_OF_CUSTOMERS = (
    "no_name", "upper_case", "blank_name", "bad_email", "upper_email", "phone_in_groups", "country", "double",
)  # fmt: skip
FAULTS_OF_PRODUCTS = (
    "minus_price", "minus_cost", "no_price", "category", "brand", "blanks_in_name", "key", "missing_amount",
)  # fmt: skip
FAULTS_OF_INVENTORY = ("orphan", "key", "no_quantity", "no_reserved", "no_reorder_point", "double")


def table_of(name: str, *columns: object) -> Table:
    """A table of the source, from its columns in their order."""
    return pa.table(list(columns), names=list(TABLES[name].columns))


def with_doubles(table: Table, name: str, mask: Mask, draw: np.random.Generator) -> Table:
    """The table, and its rows at the mask once more: the key spelt otherwise, changed an hour before, with or after them."""
    doubles = table.filter(pa.array(mask))
    if not len(doubles):
        return table
    key = TABLES[name].key[0]
    changed = microseconds(doubles["updated_at"]) + draw.integers(-1, 2, len(doubles)) * HOUR
    keys = [respelt(text, number) for number, text in enumerate(doubles[key].to_pylist())]
    doubles = doubles.set_column(0, key, pa.array(keys))
    doubles = doubles.set_column(doubles.num_columns - 1, "updated_at", instants(np.minimum(changed, END - 1)))
    return pa.concat_tables([table, doubles.cast(table.schema)])


def customers(shop: Shop) -> Iterator[Table]:
    """Customers, and three whose keys stand for nobody."""
    for chunk, first in enumerate(range(0, shop.customers, CHUNK)):
        numbers = np.arange(first, min(first + CHUNK, shop.customers))
        yield _some_customers(numbers, generator(2, chunk))


def _some_customers(numbers: Numbers, draw: np.random.Generator) -> Table:
    rows = len(numbers)
    lifetime = 365 * DAY + (END - BEGINNING) * 0.9
    created = BEGINNING - 365 * DAY + (draw.random(rows) * lifetime).astype(np.int64) // 1000 * 1000
    changed = np.minimum(created + (draw.random(rows) < 0.3) * draw.integers(0, 300 * DAY, rows), END - 1)
    first_name, last_name = draw.integers(0, len(FIRST_NAMES), rows), draw.integers(0, len(LAST_NAMES), rows)
    place = draw.integers(0, len(CITIES), rows)
    faults = Faults(draw, rows, FAULTS_OF_CUSTOMERS)
    first_names = edited(
        without(words(FIRST_NAMES, first_name), faults["no_name"]),
        (faults["upper_case"], lambda text, _: f"  {text.upper()}\t"),
        (faults["blank_name"], lambda text, n: f"{text}{NO_BREAK_SPACE} {text}" if n % 2 else NO_BREAK_SPACE),
    )
    emails = edited(
        pc.binary_join_element_wise(identifiers("user", numbers, 8), pa.scalar("example.com"), "@"),
        (faults["bad_email"], one_of("not an address", "a@b", "two@@x.com", "")),
        (faults["upper_email"], lambda text, _: f" {text.upper()} "),
    )
    phones = edited(
        identifiers("+4420", draw.integers(0, 10**8, rows), 8),
        (faults["phone_in_groups"], lambda text, _: f"({text[1:3]}) {text[3:6]}-{text[6:]}"),
    )
    countries = edited(
        words(COUNTRIES, place),
        (faults["country"], lambda text, n: f"{NO_BREAK_SPACE}{text.lower()}  " if n % 2 else None),
    )
    table = table_of("customers", customer_ids(numbers), first_names,
                     without(words(LAST_NAMES, last_name), faults["no_name"]), emails, phones, words(CITIES, place),
                     identifiers("R", place, 2), countries, instants(created), instants(changed))  # fmt: skip
    doubled = faults["double"]
    if numbers[0] == 0:
        nobody = table.slice(0, 3).set_column(0, "customer_id", pa.array(["unknown", "   ", "\t"]))
        table, doubled = pa.concat_tables([table, nobody]), np.append(doubled, [False] * 3)
    return with_doubles(table, "customers", doubled, draw)


def products(shop: Shop) -> Iterator[Table]:
    """Products. One that no rule lets through takes its lines along, so none of the best-selling tenth is among those."""
    numbers, draw = np.arange(shop.products), generator(3)
    rows = len(numbers)
    faults = Faults(draw, rows, FAULTS_OF_PRODUCTS)
    sells_little = np.ones(rows, dtype=bool)
    sells_little[Zipf(rows, 1).number_of(np.arange(rows // 10))] = False
    prices, costs = shop.prices.copy(), shop.costs.copy()
    prices[faults["minus_price"] & sells_little] *= -1
    costs[faults["minus_cost"] & sells_little] *= -1
    prices[faults["no_price"]] = 0
    created = BEGINNING - 30 * DAY + (draw.random(rows) * 30 * DAY).astype(np.int64)
    changed = np.minimum(created + (draw.random(rows) * 700 * DAY).astype(np.int64), END - 1)
    categories = edited(
        words(CATEGORIES, draw.integers(0, len(CATEGORIES), rows)),
        (faults["category"], lambda text, n: (text.upper(), f" {text.lower()}", None, "  ")[n % 4]),
    )
    brands = edited(
        words(BRANDS, draw.integers(0, len(BRANDS), rows)),
        (faults["brand"], lambda text, n: f"{text.upper()}  " if n % 2 else None),
    )
    names = edited(
        pc.binary_join_element_wise(words(BRANDS, numbers % 8), identifiers("item ", numbers, 6), " "),
        (faults["blanks_in_name"], lambda text, _: f" {text.replace(' ', '  ')}{NO_BREAK_SPACE}"),
    )
    is_even = numbers % 2 == 0
    table = table_of(
        "products", edited(product_ids(numbers), (faults["key"], respelt)), names, categories, brands,
        amounts(prices, missing=faults["missing_amount"] & is_even),
        amounts(costs, missing=faults["missing_amount"] & ~is_even),
        pa.array(draw.random(rows) < 0.95), instants(created), instants(changed),
    )  # fmt: skip
    yield with_doubles(table, "products", draw.random(rows) < 0.001, draw)


def campaigns(_: Shop) -> Iterator[Table]:
    """Campaigns: as many in a shop of any size, seven of them with a fault."""
    numbers, draw = np.arange(1, CAMPAIGNS + 1), generator(4)
    start = (BEGINNING // DAY + draw.integers(0, 680, CAMPAIGNS)).astype(np.int32)
    length = draw.integers(7, 60, CAMPAIGNS).astype(np.int32)
    length[150] = -3
    budgets = draw.integers(1_000, 50_000, CAMPAIGNS) * 100 + draw.integers(0, 100, CAMPAIGNS)
    budgets[151], budgets[152] = -budgets[151], 0
    names = edited(identifiers("Campaign ", numbers, 3), (numbers == 20, lambda text, _: f" {text}{NO_BREAK_SPACE} "))
    since = instants(start.astype(np.int64) * DAY)
    channels = words(CHANNELS, draw.integers(0, len(CHANNELS), CAMPAIGNS))
    table = table_of("campaigns", edited(campaign_ids(numbers), (numbers == 30, respelt)), names, channels,
                     dates(start), dates(start + length), amounts(budgets, scale=2, missing=numbers == 154), since,
                     since)  # fmt: skip
    yield with_doubles(table, "campaigns", numbers == 40, draw)


def inventory(shop: Shop) -> Iterator[Table]:
    """Stock: one row per product."""
    numbers, draw = np.arange(shop.products), generator(5)
    rows = len(numbers)
    faults = Faults(draw, rows, FAULTS_OF_INVENTORY)
    keys = edited(product_ids(numbers), (faults["orphan"], lambda text, _: f"X{text}"), (faults["key"], respelt))
    changed = END - 1 - (draw.random(rows) * 30 * DAY).astype(np.int64)
    table = table_of(
        "inventory", keys, identifiers("WH-", numbers % 4 + 1, 1),
        integers(draw.integers(-2, 500, rows), faults["no_quantity"]),
        integers(draw.integers(0, 60, rows), faults["no_reserved"]),
        integers(draw.integers(5, 80, rows), faults["no_reorder_point"]),
        instants(np.full(rows, BEGINNING)), instants(changed),
    )  # fmt: skip
    yield with_doubles(table, "inventory", faults["double"], draw)
