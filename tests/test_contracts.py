"""Contracts: what is written once, what is refused and with which words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.contracts import LAYERS, Contracts, load_contracts, resource_folder
from lakehouse.errors import ConfigError

pytestmark = pytest.mark.unit

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: {id}
version: 1.0.0
status: active
owner: data-engineering
description: {{purpose: "for a test"}}
dataGranularityDescription: "One row per thing"
"""
KEY = '- {name: mug_id, physicalType: text, primaryKey: true, description: "Identifier"}'
Write = Callable[..., Path]


def written(folder: Path, table: str, *lines: str) -> Path:
    """A contract with a key, and more lines."""
    layer, _, name = table.partition(".")
    file = folder / layer / f"{name}.yml"
    file.write_text(HEAD.format(id=table) + "\n".join(lines) + f"\nproperties:\n  {KEY}\n", encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of contracts without a table."""
    for layer in LAYERS:
        (tmp_path / layer).mkdir()
    return tmp_path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project's own contracts."""
    with_data = resource_folder("conf") / "contracts"
    assert isinstance(with_data, Path)
    return Path(shutil.copytree(with_data, tmp_path / "contracts"))


def edited(file: Path, old: str, new: str) -> int:
    """Replaces a text of a contract; returns the line on which it stands."""
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_contracts(folder)
    return str(caught.value)


def test_the_shop_has_its_tables_in_each_layer() -> None:
    contracts = load_contracts()
    sources = {"campaigns", "customers", "inventory", "order_items", "orders", "products"}
    assert list(contracts) == ["bronze", "silver", "gold"]
    assert sources <= contracts["bronze"].keys() == contracts["silver"].keys()
    assert {"agg_campaign_performance", "agg_inventory_status", "dim_customers", "dim_products",
            "fact_customer_orders", "fact_daily_sales"} <= contracts["gold"].keys()  # fmt: skip


def test_a_file_is_a_table(folder: Path) -> None:
    written(folder, "gold.dim_mugs")
    (folder / "gold" / "notes.txt").write_text("not a contract", encoding="utf-8")
    assert list(load_contracts(folder)["gold"]) == ["dim_mugs"]


def test_names_and_emails_and_phones_are_personal_wherever_they_stand() -> None:
    columns = [c for layer in load_contracts().values() for table in layer.values() for c in table.columns]
    personal = {"first_name", "last_name", "full_name", "email", "phone"}
    assert {c.name for c in columns if c.name in personal and c.classification == "personal"} == personal
    assert [c.name for c in columns if c.name in personal and c.classification != "personal"] == []


def test_silver_is_built_parents_first() -> None:
    order = [c.table for c in load_contracts().parents_first("silver")]
    assert order.index("customers") < order.index("orders") < order.index("order_items")
    assert order.index("campaigns") < order.index("orders")
    assert order.index("products") < min(order.index("order_items"), order.index("inventory"))
    assert sorted(order) == sorted(load_contracts()["silver"])


def test_the_parts_of_a_key_have_the_contracts_order(folder: Path) -> None:
    file = written(folder, "gold.dim_mugs")
    second = '- {name: shelf, physicalType: text, primaryKey: true, primaryKeyPosition: 0, description: "Shelf"}'
    file.write_text(file.read_text(encoding="utf-8") + f"  {second}\n", encoding="utf-8")
    assert load_contracts(folder)["gold"]["dim_mugs"].key == ("shelf", "mug_id")


def test_a_shape_is_what_readers_depend_on() -> None:
    assert load_contracts()["silver"]["orders"].shape == {
        "order_id": "text",
        "customer_id": "text",
        "campaign_id": "text",
        "status": "text",
        "ordered_at": "timestamptz",
        "order_date": "date",
        "created_at": "timestamptz",
        "updated_at": "timestamptz",
        "(key)": "order_id",
        "(partitioning)": "created_at by month",
    }


@pytest.mark.parametrize(
    ("physical", "spark_type", "digits"),
    [
        ("text", "string", None),
        ("integer", "int", None),
        ("bigint", "bigint", None),
        ("boolean", "boolean", None),
        ("date", "date", None),
        ("timestamptz", "timestamp", None),
        ("numeric(12,4)", "decimal(12,4)", (12, 4)),
    ],
)
def test_a_type_of_postgres_has_one_of_spark(
    folder: Path, physical: str, spark_type: str, digits: tuple[int, int] | None
) -> None:
    file = written(folder, "gold.dim_mugs")
    edited(file, "physicalType: text", f'physicalType: "{physical}"')
    column = load_contracts(folder)["gold"]["dim_mugs"].column("mug_id")
    assert (column.spark_type, column.numeric) == (spark_type, digits)


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("silver/orders", "primaryKey: true", "primarykey: true", "properties.0.primarykey: Extra inputs"),
        ("silver/orders", "partitioning:", "partitions:", "partitions: Extra inputs"),
        ("silver/orders", "grain: month", "grain: hour", "partitioning.grain: Input should be 'year', 'month' or 'day'"),
        ("silver/orders", "ordered_at, physicalType: timestamptz", "ordered_at, physicalType: timestamp",
         "unknown type timestamp; there are text, integer"),
        ("silver/products", '"numeric(9,4)"', '"numeric(9)"', "unknown type numeric(9)"),
        ("silver/products", "owner: data-engineering", "owner: [a, b]", "owner: Input should be a valid string"),
        ("bronze/orders", "driftPolicy: ignore_new", "driftPolicy: ignore", "driftPolicy: Input should be"),
        ("bronze/orders", "mode: incremental", "mode: full", "extraction.mode: Input should be"),
        ("bronze/orders", "kind: DataContract", "kind: Contract", "kind: Input should be 'DataContract'"),
        ("silver/inventory", "warning: product_unknown", "warnings: product_unknown", "references.warnings: Extra"),
        ("silver/orders", "id: silver.orders", "id: silver.order", "id is not silver.<name of the file>"),
    ],
)  # fmt: skip
def test_a_typo_is_refused_with_file_and_line(project: Path, table: str, old: str, new: str, said: str) -> None:
    line = edited(project / f"{table}.yml", old, new)
    words = refusal(project)
    assert f"{table}.yml:{line}: " in words
    assert said in words


