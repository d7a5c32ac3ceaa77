"""The export: types, then entities, then what is personal, then what is gone. What is as it should be is left alone.

It may be ended at any moment: the next one goes on where this one was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.catalogue.atlas.entities import Entities, Entity, entities_of, mark
from lakehouse.catalogue.atlas.server import Atlas, atlas_of
from lakehouse.catalogue.atlas.types import (
    CLASSIFICATION,
    ENTITIES,
    LISTS,
    PERSONAL,
    RELATIONSHIPS,
    RUN,
    SERVICE,
    Definition,
)
from lakehouse.catalogue.model import Catalogue
from lakehouse.errors import ConfigError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.settings import Settings

# So many entities are asked for at once: their names stand in the address of the request.
AT_ONCE = 40


@dataclass
class Done:
    """What an export changed: definitions of types, entities, and marks of what is personal."""

    types: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    marks: int = 0

    def __str__(self) -> str:
        return (
            f"{self.created:,} created, {self.updated:,} updated, {self.deleted:,} deleted, {self.unchanged:,} unchanged; "
            f"{self.types:,} types and {self.marks:,} marks changed"
        )


def export_catalogue(settings: Settings, catalogue: Catalogue, ledger: Ledger) -> tuple[str, Done]:
    """Exports a catalogue to the Atlas of the settings: where that is, and what changed there. Raises as `export`.

    Raises LedgerError where there is no ledger yet: by its id the tables of one lakehouse are told from another's.
    """
    database = ledger.database.where.rpartition("/")[2]
    entities = entities_of(catalogue, ledger.identity(), database, settings.timezone)
    with atlas_of(settings) as atlas:
        return atlas.where, export(atlas, entities)


def export(atlas: Atlas, entities: Entities) -> Done:
    """Makes Atlas say what the entities say. Raises StoreError and ConfigError, each of which leaves what was done until then."""
    done, guids, young = Done(), dict[str, str](), set[str]()
    _types(atlas, done)
    for group in ((entities.shop,), *entities.tables, entities.runs):
        young |= _send(atlas, group, guids, done)
    old = [e for e in entities if e.name not in young]
    _mark(atlas, old, guids, done)
    if entities.shop.name not in young:
        _delete(atlas, entities, guids, done)
    return done


def _types(atlas: Atlas, done: Done) -> None:
    """Makes the types that are not there, and adds what ours have not got yet."""
    lacking: dict[str, list[Definition]] = {"POST": [], "PUT": []}
    for ours in (CLASSIFICATION, *ENTITIES, *RELATIONSHIPS):
        theirs = atlas.get(f"types/typedef/name/{ours['name']}")
        if theirs is None:
            lacking["POST"].append(ours)
        elif ours is CLASSIFICATION:
            _check_mark(atlas, theirs)
        elif _is_to_be_updated(atlas, ours, theirs):
            lacking["PUT"].append(ours)
    for method, definitions in lacking.items():
        if definitions:
            body = {kind: [d for d in definitions if LISTS[d["category"]] == kind] for kind in LISTS.values()}
            atlas.send(method, "types/typedefs", {"enumDefs": [], "structDefs": [], **body})
            done.types += len(definitions)


def _check_mark(atlas: Atlas, theirs: Definition) -> None:
    needs = [a["name"] for a in theirs.get("attributeDefs") or () if not a.get("isOptional", True)]
    if theirs.get("category") != "CLASSIFICATION" or theirs.get("entityTypes") or needs:
        raise ConfigError(
            f"Atlas at {atlas.where} has a type {PERSONAL} that is no classification for any entity without more words: rename "
            "it, or name another Atlas by LAKEHOUSE_ATLAS_URL"
        )


def _is_to_be_updated(atlas: Atlas, ours: Definition, theirs: Definition) -> bool:
    """Whether ours has more than theirs. Raises ConfigError where it is another's, or not as an update could make it."""
    had, wanted = _shape(theirs), _shape(ours)
    if theirs.get("serviceType") != SERVICE or theirs.get("category") != ours["category"]:
        why = "is not ours"
    elif any(had.get(name, kind) != kind for name, kind in wanted.items()):
        why = "is of another release of ours, and differs"
    else:
        return bool(wanted.keys() - had.keys())
    raise ConfigError(
        f"Atlas at {atlas.where} has a type {ours['name']} that {why}: nothing was exported; rename it, or name another Atlas by "
        "LAKEHOUSE_ATLAS_URL"
    )


