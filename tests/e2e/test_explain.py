"""Orders of every fate, explained by what a small shop's three days made of them; what those days changed, and their lineage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import parse_dsn
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.database import Database
from lakehouse.errors import LedgerError, SourceError, StoreError
from lakehouse.history.order import Way, _of_gold, way
from lakehouse.history.sentences import meanings, sentences
from tests.e2e.small_shop import EVERY_DAY, SmallShop, day

pytestmark = pytest.mark.e2e

CANARY = "Quetzalcoatlus"
# On the second day O1 is returned, an order comes whose line names a product that only the third day brings, and one more
# that is deleted on the third. O2 changes its price on the third, and one of its lines spells its identifier another way.
SECOND = f"""
update orders set status = 'refunded', updated_at = '{day(2)} 02:00' where order_id = 'O1';
update customers set first_name = '{CANARY}', updated_at = '{day(2)} 02:00' where customer_id = 'C1';
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at) values
    ('gone 1', 'C1', 'paid', '{day(2)}', '{day(2)}', '{day(2)}');
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at) values
    ('G1', 'gone 1', 'P1', 1, 9, '{day(2)}', '{day(2)}');
update order_items set order_id = ' o2', updated_at = '{day(2)} 02:00' where order_item_id = 'Z2';
"""
THIRD = f"""
delete from order_items where order_item_id = 'G1';
delete from orders where order_id = 'gone 1';
update order_items set quantity = 20, updated_at = '{day(3)} 02:00' where order_item_id = 'I2';
"""


@pytest.fixture(scope="module")
def shop(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    made = SmallShop(postgres, "explain", tmp_path_factory.mktemp("explain") / "lake", lineage="file")
    made.live(1)
    for n, more in ((2, SECOND), (3, THIRD)):
        made.write(made.source, EVERY_DAY.format(n=n, next=n + 1, day=day(n).isoformat()) + more)
        made.run(n)
    yield made
    made.close()


def found(shop: SmallShop, order_id: str) -> Way:
    return way(
        shop.lakehouse.settings,
        shop.lakehouse.contracts,
        shop.lakehouse.gold_database,
        shop.lakehouse.source.database,
        order_id,
    )


def told(shop: SmallShop, order_id: str) -> str:
    return "\n".join(sentences(found(shop, order_id), meanings(shop.lakehouse.contracts, shop.lakehouse.suites)))


def test_a_returned_order_has_two_images_and_is_a_sale_of_its_day(shop: SmallShop) -> None:
    words = told(shop, "o1")
    assert f"Bronze holds 2 images of it, brought for {day(1)}, {day(2)}" in words
    assert f"Silver keeps it as returned of {day(1)}, as the run for {day(2)} left it" in words
    (net,) = shop.ask("select net_amount from gold.fact_customer_orders where order_id = 'O1'")[0]
    assert f"Gold counts it as a sale of {day(1)}: 2 lines" in words
    assert f"net {net}" in words


def test_a_line_that_no_rule_lets_through_waits_with_its_reason(shop: SmallShop) -> None:
    assert "1 line of it waits in quarantine: 1 for quantity_zero (" in told(shop, " O1 ")


def test_an_orphan_that_came_back_is_kept_by_the_run_that_brought_its_parent(shop: SmallShop) -> None:
    line = next(r for r in found(shop, "O2").places["silver.order_items"] if r["order_item_id"] == "L2")
    assert f"-{day(3)}-" in line["_run_id"], "P3 came with the third day"
    assert "product_missing" in told(shop, "O3"), "and P4 has not come yet"


def test_a_restated_order_is_what_the_last_day_made_of_it(shop: SmallShop) -> None:
    (net,) = shop.ask("select net_amount from gold.fact_customer_orders where order_id = 'O2'")[0]
    words = told(shop, "O2")
    assert net >= 80
    assert f"net {net}" in words
    assert f"published by the run for {day(3)}" in words


def test_a_deleted_order_is_told_to_be_gone_with_its_lines(shop: SmallShop) -> None:
    words = told(shop, "GONE 1")
    assert "The source does not have it now." in words
    assert f"Bronze found it gone from the source in the run for {day(3)}." in words
    assert "Silver does not have it: it was gone from the source." in words
    lines = found(shop, "gone 1").places["bronze.order_items"]
    assert [bool(row["_deleted"]) for row in lines] == [False, True], (
        "its line's tombstone is found by the line's own key"
    )


def test_a_line_of_the_source_is_found_though_it_spells_the_order_another_way(shop: SmallShop) -> None:
    assert {r["order_item_id"] for r in found(shop, "O2").places["source.order_items"]} == {"I2", "L2", "Z2"}


def test_a_gold_that_was_never_made_holds_no_order(shop: SmallShop) -> None:
    never_made = shop.lakehouse.contracts["gold"]["fact_customer_orders"].model_copy(update={"id": "gold.never_made"})
    assert _of_gold(shop.lakehouse.gold_database, never_made, "O1") == []


def test_no_personal_value_is_read(shop: SmallShop) -> None:
    assert CANARY not in repr(found(shop, "O1"))


def test_without_a_source_the_rest_is_explained(shop: SmallShop) -> None:
    nobody = Database("postgresql://nobody@127.0.0.1:1/none", "source", SourceError)
    found_anyway = way(shop.lakehouse.settings, shop.lakehouse.contracts, shop.lakehouse.gold_database, nobody, "O1")
    assert sentences(found_anyway, {})[0].startswith("The source was not read: ")
    assert found_anyway.places["silver.orders"]


def test_nothing_published_is_an_error_that_says_what_to_do(shop: SmallShop, postgres: Any) -> None:
    empty = Database(postgres.create_database("explain_empty"), "gold", StoreError)
    with pytest.raises(LedgerError, match="run a day first"):
        way(shop.lakehouse.settings, shop.lakehouse.contracts, empty, None, "O1")
    empty.close()


@pytest.fixture
def command(shop: SmallShop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    settings = shop.lakehouse.settings
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAKEHOUSE_SOURCE_DSN", shop.source)
    monkeypatch.setenv("LAKEHOUSE_GOLD_DSN", shop.gold)
    monkeypatch.setenv("LAKEHOUSE_LAKE", settings.lake_root)
    monkeypatch.setenv("LAKEHOUSE_TIMEZONE", "UTC")
    return CliRunner()


def test_the_command_tells_people_and_programs(command: CliRunner) -> None:
    shown = command.invoke(app, ["explain", "order", "o1"])
    assert shown.exit_code == 0, shown.output
    assert "• Gold counts it as a sale" in shown.output
    as_json = json.loads(command.invoke(app, ["explain", "order", "O1", "--no-source", "--json"]).output)
    assert as_json["order_id"] == "O1"
    assert {run["layer"] for run in as_json["runs"]} == {"bronze", "silver", "gold"}
    assert "source.orders" not in as_json["places"]


def test_a_diff_counts_rows_and_columns_and_names_keys(command: CliRunner) -> None:
    run = command.invoke(app, ["diff", str(day(2)), str(day(3)), "--keys", "9", "--json"])
    assert run.exit_code == 0, run.output
    by_table = {t["table"]: t for t in json.loads(run.output)}
    orders, lines = by_table["silver.orders"], by_table["silver.order_items"]
    assert (orders["came"], orders["went"], orders["changed"]) == (1, 1, 0)
    assert {"what": "went", "order_id": "GONE 1"} in orders["keys"]
    assert (lines["came"], lines["went"], lines["changed"]) == (2, 1, 1), "I3 and L2 came, G1 went, I2 changed"
    assert lines["columns"]["quantity"] == 1
    assert {"what": "changed", "order_item_id": "I2"} in lines["keys"]


def test_a_diff_of_a_day_with_itself_is_empty(command: CliRunner) -> None:
    same = json.loads(command.invoke(app, ["diff", str(day(3)), str(day(3)), "--json"]).output)
    assert {(t["came"], t["went"], t["changed"]) for t in same} == {(0, 0, 0)}


def test_a_diff_reaches_no_further_back_than_what_was_published(command: CliRunner) -> None:
    refused = command.invoke(app, ["diff", "2019-12-31", str(day(3))])
    assert isinstance(refused.exception, LedgerError)
    assert "goes back to" in str(refused.exception)


def lineage_of(shop: SmallShop, n: int) -> list[dict[str, Any]]:
    """The events that the runs for the nth day have left."""
    shop.lakehouse._teller.finish(60)
    runs = shop.ask(f"select run_id from ops.runs where business_date = '{day(n)}' order by seq")
    files = [shop.lakehouse.settings.home / "lineage" / f"{run}.jsonl" for (run,) in runs]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


# What each table of gold comes from, by hand.
OF_THE_SOURCE = {
    "agg_campaign_performance": {"campaigns", "orders", "order_items"},
    "agg_inventory_status": {"inventory", "products", "orders", "order_items"},
    "dim_customers": {"customers", "orders", "order_items"},
    "dim_products": {"products", "orders", "order_items"},
    "fact_customer_orders": {"orders", "order_items"},
    "fact_daily_sales": {"orders", "order_items"},
}


@pytest.mark.parametrize("n", [1, 3])
def test_the_events_of_a_day_lead_from_gold_to_the_source_without_a_gap(shop: SmallShop, n: int) -> None:
    made: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for event in lineage_of(shop, n):
        for output in event["outputs"]:
            of = {(d["namespace"], d["name"]) for d in event["inputs"]}
            assert of, f"{event['job']['name']} is made of nothing"
            made.setdefault((output["namespace"], output["name"]), set()).update(of)

    def origins(dataset: tuple[str, str], seen: frozenset[tuple[str, str]] = frozenset()) -> set[tuple[str, str]]:
        if dataset not in made:
            return {dataset}
        return {o for of in made[dataset] - seen for o in origins(of, seen | {dataset})}

    source, gold = (parse_dsn(dsn) for dsn in (shop.source, shop.gold))
    server = f"postgres://{source['host']}:{source['port']}"
    for table, of in OF_THE_SOURCE.items():
        found = origins((f"postgres://{gold['host']}:{gold['port']}", f"{gold['dbname']}.gold.{table}"))
        assert found == {(server, f"{source['dbname']}.public.{t}") for t in of}, table


def test_a_layer_has_read_the_version_that_the_one_below_has_left(shop: SmallShop) -> None:
    ended = [e for e in lineage_of(shop, 3) if e["outputs"]]
    left = {d["name"]: d["facets"]["version"]["datasetVersion"] for e in ended for d in e["outputs"]}
    read = {(d["name"], d["facets"]["version"]["datasetVersion"])
            for e in ended if not e["job"]["name"].startswith("lakehouse.bronze.")
            for d in e["inputs"] if "/quarantine/" not in d["name"]}  # fmt: skip
    assert len(read) == 6 + 6 + 2, "bronze, silver, and the two of gold on which others are built"
    assert read <= left.items()


def test_no_personal_value_is_in_an_event(shop: SmallShop) -> None:
    words = json.dumps([lineage_of(shop, n) for n in (1, 2, 3)])
    assert CANARY not in words
    assert "first_name" in words


def test_each_day_that_was_told_otherwise_later_is_listed_with_the_run_and_the_orders(command: CliRunner) -> None:
    listed = json.loads(command.invoke(app, ["restatements", "--json"]).output)
    assert [(r["sales_date"], r["business_date"]) for r in listed] == [
        (str(day(2)), str(day(3))),
        (str(day(1)), str(day(2))),
    ]
    (second,) = json.loads(command.invoke(app, ["restatements", "--date", str(day(2)), "--json"]).output)
    # O2 sold 2 for 4 and "gone 1" 1 for 9; then O2 sold 20 for 4, and its line with P3 came in, 1 for 3.
    assert (float(second["net_sales_before"]), float(second["net_sales_after"])) == (17, 83)
    assert float(second["difference"]) == 66
    assert (second["units_sold_before"], second["units_sold_after"]) == (3, 21)
    assert {
        o["order_id"]: (o["what"], o["lines_added"], o["lines_changed"], o["lines_gone"]) for o in second["orders"]
    } == {
        "GONE 1": ("went", 0, 0, 1),
        "O2": ("lines", 1, 1, 0),
    }


def test_restatements_are_a_table_for_people(command: CliRunner) -> None:
    shown = command.invoke(app, ["restatements", "--date", str(day(1))])
    assert shown.exit_code == 0, shown.output
    assert re.search(r"4\.0000 +7\.0000 +3\.0000", shown.output), "its line whose product came a day later"
    assert "O1" in shown.output
    assert CANARY not in shown.output
