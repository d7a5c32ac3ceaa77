"""The sample shops on a real Postgres: their content against totals that an independent reading of the data gave."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
import pytest

from lakehouse.errors import SourceError, UsageError
from samples import foodmart, online_retail
from samples.images import TABLES, Image
from samples.shop import Shop
from tests.content_hash import content_hash

pytestmark = pytest.mark.integration

OTHER_TYPES = {
    **dict.fromkeys(["created_at", "updated_at", "ordered_at"], "timestamptz"),
    **dict.fromkeys(["start_date", "end_date"], "date"),
    **dict.fromkeys(["price", "cost", "unit_price", "unit_cost", "discount", "budget"], "numeric"),
    **dict.fromkeys(["quantity", "quantity_on_hand", "quantity_reserved", "reorder_point"], "integer"),
    "is_active": "boolean",
}
EMPTY = (0, 0)

FOODMART_1998_12_30 = {
    "customers": (10_281, 5935527525901973382034),
    "products": (1_560, 905948049769091544831),
    "orders": (24_311, 13989387215161943665904),
    "order_items": (105_162, 60604814547406674304011),
    "inventory": (9_084, 5240956234577205611275),
    "campaigns": (1_863, 1078661128749870932706),
}
ONLINE_RETAIL_2011_11_30 = {
    "customers": (4_331, 2490264001942368534320),
    "products": (4_067, 2363535439745111557145),
    "orders": (24_885, 14427527386231198439972),
    "order_items": (516_384, 297609128718109348261395),
    "inventory": EMPTY,
    "campaigns": EMPTY,
}
ONLINE_RETAIL_2011_12_09 = {
    "customers": (4_372, 2514222038131054593024),
    "products": (4_070, 2334036010956875539047),
    "orders": (25_900, 15002746670309964369286),
    "order_items": (541_909, 312401750498288140018165),
    "inventory": EMPTY,
    "campaigns": EMPTY,
}


def contents(dsn: str) -> dict[str, tuple[int, int]]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        return {
            table: content_hash(
                cursor, f"public.{table}", {column: OTHER_TYPES.get(column, "text") for column in spec.columns}
            )
            for table, spec in TABLES.items()
        }


def counts(expected: dict[str, tuple[int, int]]) -> dict[str, int]:
    return {table: rows for table, (rows, _) in expected.items()}


def run(dsn: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def state(dsn: str) -> tuple[str, date]:
    ((shop, until),) = run(dsn, "select shop, until from lakehouse_sample.state")
    return shop, until


# The two data sets


def test_foodmart_is_what_its_control_totals_say(postgres: Any) -> None:
    dsn = postgres.create_database("sample_foodmart")
    assert foodmart.SHOP.load(dsn) == counts(FOODMART_1998_12_30)
    assert contents(dsn) == FOODMART_1998_12_30
    assert state(dsn) == ("foodmart", date(1998, 12, 30))


def test_foodmart_advanced_is_foodmart_loaded(postgres: Any) -> None:
    dsn = postgres.create_database("sample_foodmart_advanced")
    foodmart.SHOP.load(dsn, date(1997, 6, 30))
    for day in (date(1998, 12, 1), date(1998, 12, 30)):
        foodmart.SHOP.advance(dsn, day)
    assert contents(dsn) == FOODMART_1998_12_30


def test_before_its_first_row_a_shop_is_empty(postgres: Any) -> None:
    dsn = postgres.create_database("sample_before_all")
    for shop in (online_retail.SHOP, foodmart.SHOP):
        assert set(shop.load(dsn, date(1989, 12, 31)).values()) == {0}
        assert set(contents(dsn).values()) == {EMPTY}


def test_online_retail_day_by_day_and_in_one_step_is_what_its_control_totals_say(postgres: Any) -> None:
    dsn = postgres.create_database("sample_online_retail")
    assert online_retail.SHOP.load(dsn, date(2011, 11, 30)) == counts(ONLINE_RETAIL_2011_11_30)
    assert contents(dsn) == ONLINE_RETAIL_2011_11_30

    changed_on = {day: online_retail.SHOP.advance(dsn, date(2011, 12, day)) for day in range(1, 10)}
    assert contents(dsn) == ONLINE_RETAIL_2011_12_09
    assert set(changed_on.pop(3).values()) == {0}, "the shop is closed on Saturdays"
    assert all(changed["orders"] and changed["order_items"] for changed in changed_on.values())

    assert online_retail.SHOP.load(dsn, date(2011, 12, 9)) == counts(ONLINE_RETAIL_2011_12_09)
    assert contents(dsn) == ONLINE_RETAIL_2011_12_09


# The rules of loading and advancing, on a shop of three orders


def order(order_id: str, status: str, day: int) -> Image:
    noon = datetime(2020, 1, day, 12, tzinfo=UTC)
    return "orders", (order_id, None, None, status, noon, datetime(2020, 1, 1, 12, tzinfo=UTC), noon)


IMAGES = [order("A", "pending", 1), order("B", "pending", 1), order("A", "shipped", 2), order("C", "pending", 3)]
FIRST, SECOND, THIRD = date(2020, 1, 1), date(2020, 1, 2), date(2020, 1, 3)
CORNER_SHOP = Shop("corner_shop", FIRST, SECOND, THIRD, lambda _until: IMAGES)
OTHER_SHOP = Shop("other_shop", FIRST, SECOND, THIRD, lambda _until: [])


def orders(dsn: str) -> dict[str, tuple[str, int]]:
    """Status and the day of updated_at of each order."""
    found = run(dsn, "select order_id, status, updated_at at time zone 'UTC' from orders order by order_id")
    return {order_id: (status, updated_at.day) for order_id, status, updated_at in found}


@pytest.fixture
def dsn(postgres: Any, request: pytest.FixtureRequest) -> str:
    return str(postgres.create_database(request.node.name[:60]))


def test_load_stops_at_the_default_day_and_says_what_it_does(dsn: str) -> None:
    said: list[str] = []
    CORNER_SHOP.load(dsn, progress=said.append)
    assert orders(dsn) == {"A": ("shipped", 2), "B": ("pending", 1)}
    assert state(dsn) == ("corner_shop", SECOND)
    assert said[0] == "reading corner_shop up to 2020-01-02"
    assert "orders: 2 rows" in said


def test_advance_overwrites_what_changed_and_inserts_what_is_new(dsn: str) -> None:
    CORNER_SHOP.load(dsn, FIRST)
    changed = CORNER_SHOP.advance(dsn, THIRD)
    assert orders(dsn) == {"A": ("shipped", 2), "B": ("pending", 1), "C": ("pending", 3)}
    assert changed == dict.fromkeys(TABLES, 0) | {"orders": 2}
    assert state(dsn) == ("corner_shop", THIRD)


def test_advance_to_the_present_day_changes_nothing(dsn: str) -> None:
    CORNER_SHOP.load(dsn, SECOND)
    run(dsn, "update orders set status = 'edited' where order_id = 'A'")
    assert CORNER_SHOP.advance(dsn, SECOND) == dict.fromkeys(TABLES, 0)
    assert orders(dsn)["A"][0] == "edited"


def test_advance_copes_with_a_column_that_somebody_added(dsn: str) -> None:
    CORNER_SHOP.load(dsn, FIRST)
    run(dsn, "alter table orders add column gift_wrap boolean")
    CORNER_SHOP.advance(dsn, SECOND)
    assert orders(dsn)["A"] == ("shipped", 2)


def test_advance_after_the_last_day_of_the_data_only_moves_the_day(dsn: str) -> None:
    CORNER_SHOP.load(dsn, THIRD)
    assert CORNER_SHOP.advance(dsn, THIRD + timedelta(days=30)) == dict.fromkeys(TABLES, 0)
    assert state(dsn) == ("corner_shop", date(2020, 2, 2))


def test_advance_refuses_to_go_back(dsn: str) -> None:
    CORNER_SHOP.load(dsn, SECOND)
    with pytest.raises(UsageError, match="stands at 2020-01-02 and cannot go back to 2020-01-01"):
        CORNER_SHOP.advance(dsn, FIRST)
    assert orders(dsn)["A"] == ("shipped", 2)


def test_advance_refuses_another_shops_database(dsn: str) -> None:
    CORNER_SHOP.load(dsn, FIRST)
    with pytest.raises(UsageError, match="is sample corner_shop's, not other_shop's"):
        OTHER_SHOP.advance(dsn, SECOND)
    assert state(dsn) == ("corner_shop", FIRST)


def test_advance_refuses_a_database_that_no_sample_made(dsn: str) -> None:
    with pytest.raises(UsageError, match="no sample made this database"):
        CORNER_SHOP.advance(dsn, SECOND)


def test_advance_names_the_cure_where_a_table_is_not_as_it_was_made(dsn: str) -> None:
    CORNER_SHOP.load(dsn, FIRST)
    run(dsn, "alter table customers drop column email")
    with pytest.raises(UsageError, match="load it again"):
        CORNER_SHOP.advance(dsn, SECOND)
    assert orders(dsn)["A"] == ("pending", 1)
    CORNER_SHOP.load(dsn, FIRST)
    CORNER_SHOP.advance(dsn, SECOND)


@pytest.mark.parametrize("relation", ["table inventory (n integer)", "view campaigns as select 1 as n"])
def test_load_refuses_and_touches_nothing_where_a_table_is_somebodys(postgres: Any, relation: str) -> None:
    name = relation.split()[1]
    dsn = postgres.create_database(f"somebodys_{name}")
    run(dsn, f"create {relation}")
    with pytest.raises(UsageError, match=f"holds {name}: name an empty one"):
        CORNER_SHOP.load(dsn)
    assert run(dsn, "select relname from pg_class where relnamespace = 'public'::regnamespace") == [(name,)]
    assert run(dsn, "select 1 from pg_namespace where nspname = 'lakehouse_sample'") == []


def test_load_refuses_where_the_mark_is_empty(dsn: str) -> None:
    CORNER_SHOP.load(dsn)
    run(dsn, "delete from lakehouse_sample.state")
    with pytest.raises(UsageError, match="holds customers, products, orders, order_items, inventory, campaigns"):
        OTHER_SHOP.load(dsn)
    assert len(orders(dsn)) == 2


def test_load_leaves_alone_what_else_the_database_holds(dsn: str) -> None:
    run(dsn, "create table suppliers as select 1 as supplier_id")
    CORNER_SHOP.load(dsn)
    CORNER_SHOP.load(dsn)
    assert run(dsn, "select supplier_id from suppliers") == [(1,)]


def test_load_resets_a_database_that_a_sample_made(dsn: str) -> None:
    CORNER_SHOP.load(dsn, THIRD)
    run(dsn, "alter table orders add column gift_wrap boolean, drop column status")
    run(dsn, "insert into customers (customer_id, created_at, updated_at) values ('X', now(), now())")
    CORNER_SHOP.load(dsn, FIRST)
    assert orders(dsn) == {"A": ("pending", 1), "B": ("pending", 1)}
    assert run(dsn, "select customer_id from customers") == []
    OTHER_SHOP.load(dsn, FIRST)
    assert orders(dsn) == {}
    assert state(dsn) == ("other_shop", FIRST)


def test_a_reset_keeps_who_may_read(dsn: str) -> None:
    CORNER_SHOP.load(dsn)
    run(dsn, "grant select on orders to pg_monitor; grant select, update on products to public")
    CORNER_SHOP.load(dsn)
    granted = run(
        dsn,
        """select table_name, grantee, privilege_type from information_schema.role_table_grants
            where grantee in ('pg_monitor', 'PUBLIC') and table_schema = 'public' order by 1, 2, 3""",
    )
    assert granted == [
        ("orders", "pg_monitor", "SELECT"),
        ("products", "PUBLIC", "SELECT"),
        ("products", "PUBLIC", "UPDATE"),
    ]


def test_a_load_that_breaks_leaves_the_database_as_it_was(dsn: str) -> None:
    CORNER_SHOP.load(dsn, FIRST)

    def break_off(said: str) -> None:
        if said.startswith("order_items"):
            raise KeyboardInterrupt

    for act in (OTHER_SHOP.load, CORNER_SHOP.advance):
        with pytest.raises(KeyboardInterrupt):
            act(dsn, THIRD, break_off)
        assert orders(dsn) == {"A": ("pending", 1), "B": ("pending", 1)}
        assert state(dsn) == ("corner_shop", FIRST)


def test_a_server_that_breaks_off_is_named_and_the_database_is_as_it_was(dsn: str) -> None:
    CORNER_SHOP.load(dsn, FIRST)

    def end_the_session(said: str) -> None:
        if said.startswith("order_items"):
            run(
                dsn,
                """select pg_terminate_backend(pid, 5000) from pg_stat_activity
                    where datname = current_database() and pid <> pg_backend_pid()
                      and backend_type = 'client backend'""",
            )

    for act in (OTHER_SHOP.load, CORNER_SHOP.advance):
        with pytest.raises(SourceError, match=r"broke off .* run the same command again"):
            act(dsn, THIRD, end_the_session)
        assert orders(dsn) == {"A": ("pending", 1), "B": ("pending", 1)}
        assert state(dsn) == ("corner_shop", FIRST)


def test_a_view_on_the_tables_is_not_dropped_with_them(dsn: str) -> None:
    CORNER_SHOP.load(dsn)
    run(dsn, "create view open_orders as select * from orders where status = 'pending'")
    with pytest.raises(UsageError, match="depends on the sample's tables"):
        CORNER_SHOP.load(dsn, FIRST)
    assert run(dsn, "select order_id from open_orders") == [("B",)]


# The schema


def test_an_update_that_leaves_updated_at_alone_is_stamped(dsn: str) -> None:
    CORNER_SHOP.load(dsn)
    for table in TABLES:
        columns = ", ".join(TABLES[table].key)
        values = ", ".join("'K'" for _ in TABLES[table].key)
        run(
            dsn,
            f"insert into {table} ({columns}, created_at, updated_at) values ({values}, '2020-01-01', '2020-01-01')",
        )
        set_nothing = f"update {table} set created_at = created_at where {TABLES[table].key[0]} = 'K'"
        assert run(dsn, f"{set_nothing} returning updated_at = now()") == [(True,)]


def test_an_update_that_says_when_it_happened_is_believed(dsn: str) -> None:
    CORNER_SHOP.load(dsn)
    run(dsn, "update orders set status = 'delivered', updated_at = '2020-01-20 12:00+00' where order_id = 'A'")
    assert orders(dsn)["A"] == ("delivered", 20)


def test_updated_at_is_indexed(dsn: str) -> None:
    CORNER_SHOP.load(dsn)
    indexed = run(
        dsn, "select tablename from pg_indexes where schemaname = 'public' and indexdef like '%%(updated_at)'"
    )
    assert {table for (table,) in indexed} == set(TABLES)
