"""Columns of a table, made from numbers without a loop over rows; and what is wrong with one row in a hundred."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SEED = 20260101
NO_BREAK_SPACE = "\u00a0"
DIRTY_SHARE = 0.01

Column = Any
"""A column of Arrow, which brings no types."""
Table = Any
Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Edit = Callable[[str, int], str | None]
"""A text and its number among those edited, to another text or none."""


def generator(*purpose: int) -> np.random.Generator:
    """A generator that nothing else draws from: what one purpose draws does not move the others."""
    return np.random.default_rng([SEED, *purpose])


def identifiers(prefix: str, numbers: npt.ArrayLike, digits: int, line: npt.ArrayLike | None = None) -> Column:
    """Texts: the prefix, the number with leading zeros, and with `line` a hyphen and that one digit."""
    rest = np.asarray(numbers, dtype=np.int64).copy()
    head, tail = prefix.encode(), 0 if line is None else 2
    width = len(head) + digits + tail
    letters = np.empty((len(rest), width), dtype=np.uint8)
    letters[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    for position in range(len(head) + digits - 1, len(head) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        letters[:, position] = digit + ord("0")
    if line is not None:
        letters[:, -2], letters[:, -1] = ord("-"), np.asarray(line) + ord("0")
    offsets = np.arange(len(letters) + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(len(letters), pa.py_buffer(offsets), pa.py_buffer(letters.tobytes()))


def order_ids(numbers: npt.ArrayLike) -> Column:
    """Identifiers of orders."""
    return identifiers("O", numbers, 9)


def customer_ids(numbers: npt.ArrayLike) -> Column:
    """Identifiers of customers: eight digits and nothing else."""
    return identifiers("", np.asarray(numbers) + 10_000_000, 8)


def product_ids(numbers: npt.ArrayLike) -> Column:
    """Identifiers of products."""
    return identifiers("P", numbers, 6)


def campaign_ids(numbers: npt.ArrayLike) -> Column:
    """Identifiers of campaigns."""
    return identifiers("CMP", numbers, 3)


def words(vocabulary: Sequence[str], positions: npt.ArrayLike) -> Column:
    """The words of a vocabulary at these positions."""
    indices = pa.array(np.asarray(positions, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(vocabulary)).cast(pa.string())


def amounts(units: npt.ArrayLike, *, scale: int = 4, missing: Mask | None = None) -> Column:
    """Decimals, from whole numbers of their smallest unit: ten-thousandths where the scale is 4."""
    low = np.asarray(units, dtype=np.int64)
    both = np.stack([low, low >> 63], axis=1)
    column = pa.Array.from_buffers(pa.decimal128(18, scale), len(low), [None, pa.py_buffer(both.tobytes())])
    return column if missing is None else without(column, missing)


def integers(numbers: npt.ArrayLike, missing: Mask | None = None) -> Column:
    """Integers of four bytes."""
    return pa.array(np.asarray(numbers, dtype=np.int32), mask=missing)


def instants(microseconds: npt.ArrayLike, missing: Mask | None = None) -> Column:
    """Instants, from microseconds since 1970 in UTC."""
    return pa.array(np.asarray(microseconds, dtype=np.int64), mask=missing).cast(pa.timestamp("us", tz="UTC"))


def microseconds(column: Column) -> Numbers:
    """The reverse of `instants`."""
    numbers: Numbers = column.cast(pa.int64()).to_numpy()
    return numbers


def dates(days: npt.ArrayLike) -> Column:
    """Dates, from days since 1970."""
    return pa.array(np.asarray(days, dtype=np.int32)).cast(pa.date32())


def without(column: Column, mask: Mask) -> Column:
    """The column with nulls at the mask."""
    return pc.if_else(pa.array(mask), pa.scalar(None, column.type), column)


def edited(column: Column, *edits: tuple[Mask, Edit]) -> Column:
    """The column with its texts at each mask edited, one edit after the other."""
    for mask, edit in edits:
        if mask.any():
            texts = column.filter(pa.array(mask)).to_pylist()
            others = pa.array([edit(text, number) for number, text in enumerate(texts)], type=pa.string())
            column = pc.replace_with_mask(column, pa.array(mask), others)
    return column


def one_of(*texts: str | None) -> Edit:
    """An edit that puts these texts in turn."""
    return lambda _, number: texts[number % len(texts)]


def respelt(text: str | None, number: int) -> str | None:
    """Another spelling of the same identifier: a float's, another case, blanks around it."""
    if text is None:
        return None
    if text.isdigit():
        spellings = (f"{text}.0", f" {text}", f"{text}{NO_BREAK_SPACE}", f"\t{text} ")
    else:
        spellings = (text.lower(), f"{text} ", f"{NO_BREAK_SPACE}{text.lower()}", f"{text}\t")
    return spellings[number % 4]


class Faults:
    """Which fault out of a table's list each of its rows has, if any."""

    def __init__(self, draw: np.random.Generator, rows: int, names: Iterable[str]) -> None:
        self._numbers = {name: number for number, name in enumerate(names, start=1)}
        is_dirty = draw.random(rows) < DIRTY_SHARE
        self._of_rows = np.where(is_dirty, draw.integers(1, len(self._numbers) + 1, rows), 0)

    def __getitem__(self, name: str) -> Mask:
        """The rows that have the fault."""
        mask: Mask = self._of_rows == self._numbers[name]
        return mask


class Zipf:
    """Draws numbers from 0 to below `size` by Zipf's law; which of them are popular is scattered over the numbers."""

    def __init__(self, size: int, exponent: float) -> None:
        self._size = size
        self._shares = np.cumsum(np.arange(1, size + 1, dtype=np.float64) ** -exponent)
        self._shares /= self._shares[-1]

    def draw(self, draw: np.random.Generator, rows: int) -> Numbers:
        """As many numbers as there are rows."""
        return self.number_of(np.minimum(np.searchsorted(self._shares, draw.random(rows)), self._size - 1))

    def number_of(self, rank: npt.ArrayLike) -> Numbers:
        """The number that has a rank; the most popular has rank 0."""
        return (np.asarray(rank, dtype=np.int64) * 1_000_003 + 17) % self._size
