"""An empty gold is filled without keys and indexes, and has them all again when the publish ends, however it ends."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from lakehouse.errors import GateError
from lakehouse.records import Changes
from lakehouse.warehouse.patience import Patience
from tests.warehouse.conftest import CONTRACTS, ROWS, Store

pytestmark = pytest.mark.integration
KEYS = """
    select conrelid::regclass::text, conname, replace(pg_get_constraintdef(oid), ' NOT VALID', ''), 'true' from pg_constraint
    where connamespace = 'gold'::regnamespace and contype in ('p', 'u', 'f')
    union all
    select indrelid::regclass::text, c.relname, pg_get_indexdef(indexrelid), indisvalid::text
    from pg_index join pg_class c on c.oid = indexrelid where relnamespace = 'gold'::regnamespace
    order by 1, 2, 3
"""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.warehouse.straight.MANY_ROWS", 1)


def files(store: Store) -> dict[str, Any]:
    """The file of each key and index: another one where it was made again."""
    return dict(
        store.ask(
            "select relname, relfilenode from pg_class where relnamespace = 'gold'::regnamespace and relkind = 'i'"
        )
    )


def test_an_empty_gold_is_filled_without_its_keys_and_has_them_again(store: Store) -> None:
    keys, before = store.ask(KEYS), files(store)
    assert store.published(ROWS) == {t: Changes(len(ROWS[t]), 0, 0) for t in CONTRACTS}
    assert store.ask(KEYS) == keys
    assert files(store).keys() == before.keys()
    assert not files(store).items() & before.items(), "every one was made of rows that stood"


def test_a_gold_with_rows_keeps_its_keys(store: Store) -> None:
    store.published({"dim_lands": ROWS["dim_lands"]})
    before = files(store)
    assert store.published(ROWS, "r2")["agg_streets"] == Changes(2, 0, 0)
    assert files(store) == before


@pytest.mark.parametrize(
    ("table", "wrong", "words"),
    [
        ("agg_streets", [("s", "nowhere", 1, None, None)], "agg_streets breaks agg_streets_city_fkey"),
        ("agg_streets", [("s", "C", None, None, None)], "agg_streets breaks the rule that length has a value"),
        ("dim_lands", [("L", 1), ("L", 2), ("M", 1)], "dim_lands breaks dim_lands_key"),
    ],
)
def test_rows_that_break_a_key_are_refused_and_the_keys_stay(
    store: Store, table: str, wrong: list[tuple[object, ...]], words: str
) -> None:
    keys, before = store.ask(KEYS), files(store)
    fine = {t: r for t, r in ROWS.items() if t in ("dim_lands", "dim_cities")}
    with pytest.raises(GateError, match=words):
        store.published(fine | {table: wrong})
    assert (store.ask(KEYS), files(store)) == (keys, before)
    assert store.ask("select count(*) from gold.dim_lands") == [(0,)]


@pytest.mark.parametrize(
    "other",
    [
        "create view public.of_mine as select land, area from gold.dim_lands group by land",
        "create table public.of_mine (land text references gold.dim_lands)",
    ],
)
def test_what_other_people_built_on_a_key_keeps_the_keys(store: Store, other: str) -> None:
    store.ask(other)
    before = files(store)
    assert store.published(ROWS)["agg_streets"] == Changes(2, 0, 0)
    assert files(store) == before


def test_somebody_at_work_on_an_empty_table_keeps_the_keys(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.warehouse.straight.FOR_A_PUBLISH", Patience(tries=1, milliseconds=100))
    before = files(store)
    with closing(psycopg2.connect(store.dsn)) as reader, reader.cursor() as cursor:
        cursor.execute("select from gold.agg_pairs")
        assert store.published(ROWS)["agg_pairs"] == Changes(2, 0, 0)
    assert files(store) == before
