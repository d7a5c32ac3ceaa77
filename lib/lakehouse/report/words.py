"""Numbers, dates and names as people read them; every text that comes from data is escaped here."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from html import escape

UNKNOWN = "not known"
# A name longer than this fills a telephone's screen.
LONGEST = 60


def money(amount: Decimal | float | None) -> str:
    """An amount with two decimals; one that did not fit its column, or has an unknown part, is not known."""
    return UNKNOWN if amount is None else f"{amount:,.2f}"


def count(number: int | Decimal | None) -> str:
    """A whole number."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def share(part: Decimal | int | None, whole: Decimal | int | None) -> str:
    """A part of a whole in per cent; a dash where there is no whole."""
    if part is None or whole is None:
        return UNKNOWN
    return "–" if not whole else f"{Decimal(part) * 100 / Decimal(whole):,.1f} %"


def change(now: Decimal | None, before: Decimal | None) -> str:
    """How much more than before, in per cent; a dash where there was nothing."""
    if now is None or before is None:
        return UNKNOWN
    return "–" if before <= 0 else f"{(now - before) * 100 / before:+,.1f} %"


def decimal(number: Decimal | None) -> str:
    """A number with one decimal; a dash where there is none."""
    return "–" if number is None else f"{number:,.1f}"


def restated(sold: int, returned: int) -> str:
    """Units that came to a day or left it: of lines sold, and of lines that came back."""
    found = [
        f"{abs(units):,} {'more' if units > 0 else 'fewer'} {what}"
        for units, what in ((sold, "sold"), (returned, "returned"))
        if units
    ]
    return ", ".join(found) or "the same units: amounts, or which products"


def day(at: date | None) -> str:
    """A day; a dash where there is none."""
    return "–" if at is None else at.isoformat()


def month(at: date) -> str:
    """The month of a day."""
    return f"{at:%Y-%m}"


def moment(at: datetime | None) -> str:
    """A moment, to the minute."""
    return "–" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def shortened(text: str | None, without: str = "(none)") -> str:
    """A name as plain text: one line, cut where it is long, without what turns the direction of a line."""
    if text is None:
        return without
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def name(text: str | None, without: str = "(none)") -> str:
    """A name as HTML."""
    return escape(shortened(text, without))
