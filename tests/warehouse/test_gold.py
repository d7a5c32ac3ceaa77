"""The gold store on a real Postgres without Spark: order, changed rows only, DDL only where a contract changed, waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg2
import pytest

from lakehouse.errors import ConfigError, GateError, LedgerError, StoreError
from lakehouse.records import Changes
from lakehouse.warehouse.gold import parents_first
from tests.tables import CONTRACTS as PROJECT
from tests.warehouse.conftest import CONTRACTS, ROWS, Store, key, made

pytestmark = pytest.mark.integration


@contextmanager
def held(store: Store, statement: str) -> Iterator[None]:
    """While somebody's transaction has executed a statement and thinks about the next."""
    with closing(psycopg2.connect(store.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        yield


def rows(store: Store, *columns: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        t: store.ask(f"select {', '.join(columns) or 't.*'} from gold.{t} t order by 1, 2") for t in store.contracts
    }


def ddl_of(store: Store) -> dict[str, int]:
    """Transactions that last wrote a line of the catalogue of gold's tables, columns, indexes, keys and comments."""
    found = store.ask(
        "select 'pg_class ' || relname, xmin::text::bigint from pg_class where relnamespace = 'gold'::regnamespace "
        "union all select 'attribute ' || attrelid::regclass || attname, a.xmin::text::bigint from pg_attribute a "
        "join pg_class c on c.oid = attrelid where relnamespace = 'gold'::regnamespace "
        "union all select 'comment ' || objoid || ' ' || objsubid, xmin::text::bigint from pg_description "
        "where objoid in (select oid from pg_class where relnamespace = 'gold'::regnamespace)"
    )
    return dict(found)


@pytest.mark.unit
def test_tables_come_after_their_parents_however_deep() -> None:
    order = [c.table for c in parents_first(CONTRACTS)]
    assert order == ["dim_lands", "dim_cities", "agg_streets", "agg_pairs"]


@pytest.mark.unit
def test_a_circle_is_named_and_a_table_that_refers_to_itself_is_none() -> None:
    loop = {n: made(n, key("a"), {"name": "b", "physicalType": "text", "references": {"table": o}})
            for n, o in (("dim_x", "dim_y"), ("dim_y", "dim_x"))}  # fmt: skip
    with pytest.raises(ConfigError, match="refer to each other in a circle: dim_x, dim_y, dim_x"):
        parents_first(loop)
    own = made("dim_z", key("a"), {"name": "b", "physicalType": "text", "references": {"table": "dim_z"}})
    assert parents_first({"dim_z": own}) == [own]


def test_a_publish_writes_what_was_staged_and_a_second_one_touches_no_row(store: Store) -> None:
    assert store.published(ROWS) == {t: Changes(len(ROWS[t]), 0, 0) for t in CONTRACTS}
    assert store.ask("select street, opened_at at time zone 'UTC', opened::text from gold.agg_streets order by 1")[0][
        2
    ] == ("1969-12-31")
    before = rows(store, "xmin::text", "ctid::text", "t.*")
    assert store.published(ROWS, "r2") == {t: Changes(0, 0, 0) for t in CONTRACTS}
    assert rows(store, "xmin::text", "ctid::text", "t.*") == before


def test_only_rows_that_differ_change_and_bear_the_run_that_changed_them(store: Store) -> None:
    store.published(ROWS)
    changed = ROWS | {"dim_lands": [("L", 8), ("M", None), ("N", 1)], "agg_pairs": [("s", "t"), ("s", "s")]}
    changes = store.published(changed, "r2")
    assert changes["dim_lands"] == Changes(1, 1, 0)
    assert changes["agg_pairs"] == Changes(1, 0, 1)
    assert store.ask("select land, _run_id from gold.dim_lands order by 1") == [("L", "r2"), ("M", "r1"), ("N", "r2")]
    assert {r for (r,) in store.ask("select _run_id from gold.agg_streets")} == {"r1"}


def test_parents_and_children_of_three_levels_leave_together(store: Store) -> None:
    store.published(ROWS)
    assert store.published({}, "r2") == {t: Changes(0, 0, len(ROWS[t])) for t in CONTRACTS}


@pytest.mark.parametrize(
    ("table", "wrong", "words"),
    [
        (
            "agg_streets",
            [("s", "C", None, None, None)],
            "agg_streets breaks the rule that length has a value in every row",
        ),
        ("agg_streets", [("s", "nowhere", 1, None, None)], "agg_streets breaks agg_streets_city_fkey"),
        ("dim_lands", [("L", 1), ("L", 2)], "dim_lands breaks dim_lands_key"),
    ],
)
def test_what_breaks_a_promise_is_named_and_nothing_is_published(
    store: Store, table: str, wrong: list[tuple[object, ...]], words: str
) -> None:
    fine = {t: r for t, r in ROWS.items() if t in ("dim_lands", "dim_cities")}
    staging = store.stage(fine | {table: wrong})
    with pytest.raises(GateError, match=f"^gold was not published: {words}$"):
        store.publish(staging)
    assert not any(rows(store).values())


def test_contracts_that_did_not_change_bring_no_ddl_and_wait_for_nobody(store_of: Callable[..., Store]) -> None:
    store = store_of(PROJECT["gold"])
    store.gold.prepare()
    before = ddl_of(store)
    with held(store, "lock table gold.dim_products, gold.fact_daily_sales in access exclusive mode"):
        store_of(PROJECT["gold"]).gold.prepare()
    assert ddl_of(store) == before


def test_what_somebody_took_away_is_made_again_and_a_column_that_came_later_is_added(
    store: Store, store_of: Callable[..., Store]
) -> None:
    store.published(ROWS)
    store.ask("drop index gold.dim_lands_area_idx; alter table gold.dim_cities drop constraint dim_cities_land_fkey;"
              "comment on column gold.dim_lands.area is null")  # fmt: skip
    more = made("dim_lands", key("land"), {"name": "area", "physicalType": "bigint"},
                {"name": "coast", "physicalType": "boolean", "required": True}, indexes=[["area"]])  # fmt: skip
    store_of(CONTRACTS | {"dim_lands": more}).gold.prepare()
    assert store.ask("select coast from gold.dim_lands") == [(None,), (None,)]
    assert store.ask("select to_regclass('gold.dim_lands_area_idx') is not null, "
                     "exists (select from pg_constraint where conname = 'dim_cities_land_fkey'), "
                     "col_description('gold.dim_lands'::regclass, 2)") == [(True, True, "area")]  # fmt: skip


@pytest.mark.usefixtures("impatient")
def test_a_changed_contract_waits_a_little_for_those_who_hold_the_table_and_names_them(
    store: Store, store_of: Callable[..., Store]
) -> None:
    more = made("dim_lands", key("land"), {"name": "area", "physicalType": "bigint"},
                {"name": "coast", "physicalType": "boolean"}, indexes=[["area"]])  # fmt: skip
    changed = store_of(CONTRACTS | {"dim_lands": more}).gold
    with (
        held(store, "select from gold.dim_lands"),
        pytest.raises(
            StoreError, match=r"^gold\.dim_lands was held by session \d+ of postgres for longer than 0\.1 seconds"
        ),
    ):
        changed.prepare()
    changed.prepare()
    assert store.ask("select count(coast) from gold.dim_lands") == [(0,)]


@pytest.mark.usefixtures("impatient")
def test_an_index_that_somebody_is_making_is_waited_for_with_a_word_and_an_end(store: Store) -> None:
    """`create index` left open in somebody's transaction lets everybody read and nobody write."""
    staging = store.stage(ROWS)
    with (
        held(store, "create index mine on gold.dim_lands (area)"),
        held(store, "select from gold.dim_lands"),
        pytest.raises(StoreError, match=r"^gold\.dim_lands was held by session \d+ of postgres for longer"),
    ):
        store.publish(staging)
    assert store.publish(staging)["dim_lands"] == Changes(2, 0, 0)


def test_rows_that_somebody_changes_are_waited_for_with_an_end(store: Store) -> None:
    store.published(ROWS)
    staging = store.stage(ROWS | {"dim_lands": [("L", 9), ("M", None)]}, "r2")
    with (
        held(store, "update gold.dim_lands set area = 1"),
        store.database.connection() as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("set lock_timeout = '100ms'")
        with pytest.raises(
            StoreError, match=r"another transaction changes rows of gold\.dim_lands \(session \d+ of postgres\)"
        ):
            store.gold.publish(cursor, staging)
        connection.rollback()


def test_a_changed_key_is_brought_by_remake_and_what_stands_elsewhere_stays(
    store: Store, store_of: Callable[..., Store]
) -> None:
    store.published(ROWS)
    other = made("dim_cities", key("city", kind="bigint"), {"name": "land", "physicalType": "text",
                                                           "references": {"table": "dim_lands"}})  # fmt: skip
    streets = made("agg_streets", key("street"), {"name": "city", "physicalType": "bigint",
                                                  "references": {"table": "dim_cities"}})  # fmt: skip
    # A key of the old text cannot be referred to by a number: that foreign key has to wait for the remake.
    pairs = made("agg_pairs", key("street", "agg_streets"), {**key("other"), "primaryKeyPosition": 2},
                 {"name": "city", "physicalType": "bigint", "references": {"table": "dim_cities"}})  # fmt: skip
    contracts = CONTRACTS | {"dim_cities": other, "agg_streets": streets, "agg_pairs": pairs}
    new = store_of(contracts)
    new.gold.prepare()
    with new.database.connection() as connection, connection.cursor() as cursor:
        new.gold.remake(cursor, ["dim_cities", "agg_streets"])
        new.gold.remake(cursor, [])
    assert store.ask("select count(*) from gold.dim_cities union all select count(*) from gold.dim_lands") == [
        (0,),
        (2,),
    ]
    rows = {
        "dim_lands": ROWS["dim_lands"],
        "dim_cities": [(1, "L")],
        "agg_streets": [("s", 1)],
        "agg_pairs": [("s", "t", 1)],
    }
    assert new.published(rows, "r2")["dim_cities"] == Changes(1, 0, 0)
    assert {n for (n,) in store.ask("select conname from pg_constraint where contype = 'f' and convalidated")} == {
        "agg_pairs_street_fkey", "agg_pairs_city_fkey", "agg_streets_city_fkey", "dim_cities_land_fkey"}  # fmt: skip


def test_rows_that_dangle_after_a_remake_are_not_published(store: Store) -> None:
    store.published(ROWS)
    staging = store.stage(ROWS | {"dim_cities": ROWS["dim_cities"][1:]}, "r2")
    with store.database.connection() as connection, connection.cursor() as cursor:
        store.gold.remake(cursor, ["dim_cities"])
        with pytest.raises(GateError, match=r"^gold was not published: agg_streets breaks agg_streets_city_fkey$"):
            store.gold.publish(cursor, staging)
        connection.rollback()
    assert store.ask("select count(*) from gold.dim_cities") == [(2,)]


def test_a_remake_leaves_what_people_built_on_gold_and_says_so(store: Store) -> None:
    store.published(ROWS)
    store.ask("create view public.mine as select city from gold.dim_cities")
    with (
        pytest.raises(LedgerError, match="views of your own stand on dim_cities"),
        store.database.connection() as connection,
        connection.cursor() as cursor,
    ):
        store.gold.remake(cursor, ["dim_cities"])
    assert store.ask("select count(*) from public.mine") == [(2,)]
