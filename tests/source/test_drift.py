"""What a table of the source brings, held against its contract and against what bronze has of it."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse.source.drift import brought, drifts, evolvable, widened
from tests.tables import contract

pytestmark = pytest.mark.unit

CAMPAIGNS = contract("bronze.campaigns").model_copy(update={"drift_policy": "evolve"})
FOUND = {
    **{c.name: c.type for c in CAMPAIGNS.columns},
    **dict.fromkeys(("created_at", "updated_at"), "timestamp with time zone"),
}


def extra(found: dict[str, str], held: dict[str, str]) -> Any:
    return brought(CAMPAIGNS, {**FOUND, **found}, held)


def test_the_shop_as_the_contract_says_it_is_no_drift() -> None:
    assert drifts(CAMPAIGNS, FOUND) == []


@pytest.mark.parametrize(
    ("name", "source_type", "carried"),
    [
        ("loyalty", "character varying(20)", "text"),
        ("seen_at", "timestamp(3) with time zone", "timestamptz"),
        ("weight", "numeric(10,3)", "numeric(10,3)"),
        ("weight", "numeric(40,2)", None),
        # More decimals than digits, and fewer than none, are types of Postgres alone.
        ("weight", "numeric(3,5)", "numeric(5,5)"),
        ("weight", "numeric(3,-2)", "numeric(5,0)"),
        ("weight", "numeric(38,-2)", None),
        ("weight", "numeric(3,39)", None),
        ("unit price", "text", None),
        ("year", "integer", None),
        ("_run_id", "text", None),
        ("place", "point", None),
    ],
)
def test_a_new_column_evolves_where_the_lake_has_room_for_its_name_and_type(
    name: str, source_type: str, carried: str | None
) -> None:
    assert evolvable(name, source_type) == carried
    assert extra({name: source_type}, {}).extra == ({name: carried} if carried else {})


@pytest.mark.parametrize(
    ("held", "now", "both"),
    [
        ("integer", "bigint", "bigint"),
        ("bigint", "integer", "bigint"),
        ("numeric(8,2)", "numeric(12,4)", "numeric(12,4)"),
        ("numeric(12,4)", "numeric(8,2)", "numeric(12,4)"),
        ("numeric(8,2)", "numeric(5,5)", "numeric(11,5)"),
        ("numeric(38,0)", "numeric(38,2)", None),
        ("integer", "text", None),
        ("integer", "numeric(12,4)", None),
        ("date", "timestamptz", None),
    ],
)
def test_a_column_that_came_by_evolving_widens_where_one_type_holds_both(held: str, now: str, both: str | None) -> None:
    assert widened(held, now) == both


def test_what_bronze_holds_too_narrow_is_widened_and_what_it_holds_wider_is_carried_wider() -> None:
    found = extra({"points": "bigint", "weight": "numeric(8,2)"}, {"points": "integer", "weight": "numeric(12,4)"})
    assert found.extra == {"points": "bigint", "weight": "numeric(12,4)"}
    assert found.widened == {"points": "bigint"}
    assert found.forbidden == []


def test_a_column_of_the_contract_that_bronze_holds_narrower_is_widened_too() -> None:
    assert extra({}, {"budget": "numeric(8,2)"}).widened == {"budget": "numeric(14,2)"}
    assert extra({}, {"budget": "numeric(18,2)"}).widened == {}


def test_everything_that_cannot_be_is_named_at_once() -> None:
    found = extra({"points": "text", "place": "text", "budget": "text"}, {"points": "integer", "place": "boolean"})
    assert found.forbidden == [
        "budget is text, not numeric(14,2)",
        "points is text now, and bronze holds it as integer",
        "place is text now, and bronze holds it as boolean",
    ]


def test_a_name_is_shown_without_what_a_terminal_would_obey() -> None:
    evil = "a\x1b[2Jb\u202ec"
    (found,) = drifts(CAMPAIGNS, {**FOUND, evil: 'a "\x07" type'})
    assert found.column == evil
    assert f"{found.shown} {found.words}" == 'a[2Jbc is new (a "" type)'
    assert evolvable(evil, "text") is None
