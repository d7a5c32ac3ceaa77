"""How FoodMart's files become the six source tables."""

import csv
import hashlib
from collections.abc import Mapping

import pytest

from samples.archive import DATA
from samples.foodmart import ARCHIVE, FILES, images
from samples.images import TABLES

pytestmark = pytest.mark.unit

DAYS = """
time_id,the_date
371,1997-01-05 00:00:00.0
372,1997-01-06 00:00:00.0
1081,1998-12-01 00:00:00.0"""
SALES = "product_id,time_id,customer_id,promotion_id,store_id,store_sales,store_cost,unit_sales\n"
STOCK = "product_id,time_id,warehouse_id,units_ordered,units_shipped\n"
PRODUCTS = """
product_class_id,product_id,brand_name,product_name,SRP,units_per_case
7,1,Washington,Washington Berry Juice,2.8500,30"""
OTHER_PRODUCTS = """
7,2,Washington,Washington Mango Drink,0.7400,18
7,3,Washington,Washington Strawberry Drink,0.8300,25"""
CLASSES = """
product_class_id,product_subcategory,product_category
7,Juice,Drinks"""
GOODS = {"product": PRODUCTS + OTHER_PRODUCTS, "product_class": CLASSES}

Rows = list[tuple[str | None, ...]]


def rows(files: Mapping[str, str], table: str, *columns: str) -> Rows:
    """The images that the files make of a table as text: the columns that matter. Files not given are empty."""
    texts = dict.fromkeys(FILES, "") | {"time_by_day": DAYS} | dict(files)
    positions = [TABLES[table].columns.index(column) for column in columns]
    return [
        tuple(None if row[position] is None else str(row[position]) for position in positions)
        for name, row in images({name: list(csv.DictReader(text.strip().split("\n"))) for name, text in texts.items()})
        if name == table
    ]


def test_a_customer_is_as_written_from_the_day_the_account_was_opened() -> None:
    customer = """
customer_id,lname,fname,city,state_province,country,phone1,phone2,date_accnt_opened
1,Nowmer,Sheri,Tlaxiaco,Oaxaca,Mexico,271-555-9715,119-555-1969,1991-09-10
2,,Derrick,Sooke,BC,Canada,,807-555-9033,1993-03-11"""
    assert rows({"customer": customer}, "customers", *TABLES["customers"].columns) == [
        ("1", "Sheri", "Nowmer", None, "271-555-9715", "Tlaxiaco", "Oaxaca", "Mexico")
        + ("1991-09-10 00:00:00+00:00",) * 2,
        ("2", "Derrick", None, None, None, "Sooke", "BC", "Canada") + ("1993-03-11 00:00:00+00:00",) * 2,
    ]


def test_every_promotion_but_none_is_a_campaign_from_its_start() -> None:
    promotion = """
promotion_id,promotion_district_id,promotion_name,media_type,cost,start_date,end_date
0,0,No Promotion,No Media,0.0000,,
1,110,High Roller Savings,Product Attachment,14435.0000,1996-01-03 00:00:00.0,1996-01-06 00:00:00.0"""
    assert rows({"promotion": promotion}, "campaigns", *TABLES["campaigns"].columns) == [
        ("1", "High Roller Savings", "Product Attachment", "1996-01-03", "1996-01-06", "14435.0000")
        + ("1996-01-03 00:00:00+00:00",) * 2,
    ]


def products(sales_1997: str = "", sales_1998: str = "") -> Rows:
    files = {
        "product": PRODUCTS,
        "product_class": CLASSES,
        "sales_fact_1997": SALES + sales_1997,
        "sales_fact_dec_1998": SALES + sales_1998,
    }
    return rows(files, "products", "product_id", "cost", "created_at", "updated_at")


def test_a_product_exists_before_its_first_sale_and_its_cost_is_unknown() -> None:
    files = {"product": PRODUCTS, "product_class": CLASSES}
    assert rows(files, "products", *TABLES["products"].columns) == [
        ("1", "Washington Berry Juice", "Drinks", "Washington", "2.8500", None, "True")
        + ("1996-12-31 00:00:00+00:00",) * 2,
    ]


