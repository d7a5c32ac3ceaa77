"""What our entities are: the definitions of their types, which stand on nothing but those that every Atlas has.

Not on Atlas's own types of relational databases: these know no grain, version or rule, and differ between its releases.
"""

from __future__ import annotations

from typing import Any

Definition = dict[str, Any]

# By this in its definition a type is known as ours.
SERVICE = "lakehouse"
SHOP, TABLE, COLUMN, RUN = "lakehouse_shop", "lakehouse_table", "lakehouse_column", "lakehouse_run"
DELTA_TABLE, POSTGRES_TABLE = "lakehouse_delta_table", "lakehouse_postgres_table"
# A name that others use too: one that is there already is taken as it is.
PERSONAL = "PII"


def _attribute(name: str, kind: str = "string", *, found: bool = False) -> Definition:
    """An attribute that may be missing; `found`: a search can ask for it.

    What is missing is text, or a list of texts: of a number, a truth or an instant that it was not given Atlas keeps 0, false
    or 1970, and takes nothing for a change the next time.
    """
    many = kind.startswith("array<")
    return {
        "name": name,
        "typeName": kind,
        "cardinality": "SET" if many else "SINGLE",
        "isOptional": True,
        "isUnique": False,
        "isIndexable": found,
    }


def _entity(name: str, above: str, about: str, *attributes: Definition, **options: str) -> Definition:
    return {
        "category": "ENTITY",
        "name": name,
        "description": about,
        "serviceType": SERVICE,
        "typeVersion": "1.0",
        "superTypes": [above],
        "attributeDefs": list(attributes),
        "options": options,
    }


def _composition(name: str, whole: str, parts: str, part: str, of: str) -> Definition:
    """What belongs to another: `parts` are deleted with the whole, and a mark on the one says nothing of the other."""
    return {
        "category": "RELATIONSHIP",
        "name": name,
        "serviceType": SERVICE,
        "typeVersion": "1.0",
        "relationshipCategory": "COMPOSITION",
        "propagateTags": "NONE",
        "endDef1": {"type": whole, "name": parts, "isContainer": True, "cardinality": "SET"},
        "endDef2": {"type": part, "name": of, "isContainer": False, "cardinality": "SINGLE"},
    }


ENTITIES = (
    _entity(SHOP, "Asset", "A lakehouse: the tables of one ledger", _attribute("timezone")),
    _entity(
        TABLE,
        "DataSet",
        "A table of one layer: what it is meant to be, and how it stands",
        # Beside `name`, which is the full one: a search by words takes silver.orders for one word, and orders for another.
        _attribute("tableName", found=True),
        _attribute("layer", found=True),
        _attribute("grain"),
        _attribute("contractVersion"),
        _attribute("contractStatus", found=True),
        _attribute("publishedVersion"),
        _attribute("rows"),
        _attribute("businessDate", found=True),
        _attribute("publishedAt", found=True),
        _attribute("publishedBy"),
        _attribute("rules", "array<string>"),
        _attribute("brokenRules", "array<string>"),
        schemaElementsAttribute="columns",
    ),
    _entity(DELTA_TABLE, TABLE, "A table of the lake", schemaElementsAttribute="columns"),
    _entity(POSTGRES_TABLE, TABLE, "A table of the shop or of gold, in Postgres", schemaElementsAttribute="columns"),
    _entity(
        COLUMN,
        "DataSet",
        "A column of a table",
        _attribute("type", found=True),
        _attribute("position", "int"),
        _attribute("constraints", "array<string>"),
        _attribute("references"),
        _attribute("madeOf", "array<string>"),
        schemaAttributes='["name", "type", "description", "constraints"]',
    ),
    _entity(
        RUN,
        "Process",
        "What makes a table out of others, and the newest run that has done so",
        _attribute("runId", found=True),
        _attribute("businessDate", found=True),
        _attribute("finishedAt", found=True),
        _attribute("rowsKept"),
        _attribute("rowsQuarantined"),
    ),
)
RELATIONSHIPS = (
    _composition("lakehouse_shop_tables", SHOP, "tables", TABLE, "shop"),
    _composition("lakehouse_table_columns", TABLE, "columns", COLUMN, "table"),
)
CLASSIFICATION: Definition = {
    "category": "CLASSIFICATION",
    "name": PERSONAL,
    "description": "Holds personal data",
    "serviceType": SERVICE,
    "typeVersion": "1.0",
    "superTypes": [],
    "attributeDefs": [],
    "entityTypes": [],
}
# Where a definition of each kind stands in a request.
LISTS = {"ENTITY": "entityDefs", "RELATIONSHIP": "relationshipDefs", "CLASSIFICATION": "classificationDefs"}
