"""What deltalake reads of the lake without Spark: rows at published versions, for people and small tools, and the data files
of a version, which Spark is then given by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import unquote

import pyarrow
import pyarrow.dataset
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from lakehouse import address, tls
from lakehouse.errors import StoreError
from lakehouse.settings import Settings

LONGEST_SHOWN = 100


Place = tuple[str | None, ...]


class DataFiles(NamedTuple):
    """Data files of a version, relative to their table, with their rows (None where one does not say); the table's schema as
    Spark's JSON. `placed`, where it is told, are the values of its partition and the rows of each file."""

    names: list[str]
    rows: int | None
    schema: str
    placed: Sequence[tuple[Place, int]] = ()

    def shares(self, places: Sequence[Place], most: int) -> list[tuple[DataFiles, list[Place]]]:
        """The files of some partitions dealt out by whole partitions, into at most so many shares of about as many rows."""
        rows = dict.fromkeys(places, 0)
        for place, its in self.placed:
            rows[place] = rows.get(place, 0) + its
        dealt: list[list[Place]] = [[] for _ in range(max(1, min(most, len(rows))))]
        sizes = [0] * len(dealt)
        for place in sorted(rows, key=lambda p: (-rows[p], str(p))):
            least = sizes.index(min(sizes))
            dealt[least].append(place)
            sizes[least] += rows[place]
        share_of = {place: number for number, share in enumerate(dealt) for place in share}
        found = zip(self.names, self.placed, strict=True)
        mine = [(share_of[place], name, place, its) for name, (place, its) in found]
        return [
            (DataFiles([f for n, f, _, _ in mine if n == number], sizes[number], self.schema,
                       [(place, its) for n, _, place, its in mine if n == number]), share)
            for number, share in enumerate(dealt)
        ]  # fmt: skip


def data_files(
    path: str, version: int, options: Mapping[str, str] | None, partitions: Sequence[Mapping[str, str]] = ()
) -> DataFiles | None:
    """The files of a version, of some partitions only where these are given.

    None where files alone do not say which rows there are (deletion vectors), and where the table cannot be opened: Delta
    itself reads the one, and says what is wrong with the other.
    """
    try:
        table = DeltaTable(path, version=version, storage_options=dict(options) if options else None)
        protocol = table.protocol()
        if protocol.min_reader_version > 1 or protocol.reader_features:
            return None
        files = pyarrow.table(table.get_add_actions(flatten=True)).to_pylist()
        schema = table.schema().to_json()
    except (DeltaError, OSError):
        return None
    levels = tuple(partitions[0]) if partitions else ()
    wanted = {tuple(p[level] for level in levels) for p in partitions}
    placed = [
        (tuple(f[f"partition.{level}"] for level in levels), f.get("num_records"), unquote(f["path"])) for f in files
    ]
    placed = [f for f in placed if not wanted or f[0] in wanted]
    counted = [(place, rows) for place, rows, _ in placed if rows is not None]
    names = [name for _, _, name in placed]
    if len(counted) < len(placed):
        return DataFiles(names, None, schema)
    return DataFiles(names, sum(rows for _, rows in counted), schema, counted)


def dataset(
    settings: Settings, layer: str, table: str, version: int | None, shown: Callable[[Sequence[str]], list[str]]
) -> pyarrow.dataset.Dataset:
    """A table at a version (None: as it is now) as Arrow, with the columns that `shown` picks of all. Nothing is read yet."""
    whole = _open(settings, layer, table, version).to_pyarrow_dataset()
    return whole.replace_schema(pyarrow.schema([whole.schema.field(name) for name in shown(whole.schema.names)]))


@contextmanager
def reading(layer: str, table: str, version: int) -> Iterator[None]:
    """Around a read of a data set's rows: raises StoreError where a data file is gone, or is not what was written."""
    try:
        yield
    except (OSError, pyarrow.ArrowInvalid) as e:
        raise StoreError(
            f"a data file of version {version} of {layer}.{table} is gone or cannot be read ({type(e).__name__}): lakehouse "
            "verify says more; of a version that is long past it may have been cleaned up"
        ) from None


def open_rows(
    settings: Settings, table: str, version: int, key: Sequence[str], limit: int, reason: str = ""
) -> list[dict[str, Any]]:
    """Key, reasons and first sight of rows open in a quarantine table; no other column is read.

    `reason`: only rows that are held back for it, among others.
    """
    quarantine = dataset(settings, "quarantine", table, version, lambda _: [*key, "_reasons", "_first_seen_at"])
    rows = (r for batch in quarantine.to_batches() for r in batch.to_pylist() if reason in ("", *r["_reasons"]))
    with reading("quarantine", table, version):
        return [
            {
                "key": " ".join(_shown(r[k]) for k in key),
                "reasons": ", ".join(r["_reasons"]),
                "first_seen": r["_first_seen_at"].isoformat(timespec="seconds"),
            }
            for r in islice(rows, limit)
        ]


def options_for(settings: Settings, path: str) -> dict[str, str] | None:
    """deltalake's options for a place in the lake; None for one of files. Raises StoreError for a store not to be trusted."""
    if not path.startswith("s3://"):
        return None
    # deltalake would try a server that it does not trust again for minutes.
    tls.check_store(settings)
    tls.trust_in_this_process(settings)
    return address.storage_options(settings)


def _shown(part: object) -> str:
    """A part of a key: none is told from the text NULL, and one too long for an index is cut before it fills a screen."""
    text = "(null)" if part is None else str(part)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}… ({len(text):,} characters)"


def _open(settings: Settings, layer: str, table: str, version: int | None) -> DeltaTable:
    path = address.arrow_path(settings.lake_root, layer, table)
    options = options_for(settings, path)
    try:
        return DeltaTable(path, version=version, storage_options=options)
    except (DeltaError, OSError) as e:
        if version is None:
            raise StoreError(
                f"{layer}.{table} cannot be opened at {path} ({type(e).__name__}): where nothing keeps it, there is none"
            ) from None
        raise StoreError(
            f"version {version} of {layer}.{table} cannot be opened at {path} ({type(e).__name__}); check LAKEHOUSE_LAKE, "
            "AWS_ENDPOINT_URL, AWS_REGION and the credentials; a version that is long past may have been cleaned up"
        ) from None