def _shape(definition: Definition) -> dict[str, str]:
    """What is compared of a definition: of an entity's its attributes and what it stands on, of a relationship's its ends."""
    shape = {a["name"]: a["typeName"] for a in definition.get("attributeDefs") or ()}
    shape |= {
        f"end {end}": f"{d.get('type')}.{d.get('name')}" for end in ("1", "2") if (d := definition.get(f"endDef{end}"))
    }
    return shape | {f"above {name}": "type" for name in definition.get("superTypes") or ()}


def _send(atlas: Atlas, group: Sequence[Entity], guids: dict[str, str], done: Done) -> set[str]:
    """Creates or updates entities in one transaction, notes where they are in Atlas, and says the names of the new ones."""
    # Until Atlas has given it one, an entity is known by a number below zero.
    for n, entity in enumerate(group, 1):
        guids[entity.name] = str(-n)
    answer = atlas.send("POST", "entity/bulk", {"entities": [e.document(guids) for e in group]})
    given = answer.get("guidAssignments") or {}
    if lost := [e.name for e in group if str(given.get(guids[e.name], "-")).startswith("-")]:
        raise StoreError(f"Atlas at {atlas.where} does not say where it has put {lost[0]} and {len(lost) - 1} more")
    guids |= {e.name: given[guids[e.name]] for e in group}
    changed = {
        kind: {header["guid"] for header in headers} for kind, headers in (answer.get("mutatedEntities") or {}).items()
    }
    created = changed.get("CREATE", set())
    updated = set[str]().union(*changed.values()) - created
    done.created += sum(guids[e.name] in created for e in group)
    done.updated += sum(guids[e.name] in updated for e in group)
    done.unchanged += sum(guids[e.name] not in created | updated for e in group)
    return {e.name for e in group if guids[e.name] in created}


def _mark(atlas: Atlas, old: Iterable[Entity], guids: Mapping[str, str], done: Done) -> None:
    """Marks what has become personal, and takes the mark from what no longer is; new entities came with theirs."""
    personal = {guids[e.name]: e.is_personal for e in old if e.kind != RUN}
    for held in _read(atlas, list(personal)):
        guid = held["guid"]
        # One that came from another entity by Atlas's own ways is not ours to take.
        is_marked = any(
            c["typeName"] == PERSONAL and c.get("entityGuid", guid) == guid for c in held.get("classifications") or ()
        )
        if personal[guid] and not is_marked:
            atlas.send("POST", f"entity/guid/{guid}/classifications", [mark()])
        elif is_marked and not personal[guid]:
            atlas.send("DELETE", f"entity/guid/{guid}/classification/{PERSONAL}")
        done.marks += personal[guid] is not is_marked


def _delete(atlas: Atlas, entities: Entities, guids: Mapping[str, str], done: Done) -> None:
    """Deletes tables and columns that Atlas has and the catalogue no longer has, and the runs of such tables."""
    known = set(guids.values())
    [shop] = _read(atlas, [guids[entities.shop.name]], related=True)
    gone = _parts(shop, "tables") - known
    tables = [*(guids[group[0].name] for group in entities.tables), *sorted(gone)]
    for held in _read(atlas, tables, related=True):
        gone |= (_parts(held, "columns") | _parts(held, "outputFromProcesses", RUN)) - known
    for some in _some(sorted(gone)):
        atlas.send("DELETE", "entity/bulk", params={"guid": some})
    done.deleted += len(gone)


def _parts(held: Mapping[str, Any], of: str, kind: str = "") -> set[str]:
    """The entities that one is related to, without those that are deleted."""
    others = (held.get("relationshipAttributes") or {}).get(of) or ()
    return {
        o["guid"]
        for o in others
        if o.get("entityStatus") != "DELETED"
        and o.get("relationshipStatus") != "DELETED"
        and kind in ("", o.get("typeName"))
    }


def _read(atlas: Atlas, guids: Sequence[str], *, related: bool = False) -> list[dict[str, Any]]:
    """Entities as Atlas has them; `related`: with what they are related to."""
    found: list[dict[str, Any]] = []
    for some in _some(guids):
        asked = {"guid": some, "minExtInfo": "true", "ignoreRelationships": "false" if related else "true"}
        found += (atlas.get("entity/bulk", asked) or {}).get("entities") or ()
    return found


def _some(guids: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(guids), AT_ONCE):
        yield list(guids[start : start + AT_ONCE])
