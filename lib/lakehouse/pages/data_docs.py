"""Data Docs: a folder of plain pages, one set a run, that need no network and no script.

    index.html                      runs, newest first, as the ledger has them
    report/index.html               the report for the business
    catalogue/index.html            every table, what it holds and how it is
    dbt/index.html                  dbt's own page of its marts, which needs its scripts
    runs/<run>/index.html           every finding of the run, the pipeline's own too
    runs/<run>/<table>.html         Great Expectations' page of a table
    assets/                         style sheets

Counts and names only, never a value. A run's pages appear at once (a rename) and are not written again; the front page is
made again after each run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from lakehouse.contracts import LAYERS, resource_folder
from lakehouse.records import Finding, ListedRun

# How many runs the front page lists: a quarter of a year of three layers a night, and some to spare.
LISTED = 365
STYLES = ("lakehouse.css", "bootstrap.css", "bootstrap-dark.css", "bootstrap.LICENSE", "bootstrap-dark.LICENSE")
# Pages of the whole, each made again after a publish: what the front page calls them.
WHOLE = {"report/index.html": "Sales report", "catalogue/index.html": "Catalogue of tables",
         "dbt/index.html": "Marts of dbt"}  # fmt: skip
STATE_STYLES = {"published": "good", "failed": "bad", "abandoned": "bad"}


def publish(folder: Path, run: ListedRun, findings: Sequence[Finding], pages: Mapping[str, str]) -> Path:
    """Writes a run's pages (`pages`: HTML by table); returns the path of the first.

    Can be interrupted at any time: what readers see is the state before or after. A run published twice is replaced.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run.run_id):
        raise ValueError("a run's id is letters, digits, dot, dash and underscore")
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    _copy_assets(folder / "assets")
    draft = runs / f".{run.run_id}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for table, page in pages.items():
        (draft / f"{table}.html").write_text(page, encoding="utf-8")
    (draft / "index.html").write_text(_run_page(run, findings, set(pages)), encoding="utf-8")
    if (published := runs / run.run_id).exists():
        earlier = runs / f".{run.run_id}.earlier"
        shutil.rmtree(earlier, ignore_errors=True)
        published.rename(earlier)
        draft.rename(published)
        shutil.rmtree(earlier)
    else:
        draft.rename(published)
    return published / "index.html"


def publish_front_page(folder: Path, runs: Sequence[ListedRun], total: int) -> Path:
    """Writes the front page of the folder, with links to the runs whose pages are in it; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    _copy_assets(folder / "assets")
    held = [
        p.relative_to(folder).as_posix()
        for top in ("runs", *(name.partition("/")[0] for name in WHOLE))
        for p in folder.glob(f"{top}/**/index.html")
    ]
    return write(folder, "index.html", front_page(runs, total, held))


def write(folder: Path, name: str, page: str) -> Path:
    """Writes a page of the whole by its name; readers see the one before until it is there. Returns its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, page.encode())
    return path


def front_page(runs: Sequence[ListedRun], total: int, held: Collection[str]) -> str:
    """The front page as HTML: `runs` newest first, of `total` there are, with links to those pages that are `held`, by name."""
    paged = {name.split("/")[1] for name in held if name.startswith("runs/")}
    rows = [_row(run, run.run_id in paged) for run in runs]
    older = total - len(runs)
    more = f"<p>{older:,} older runs are in the ledger, table <code>ops.runs</code>.</p>" if older else ""
    head = ("Business date", "Layer", "State", "#Critical failed", "#Warnings", "#Rules", "#Seconds", "Finished", "Run")
    only = '<p><label><input type="checkbox" id="only-looks"> Only runs that need a look</label></p>'
    links = " · ".join(f'<a href="{name}">{title}</a>' for name, title in WHOLE.items() if name in held)
    whole = f"<p>{links}</p>" if links else ""
    body = f"{whole}{_standing(runs)}{only}{_table(head, rows)}{more}" if rows else f"{whole}<p>No run yet.</p>"
    return _page(
        "Data Docs", "Every run, newest first, and what its gate found: rules that failed, as counts.", body, "assets"
    )


