"""Arrow tables and pandas frames, exact both ways.

In a frame an amount is a whole number of ten-thousandths, an instant one of microseconds since 1970 in UTC, a date one of
days; all of them, and integers, are Int64 with nulls. Text stays Arrow's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

TEXT = pd.ArrowDtype(pa.string())
DAY = 86_400_000_000
INSTANT = pa.timestamp("us", tz="UTC")
AMOUNT = pa.decimal128(18, 4)
# Types by what SQL calls them, precision left out.
ARROW = {
    "text": pa.string(), "integer": pa.int64(), "bigint": pa.int64(), "numeric": AMOUNT, "boolean": pa.bool_(),
    "date": pa.date32(), "timestamptz": INSTANT,
}  # fmt: skip


def frame_of(table: Any) -> Any:
    """A frame of an Arrow table."""
    return pd.DataFrame({name: _series(table[name].combine_chunks()) for name in table.column_names})


def table_of(frame: Any, kinds: Mapping[str, str]) -> Any:
    """An Arrow table of a frame's columns, in the order of `kinds`: their types as SQL writes them."""
    return pa.table({name: _column(frame[name], ARROW[kind.partition("(")[0]]) for name, kind in kinds.items()})


def whole(values: Any, missing: Any = None) -> Any:
    """Whole numbers as a series, null where `missing`."""
    numbers = np.asarray(values, dtype=np.int64)
    mask = np.zeros(len(numbers), dtype=bool) if missing is None else np.asarray(missing, dtype=bool)
    return pd.Series(pd.arrays.IntegerArray(numbers, mask.copy()))


def holds(condition: Any) -> Any:
    """Where a condition is true; null is not."""
    return condition.fillna(False).to_numpy(dtype=bool)


def _series(column: Any) -> Any:
    if pa.types.is_string(column.type):
        return pd.Series(pd.arrays.ArrowExtensionArray(column))
    if pa.types.is_boolean(column.type):
        return pd.Series(column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get), dtype="boolean")
    if pa.types.is_decimal(column.type):
        # The lower half of each 128 bits is the number where it fits into 64, as every amount of a shop does.
        halves = np.frombuffer(column.cast(AMOUNT).buffers()[1], dtype=np.int64)[: 2 * len(column)]
        return whole(halves[::2], column.is_null().to_numpy(zero_copy_only=False))
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    numbers = pc.fill_null(column.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    return whole(numbers, column.is_null().to_numpy(zero_copy_only=False))


def _column(series: Any, kind: Any) -> Any:
    if kind == pa.string():
        return pa.array(series, type=kind, from_pandas=True)
    missing = series.isna().to_numpy()
    if kind == pa.bool_():
        return pa.array(holds(series.astype("boolean")), mask=missing)
    numbers = series.fillna(0).to_numpy(dtype=np.int64)
    if kind == AMOUNT:
        both = np.stack([numbers, numbers >> 63], axis=1)
        column = pa.Array.from_buffers(AMOUNT, len(numbers), [None, pa.py_buffer(both.tobytes())])
        return pc.if_else(pa.array(missing), pa.scalar(None, AMOUNT), column)
    if kind == pa.date32():
        return pa.array(numbers.astype(np.int32), mask=missing).cast(kind)
    return pa.array(numbers, mask=missing).cast(kind)
