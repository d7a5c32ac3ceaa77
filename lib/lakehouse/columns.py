"""The words the transforms share: small functions from Column to Column, each a rule of the shop's data.

Case mapping is Java's (spark.sql.icu.caseMappings.enabled=false in spark-defaults.conf): Unicode's full mapping in the
root locale, the same on every machine.
"""

from __future__ import annotations

from typing import Protocol

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

# Space, tab, line feed, vertical tab, form feed, carriage return, no-break space. Nothing else is a blank.
BLANKS = r" \t\n\x0B\f\r\u00A0"
GUEST = "UNKNOWN"
WARNING_PREFIX = "_warn_"


class Rows(Protocol):
    """The rows of a table as `within` of a gold module is given them: all, or those that bear given keys."""

    def all(self) -> DataFrame:
        """Every row."""

    def matching(self, *keys: DataFrame) -> DataFrame:
        """Rows whose values are those of a row of one of the keys, in all of its columns."""


def carried(frame: DataFrame) -> list[str]:
    """The technical columns (leading `_`) that a transform hands on untouched."""
    return [c for c in frame.columns if c.startswith("_")]


def warning(name: str, holds: Column) -> Column:
    """A column that marks rows to be counted and warned of; only as a working column of a contract is it kept in a table."""
    return F.coalesce(holds, F.lit(False)).alias(WARNING_PREFIX + name)


def clean_text(text: str | Column) -> Column:
    """Inner runs of blanks become one space, outer ones go, empty becomes null."""
    return F.nullif(F.trim(F.regexp_replace(_column(text), f"[{BLANKS}]+", " ")), F.lit(""))


def clean_identifier(text: str | Column) -> Column:
    """Clean text, upper-cased, without the `.0` a float export leaves: `17850.0` becomes `17850`, `A1.0` stays."""
    return F.regexp_replace(F.upper(clean_text(text)), r"\A([0-9]+)\.0\z", "$1")


def lower_text(text: str | Column) -> Column:
    """Clean text, lower-cased."""
    return F.lower(clean_text(text))


def title_case(text: str | Column) -> Column:
    """Upper of each word's first character and lower of its rest, mapped apart (so a rest has its own final sigma)."""
    words = F.split(clean_text(text), " ")
    titled = F.transform(words, lambda w: F.concat(F.upper(F.substring(w, 1, 1)), F.lower(F.substr(w, F.lit(2)))))
    return F.array_join(titled, " ")


def clean_email(text: str | Column) -> Column:
    """Lower-cased; null unless the whole is `[^@ ]+@[^@ ]+\\.[^@ ]+`.

    Written with possessive quantifiers, the same language in linear time: a million dots must not stall a night.
    """
    email = lower_text(text)
    return F.when(email.rlike(r"\A[^@ ]++@[^@ ][^@ .]*+\.[^@ ]++\z"), email)


def clean_phone(text: str | Column) -> Column:
    """The digits 0-9, after a `+` where that is the first character that is neither a blank nor `(`; null without a digit."""
    digits = F.nullif(F.regexp_replace(_column(text), "[^0-9]+", ""), F.lit(""))
    opening = F.regexp_replace(_column(text), rf"\A[{BLANKS}(]+", "")
    return F.concat(F.when(opening.startswith("+"), "+").otherwise(""), digits)


def joined(*texts: Column) -> Column:
    """Texts joined by one space, nulls left out; null where all are."""
    return F.nullif(F.concat_ws(" ", *texts), F.lit(""))


def ratio(numerator: Column, divisor: Column) -> Column:
    """numerator / divisor to four decimals, half away from zero; null where the divisor is 0.

    Spark's quotient keeps at least 15 decimals here, enough that rounding it is rounding the exact ratio.
    """
    return F.round(numerator / F.nullif(divisor, F.lit(0)), 4)


def signed(amount: Column, quantity: Column) -> Column:
    """An amount that counts against a sale and gives back on a return: sign(quantity) x amount."""
    return F.when(quantity < 0, -amount).otherwise(amount)


def sold(amount: Column, quantity: Column) -> Column:
    """The amount of lines sold, 0 for lines returned."""
    return F.when(quantity > 0, amount).otherwise(F.lit(0))


def returned(amount: Column, quantity: Column) -> Column:
    """Minus the amount of lines returned (whose own amount is negative), 0 for lines sold."""
    return F.when(quantity < 0, -amount).otherwise(F.lit(0))


def total_if_all_known(amount: Column) -> Column:
    """Sum of an amount; null if it is unknown in any row, or there is no row."""
    return F.when(F.count(amount) == F.count(F.lit(1)), F.sum(amount))


def _column(text: str | Column) -> Column:
    return F.col(text) if isinstance(text, str) else text
