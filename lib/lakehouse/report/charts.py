"""Pictures of the report: Vega-Lite's words for a chart, drawn by vl-convert as SVG, in the colours of the page.

Colours are the page's own variables, so a picture is dark where the page is. The words are data and need no altair, whose
import alone takes longer than all the pictures; vl-convert brings its own JavaScript and asks no network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from html import escape
from typing import Any

from lakehouse.records import Row

Spec = dict[str, Any]
# Drawn for a telephone; a wider screen shows it larger.
WIDTH, HEIGHT, BAR = 330, 150, 17
LABELS = 120
CONFIG: Spec = {
    "background": None,
    "aria": False,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": "var(--faint)", "titleColor": "var(--faint)", "gridColor": "var(--line)",
             "domainColor": "var(--line)", "tickColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 11,
             "titleFontWeight": "normal", "labelLimit": LABELS},
    "legend": {"labelColor": "var(--ink)", "orient": "top", "title": None, "labelFontSize": 11},
}  # fmt: skip
PLAIN = {"axis": {"format": "~s", "tickCount": 4, "title": None}}
OPENING = re.compile(r"<svg\b[^>]*?width=\"(\d+)\" height=\"(\d+)\"[^>]*>")
TAG = re.compile(r"<[^>]*>")
# What Vega says of its layers for styles and for readers; here the whole is one picture with a title.
NEEDLESS = re.compile(r' (?:class|role|aria-roledescription|aria-hidden|pointer-events)="[^"]*"')


def drawn(spec: Spec, ident: str, title: str, description: str) -> str:
    """A chart as an SVG element of the page; `ident` is its own on the page."""
    import vl_convert  # only here: it loads a JavaScript engine

    svg = str(vl_convert.vegalite_to_svg(json.dumps({**spec, "config": CONFIG}), vl_version="5.20"))
    size = OPENING.search(svg)
    if size is None:
        raise ValueError("the drawing is no SVG")
    opening = (
        f'<svg role="img" aria-labelledby="{ident}-title {ident}-desc" viewBox="0 0 {size[1]} {size[2]}">'
        f'<title id="{ident}-title">{escape(title)}</title><desc id="{ident}-desc">{escape(description)}</desc>'
    )
    return opening + TAG.sub(lambda tag: NEEDLESS.sub("", tag[0]), svg[size.end() :])


def over_time(rows: Sequence[Row], value: str = "net", *, format_: str = "~s") -> Spec:
    """A bar for each period, from its first day to its last."""
    values = [{"from": _day(r["starts"]), "to": _day(r["ends"]), "value": _drawable(r[value])} for r in rows]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": values},
        "mark": {"type": "bar", "color": "var(--bar)", "stroke": "var(--paper)", "strokeWidth": 1},
        "encoding": {
            "x": {
                "field": "from",
                "type": "temporal",
                "scale": {"type": "utc"},
                "axis": {"title": None, "tickCount": 5},
            },
            "x2": {"field": "to"},
            "y": {"field": "value", "type": "quantitative", "axis": {"format": format_, "tickCount": 4, "title": None}},
            "y2": {"datum": 0},
        },
    }


def by_name(rows: Sequence[tuple[str, Decimal | int | None]], mark: Sequence[Decimal | None] = ()) -> Spec:
    """A lying bar for each name, in the order given; `mark`: an amount beside each, drawn as a line."""
    values = [{"n": n, "name": name, "value": _drawable(value)} for n, (name, value) in enumerate(rows)]
    for row, amount in zip(values, mark, strict=False):
        row["mark"] = _drawable(amount)
    # By their number: two names may be the same where they are cut.
    named = json.dumps([v["name"] for v in values])
    y = {"field": "n", "type": "ordinal", "axis": {"title": None, "labelExpr": f"({named})[datum.value]"}}
    bars: Spec = {
        "mark": {"type": "bar", "color": "var(--bar)"},
        "encoding": {"y": y, "x": {"field": "value", "type": "quantitative", **PLAIN}},
    }
    ticks: Spec = {
        "mark": {"type": "tick", "color": "var(--ink)", "thickness": 2},
        "encoding": {"y": y, "x": {"field": "mark", "type": "quantitative", **PLAIN}},
    }
    return {
        "width": WIDTH - LABELS,
        "height": {"step": BAR},
        "data": {"values": values},
        "layer": [bars, ticks] if mark else [bars],
    }


def stacked(rows: Sequence[Row], parts: dict[str, str]) -> Spec:
    """A bar for each month, of parts on each other; `parts`: what each column is called."""
    values = [
        {"month": _day(r["starts"]), "part": words, "order": n, "value": _drawable(r[column])}
        for r in rows
        for n, (column, words) in enumerate(parts.items())
    ]
    colours = ["var(--bar)", "var(--bar-2)", "var(--bar-3)"]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "data": {"values": values},
        "mark": {"type": "bar"},
        "encoding": {
            "x": {"field": "month", "type": "temporal", "timeUnit": "utcyearmonth", "axis": {"title": None, "tickCount": 5}},
            "y": {"field": "value", "type": "quantitative", **PLAIN},
            "color": {"field": "part", "type": "nominal",
                      "scale": {"domain": list(parts.values()), "range": colours[: len(parts)]}},
            "order": {"field": "order"},
        },
    }  # fmt: skip


def heat(rows: Sequence[tuple[str, int, float]]) -> Spec:
    """A square for each cohort and month since: the more of its customers bought, the fuller."""
    values = [{"cohort": cohort, "since": since, "share": share} for cohort, since, share in rows]
    return {
        "width": WIDTH - LABELS // 2,
        "height": {"step": BAR},
        "data": {"values": values},
        "mark": {"type": "rect", "color": "var(--bar)", "stroke": "var(--line)", "strokeWidth": 0.5},
        "encoding": {
            "x": {"field": "since", "type": "ordinal", "scale": {"domain": list(range(13))},
                  "axis": {"title": "months since the first order", "labelAngle": 0}},
            "y": {"field": "cohort", "type": "ordinal", "axis": {"title": None}},
            "fillOpacity": {"field": "share", "type": "quantitative", "scale": {"domain": [0, 1], "range": [0.04, 1]},
                            "legend": None},
        },
    }  # fmt: skip


def _day(at: date) -> str:
    return f"{at.isoformat()}T00:00:00Z"


def _drawable(amount: Decimal | int | None) -> float | None:
    """Near enough for a picture; one that is not known is not drawn."""
    return None if amount is None else float(amount)
