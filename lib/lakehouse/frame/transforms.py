"""Finds the transforms: the module of a table, what its arguments ask for, in which order tables are built, and a digest
that changes when the meaning of a table does."""

from __future__ import annotations

import ast
import importlib
import inspect
import io
import json
import tokenize
from collections.abc import Callable, Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from zlib import crc32

from pyspark.sql import DataFrame

from lakehouse import columns, conform
from lakehouse.contracts import types
from lakehouse.errors import ConfigError
from lakehouse.parts import Lakehouse

Transform = Callable[..., DataFrame]
# Modules whose code every transform's meaning depends on: its words, and how a frame is made to keep its contract.
WORDS = (columns, conform, types)
# Modules that decide what becomes of an image.
JUDGING = ("rules", "tombstones", "verdicts")


def transform_of(layer: str, table: str) -> Transform:
    """What makes a table: the function that every table's module has."""
    found: Transform = module_of(layer, table).transform
    return found


def module_of(layer: str, table: str) -> ModuleType:
    """The module of a table."""
    return importlib.import_module(f"lakehouse.{layer}.{table}")


def arguments_of(function: Callable[..., object]) -> list[str]:
    """The names of a function's arguments."""
    return list(inspect.signature(function).parameters)


def inputs_of(tables: Iterable[str]) -> dict[str, list[str]]:
    """What each gold table asks for, by the names of its transform's arguments. Raises ConfigError for a circle."""
    arguments = {table: arguments_of(transform_of("gold", table)) for table in tables}
    try:
        TopologicalSorter({table: set(names) & arguments.keys() for table, names in arguments.items()}).prepare()
    except CycleError as e:
        raise ConfigError(f"gold's transforms ask for each other in a circle: {', '.join(e.args[1])}") from None
    return arguments


def digest(lakehouse: Lakehouse, layer: str) -> int:
    """A number that changes when a contract, a transform or the words they share change, and not with a comment.

    Silver's holds the suites too: a rule with a reason decides what is kept.
    """
    contracts = lakehouse.contracts[layer]
    meaning: dict[str, object] = {module.__name__: _code(module) for module in WORDS}
    for table, contract in contracts.items():
        meaning[table] = [dict(contract.shape), _code(importlib.import_module(f"lakehouse.{layer}.{table}"))]
    if layer == "silver":
        meaning["judging"] = [_code(importlib.import_module(f"lakehouse.judging.{m}")) for m in JUDGING]
        meaning["deletes"] = {t: lakehouse.contracts["bronze"][t].deletes for t in contracts}
        meaning["suites"] = {t: _rules(lakehouse.suites[layer][t].model_dump(mode="json")) for t in contracts}
        meaning["columns of contracts"] = {t: c.model_dump(mode="json")["columns"] for t, c in contracts.items()}
    return crc32(json.dumps(meaning, sort_keys=True, default=str).encode())


def _rules(suite: object) -> object:
    """A suite without the sentences that say why a rule is there."""
    if isinstance(suite, dict):
        return {k: _rules(v) for k, v in suite.items() if k != "notes"}
    return [_rules(v) for v in suite] if isinstance(suite, list | tuple) else suite


@cache
def _code(module: ModuleType) -> str:
    """A module's lines without comments, docstrings and blank lines: the same under every Python that runs them."""
    source = inspect.getsource(module)
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False):
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [""] * ((text.end_lineno or text.lineno) - text.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())
