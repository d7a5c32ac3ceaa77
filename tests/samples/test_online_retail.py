"""How the sale lines of UCI Online Retail become customers, products, orders and their lines."""

import csv
import hashlib
from datetime import date

import pytest

from samples.archive import DATA, records
from samples.images import TABLES, Image
from samples.online_retail import ARCHIVE, COLUMNS, SHOP, images, read_images

pytestmark = pytest.mark.unit


def images_of(*lines: str) -> list[Image]:
    return list(images(csv.reader(lines)))


def rows(found: list[Image], table: str, *columns: str) -> list[tuple[str | None, ...]]:
    """The images of a table as text: the columns that matter."""
    positions = [TABLES[table].columns.index(column) for column in columns]
    return [
        tuple(None if row[position] is None else str(row[position]) for position in positions)
        for name, row in found
        if name == table
    ]


def test_a_customer_is_named_by_lines_and_has_the_country_last_said() -> None:
    found = images_of(
        "1,A,LAMP,1,2010-12-01 08:00:00,2.5,17850.0,France",
        "1,B,MUG,1,2010-12-01 08:05:00,2.5,17850.0,France",
        "2,A,LAMP,1,2010-12-02 09:00:00,2.5,17850.0,France",
        "3,A,LAMP,1,2010-12-03 10:00:00,2.5,17850.0,Spain",
    )
    assert rows(found, "customers", "customer_id", "first_name", "country", "created_at", "updated_at") == [
        ("17850.0", None, "France", "2010-12-01 08:00:00+00:00", "2010-12-01 08:05:00+00:00"),
        ("17850.0", None, "Spain", "2010-12-01 08:00:00+00:00", "2010-12-03 10:00:00+00:00"),
    ]


def test_a_line_without_a_customer_makes_a_guest_order_and_no_customer() -> None:
    found = images_of("1,A,LAMP,1,2010-12-01 08:00:00,2.5,,France")
    assert rows(found, "customers", "customer_id") == []
    assert rows(found, "orders", "order_id", "customer_id") == [("1", None)]


def test_a_product_changes_on_the_days_on_which_its_name_or_price_does() -> None:
    found = images_of(
        "1,A,LAMP,1,2010-12-01 08:00:00,2.5,,France",
        "2,A,LAMP,1,2010-12-02 08:00:00,2.5,,France",
        "3,A,BIG LAMP,1,2010-12-03 08:00:00,2.75,,France",
    )
    assert rows(found, "products", "product_id", "product_name", "price", "is_active", "created_at", "updated_at") == [
        ("A", "LAMP", "2.5000", "True", "2010-12-01 08:00:00+00:00", "2010-12-01 08:00:00+00:00"),
        ("A", "BIG LAMP", "2.7500", "True", "2010-12-01 08:00:00+00:00", "2010-12-03 08:00:00+00:00"),
    ]


def test_an_empty_description_and_a_price_not_above_zero_say_nothing() -> None:
    found = images_of(
        "1,A,LAMP,1,2010-12-01 08:00:00,2.5,,France",
        "2,A,,1,2010-12-02 08:00:00,0.0,,France",
        "3,A,,1,2010-12-03 08:00:00,-5.0,,France",
        "4,B,,1,2010-12-03 08:00:00,0.0,,France",
    )
    assert rows(found, "products", "product_id", "product_name", "price") == [
        ("A", "LAMP", "2.5000"),
        ("B", None, None),
    ]


def test_two_spellings_of_a_code_are_two_products() -> None:
    found = images_of(
        "1,85123a,LAMP,1,2010-12-01 08:00:00,2.5,,France",
        "1,85123A,LAMP,1,2010-12-01 08:00:00,2.5,,France",
    )
    assert rows(found, "products", "product_id") == [("85123a",), ("85123A",)]


def test_an_order_is_as_its_first_line_says_and_returned_when_its_number_begins_with_c() -> None:
    found = images_of(
        "1,A,LAMP,1,2010-12-01 08:00:00,2.5,17850.0,France",
        "1,B,MUG,1,2010-12-01 08:01:00,2.5,12345.0,France",
        "C2,A,LAMP,-1,2010-12-01 09:00:00,2.5,17850.0,France",
        "A3,A,LAMP,1,2010-12-01 09:00:00,2.5,,France",
    )
    columns = ("order_id", "customer_id", "campaign_id", "status", "ordered_at", "created_at", "updated_at")
    eight, nine = "2010-12-01 08:00:00+00:00", "2010-12-01 09:00:00+00:00"
    assert rows(found, "orders", *columns) == [
        ("1", "17850.0", None, "delivered", eight, eight, eight),
        ("C2", "17850.0", None, "returned", nine, nine, nine),
        ("A3", None, None, "delivered", nine, nine, nine),
    ]


def test_lines_are_numbered_within_their_invoice_in_file_order() -> None:
    found = images_of(
        "1,A,LAMP,6,2010-12-01 08:00:00,2.55,,France",
        "2,A,LAMP,1,2010-12-01 08:00:00,2.55,,France",
        "1,A,LAMP,-6,2010-12-01 08:01:00,-2.55,,France",
    )
    columns = (
        "order_item_id",
        "order_id",
        "product_id",
        "quantity",
        "unit_price",
        "discount",
        "unit_cost",
        "updated_at",
    )
    assert rows(found, "order_items", *columns) == [
        ("1-001", "1", "A", "6", "2.5500", "0", None, "2010-12-01 08:00:00+00:00"),
        ("2-001", "2", "A", "1", "2.5500", "0", None, "2010-12-01 08:00:00+00:00"),
        ("1-002", "1", "A", "-6", "-2.5500", "0", None, "2010-12-01 08:01:00+00:00"),
    ]


def test_a_line_number_takes_more_digits_where_three_do_not_do() -> None:
    found = images_of(*["1,A,LAMP,1,2010-12-01 08:00:00,2.5,,France"] * 1000)
    assert rows(found, "order_items", "order_item_id")[998:] == [("1-999",), ("1-1000",)]


def test_texts_stay_as_they_are_written() -> None:
    found = images_of('1,A," LAMP, ""RED""\\ ",1,2010-12-01 08:00:00,2.5,17850.0,eire ')
    assert rows(found, "products", "product_name") == [(' LAMP, "RED"\\ ',)]
    assert rows(found, "customers", "country") == [("eire ",)]


def test_no_campaign_and_no_stock_is_made_up() -> None:
    found = images_of("1,A,LAMP,1,2010-12-01 08:00:00,2.5,17850.0,France")
    assert {table for table, _ in found} == {"customers", "products", "orders", "order_items"}


def test_the_archive_begins_on_the_first_day_and_nothing_is_before_it() -> None:
    assert list(read_images(date(2010, 11, 30))) == []
    assert (
        next(iter(read_images(SHOP.first_date)))
        == images_of(
            "536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"
        )[0]
    )


def test_a_file_with_other_columns_is_not_read() -> None:
    with pytest.raises(ValueError, match="the columns are InvoiceNo, StockCode, not"):
        list(records(b"InvoiceNo,StockCode\n1,A\n", COLUMNS))


def test_the_archive_is_the_one_that_the_credits_name() -> None:
    digest = hashlib.sha256((DATA / ARCHIVE).read_bytes()).hexdigest()
    assert f"| {ARCHIVE} | {digest} |" in (DATA / "README.md").read_text(encoding="utf-8")
