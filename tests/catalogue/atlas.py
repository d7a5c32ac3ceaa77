"""An Atlas in memory: what the export asks of a real one, by HTTP, and as strict about types.

How a real one answers is seen in test_atlas_for_real.py, which makes the same calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lakehouse.catalogue.atlas.export import Done
from tests.conftest import ROOT
from tests.web_server import Handler

AREA = ROOT / "conf" / "atlas" / "models" / "0000-Area0"
LISTS = ("entityDefs", "relationshipDefs", "classificationDefs")


def types_of_atlas() -> dict[str, Any]:
    """The definitions that every Atlas has, by name."""
    base = json.loads((AREA / "0010-base_model.json").read_text(encoding="utf-8"))
    return {d["name"]: {"category": "ENTITY", **d} for d in base["entityDefs"]}


def attributes_of(types: dict[str, Any], name: str) -> dict[str, Any]:
    """Every attribute of a type, those that it inherits too."""
    definition = types[name]
    above = [attributes_of(types, s) for s in definition.get("superTypes") or ()]
    own = {a["name"]: a for a in definition.get("attributeDefs") or ()}
    return {k: v for attributes in [*above, own] for k, v in attributes.items()}


def faults_of(types: dict[str, Any], entity: dict[str, Any]) -> Iterator[str]:
    """What Atlas would refuse of an entity: types and attributes that there are not, and values that are missing."""
    if (kind := entity["typeName"]) not in types:
        yield f"there is no type {kind}"
        return
    known, given = attributes_of(types, kind), entity["attributes"]
    yield from (f"{kind} has no attribute {name}" for name in given.keys() - known.keys())
    yield from (f"{kind} needs {n}" for n, a in known.items() if not a["isOptional"] and given.get(n) in (None, ""))
    for name, value in given.items():
        kinds = {"string": str, "long": int, "int": int, "date": int, "boolean": bool}
        wanted = kinds.get(known.get(name, {}).get("typeName", ""), list)
        if (
            name in known
            and value is not None
            and not (isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)))
        ):
            yield f"{kind}.{name} is no {wanted.__name__}"
    ends = [d for d in types.values() if d.get("category") == "RELATIONSHIP"]
    may = {d["endDef2"]["name"] for d in ends if d["endDef2"]["type"] in (kind, *types[kind]["superTypes"])}
    yield from (f"{kind} is related by no {name}" for name in entity["relationshipAttributes"].keys() - may)


def changes(done: Done) -> Done:
    """What an export changed, without what it left as it was."""
    return replace(done, unchanged=0)


class InMemory:
    """Types and entities, and what was asked to change them."""

    def __init__(self) -> None:
        self.types = types_of_atlas()
        self.entities: dict[str, dict[str, Any]] = {}
        self.changes: list[str] = []

    def answer(self, method: str, path: str, asked: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Status and document."""
        if method != "GET":
            self.changes.append(f"{method} {path}")
        words = path.split("/")
        if words[0] == "types":
            if method == "GET":
                found = self.types.get(words[-1])
                return (200, found) if found else (404, {"errorCode": "ATLAS-404-00-001"})
            self.types |= {d["name"]: d for kind in LISTS for d in body[kind]}
            return 200, body
        if words[1] == "guid":
            held = self.entities[words[2]]["classifications"]
            held[:] = [{**c, "entityGuid": words[2]} for c in body] if method == "POST" else []
            return 204, None
        if method == "GET":
            return 200, {"entities": [self._shown(g, asked["ignoreRelationships"] == ["true"]) for g in asked["guid"]]}
        if method == "DELETE":
            for guid in asked["guid"]:
                self.entities[guid]["status"] = "DELETED"
            return 200, {}
        return self._put(body["entities"])

    def _put(self, entities: list[dict[str, Any]]) -> tuple[int, Any]:
        if faults := [f for e in entities for f in faults_of(self.types, e)]:
            return 400, {"errorCode": "ATLAS-400-00-029", "errorMessage": faults[0]}
        given: dict[str, str] = {}
        created, updated = [], []
        for e in entities:
            names = {h["attributes"]["qualifiedName"]: g for g, h in self.entities.items() if h["status"] == "ACTIVE"}
            guid = given[e["guid"]] = names.get(e["attributes"]["qualifiedName"], f"guid-{len(self.entities)}")
            text = json.dumps({k: e[k] for k in ("typeName", "attributes", "relationshipAttributes")})
            for unassigned, assigned in given.items():
                text = text.replace(f'{{"guid": "{unassigned}"}}', f'{{"guid": "{assigned}"}}')
            now, was = json.loads(text), self.entities.get(guid)
            if was is None:
                marks = [{**c, "entityGuid": guid} for c in e["classifications"]]
                self.entities[guid] = {**now, "guid": guid, "status": "ACTIVE", "classifications": marks}
                created.append({"guid": guid})
            elif now != {k: was[k] for k in now}:
                was |= now
                updated.append({"guid": guid})
        mutated = {kind: found for kind, found in (("CREATE", created), ("UPDATE", updated)) if found}
        return 200, {"mutatedEntities": mutated or None, "guidAssignments": given}

    def _shown(self, guid: str, is_alone: bool) -> dict[str, Any]:
        held = self.entities[guid]
        if is_alone:
            return held
        related: dict[str, list[dict[str, str]]] = {"tables": [], "columns": [], "outputFromProcesses": []}
        for other, e in self.entities.items():
            reference = {"guid": other, "typeName": e["typeName"], "entityStatus": e["status"]}
            if e["relationshipAttributes"].get("shop") == {"guid": guid}:
                related["tables"].append(reference)
            if e["relationshipAttributes"].get("table") == {"guid": guid}:
                related["columns"].append(reference)
            if {"guid": guid} in e["attributes"].get("outputs", []):
                related["outputFromProcesses"].append(reference)
        return {**held, "relationshipAttributes": related}


def handler(atlas: InMemory) -> type[Handler]:
    """Answers for it over HTTP."""

    class OverHttp(Handler):
        # Head and body are two pieces: the second would wait for the first to be acknowledged.
        disable_nagle_algorithm = True

        def get(self) -> None:
            self._by("GET")

        def post(self, body: bytes) -> None:
            self._by("POST", body)

        def put(self, body: bytes) -> None:
            self._by("PUT", body)

        def delete(self) -> None:
            self._by("DELETE")

        def _by(self, method: str, body: bytes = b"") -> None:
            url = urlsplit(self.path)
            path = url.path.removeprefix("/api/atlas/v2/")
            status, document = atlas.answer(method, path, parse_qs(url.query), json.loads(body) if body else None)
            self.answer(status, b"" if document is None else json.dumps(document).encode())

    return OverHttp
