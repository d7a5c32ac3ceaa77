"""`python -m tools.lineage`: writes conf/contracts/lineage.json, which column of silver and gold is made of which.

Each transform is given empty frames of its inputs' columns, and its plan is read: see tools.lineage.plans. Bronze is no part
of it, as its columns are the source's.
"""

from __future__ import annotations

import json
from datetime import date
from graphlib import TopologicalSorter
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from lakehouse.catalogue.lineage import FILE
from lakehouse.contracts import Contract, Contracts, load_contracts
from lakehouse.frame.transforms import inputs_of, transform_of
from lakehouse.session import spark_session
from lakehouse.settings import load_settings
from tools.lineage.plans import origins

TARGET = Path(__file__).parents[2] / "conf" / "contracts" / FILE
Made = dict[str, dict[str, list[str]]]


def lineage(spark: SparkSession, contracts: Contracts) -> Made:
    """For each table of silver and gold its columns, each with the columns that it is made of, by full names."""
    made: Made = {}
    for name in contracts["silver"]:
        bronze = _empty(spark, contracts["bronze"][name])
        made[f"silver.{name}"] = _kept(origins(transform_of("silver", name)(bronze)), contracts["silver"][name])
    frames = {name: _empty(spark, contract) for name, contract in contracts["silver"].items()}
    working: dict[str, list[str]] = {}
    inputs = inputs_of(contracts["gold"])
    # A table comes after those that it is made of; inputs_of has refused circles.
    order = TopologicalSorter({table: [n for n in names if n in inputs] for table, names in inputs.items()})
    for name in order.static_order():
        # A date is a constant, and no column.
        frame = transform_of("gold", name)(*(frames.get(a, date(2026, 1, 30)) for a in inputs[name]))
        found = {
            column: sorted({origin for o in of for origin in working.get(o, [o])})
            for column, of in origins(frame).items()
        }
        # Columns that a table's neighbours compute with are not among those that people read: they stand for what they are
        # made of.
        working |= {f"gold.{name}.{column}": of for column, of in found.items() if column.startswith("_")}
        made[f"gold.{name}"] = _kept(found, contracts["gold"][name])
        frames[name] = spark.createDataFrame([], frame.schema).alias(f"gold.{name}")
    return made


def _empty(spark: SparkSession, contract: Contract) -> DataFrame:
    columns = ", ".join(f"`{c.name}` {c.spark_type}" for c in contract.columns)
    return spark.createDataFrame([], columns).alias(contract.id)


def _kept(found: dict[str, list[str]], contract: Contract) -> dict[str, list[str]]:
    return {column.name: found[column.name] for column in contract.columns}


def text(made: Made) -> str:
    """The file: a line for each column."""
    tables = (
        f'  "{table}": {{\n'
        + ",\n".join(f'    "{column}": {json.dumps(of)}' for column, of in columns.items())
        + "\n  }"
        for table, columns in made.items()
    )
    return "{\n" + ",\n".join(tables) + "\n}\n"


def main() -> None:
    """Writes the file."""
    TARGET.write_text(text(lineage(spark_session(load_settings(), "lineage"), load_contracts())), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