def test_a_products_cost_is_what_the_last_sale_of_a_day_says_and_changes_only_with_it() -> None:
    opening, fifth, december = (
        f"{day}+00:00" for day in ("1996-12-31 00:00:00", "1997-01-05 12:00:00", "1998-12-01 12:00:00")
    )
    found = products(
        sales_1997="1,371,6280,0,2,5.0,1.0,2.0\n1,371,6280,0,2,5.0,1.5,2.0\n1,372,6280,0,2,5.0,0.75,1.0",
        sales_1998="1,1081,826,78,1,5.0,2.0,3.0",
    )
    assert found == [
        ("1", None, opening, opening),
        ("1", "0.7500", opening, fifth),
        ("1", "0.6667", opening, december),
    ]


@pytest.mark.parametrize(
    ("store_cost", "unit_sales", "expected"),
    [("0.5100", "2.0000", "0.2550"), ("1.0000", "3.0000", "0.3333"), ("0.0001", "2.0000", "0.0001")],
)
def test_a_cost_per_unit_is_rounded_half_up(store_cost: str, unit_sales: str, expected: str) -> None:
    assert products(f"1,371,6280,0,2,5.0,{store_cost},{unit_sales}")[-1][1] == expected


def test_the_sales_of_a_customer_day_shop_and_promotion_are_one_order() -> None:
    sales = SALES + "1,371,6280,0,2,5.0,1.0,2.0\n3,371,6280,0,2,5.0,1.0,2.0\n1,371,6280,78,2,5.0,1.0,2.0"
    columns = ("order_id", "customer_id", "campaign_id", "status", "ordered_at", "created_at", "updated_at")
    noon = ("1997-01-05 12:00:00+00:00",) * 3
    assert rows({"sales_fact_1997": sales, **GOODS}, "orders", *columns) == [
        ("371-2-6280-0", "6280", None, "delivered", *noon),
        ("371-2-6280-78", "6280", "78", "delivered", *noon),
    ]


def test_a_sale_is_a_line_with_its_price_and_cost_per_unit() -> None:
    sales = SALES + "1,371,6280,0,2,5.0,1.0,3.0000\n2,371,6280,0,2,5.7,2.4,2.0000"
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
    assert rows({"sales_fact_1997": sales, **GOODS}, "order_items", *columns) == [
        ("371-2-6280-0-001", "371-2-6280-0", "1", "3", "1.6667", "0", "0.3333", "1997-01-05 12:00:00+00:00"),
        ("371-2-6280-0-002", "371-2-6280-0", "2", "2", "2.8500", "0", "1.2000", "1997-01-05 12:00:00+00:00"),
    ]


def test_sales_are_taken_by_day_and_within_a_day_in_file_order() -> None:
    sales = SALES + "3,372,1,0,2,5.0,1.0,1.0\n2,371,1,0,2,5.0,1.0,1.0\n1,372,1,0,2,5.0,1.0,1.0"
    found = rows({"sales_fact_1997": sales, **GOODS}, "order_items", "order_item_id", "product_id")
    assert found == [("371-2-1-0-001", "2"), ("372-2-1-0-001", "3"), ("372-2-1-0-002", "1")]


def test_stock_is_the_last_fact_of_a_day_and_an_image_only_where_it_changed() -> None:
    files = {
        "product": PRODUCTS,
        "product_class": CLASSES,
        "inventory_fact_1997": STOCK + "1,371,2,42,42\n1,371,2,50,40\n1,372,2,50,40\n1,372,3,8,8",
        "inventory_fact_1998": STOCK + "1,1081,2,9,9",
    }
    fifth, sixth, december = (f"{day} 12:00:00+00:00" for day in ("1997-01-05", "1997-01-06", "1998-12-01"))
    assert rows(files, "inventory", *TABLES["inventory"].columns) == [
        ("1", "2", "50", "10", "30", fifth, fifth),
        ("1", "3", "8", "0", "30", sixth, sixth),
        ("1", "2", "9", "0", "30", fifth, december),
    ]


def test_the_archive_is_the_one_that_the_credits_name() -> None:
    digest = hashlib.sha256((DATA / ARCHIVE).read_bytes()).hexdigest()
    assert f"| {ARCHIVE} | {digest} |" in (DATA / "README.md").read_text(encoding="utf-8")
