"""Published frames as runs ask for them: by layer and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame

from lakehouse.lake import reading
from lakehouse.parts import Lakehouse
from lakehouse.records import Published


def published_frame(lakehouse: Lakehouse, layer: str, table: str) -> DataFrame:
    """A lake table at the version that passed its gate. Raises NotYetError where nothing is published yet."""
    return frame(lakehouse, layer, table, lakehouse.ledger.published(layer).get(table))


def frame(
    lakehouse: Lakehouse,
    layer: str,
    table: str,
    published: Published | None,
    partitions: Sequence[Mapping[str, str]] = (),
) -> DataFrame:
    """A lake table at a published version; columns that its contract gained since are null in it.

    Where `partitions` are given, at least the rows of these.
    """
    contract = lakehouse.contracts[layer].get(table) if layer in lakehouse.contracts else None
    return reading.frame(lakehouse.lake, layer, table, published, contract, partitions)
