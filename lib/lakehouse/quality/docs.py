"""Data Docs: a folder of plain pages, one set a run, that need no network and no script.

    index.html                      runs, newest first
    runs/<run>/index.html           every finding of the run, the pipeline's own too
    runs/<run>/<table>.html         Great Expectations' page of a table
    runs/<run>/run.json             what the front page says of the run
    assets/                         style sheets

Counts and names only, never a value. A run's pages appear at once (a rename) and are not written again; the front page is
made anew from the latest runs' small files, so a run costs the same on the thousandth day.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from html import escape
from pathlib import Path

from lakehouse.contracts import resource_folder
from lakehouse.quality.findings import Finding

LISTED = 365
STYLES = ("lakehouse.css", "bootstrap.css", "bootstrap-dark.css", "bootstrap.LICENSE", "bootstrap-dark.LICENSE")
GOOD_VERDICTS = ("published", "passed")


@dataclass(frozen=True)
class Run:
    """Whose findings these are. `verdict`: a word for people, such as published or refused."""

    run_id: str
    layer: str
    business_date: date
    verdict: str


def publish(folder: Path, run: Run, findings: Sequence[Finding], pages: Mapping[str, str]) -> Path:
    """Writes a run's pages (`pages`: HTML by table) and the front page; returns the front page's path.

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
    summary = _summary(run, findings)
    (draft / "index.html").write_text(_run_page(summary, findings, set(pages)), encoding="utf-8")
    (draft / "run.json").write_text(json.dumps(summary), encoding="utf-8")
    if (published := runs / run.run_id).exists():
        earlier = runs / f".{run.run_id}.earlier"
        shutil.rmtree(earlier, ignore_errors=True)
        published.rename(earlier)
        draft.rename(published)
        shutil.rmtree(earlier)
    else:
        draft.rename(published)
    front = folder / "index.html"
    _replace(front, _front_page(*_latest(runs)).encode())
    return front


def _summary(run: Run, findings: Sequence[Finding]) -> dict[str, str | int]:
    failed = [f.severity for f in findings if not f.success]
    return {
        "run_id": run.run_id,
        "layer": run.layer,
        "business_date": run.business_date.isoformat(),
        "verdict": run.verdict,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rules": len(findings),
        "critical": failed.count("critical"),
        "warnings": failed.count("warning"),
    }


def _latest(runs: Path) -> tuple[list[dict[str, str | int]], int]:
    """Summaries of the runs written last, newest first, and how many there are besides."""
    with os.scandir(runs) as entries:
        known = sorted((e.stat().st_mtime_ns, e.path) for e in entries if not e.name.startswith("."))
    summaries = [json.loads((Path(path) / "run.json").read_text(encoding="utf-8")) for _, path in known[-LISTED:]]
    return sorted(summaries, key=lambda s: (s["at"], s["run_id"]), reverse=True), len(known) - len(summaries)


def _front_page(summaries: list[dict[str, str | int]], older: int) -> str:
    rows = [
        f'<tr><td><a href="runs/{_text(s, "run_id")}/index.html">{_text(s, "business_date")}</a></td>'
        f"<td>{_text(s, 'layer')}</td><td>{_verdict(s)}</td><td class=number>{s['rules']:,}</td>"
        f"<td class=number>{_failed(s['critical'], 'bad')}</td><td class=number>{_failed(s['warnings'], 'warn')}</td>"
        f"<td class=faint>{_time(s)}</td><td class=faint>{_text(s, 'run_id')}</td></tr>"
        for s in summaries
    ]
    more = f"<p>{older:,} older runs are in the folder <code>runs</code>.</p>" if older else ""
    head = ("Business date", "Layer", "Verdict", "#Rules", "#Critical", "#Warnings", "Finished", "Run")
    return _page("Data Docs", "What the gates found, newest run first.", _table(head, rows) + more, assets="assets")


def _run_page(summary: dict[str, str | int], findings: Sequence[Finding], paged: set[str]) -> str:
    ordered = sorted(findings, key=lambda f: (f.success, f.severity != "critical", f.table, f.rule))
    rows = [
        f"<tr><td>{_link(f.table) if f.table in paged else escape(f.table)}</td><td>{escape(f.rule)}</td>"
        f"<td>{f.severity}</td><td>{_outcome(f)}</td><td class=number>{_number(f.unexpected)}</td>"
        f"<td class=number>{_number(f.rows)}</td></tr>"
        for f in ordered
    ]
    about = (
        f"{_verdict(summary)} · {summary['rules']:,} rules, {summary['critical']:,} critical failed, "
        f"{summary['warnings']:,} warnings · {_time(summary)} · run {_text(summary, 'run_id')} · "
        '<a href="../../index.html">all runs</a>'
    )
    head = ("Table", "Rule", "Severity", "Outcome", "#Against it", "#Rows")
    title = f"{_text(summary, 'layer')}, {_text(summary, 'business_date')}"
    return _page(title, about, _table(head, rows), assets="../../assets")


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


def _verdict(summary: dict[str, str | int]) -> str:
    return f"<span class={'good' if summary['verdict'] in GOOD_VERDICTS else 'bad'}>{_text(summary, 'verdict')}</span>"


def _failed(number: str | int, style: str) -> str:
    return f"<span class={style}>{number:,}</span>" if number else "0"


def _number(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _text(summary: dict[str, str | int], key: str) -> str:
    return escape(str(summary[key]))


def _time(summary: dict[str, str | int]) -> str:
    return _text(summary, "at").replace("T", " ").replace("+00:00", " UTC")


def _link(table: str) -> str:
    return f'<a href="{escape(table)}.html">{escape(table)}</a>'


def _copy_assets(target: Path) -> None:
    target.mkdir(exist_ok=True)
    for name in STYLES:
        wanted = (resource_folder("quality") / "assets" / name).read_bytes()
        if not (target / name).exists() or (target / name).read_bytes() != wanted:
            _replace(target / name, wanted)


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)
