"""The catalogue as one page: a picture of the lineage, a search, and a card for each table. It loads nothing.

Without its few lines of script the page is whole, and only the search is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from lakehouse.catalogue.lineage import drawn
from lakehouse.catalogue.model import Catalogue, Column, Rule, Table
from lakehouse.contracts import resource_folder

ORDER = ("gold", "silver", "quarantine", "bronze")
PUBLISHED = {True: "<span class=good>met</span>", None: '<span class="faint">not judged lately</span>'}
STYLE = """
.lineage { max-width: none; min-width: 60rem; }
.lineage a:hover rect { stroke: var(--link); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: .5rem 0; }
dt { color: var(--faint); } dd { margin: 0; }
h4 { font-size: 1rem; margin: 0; }
.card { margin: 0 0 1rem; scroll-margin-top: 1rem; }
"""


def page_of(catalogue: Catalogue) -> str:
    """The page as HTML."""
    assets = resource_folder("pages") / "assets"
    style, script = ((assets / name).read_text(encoding="utf-8") for name in ("reading.css", "search.js"))
    cards = "".join(_layer(layer, [t for t in catalogue.tables if t.layer == layer]) for layer in ORDER)
    names = {t.name for t in catalogue.tables}
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Catalogue of tables</title><link rel="icon" href="data:,">\n<style>\n{style}{STYLE}</style></head>\n'
        "<body><main>\n<h1>Catalogue of tables</h1>"
        f"<p>{len(names):,} tables of {len(ORDER)} layers: what each is, what it is made of, and how it stands. Names and "
        'counts only, no value of a row.</p>\n<h2>Lineage</h2><div class="wide" role="region" aria-label="Lineage" '
        f'tabindex="0">{drawn(dict(catalogue.lineage))}</div>\n<h2>Tables</h2>'
        '<div id="search" hidden><label for="words">Search names, columns, owners, rules; '
        "<code>personal</code> finds tables with personal data</label>"
        '<input type="search" id="words" autocomplete="off"><p id="found" role="status"></p></div>\n'
        f"{cards}</main>\n<script>{script}</script></body></html>\n"
    )


def _layer(layer: str, tables: Sequence[Table]) -> str:
    return f"<section><h3>{layer}</h3>\n{''.join(map(_card, tables))}</section>\n"


def _card(table: Table) -> str:
    personal = ' <span class="tag">personal data</span>' if table.personal else ""
    facts = {
        "One row": escape(table.grain),
        "Owner": escape(table.owner),
        "Contract": f"{escape(table.contract_version)}, {escape(table.status)}",
        "Published": _published(table),
        "Rules": _verdict(table),
        "Made of": _links(table.upstream),
        "Made of it": _links(table.downstream),
    }
    listed = "".join(f"<dt>{name}</dt><dd>{fact}</dd>" for name, fact in facts.items())
    return (
        f'<article class="card" id="{escape(table.name)}" data-words="{escape(_words(table))}">'
        f"<h4>{escape(table.name)}{personal}</h4><p>{escape(table.purpose)}.</p><dl>{listed}</dl>"
        f"{_details(table, 'Columns', _columns(table.columns))}{_details(table, 'Rules', _rules(table.rules))}"
        f"{_details(table, 'Newest runs', _runs(table))}</article>\n"
    )


def _words(table: Table) -> str:
    """What the search looks through."""
    words = [table.name, table.purpose, table.grain, table.owner, *(r.rule for r in table.rules)]
    words += [w for c in table.columns for w in (c.name, c.type, c.description)]
    return " ".join([*words, *(["personal"] if table.personal else [])]).lower()


def _published(table: Table) -> str:
    if table.version is None:
        return "never"
    rows = "" if table.rows is None else f", {table.rows:,} rows"
    return f"version {table.version:,} for {table.business_date}{rows}, {_moment(table.published_at)}"


def _verdict(table: Table) -> str:
    if table.broken:
        critical = any(r.severity == "critical" for r in table.broken)
        return f'<span class="{"bad" if critical else "warn"}">{len(table.broken):,} of {len(table.rules):,} not met</span>'
    judged = sum(r.success is not None for r in table.rules)
    if not table.rules:
        return "none of its own"
    return (
        f'<span class="good">all met</span>, {judged:,} judged of {len(table.rules):,}'
        if judged
        else f"{len(table.rules):,}, none judged lately"
    )


def _links(names: Sequence[str]) -> str:
    linked = (escape(n) if n.startswith("source.") else f'<a href="#{escape(n)}">{escape(n)}</a>' for n in names)
    return ", ".join(linked) or "nothing here"


def _columns(columns: Sequence[Column]) -> tuple[Sequence[str], list[Sequence[str]]]:
    return ("Column", "Type", "Meaning", "Promises", "Made of"), [
        (f"<code>{escape(c.name)}</code>", escape(c.type), escape(c.description), _promises(c), _made_of(c))
        for c in columns
    ]


def _made_of(column: Column) -> str:
    """Columns that go into its value, each with a way to its table."""
    if column.made_of is None:
        return ""
    named = ((name.rpartition(".")[0], escape(name)) for name in column.made_of)
    linked = (n if table.startswith("source.") else f'<a href="#{escape(table)}">{n}</a>' for table, n in named)
    return ", ".join(linked) or "a constant, or a count of rows"


def _promises(column: Column) -> str:
    found = [word for word, holds in (("key", column.key), ("never null", column.required and not column.key)) if holds]
    found += [f"one of {escape(', '.join(column.allowed_values))}"] if column.allowed_values else []
    if column.references:
        found.append(f'names a row of <a href="#{escape(column.references)}">{escape(column.references)}</a>')
    found += ['<span class="tag">personal</span>'] if column.personal else []
    return "; ".join(found)


def _rules(rules: Sequence[Rule]) -> tuple[Sequence[str], list[Sequence[str]]]:
    ordered = sorted(rules, key=lambda r: (r.success is not False, r.severity != "critical"))
    return ("Rule", "Severity", "Newest verdict", "Why"), [
        (escape(r.rule), r.severity, _outcome(r), escape(r.why or "follows from the contract")
         + (" Rows that break it wait in quarantine." if r.holds_back else "")) for r in ordered
    ]  # fmt: skip


def _outcome(rule: Rule) -> str:
    if rule.success is not False:
        return PUBLISHED[rule.success]
    counts = f": {rule.unexpected:,}" if rule.unexpected is not None else ""
    counts += f" of {rule.rows:,}" if counts and rule.rows is not None else ""
    return f'<span class="{"bad" if rule.severity == "critical" else "warn"}">not met{counts}</span>'


def _runs(table: Table) -> tuple[Sequence[str], list[Sequence[str]]]:
    return ("Run", "Business date", "Version", "Rows kept", "To quarantine", "Ended"), [
        (escape(r.run_id), str(r.business_date), "" if r.version is None else f"{r.version:,}", f"{r.rows_kept:,}",
         f"{r.rows_quarantined:,}", _moment(r.finished_at)) for r in table.runs
    ]  # fmt: skip


def _details(table: Table, title: str, found: tuple[Sequence[str], list[Sequence[str]]]) -> str:
    """A table to open, if it has rows. Cells are HTML; the first names its row."""
    head, rows = found
    if not rows:
        return ""
    titles = "".join(f'<th scope="col">{t}</th>' for t in head)
    body = "\n".join(f'<tr><th scope="row">{r[0]}</th>{"".join(f"<td>{c}</td>" for c in r[1:])}</tr>' for r in rows)
    caption = f"{title} of {escape(table.name)}"
    return (
        f'<details><summary>{title} ({len(rows):,})</summary><div class="wide texts" role="region" aria-label="{caption}" '
        f'tabindex="0"><table><caption>{caption}</caption><thead><tr>{titles}</tr></thead><tbody>\n{body}\n</tbody></table>'
        "</div></details>"
    )


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
