"""Views of marts on a real Postgres: made, filled, made again when their file changes, and what people built on them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from lakehouse.errors import LedgerError, StoreError
from lakehouse.warehouse.marts import digest
from tests.tables import CONTRACTS as PROJECT
from tests.warehouse.conftest import AREAS, CITIES, ROWS, Store

pytestmark = pytest.mark.integration


@pytest.fixture
def mart(store: Store, folder: Path) -> Store:
    """A published gold with its marts up to date."""
    store.published(ROWS)
    store.gold.refresh_marts("r1")
    return store


def refresh(store: Store, run_id: str) -> None:
    """As another process would: the folder is read again."""
    store.gold.marts.__dict__.pop("definitions", None)
    store.gold.refresh_marts(run_id)


def identity(store: Store) -> list[tuple[object, ...]]:
    return store.ask("select relname, oid from pg_class where relnamespace = 'marts'::regnamespace order by 1")


def test_the_projects_marts_are_made_from_its_folder(store_of: Callable[..., Store]) -> None:
    store = store_of(PROJECT["gold"])
    store.gold.prepare()
    store.gold.refresh_marts("r1")
    names = sorted(f.stem for f in (Path(__file__).parents[2] / "conf" / "postgres" / "marts").glob("*.sql"))
    assert store.ask("select matviewname::text from pg_matviews where ispopulated order by 1") == [(n,) for n in names]
    assert len(names) >= 2


def test_a_sum_over_an_amount_that_did_not_fit_is_null_and_not_too_small(store_of: Callable[..., Store]) -> None:
    store = store_of(PROJECT["gold"])
    store.gold.prepare()
    stamp = "_published_at, _run_id) select {}, now(), 'r1'"
    store.ask(
        "insert into gold.dim_customers (customer_id, lifetime_orders, first_order_date, "
        + stamp.format("c, 1, '2020-01-05'")
        + " from unnest(array['A', 'B']) c",
        "insert into gold.dim_products (product_id, category, "
        + stamp.format("p, 'Tea'")
        + " from unnest(array['P', 'Q']) p",
        "insert into gold.fact_customer_orders (order_id, customer_id, ordered_at, order_date, status, is_sale, line_count, "
        "units, customer_order_number, net_amount, "
        + stamp.format("c || d, c, d, d, 'paid', true, 1, 1, 1, n")
        + " from (values ('A', date '2020-01-05', 1), ('B', '2020-01-06', null), ('A', '2020-02-05', 3)) o (c, d, n)",
        "insert into gold.fact_daily_sales (sales_date, product_id, order_count, customer_count, units_sold, units_returned, "
        "net_sales, gross_profit, "
        + stamp.format("d, p, 1, 1, 1, 0, n, n")
        + " from (values (date '2020-01-05', 'P', 1), ('2020-01-06', 'Q', null), ('2020-02-05', 'P', 3)) s (d, p, n)",
    )
    store.gold.refresh_marts("r1")
    assert store.ask("select months_since, orders, net_sales from marts.customer_cohorts order by 1") == [
        (0, 2, None),
        (1, 1, 3),
    ]
    assert store.ask("select month, net_sales, gross_profit from marts.monthly_sales_by_category order by 1") == [
        (date(2020, 1, 1), None, None),
        (date(2020, 2, 1), 3, 3),
    ]


def test_marts_follow_a_publish_and_nothing_is_made_again(mart: Store) -> None:
    before = identity(mart)
    mart.published(ROWS | {"dim_lands": [("L", 70), ("M", None)]}, "r2")
    refresh(mart, "r2")
    assert mart.ask("select area from marts.areas where land = 'L'") == [(70,)]
    assert identity(mart) == before
    assert mart.ask("select value from ops.settings where name = 'marts_run'") == [("r2",)]


def test_a_run_that_published_nothing_new_refreshes_nothing(mart: Store) -> None:
    mart.ask("update gold.dim_lands set area = 99 where land = 'L'")
    refresh(mart, "r1")
    assert mart.ask("select area from marts.areas where land = 'L'") == [(7,)]


def test_a_changed_file_brings_its_view_again_with_what_was_granted_on_it(mart: Store, folder: Path) -> None:
    mart.ask("drop role if exists reader, other", "create role reader; create role other; "
             "grant select on marts.areas to reader with grant option; grant select (land) on marts.areas to other; "
             "grant select on marts.areas to public")  # fmt: skip
    cities = [i for i in identity(mart) if "cities" in str(i[0])]
    (folder / "areas.sql").write_text(AREAS.replace("land, area", "land, area * 2 as area"))
    refresh(mart, "r1")
    assert mart.ask("select area from marts.areas where land = 'L'") == [(14,)]
    assert mart.ask("select has_table_privilege('reader', 'marts.areas', 'select with grant option'), "
                    "has_column_privilege('other', 'marts.areas', 'land', 'select'), "
                    "(select count(*) from pg_class c, aclexplode(relacl) a where oid = 'marts.areas'::regclass "
                    "and grantee = 0)") == [(True, True, 1)]  # fmt: skip
    assert [i for i in identity(mart) if "cities" in str(i[0])] == cities
    mart.ask("drop owned by reader, other; drop role reader, other")


def test_a_changed_comment_of_the_file_changes_nothing(mart: Store, folder: Path) -> None:
    before = identity(mart)
    (folder / "areas.sql").write_text(AREAS.replace("-- Land and area.", "-- Something else."))
    refresh(mart, "r2")
    assert identity(mart) == before
    assert digest(AREAS) != digest(CITIES)


def test_a_view_of_the_first_release_which_bears_no_digest_is_made_again(mart: Store) -> None:
    before = identity(mart)
    mart.ask("comment on index marts.areas_key is null")
    refresh(mart, "r1")
    assert identity(mart) != before


def test_what_people_built_on_a_mart_stays_and_the_old_definition_goes_on(mart: Store, folder: Path) -> None:
    mart.ask("create view public.mine as select * from marts.areas")
    (folder / "areas.sql").write_text(AREAS.replace("land, area", "land, area, 1 as one"))
    mart.published(ROWS | {"dim_lands": [("L", 70), ("M", None)], "dim_cities": [("C", "L")],
                           "agg_streets": [], "agg_pairs": []}, "r2")  # fmt: skip
    with pytest.raises(StoreError, match=r"marts\.areas has a new definition and something of your own stands on it"):
        refresh(mart, "r2")
    assert mart.ask("select area from public.mine where land = 'L'") == [(70,)]
    assert mart.ask("select land, cities from marts.cities") == [("L", 1)]


def test_an_old_definition_that_fails_and_cannot_be_replaced_is_said_with_what_to_drop(
    mart: Store, folder: Path
) -> None:
    (folder / "areas.sql").write_text(AREAS.replace("land, area", "land, 1 / (area - 70) as area"))
    refresh(mart, "r1")
    mart.ask("create view public.mine as select * from marts.areas")
    (folder / "areas.sql").write_text(AREAS)
    mart.published(ROWS | {"dim_lands": [("L", 70), ("M", None)]}, "r2")
    with pytest.raises(StoreError, match=r"marts\.areas has a new definition and .*; marts\.areas: .*DivisionByZero"):
        refresh(mart, "r2")
    assert mart.ask("select value from ops.settings where name = 'marts_run'") == [("r1",)]


def test_a_mart_left_without_data_is_filled(mart: Store) -> None:
    mart.ask("refresh materialized view marts.areas with no data")
    refresh(mart, "r1")
    assert mart.ask("select count(*) from marts.areas") == [(2,)]


def test_a_mart_of_another_role_is_named_and_the_others_are_brought(mart: Store) -> None:
    mart.ask("drop view if exists marts.other", "drop materialized view marts.areas", "create table marts.areas ()")
    mart.published(ROWS | {"agg_streets": [], "agg_pairs": [], "dim_cities": [("C", "L")]}, "r2")
    with pytest.raises(StoreError, match=r"marts\.areas is something else than a materialised view: drop or rename it"):
        refresh(mart, "r2")
    assert mart.ask("select cities from marts.cities") == [(1,)]


@pytest.mark.usefixtures("impatient")
def test_a_file_that_makes_no_unique_index_is_refused_by_name(mart: Store, folder: Path) -> None:
    (folder / "lands.sql").write_text("create materialized view marts.lands as select 1 as n")
    with pytest.raises(
        StoreError, match=r"conf/postgres/marts/lands\.sql must make the view marts\.lands and a unique index"
    ):
        refresh(mart, "r2")
    assert mart.ask("select to_regclass('marts.lands')") == [(None,)]


def test_a_remake_brings_marts_again_with_their_grants(mart: Store) -> None:
    mart.ask("drop role if exists reader", "create role reader; grant select on marts.areas to reader")
    staging = mart.stage(ROWS, "r2")
    with mart.database.connection() as connection, connection.cursor() as cursor:
        mart.gold.remake(cursor, ["dim_lands"])
        mart.gold.publish(cursor, staging)
    refresh(mart, "r2")
    assert mart.ask("select count(*) from marts.areas") == [(2,)]
    assert mart.ask("select has_table_privilege('reader', 'marts.areas', 'select')") == [(True,)]
    mart.ask("drop owned by reader; drop role reader")


def test_a_remake_does_not_take_a_mart_of_another_role_down(mart: Store, store_of: Callable[..., Store]) -> None:
    mart.ask("drop role if exists stranger, night2", "create role stranger; create role night2 login password 'pw'; "
             "alter materialized view marts.areas owner to stranger; grant usage on schema marts, gold to night2")  # fmt: skip
    where = mart.dsn.rpartition("@")[2]
    other = store_of(mart.contracts, f"postgresql://night2:pw@{where}")
    with other.database.connection() as connection, connection.cursor() as cursor:
        with pytest.raises(LedgerError, match=r"marts\.areas belongs to another role and stands on gold"):
            other.gold.remake(cursor, ["dim_lands"])
        connection.rollback()
    mart.ask("reassign owned by stranger to postgres; drop owned by stranger, night2; drop role stranger, night2")
