"""Features of days on a real Postgres: given rows of gold, expected features by hand; nothing of a later day is in them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.business_date import BusinessDate
from lakehouse.errors import LedgerError, NotYetError, StoreError
from lakehouse.features import days as work
from lakehouse.features.tables import ensure
from tests.features.conftest import ZONE, Features, order, sale

pytestmark = pytest.mark.integration


def test_a_customers_features_are_of_counted_orders_until_the_days_end(features: Features) -> None:
    features.make("2026-01-26")
    assert features.day(
        "customer", "2026-01-26", "customer_id", "orders_total", "orders_30d", "orders_90d", "gross_sales_total",
        "gross_sales_90d", "average_order_gross", "days_since_first_order", "days_since_last_order", "average_days_between_orders",
    ) == [
        ("C1", 2, 2, 2, 150, 150, 75, 21, 1, 20),
        ("C2", 1, 1, 1, 30, 30, 30, 0, 0, None),
    ]  # fmt: skip


def test_a_products_features_are_of_units_sold_until_the_days_end(features: Features) -> None:
    features.make("2026-01-26")
    assert features.day(
        "product", "2026-01-26", "product_id", "units_sold_total", "units_sold_7d", "units_sold_30d", "orders_30d", "days_sold_30d",
        "gross_sales_30d", "average_price_30d", "days_since_first_sale", "days_since_last_sale",
    ) == [("P1", 17, 7, 17, 4, 3, 187, Decimal("11.0000"), 21, 0)]  # fmt: skip


def test_windows_end_with_the_day_and_have_as_many_days_as_they_say(features: Features) -> None:
    features.make("2026-02-03", "2026-02-04")
    orders = "orders_30d"
    # O1 of 5 January is the 30th day on 3 February, and out of the window the day after.
    assert features.day("customer", "2026-02-03", "customer_id", orders) == [("C1", 2), ("C2", 1)]
    assert features.day("customer", "2026-02-04", "customer_id", orders) == [("C1", 1), ("C2", 1)]
    features.make("2026-01-31", "2026-02-02")
    assert features.day("product", "2026-01-31", "units_sold_7d") == [(7,)]
    assert features.day("product", "2026-02-01", "units_sold_7d") == [(3,)]
    assert features.day("product", "2026-02-02", "units_sold_7d") == [(0,)]


def test_a_window_without_a_sale_is_nothing_sold_and_no_price(features: Features) -> None:
    features.make("2026-05-31")
    columns = ("units_sold_30d", "orders_30d", "gross_sales_30d", "average_price_30d", "days_since_last_sale")
    assert features.day("product", "2026-05-31", *columns) == [(0, 0, 0, None, 125)]
    assert features.day("customer", "2026-05-31", "customer_id", "orders_90d", "gross_sales_90d") == [
        ("C1", 0, 0),
        ("C2", 0, 0),
    ]


def test_an_order_of_the_days_last_instant_is_in_it_and_one_of_the_next_instant_is_not(features: Features) -> None:
    features.make("2026-01-25")
    assert features.day("customer", "2026-01-25", "customer_id", "orders_total", "event_ts") == [
        ("C1", 2, datetime(2026, 1, 26, tzinfo=UTC))
    ]


def test_a_sum_with_an_unknown_amount_is_unknown_and_not_too_small(features: Features) -> None:
    features.ask(order("O7", "C2", "2026-01-26 12:00+00", None, True))
    features.ask(sale("2026-01-24", "P1", 1, 1, None))
    features.make("2026-01-26")
    columns = ("customer_id", "orders_total", "gross_sales_total", "gross_sales_90d", "average_order_gross")
    assert features.day("customer", "2026-01-26", *columns)[1] == ("C2", 2, None, None, None)
    assert features.day("product", "2026-01-26", "gross_sales_30d", "average_price_30d") == [(None, None)]


def test_before_the_first_order_there_is_no_row(features: Features) -> None:
    assert features.make("2026-01-04") == [{"features_customer_daily": 0, "features_product_daily": 0}]


def test_a_day_made_twice_is_the_same_to_the_byte(features: Features) -> None:
    features.make("2026-01-20", "2026-01-31")
    before = features.hashes()
    features.make("2026-01-20", "2026-01-31")
    assert features.hashes() == before
    assert features.ask("select count(*), count(distinct feature_date) from features.days") == [(12, 12)]


def test_what_happens_later_changes_no_earlier_feature(features: Features) -> None:
    features.make("2026-01-05", "2026-01-27")
    before = {table: features.rows(table, but="2026-01-27") for table in ("customer", "product")}
    assert all(before.values())
    features.ask(order("O8", "C1", "2026-01-27 00:00+00", "5000", True))
    features.ask(order("O9", "C3", "2026-02-27 09:00+00", "5000", True))
    features.ask(sale("2026-01-27", "P1", 9, 900, "5000"))
    features.ask(sale("2026-02-27", "P2", 9, 900, "5000"))
    features.make("2026-01-05", "2026-01-27")
    assert {table: features.rows(table, but="2026-01-27") for table in ("customer", "product")} == before
    # The day itself knows it: the test would see a leak.
    assert features.day("customer", "2026-01-27", "customer_id", "orders_total") == [("C1", 3), ("C2", 1)]
    assert features.day("product", "2026-01-27", "units_sold_7d") == [(907,)]


def test_a_return_that_is_booked_later_on_an_old_order_changes_no_feature(features: Features) -> None:
    features.make("2026-01-26")
    before = features.hashes()
    features.ask(
        "update gold.fact_customer_orders set status = 'returned', units = 0, returns_amount = gross_amount, net_amount = 0",
        "update gold.fact_daily_sales set units_returned = units_sold, returns_amount = gross_sales, net_sales = 0",
        "update gold.dim_customers set last_order_date = '2026-06-01', lifetime_orders = 9, lifetime_net_sales = 9",
        "update gold.dim_products set price = 9, cost = 1, last_sold_date = '2026-06-01', is_active = false",
    )
    features.make("2026-01-26")
    assert features.hashes() == before


def test_what_gold_learns_later_of_a_past_day_comes_in_with_the_date_of_that_gold(features: Features) -> None:
    features.make("2026-06-01")
    assert features.day("customer", "2026-06-01", "customer_id", "orders_total", "gold_date") == [
        ("C1", 3, date(2026, 6, 1)),
        ("C2", 1, date(2026, 6, 1)),
    ]
    features.ask(order("O7", "C2", "2026-05-20 09:00+00", "5", True))
    features.publish("gold-2", "2026-06-02")
    # The day that was made when it was over stays as it was known then.
    assert features.make_due() == [("2026-06-02", "make")]
    assert features.day("customer", "2026-06-01", "customer_id", "orders_total")[1] == ("C2", 1)
    # Made again, it knows better, and says since when.
    features.make("2026-06-01")
    assert features.day("customer", "2026-06-01", "customer_id", "orders_total", "gold_date")[1] == (
        "C2",
        2,
        date(2026, 6, 2),
    )


def test_due_are_the_days_since_the_last_one_and_the_first_time_golds_own(features: Features) -> None:
    assert features.make_due() == [("2026-06-01", "make")]
    assert features.make_due() == []
    features.publish("gold-2", "2026-06-04")
    assert features.make_due() == [("2026-06-02", "make"), ("2026-06-03", "make"), ("2026-06-04", "make")]


def test_days_of_a_gold_that_was_taken_back_are_made_again_or_removed(features: Features) -> None:
    features.make_due()
    features.publish("gold-2", "2026-06-03")
    features.make_due()
    features.ask("update ops.runs set state = 'rewound' where run_id = 'gold-2'")
    assert features.make_due() == [("2026-06-02", "remove"), ("2026-06-03", "remove")]
    assert features.ask("select feature_date from features.days") == [(date(2026, 6, 1),)]
    assert features.ask("select distinct feature_date from features.features_customer_daily") == [(date(2026, 6, 1),)]
    features.publish("gold-3", "2026-06-02")
    assert features.make_due() == [("2026-06-02", "make")]
    features.ask("update ops.runs set state = 'rewound' where run_id = 'gold-3'")
    features.publish("gold-4", "2026-06-02")
    assert features.make_due() == [("2026-06-02", "replace")]


def test_a_day_that_gold_has_not_published_is_refused_and_nothing_changes(features: Features) -> None:
    with pytest.raises(NotYetError):
        features.make("2026-06-01", "2026-06-02")
    assert features.ask("select count(*) from features.days") == [(0,)]


def test_a_day_that_fails_half_way_leaves_what_was_there(features: Features) -> None:
    features.make("2026-01-26")
    before = features.hashes()
    features.ask("alter table features.features_product_daily add check (units_sold_total < 18)")
    features.ask(sale("2026-01-24", "P1", 1, 1, "1"))
    features.ask(order("O7", "C2", "2026-01-26 12:00+00", "1", True))
    with pytest.raises(StoreError):
        features.make("2026-01-26")
    assert features.hashes() == before


def test_a_table_of_another_shape_is_left_alone_and_said(features: Features) -> None:
    features.make("2026-01-26")
    features.ask("alter table features.features_customer_daily drop column orders_90d")
    before = features.hashes()
    with pytest.raises(LedgerError, match=r"features\.features_customer_daily .* is not of the shape of its contract"):
        ensure(features.database, "postgres", features.tables)
    assert features.hashes() == before


def test_a_schema_of_that_name_that_is_not_ours_is_left_alone(features: Features) -> None:
    features.ask("comment on schema features is 'somebody else''s'")
    with pytest.raises(LedgerError, match="that is not ours"):
        ensure(features.database, "postgres", features.tables)


def test_a_day_that_the_shops_calendar_leaves_out_is_not_made(features: Features) -> None:
    apia = ZoneInfo("Pacific/Apia")  # went over the date line: after 29 December 2011 came 31 December
    ends = [BusinessDate(date(2011, 12, day), apia) for day in (29, 31)]
    assert [step.day.day for step in work.between(features.database, *ends)] == [29, 31]


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orders=st.lists(
        st.tuples(
            st.sampled_from(["C1", "C2", "C3"]), st.integers(0, 60), st.sampled_from(["1", "2.5", None]), st.booleans()
        ),
        max_size=12,
    ),
    sales=st.dictionaries(
        st.tuples(st.integers(0, 60), st.sampled_from(["P1", "P2"])),
        st.tuples(st.integers(0, 3), st.integers(1, 9), st.sampled_from(["1", "2.5", None])),
        max_size=12,
    ),
)
def test_day_by_day_as_gold_comes_is_the_same_as_all_days_at_once(
    features: Features,
    orders: list[tuple[str, int, str | None, bool]],
    sales: dict[tuple[int, str], tuple[int, int, str | None]],
) -> None:
    begin = date(2026, 1, 1)

    def day(n: int) -> str:
        return str(date.fromordinal(begin.toordinal() + n))

    def arriving(n: int) -> list[str]:
        """What gold gains on a day."""
        return [
            *(order(f"O{at}", customer, f"{day(n)} 09:00+00", amount, counts)
              for at, (customer, when, amount, counts) in enumerate(orders) if when == n),
            *(sale(day(n), product, ordered, units if ordered else 0, gross)
              for (when, product), (ordered, units, gross) in sales.items() if when == n),
        ]  # fmt: skip

    of_features = "features.days, features.features_customer_daily, features.features_product_daily"
    checked = range(20, 61, 10)
    features.ask(
        f"truncate gold.fact_customer_orders, gold.fact_daily_sales, {of_features}",
        "delete from ops.runs",
    )
    for last in checked:
        gained = [
            statement for n in range(last - 20 if last == 20 else last - 9, last + 1) for statement in arriving(n)
        ]
        features.publish(f"gold-{last}", day(last), *gained)
        features.make(day(last))
    features.ask(*(f"update {table.name} set gold_date = '{day(60)}'" for table in features.tables))
    day_by_day = features.hashes()

    features.ask(f"truncate {of_features}")
    for n in checked:
        features.make(day(n))
    assert features.hashes() == day_by_day


def test_no_zone_but_the_shops_own_decides_when_a_day_ends(features: Features) -> None:
    steps = work.between(features.database, *[BusinessDate(date(2026, 1, 26), ZONE)] * 2)
    work.carry_out(features.database, features.tables, ZoneInfo("America/New_York"), steps[0])
    assert features.ask("select event_ts from features.days") == [(datetime(2026, 1, 27, 5, tzinfo=UTC),)]
