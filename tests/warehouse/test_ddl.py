"""Gold's tables in Postgres: every statement follows from the contract."""

from __future__ import annotations

import pytest

from lakehouse.contracts import Column, Contract
from lakehouse.warehouse.ddl import Standing, foreign_keys, quoted, restored, staging_ddl, table_ddl
from tests.tables import CONTRACTS, contract

pytestmark = pytest.mark.unit


def mugs(**more: object) -> Contract:
    """A contract of mugs on shelves."""
    return Contract.model_validate({
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "gold.fact_mugs",
        "version": "1.0.0",
        "status": "active",
        "owner": "data-engineering",
        "description": {"purpose": "The shop's mugs"},
        "dataGranularityDescription": "One row per shelf and mug",
        "properties": [
            {"name": "mug_id", "physicalType": "text", "primaryKey": True, "primaryKeyPosition": 2,
             "references": {"table": "dim_mugs"}, "description": "Mug"},
            {"name": "shelf", "physicalType": "text", "primaryKey": True, "primaryKeyPosition": 1, "description": "Shelf"},
            {"name": "colour", "physicalType": "text", "description": "The glaze's colour"},
            {"name": "price", "physicalType": "numeric(12,4)", "required": True, "description": "Price"},
            {"name": "made_at", "physicalType": "timestamptz", "description": "When it was made"},
            {"name": "sold_date", "physicalType": "date", "description": "When it was sold"},
        ],
        **more,
    })  # fmt: skip


def test_a_table_has_the_contracts_columns_in_its_types_and_two_technical_ones() -> None:
    first, *_ = table_ddl(mugs())
    assert first == (
        "create table gold.fact_mugs ("
        "mug_id text not null, shelf text not null, colour text, price numeric(12,4) not null, made_at timestamptz, "
        "sold_date date, _published_at timestamptz not null, _run_id text not null, "
        "constraint fact_mugs_key primary key (shelf, mug_id))"
    )


def standing(**more: object) -> Standing:
    """The mugs' table as their contract makes it, but for what is said."""
    columns = {c.name: c.description for c in mugs().columns}
    return Standing("The shop's mugs. One row per shelf and mug.", columns, (), {})._replace(**more)


def test_a_table_that_is_as_its_contract_says_is_left_alone_so_that_nobody_is_waited_for() -> None:
    assert list(table_ddl(mugs(), standing())) == []


def test_a_column_that_came_later_is_added_and_may_be_null_as_old_rows_have_none() -> None:
    there = {n: d for n, d in standing().columns.items() if n != "price"}
    assert list(table_ddl(mugs(), standing(columns=there))) == [
        "alter table gold.fact_mugs add column price numeric(12,4)",
        "comment on column gold.fact_mugs.price is 'Price'",
    ]


def test_only_an_index_and_a_comment_that_changed_are_made() -> None:
    changed = standing(comment="The shop's cups", indexes=["fact_mugs_mug_id_idx"])
    assert list(table_ddl(mugs(indexes=[["mug_id"], ["sold_date"]]), changed)) == [
        "create index fact_mugs_sold_date_idx on gold.fact_mugs (sold_date)",
        "comment on table gold.fact_mugs is 'The shop''s mugs. One row per shelf and mug.'",
    ]


def test_a_text_is_indexed_by_its_first_characters_unless_it_is_an_identifier() -> None:
    made = [s for s in table_ddl(mugs(indexes=[["colour", "sold_date"], ["mug_id"]])) if "create index" in s]
    assert made == [
        "create index fact_mugs_colour_sold_date_idx on gold.fact_mugs (left(colour, 200), sold_date)",
        "create index fact_mugs_mug_id_idx on gold.fact_mugs (mug_id)",
    ]


def test_table_and_columns_say_what_they_are() -> None:
    comments = [s for s in table_ddl(mugs()) if s.startswith("comment on ")]
    assert comments[0] == "comment on table gold.fact_mugs is 'The shop''s mugs. One row per shelf and mug.'"
    assert comments[3] == "comment on column gold.fact_mugs.colour is 'The glaze''s colour'"
    assert len(comments) == 7


def test_nothing_that_stands_is_taken_away() -> None:
    for promised in CONTRACTS["gold"].values():
        for statement in table_ddl(promised):
            assert not {"drop", "delete", "truncate"} & set(statement.split(" is '")[0].split())


def test_a_reference_is_a_foreign_key() -> None:
    assert list(foreign_keys(mugs())) == [
        (
            "fact_mugs_mug_id_fkey",
            "alter table gold.fact_mugs add constraint fact_mugs_mug_id_fkey "
            "foreign key (mug_id) references gold.dim_mugs",
        )
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("fact_customer_orders", ["fact_customer_orders_customer_id_fkey"]),
        ("fact_daily_sales", ["fact_daily_sales_product_id_fkey"]),
        ("agg_inventory_status", []),
    ],
)
def test_facts_refer_to_dimensions_and_the_stock_to_nothing(table: str, expected: list[str]) -> None:
    assert [name for name, _ in foreign_keys(contract(f"gold.{table}"))] == expected


def test_names_are_short_enough_to_be_kept_whole() -> None:
    """Postgres cuts a name off at 63 bytes, and would make what it does not find again by the whole name."""
    for promised in CONTRACTS["gold"].values():
        indexes = [s.split()[2] for s in table_ddl(promised) if "create index" in s]
        names = [
            f"{promised.table}_key",
            f"{promised.table}_{'f' * 12}",
            *indexes,
            *(name for name, _ in foreign_keys(promised)),
        ]
        assert max(len(name.encode()) for name in names) <= 63


def test_what_is_staged_is_unlogged_new_and_without_times_that_a_driver_could_bend() -> None:
    assert staging_ddl(mugs(), "gold_staging.fact_mugs_r1") == (
        "drop table if exists gold_staging.fact_mugs_r1; create unlogged table gold_staging.fact_mugs_r1 ("
        "mug_id text, shelf text, colour text, price numeric(12,4), made_at bigint, sold_date integer, "
        "_is_gone boolean not null default false) with (autovacuum_enabled = false)"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("text", "x"),
        ("numeric(18,4)", "x"),
        ("bigint", "x"),
        ("date", "date '1970-01-01' + x"),
        (
            "timestamptz",
            "(timestamp '1970-01-01' + (x / 86400000000) * interval '1 day' "
            "+ mod(x, 86400000000) * interval '1 microsecond') at time zone 'UTC'",
        ),
    ],
)
def test_what_was_staged_is_turned_back(kind: str, expected: str) -> None:
    assert restored(Column.model_validate({"name": "x", "physicalType": kind, "description": "x"})) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("", "''"), ("it's", "'it''s'"), ("'; drop", "'''; drop'"), ("é%s", "'é%s'")]
)
def test_a_text_is_quoted(text: str, expected: str) -> None:
    assert quoted(text) == expected


def test_an_index_of_the_project_is_on_a_text_that_can_be_long_only_by_its_first_characters() -> None:
    made = next(s for s in table_ddl(contract("gold.dim_customers")) if "create index" in s)
    assert made.endswith("on gold.dim_customers (left(country, 200), left(city, 200))")
