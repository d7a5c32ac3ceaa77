"""The model as entities of Atlas: a shop, its tables with their columns, and for each table the run that makes it.

An entity is known by its qualified name, which follows from the table's and the ledger's: a second export of the same means
the same entities. No value of a row is in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.catalogue.atlas.types import COLUMN, DELTA_TABLE, PERSONAL, POSTGRES_TABLE, RUN, SHOP
from lakehouse.catalogue.model import Catalogue, Column, Table

IN_POSTGRES = ("source", "gold")


@dataclass(frozen=True)
class Entity:
    """An entity before it is in Atlas; `refers`: attributes that name other entities, by their qualified names."""

    kind: str
    name: str
    attributes: Mapping[str, Any]
    part_of: Mapping[str, str] = field(default_factory=dict)
    refers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_personal: bool = False

    def document(self, guids: Mapping[str, str]) -> dict[str, Any]:
        """As a request has it; `guids` by qualified name of this entity and of all that it refers to."""
        others = {name: [{"guid": guids[n]} for n in names] for name, names in self.refers.items()}
        return {
            "guid": guids[self.name],
            "typeName": self.kind,
            "attributes": {"qualifiedName": self.name, **self.attributes, **others},
            "relationshipAttributes": {name: {"guid": guids[n]} for name, n in self.part_of.items()},
            # Atlas reads it of an entity that is new only. What is made of personal data is personal where its contract says so.
            "classifications": [mark()] if self.is_personal else [],
        }


def mark() -> dict[str, Any]:
    """That something is personal, it and nothing else."""
    return {"typeName": PERSONAL, "propagate": False}


@dataclass(frozen=True)
class Entities:
    """Everything that an export means."""

    shop: Entity
    tables: tuple[tuple[Entity, ...], ...]
    """Each table, and behind it its columns."""
    runs: tuple[Entity, ...]

    def __iter__(self) -> Iterator[Entity]:
        yield self.shop
        for group in self.tables:
            yield from group
        yield from self.runs


def entities_of(catalogue: Catalogue, ledger: str, database: str, timezone: str) -> Entities:
    """The entities of a catalogue. `ledger`: its id; `database`: the name of gold's database, as which people know the shop."""
    shop = Entity(SHOP, f"lakehouse@{ledger}", {"name": database, "timezone": timezone})
    groups, runs = [], []
    for table in catalogue.tables:
        if table.layer == "bronze":
            groups.append(_source(table, shop, ledger))
    for table in catalogue.tables:
        groups.append((_table(table, shop, ledger), *_columns(table.name, table.columns, ledger)))
        runs.append(_run(table, catalogue.lineage[table.name], ledger))
    return Entities(shop, tuple(groups), tuple(runs))


def qualified(name: str, ledger: str) -> str:
    """The qualified name of a table or column by its full name."""
    return f"{name}@{ledger}"


def _source(bronze: Table, shop: Entity, ledger: str) -> tuple[Entity, ...]:
    """A table of the shop's own database, of which only what bronze reads is known."""
    name = bronze.name.replace("bronze.", "source.", 1)
    attributes = {
        "name": name,
        "tableName": name.partition(".")[2],
        "description": "Of the shop's own database; columns as bronze reads them",
        "layer": "source",
    }
    table = Entity(
        POSTGRES_TABLE, qualified(name, ledger), attributes, {"shop": shop.name}, is_personal=bronze.personal
    )
    return (table, *_columns(name, bronze.columns, ledger, of_source=True))


def _table(table: Table, shop: Entity, ledger: str) -> Entity:
    attributes = {
        "name": table.name,
        "tableName": table.name.partition(".")[2],
        "description": _text(table.purpose),
        "owner": _text(table.owner),
        "layer": table.layer,
        "grain": _text(table.grain),
        "contractVersion": _text(table.contract_version),
        "contractStatus": _text(table.status),
        "publishedVersion": _number(table.version),
        "rows": _number(table.rows),
        "businessDate": _day(table.business_date),
        "publishedAt": _instant(table.published_at),
        "publishedBy": table.run_id,
        "rules": _many(tuple(r.rule for r in table.rules)),
        "brokenRules": _many(tuple(r.rule for r in table.broken)),
    }
    kind = POSTGRES_TABLE if table.layer in IN_POSTGRES else DELTA_TABLE
    return Entity(kind, qualified(table.name, ledger), attributes, {"shop": shop.name}, is_personal=table.personal)


def _columns(table: str, columns: tuple[Column, ...], ledger: str, *, of_source: bool = False) -> Iterator[Entity]:
    for position, c in enumerate(columns, 1):
        constraints = tuple(word for word, holds in (("key", c.key), ("required", c.required)) if holds)
        promised = {"constraints": _many(constraints), "references": c.references, "madeOf": _many(c.made_of or ())}
        if of_source:  # what bronze promises of a row, the shop has not promised
            promised = dict.fromkeys(promised)
        attributes = {
            "name": c.name,
            "description": _text(c.description),
            "type": c.type,
            "position": position,
            **promised,
        }
        name = qualified(f"{table}.{c.name}", ledger)
        yield Entity(COLUMN, name, attributes, {"table": qualified(table, ledger)}, is_personal=c.personal)


def _run(table: Table, made_of: tuple[str, ...], ledger: str) -> Entity:
    newest = table.runs[0] if table.runs else None
    attributes = {
        "name": f"run of {table.name}",
        "description": f"{table.name} is made of {', '.join(made_of)}",
        "owner": _text(table.owner),
        "runId": newest.run_id if newest else None,
        "businessDate": _day(newest.business_date) if newest else None,
        "finishedAt": _instant(newest.finished_at) if newest else None,
        "rowsKept": _number(newest.rows_kept) if newest else None,
        "rowsQuarantined": _number(newest.rows_quarantined) if newest else None,
    }
    refers = {"inputs": tuple(qualified(n, ledger) for n in made_of), "outputs": (qualified(table.name, ledger),)}
    return Entity(RUN, qualified(f"{table.name}/run", ledger), attributes, refers=refers)


# Atlas keeps nothing where it is given an empty text or list, and would take the next one for a change.


def _text(text: str) -> str | None:
    return text or None


def _many(names: tuple[str, ...]) -> list[str] | None:
    return list(names) or None


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None


def _number(n: int | None) -> str | None:
    return None if n is None else str(n)