@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("silver/campaigns", "primaryKey: true, ", "", "no column is primaryKey"),
        ("silver/campaigns", "name: channel", "name: budget", "column budget is written twice"),
        ("silver/orders", "column: created_at", "column: made_at", "made_at is not a column of the table"),
        ("bronze/orders", "column: updated_at", "column: changed_at", "changed_at is not a column of the table"),
        ("gold/dim_products", "[[category]", "[[kind]", "kind is not a column of the table"),
        ("bronze/orders", "extraction:", "# extraction:", "a bronze table needs extraction"),
        ("silver/orders", "name: updated_at", "name: changed_at", "needs updated_at, which decides between images"),
        ("silver/campaigns", "numeric(14,2)", "numeric(40,2)", "numeric(40,2) has more than 38 digits"),
        ("silver/campaigns", "name: channel", "name: 'chan\"nel'", "String should match pattern '^[a-z]"),
        ("silver/orders", "references: {table: customers", "references: {table: orders", "the table refers to itself"),
        ("silver/orders", "table: customers", "table: buyers", "refers to buyers, which has no contract"),
    ],
)
def test_a_contract_that_does_not_hang_together_is_refused(
    project: Path, table: str, old: str, new: str, said: str
) -> None:
    edited(project / f"{table}.yml", old, new)
    words = refusal(project)
    assert f"{table}.yml" in words
    assert said in words


def test_a_silver_table_needs_a_source(project: Path) -> None:
    (project / "bronze" / "campaigns.yml").unlink()
    assert "silver/campaigns.yml: there is no bronze contract of this name" in refusal(project)


def test_all_faults_of_all_files_are_named_at_once(project: Path) -> None:
    lines = {
        table: edited(project / f"{table}.yml", "status: active", "status: retired") for table in
        ("bronze/orders", "silver/customers", "gold/dim_products")
    }  # fmt: skip
    edited(project / "gold" / "dim_products.yml", "kind: DataContract", "kind: Contract")
    (project / "silver" / "products.yml").write_text("id: [", encoding="utf-8")
    words = refusal(project)
    for table, line in lines.items():
        assert f"{table}.yml:{line}: status: Input should be" in words
    assert "gold/dim_products.yml:2: kind: Input should be" in words
    assert "silver/products.yml:1: not YAML: expected the node content" in words
    assert "has no contract" not in words


def test_a_refusal_tells_nothing_of_what_stood_there(project: Path) -> None:
    edited(project / "bronze" / "orders.yml", "status: active", "status: s3cret-word")
    assert "s3cret-word" not in refusal(project)


