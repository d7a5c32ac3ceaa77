"""What Feast is told of the feature tables, read from their contracts: a view for each, `customer_daily` and `product_daily`.

Feast imports every module of this folder, so nothing else is in it.
"""

from datetime import timedelta
from pathlib import Path

import yaml
from feast import Entity, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Float64, Int64

CONTRACTS = Path(__file__).parents[1] / "conf" / "contracts" / "features"
# A day answers until the next, and for one more where a night is late. After that, nothing is better than what is old.
LIVES = timedelta(days=2)
ENTITIES = [Entity(name=n, join_keys=[f"{n}_id"], value_type=ValueType.STRING) for n in ("customer", "product")]


def view(contract: dict) -> FeatureView:
    """The view of a feature table. Numbers with decimals go as floats, which is what models take."""
    table = contract["id"].removeprefix("features.")
    [entity] = [e for e in ENTITIES if e.join_key == contract["properties"][0]["name"]]
    fields, asked = [], []
    for column in contract["properties"]:
        name, kind = column["name"], column["physicalType"]
        if kind == "bigint":
            fields.append(Field(name=name, dtype=Int64, description=column["description"]))
            asked.append(name)
        elif kind.startswith("numeric"):
            fields.append(Field(name=name, dtype=Float64, description=column["description"]))
            asked.append(f"{name}::float8 as {name}")
    return FeatureView(
        name=table.removeprefix("features_"),
        entities=[entity],
        ttl=LIVES,
        schema=fields,
        source=PostgreSQLSource(
            name=table,
            query=f"select {entity.join_key}, event_ts, {', '.join(asked)} from {contract['id']}",  # noqa: S608
            timestamp_field="event_ts",
        ),
        description=contract["description"]["purpose"],
        owner=contract["owner"],
    )


VIEWS = [view(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in sorted(CONTRACTS.glob("*.yml"))]
