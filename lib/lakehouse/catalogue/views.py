"""Published versions as a DuckDB file: one view for each table of the lake, by its name, over the files of that version.

Any DuckDB opens it and sees the tables of a layer as of one moment. No view shows a column that a contract marks as personal.
Files of a version are there until `lakehouse maintain` cleans up what was superseded: the file is made again after a publish.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lakehouse.catalogue.model import Catalogue
from lakehouse.contracts import Contracts
from lakehouse.errors import SetupError, StoreError, UsageError

Files = tuple[Sequence[str], Any]  # paths of a version's data files, and its schema as Arrow


def write_views(out: Path, catalogue: Catalogue, contracts: Contracts, root: str) -> list[str]:
    """Writes the file, in the place of one that is there; returns the names of its views.

    Raises UsageError for a lake in an object store, StoreError for a table whose files alone do not say its rows, SetupError
    without DuckDB.
    """
    if not root.startswith("file://"):
        raise UsageError(
            "the lake is in an object store, which DuckDB reads only with its extension httpfs, and that is not brought here: "
            "take --to json or html, or explore the lake from a notebook"
        )
    try:
        import duckdb
    except ImportError:
        raise SetupError("there is no DuckDB in this environment: run `make setup`") from None

    lake = [t for t in catalogue.tables if t.layer != "gold" and t.version is not None]
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    try:
        with duckdb.connect(str(draft)) as file:
            for table in lake:
                layer, _, name = table.name.partition(".")
                contract = contracts["bronze" if layer == "quarantine" else layer][name]
                names, schema = _files(f"{root.removeprefix('file://')}/{layer}/{name}", table.version or 0, table.name)
                file.execute(f"create schema if not exists {layer}")
                _make(file, table.name, names, schema, contract.shown(schema.names))
                file.execute(f"comment on {'view' if names else 'table'} {table.name} is {_text(table.grain)}")
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    return [t.name for t in lake]


def _files(path: str, version: int, name: str) -> Files:
    import pyarrow
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        table = DeltaTable(path, version=version)
        protocol = table.protocol()
        if protocol.min_reader_version > 1 or protocol.reader_features:
            raise StoreError(
                f"{name} needs more of its reader than its files (deletion vectors or mapped columns): a view on them would "
                "show rows that are gone, so no file was written"
            )
        files = pyarrow.table(table.get_add_actions(flatten=True)).column("path").to_pylist()
        return [f"{path}/{unquote(file)}" for file in files], pyarrow.schema(table.schema().to_arrow())
    except (DeltaError, OSError) as e:
        raise StoreError(
            f"version {version} of {name} cannot be opened at {path} ({type(e).__name__}): run `lakehouse verify`"
        ) from None


def _make(file: Any, name: str, paths: Sequence[str], schema: Any, shown: Sequence[str]) -> None:
    """A view with the table's own types; a column that is younger than every file is null in it. Without files: a table."""
    file.register("_shape", schema.empty_table())
    types = {column: kind for column, kind, *_ in file.execute("describe select * from _shape").fetchall()}
    if not paths:
        file.execute(f"create table {name} as select {', '.join(map(_name, shown))} from _shape")  # noqa: S608
        file.unregister("_shape")
        return
    file.unregister("_shape")
    read = f"read_parquet([{', '.join(map(_text, paths))}], hive_partitioning = true, union_by_name = true)"
    there = {column for column, *_ in file.execute(f"describe select * from {read}").fetchall()}  # noqa: S608
    columns = [f"cast({_name(c) if c in there else 'null'} as {types[c]}) as {_name(c)}" for c in shown]
    file.execute(f"create view {name} as select {', '.join(columns)} from {read}")  # noqa: S608


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
