"""The words of the rules, for columns: Python sees only the texts that a pattern does not know to be clean."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.peers.pandas.frames import TEXT, holds, whole

BLANK = " \t\n\x0b\f\r\u00a0"
BLANKS = re.compile(f"[{BLANK}]+")
CLEAN = r"[^ \t\n\x0b\f\r\x{a0}]+( [^ \t\n\x0b\f\r\x{a0}]+)*"
IDENTIFIER = r"[0-9A-Z-]+"
EMAIL = re.compile(r"[^@ ]+@[^@ ]+\.[^@ ]+")
PLAIN_EMAIL, PLAIN_PHONE = r"[a-z0-9_+-]+@[a-z0-9-]+\.[a-z0-9.-]*[a-z0-9-]", r"[+]?[0-9]+"
Word = Callable[[str], str | None]


def clean(text: str) -> str | None:
    """Single spaces inside, none at the ends; None where nothing is left."""
    return BLANKS.sub(" ", text).strip(" ") or None


def clean_text(column: Any) -> Any:
    """Clean texts."""
    return _where_not(column, CLEAN, clean)


def identifiers(column: Any) -> Any:
    """Identifiers in one form: upper case, no blanks around, and no float's `.0`."""

    def identifier(text: str) -> str | None:
        upper = (clean(text) or "").upper()
        return re.sub(r"^([0-9]+)\.0$", r"\1", upper) or None

    return _where_not(column, IDENTIFIER, identifier)


def emails(column: Any) -> Any:
    """Addresses in lower case; None for what is none."""

    def email(text: str) -> str | None:
        lower = (clean(text) or "").lower()
        return lower if EMAIL.fullmatch(lower) else None

    return _where_not(column, PLAIN_EMAIL, email)


def phones(column: Any) -> Any:
    """The digits, after a plus where the number begins with one."""

    def phone(text: str) -> str | None:
        plus = "+" if re.match(r"[ ()\[\]{}<>]*[+]", clean(text) or "") else ""
        return plus + re.sub("[^0-9]", "", text) or None

    return _where_not(column, PLAIN_PHONE, phone)


def each_distinct(column: Any, word: Word) -> Any:
    """A column with few distinct texts: each is changed once."""
    codes, texts = pd.factorize(column)
    others = pd.Series([word(text) for text in texts] or [None], dtype=TEXT)
    return pd.Series(others.array.take(codes, allow_fill=True), index=column.index)


def title(text: str) -> str | None:
    """Each word of the clean text with a capital, the rest of it in lower case."""
    cleaned = clean(text)
    return " ".join(word[0].upper() + word[1:].lower() for word in cleaned.split(" ")) if cleaned else None


def ratio(numerator: Any, denominator: Any) -> Any:
    """Their quotient in ten-thousandths, rounded half away from zero, exact; null where either is, or one divides by 0."""
    missing = numerator.isna().to_numpy() | denominator.isna().to_numpy() | holds(denominator == 0)
    above = np.where(missing, 0, numerator.fillna(0).to_numpy(dtype=np.int64))
    below = np.where(missing, 1, denominator.fillna(1).to_numpy(dtype=np.int64))
    sign = np.where((above < 0) != (below < 0), -1, 1)
    return whole(sign * ((np.abs(above) * 20_000 + np.abs(below)) // (2 * np.abs(below))), missing)


def _where_not(column: Any, pattern: str, word: Word) -> Any:
    """The column, with the texts that do not match the pattern as a whole changed by the word."""
    left = ~holds(column.str.fullmatch(pattern)) & column.notna().to_numpy()
    if not left.any():
        return column
    column = column.copy()
    column[left] = pd.array([word(text) for text in column[left]], dtype=TEXT)
    return column
