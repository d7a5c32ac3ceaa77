"""The HTML of the report: the document, a picture with its figures, and a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from lakehouse.contracts import resource_folder
from lakehouse.records import Row
from lakehouse.report import charts

Cell = Callable[[Row], str]


def document(title: str, body: str) -> str:
    """The whole page, with its style in it."""
    style = (resource_folder("pages") / "assets" / "reading.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)}</title><link rel="icon" href="data:,">\n<style>\n{style}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def figure(ident: str, title: str, said: str, spec: charts.Spec, table: str) -> str:
    """A picture, what it says, and its figures as a table that opens."""
    return (
        f"<figure><h3>{escape(title)}</h3>{charts.drawn(spec, ident, title, said)}<figcaption>{escape(said)}</figcaption>"
        f"<details><summary>The figures</summary>{table}</details></figure>\n"
    )


def as_table(caption: str, columns: dict[str, Cell], rows: Iterable[Row]) -> str:
    """`#` before a title: a column of numbers. The first column names the row. Cells are HTML."""
    titles = "".join(f'<th scope="col"{_class(t)}>{t.removeprefix("#")}</th>' for t in columns)
    (first, name), *rest = columns.items()
    body = "\n".join(
        f'<tr><th scope="row"{_class(first)}>{name(r)}</th>' + "".join(f"<td{_class(t)}>{cell(r)}</td>" for t, cell in rest)
        + "</tr>"
        for r in rows
    )  # fmt: skip
    caption = escape(caption)
    return (
        f'<div class="wide" role="region" aria-label="{caption}" tabindex="0"><table><caption>{caption}</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _class(title: str) -> str:
    return ' class="number"' if title.startswith("#") else ""
