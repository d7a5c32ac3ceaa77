"""Reads the contracts: a folder is the registry, and every fault in it is named at once with its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml
from pydantic import ValidationError

from lakehouse.contracts.model import LAYERS, NAME, Contract
from lakehouse.errors import ConfigError


class Contracts(Mapping[str, Mapping[str, Contract]]):
    """All contracts by layer and table."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._layers: dict[str, dict[str, Contract]] = {layer: {} for layer in LAYERS}
        for contract in sorted(contracts, key=lambda c: c.id):
            self._layers[contract.layer][contract.table] = contract

    def __getitem__(self, layer: str) -> Mapping[str, Contract]:
        return self._layers[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def parents_first(self, layer: str) -> list[Contract]:
        """The tables of a layer, each after those it refers to; raises ConfigError for a circle."""
        waiting, ready = dict(self[layer]), []
        while waiting:
            free = [n for n, c in waiting.items() if not set(c.parents) & (waiting.keys() - {n})]
            if not free:
                raise ConfigError(f"contracts of {layer} refer to each other in a circle: {', '.join(waiting)}")
            ready += [waiting.pop(n) for n in free]
        return ready


def resource_folder(name: str) -> Traversable:
    """A folder that rides in the package (zip, wheel), or lies at the root of a checkout."""
    packaged = resources.files("lakehouse") / name
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / name


def load_contracts(folder: Traversable | None = None) -> Contracts:
    """Every contract of the folder (default: the project's own).

    Raises ConfigError that names each fault with file and line: unknown keys, types, columns, tables.
    """
    folder = folder or resource_folder("conf") / "contracts"
    faults: list[str] = []
    found: list[Contract] = []
    for layer in LAYERS:
        found += _read(folder, layer, faults)
    known = {f"{layer}.{f.name.removesuffix('.yml')}" for layer in LAYERS for f in (folder / layer).iterdir()}
    kept = {c.id for c in found if c.deletes == "keep"}
    for contract in found:
        here = f"{contract.layer}/{contract.table}.yml"
        faults += [f"{here}: refers to {parent}, which has no contract"
                   for parent in contract.parents if f"{contract.layer}.{parent}" not in known]  # fmt: skip
        if contract.layer == "silver" and f"bronze.{contract.table}" not in known:
            faults.append(f"{here}: there is no bronze contract of this name")
        if any(c.references and c.references.reason for c in contract.columns) and f"bronze.{contract.table}" in kept:
            # It could be neither kept without its parent nor held back: what is gone never comes to be judged again.
            faults.append(f"{here}: its rows wait for the rows that they refer to, so deletes cannot be keep")
    if faults:
        raise ConfigError("contracts are wrong: " + "; ".join(faults))
    return Contracts(found)


def load_beside(name: str) -> dict[str, Contract]:
    """Contracts of tables that stand beside the three layers, in a folder of their own; raises ConfigError as above."""
    faults: list[str] = []
    found = _read(resource_folder("conf") / "contracts", name, faults)
    if faults:
        raise ConfigError("contracts are wrong: " + "; ".join(faults))
    return {contract.table: contract for contract in found}


def _read(folder: Traversable, layer: str, faults: list[str]) -> list[Contract]:
    """The contracts of a folder; what is wrong in it is added to the faults."""
    found = []
    for file in sorted((folder / layer).iterdir(), key=lambda f: f.name):
        if not file.name.endswith(".yml"):
            continue
        try:
            contract = Contract.model_validate(parsed := _parsed(file.read_text(encoding="utf-8")))
            if contract.id != f"{layer}.{file.name.removesuffix('.yml')}" or not NAME.fullmatch(contract.table):
                faults.append(f"{layer}/{file.name}:{_line(parsed, ('id',))}: id is not {layer}.<name of the file>")
            found.append(contract)
        except yaml.YAMLError as e:
            line = mark.line + 1 if (mark := getattr(e, "problem_mark", None)) else 1
            faults.append(f"{layer}/{file.name}:{line}: not YAML: {getattr(e, 'problem', None) or 'unreadable'}")
        except ValidationError as e:
            for fault in e.errors(include_input=False, include_url=False):
                where = ".".join(str(p) for p in fault["loc"]) or "contract"
                faults.append(f"{layer}/{file.name}:{_line(parsed, fault['loc'])}: {where}: {fault['msg']}")
    return found


class _Lined(dict[object, object]):
    """A YAML mapping that remembers the line of each key."""

    lines: dict[object, int]


class _Loader(yaml.SafeLoader):
    """A SafeLoader whose mappings are _Lined, and which refuses a key written twice."""


def _lined(loader: _Loader, node: yaml.MappingNode) -> _Lined:
    mapping = _Lined()
    mapping.lines = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise yaml.MarkedYAMLError(problem=f"{key} is written twice", problem_mark=key_node.start_mark)
        mapping[key] = loader.construct_object(value_node, deep=True)
        mapping.lines[key] = key_node.start_mark.line + 1
    return mapping


_Loader.add_constructor("tag:yaml.org,2002:map", _lined)


def _parsed(text: str) -> object:
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader that also remembers lines


def _line(parsed: object, path: tuple[int | str, ...]) -> int:
    """The line on which the deepest known key of the path stands."""
    line, here = 1, parsed
    for step in path:
        if isinstance(here, _Lined) and step in here:
            line, here = here.lines[step], here[step]
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
            line = min(here.lines.values(), default=line) if isinstance(here, _Lined) else line
        else:
            break
    return line