@pytest.mark.parametrize(
    ("old", "new", "repeated"),
    [
        ("status: active", "owner: somebody", "owner"),
        ("required: true, references: {table: customers", "name: customer, references: {table: customers", "name"),
        ("required: true, derived: true", "required: true, required: true", "required"),
        ("reason: customer_missing", "table: customers", "table"),
    ],
)
def test_a_key_written_twice_is_refused_with_its_line(project: Path, old: str, new: str, repeated: str) -> None:
    line = edited(project / "silver" / "orders.yml", old, new)
    where = line + 1 if repeated == "owner" else line
    assert f"silver/orders.yml:{where}: not YAML: {repeated} is written twice" in refusal(project)


def test_a_file_that_is_no_yaml_is_refused_with_its_line(project: Path) -> None:
    (project / "silver" / "orders.yml").write_text("id: silver.orders\nowner: a: b\n", encoding="utf-8")
    assert "silver/orders.yml:2: not YAML: mapping values are not allowed here" in refusal(project)


@pytest.mark.parametrize("unreadable", ["id: \x00", "id: \udc00".encode("utf-8", "surrogatepass").decode("latin-1")])
def test_a_file_with_characters_that_yaml_does_not_know_is_refused(project: Path, unreadable: str) -> None:
    (project / "silver" / "orders.yml").write_text(unreadable, encoding="utf-8")
    assert "silver/orders.yml:1: not YAML: unreadable" in refusal(project)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n"])
def test_a_file_that_is_no_mapping_is_refused(project: Path, text: str) -> None:
    (project / "silver" / "orders.yml").write_text(text, encoding="utf-8")
    assert "silver/orders.yml:1: contract: Input should be" in refusal(project)


def referring(folder: Path, table: str, other: str) -> None:
    file = written(folder, f"gold.{table}")
    column = f'- {{name: other_id, physicalType: text, references: {{table: {other}}}, description: "Other"}}'
    file.write_text(file.read_text(encoding="utf-8") + f"  {column}\n", encoding="utf-8")


def test_a_circle_of_references_is_refused_by_name(folder: Path) -> None:
    written(folder, "gold.dim_apart")
    referring(folder, "dim_mugs", "dim_cups")
    referring(folder, "dim_cups", "dim_mugs")
    contracts: Contracts = load_contracts(folder)
    with pytest.raises(ConfigError, match=r"contracts of gold .* in a circle: dim_cups, dim_mugs$"):
        contracts.parents_first("gold")


def test_a_table_may_refer_to_itself(folder: Path) -> None:
    referring(folder, "dim_parts", "dim_parts")
    assert [c.table for c in load_contracts(folder).parents_first("gold")] == ["dim_parts"]


def test_a_contract_cannot_be_changed_once_it_is_loaded() -> None:
    contract = load_contracts()["silver"]["orders"]
    with pytest.raises(ValueError, match="frozen"):
        contract.owner = "somebody else"  # type: ignore[misc]


# What becomes of rows that are gone from the source.


def test_a_table_says_what_becomes_of_rows_that_are_gone(project: Path) -> None:
    said = {table: c.deletes for table, c in load_contracts(project)["bronze"].items()}
    assert said == {"customers": "keep", "products": "keep", "campaigns": "keep",
                    "orders": "remove", "order_items": "remove", "inventory": "remove"}  # fmt: skip
    edited(project / "bronze" / "orders.yml", "deletes: remove  # remove | keep | none\n", "")
    assert load_contracts(project)["bronze"]["orders"].deletes == "none"


def test_a_table_whose_rows_wait_for_others_cannot_keep_them(project: Path) -> None:
    edited(project / "bronze" / "orders.yml", "deletes: remove", "deletes: keep")
    assert "silver/orders.yml: its rows wait for the rows that they refer to, so deletes cannot be keep" in refusal(
        project
    )


@pytest.mark.parametrize(
    ("table", "old", "new"),
    [
        ("silver/orders.yml", "partitioning:", "deletes: remove\npartitioning:"),
        ("bronze/orders.yml", "name: order_id, physicalType: text", "name: order_id, physicalType: bigint"),
    ],
)
def test_keys_are_compared_as_identifiers_and_for_bronze(project: Path, table: str, old: str, new: str) -> None:
    edited(project / table, old, new)
    assert "deletes is a word of bronze tables whose key is text" in refusal(project)
