"""UCI Online Retail: the sale lines of a British gift shop, 2010-12-01 to 2011-12-09, one CSV file per trading day.

The data set knows nothing but lines. Customers and products are therefore what the lines say of them, invoices are
orders, and there are no campaigns and no stock. Texts stay as they are written, stray blanks, case and `17850.0`
included: to clean them is the lakehouse's work.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby

from samples.archive import csv_files, records
from samples.images import Image, MasterFromEvents, four_places
from samples.shop import Shop

ARCHIVE = "uci-online-retail-by-day.tar.xz"
COLUMNS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
Line = list[str]
"""The eight fields of COLUMNS as they are written."""


def read_images(until: date) -> Iterator[Image]:
    """All images up to a day. A file is named after its day and holds no line of another."""
    days = csv_files(ARCHIVE, wanted=lambda day: day <= until.isoformat())
    return images(line for content in days.values() for line in records(content, COLUMNS))


def images(lines: Iterable[Line]) -> Iterator[Image]:
    """The images that lines in the order of time make."""
    customers: MasterFromEvents[str] = MasterFromEvents()
    products: MasterFromEvents[str] = MasterFromEvents()
    lines_of_invoice: Counter[str] = Counter()
    for _, lines_of_day in groupby(lines, key=_day):
        for invoice, code, description, quantity, invoice_date, unit_price, customer, country in lines_of_day:
            at, price = _time(invoice_date), _price(unit_price)
            customer_id = customer or None
            products.hear(code, at, description or None, price if price is not None and price > 0 else None)
            if customer_id is not None:
                customers.hear(customer_id, at, country or None)
            lines_of_invoice[invoice] = number = lines_of_invoice[invoice] + 1
            if number == 1:
                status = "returned" if invoice.startswith("C") else "delivered"
                yield "orders", (invoice, customer_id, None, status, at, at, at)
            yield "order_items", (f"{invoice}-{number:03d}", invoice, code, quantity or None, price, 0, None, at, at)
        for key, (last_country,), created_at, updated_at in customers.end_of_day():
            yield "customers", (key, None, None, None, None, None, None, last_country, created_at, updated_at)
        for key, (last_name, last_price), created_at, updated_at in products.end_of_day():
            yield "products", (key, last_name, None, None, last_price, None, True, created_at, updated_at)


def _day(line: Line) -> str:
    return line[4][:10]


@lru_cache(maxsize=1024)
def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@lru_cache(maxsize=8192)
def _price(text: str) -> Decimal | None:
    return four_places(Decimal(text)) if text else None


SHOP = Shop(
    name="online_retail",
    first_date=date(2010, 12, 1),
    default_until=date(2011, 12, 9),
    last_date=date(2011, 12, 9),
    read_images=read_images,
)