def _standing(runs: Sequence[ListedRun]) -> str:
    """The last published day of each layer."""
    newest = {run.layer: run for run in reversed(runs) if run.state == "published"}
    cards = [
        f"<div><b>{layer}</b> published<strong>{newest[layer].business_date}</strong>"
        f"<span class=faint>{_time(newest[layer].finished_at)}</span></div>"
        for layer in LAYERS
        if layer in newest
    ]
    return f'<div class="standing">{"".join(cards)}</div>' if cards else ""


def _row(run: ListedRun, paged: bool) -> str:
    kind = "look" if run.needs_a_look else "fine"
    seconds = f"{(run.finished_at - run.started_at).total_seconds():,.0f}" if run.finished_at else ""
    facts = (
        f"<tr class={kind}><td>{_linked(run, run.business_date.isoformat(), paged)}</td><td>{escape(run.layer)}</td>"
        f"<td>{_state(run)}</td><td class=number>{_failed(run.critical, 'bad')}</td>"
        f"<td class=number>{_failed(run.warnings, 'warn')}</td><td class=number>{run.rules:,}</td>"
        f"<td class=number>{seconds}</td><td class=faint>{_time(run.finished_at)}</td>"
        f"<td class=faint>{_linked(run, run.run_id, paged)}</td></tr>"
    )
    if run.state == "failed" and run.message:
        facts += f"<tr class='{kind} words'><td></td><td colspan=8>{escape(run.message)}</td></tr>"
    return facts


def _run_page(run: ListedRun, findings: Sequence[Finding], paged: set[str]) -> str:
    ordered = sorted(findings, key=lambda f: (f.success, f.severity != "critical", f.table, f.rule))
    rows = [
        f"<tr><td>{_link(f.table) if f.table in paged else escape(f.table)}</td><td>{escape(f.rule)}</td>"
        f"<td>{f.severity}</td><td>{_outcome(f)}</td><td class=number>{_number(f.unexpected)}</td>"
        f"<td class=number>{_number(f.rows)}</td></tr>"
        for f in ordered
    ]
    about = (
        f'<a href="../../index.html">Data Docs</a> / {escape(run.run_id)}<br>'
        f"{_state(run)} · {run.rules:,} rules · critical failed: {run.critical:,} · warnings: {run.warnings:,} · "
        f"{_time(run.finished_at)}"
    )
    words = f"<p class=words>{escape(run.message)}</p>" if run.state == "failed" and run.message else ""
    head = ("Table", "Rule", "Severity", "Outcome", "#Against it", "#Rows")
    return _page(f"{escape(run.layer)}, {run.business_date}", about, words + _table(head, rows), assets="../../assets")


def _page(title: str, about: str, body: str, assets: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="{assets}/lakehouse.css"></head>\n'
        f'<body class="docs"><main><h1>{title}</h1><p>{about}</p>\n{body}\n</main></body></html>\n'
    )


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    """`#` before a title: a column of numbers."""
    titles = "".join(f"<th class=number>{t[1:]}</th>" if t.startswith("#") else f"<th>{t}</th>" for t in head)
    body = "\n".join(rows)
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


def _outcome(finding: Finding) -> str:
    if finding.success:
        return "<span class=good>met</span>"
    return "<span class=bad>failed</span>" if finding.severity == "critical" else "<span class=warn>warned</span>"


def _state(run: ListedRun) -> str:
    return f"<span class={STATE_STYLES.get(run.state, 'faint')}>{escape(run.state)}</span>"


def _failed(number: int, style: str) -> str:
    return f"<span class={style}>{number:,}</span>" if number else "0"


def _number(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""


def _linked(run: ListedRun, words: str, paged: bool) -> str:
    return f'<a href="runs/{escape(run.run_id)}/index.html">{escape(words)}</a>' if paged else escape(words)


def _link(table: str) -> str:
    return f'<a href="{escape(table)}.html">{escape(table)}</a>'


def _copy_assets(target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in STYLES:
        wanted = (resource_folder("pages") / "assets" / name).read_bytes()
        if not (target / name).exists() or (target / name).read_bytes() != wanted:
            _replace(target / name, wanted)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
