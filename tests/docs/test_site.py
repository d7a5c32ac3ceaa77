"""The pages as a site: all of them, with every link right, and nothing that a browser would ask another host for."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tools.docs.__main__ import build, foreign
from tools.docs.environment import DOCS
from tools.docs.pages import OUTSIDE_DOCS, adapted, pages, pictures
from tools.setup.machine import ROOT

KNOWN = ["README.md", "docs/faults.md", "docs/security.md"]


@pytest.mark.unit
def test_every_page_is_in_the_navigation_once_and_decisions_in_their_order() -> None:
    listed = re.findall(r"- (?:[^:\n]+: )?(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == pages(ROOT)
    decisions = [page for page in listed if page.startswith("docs/adr/")]
    assert decisions == sorted(decisions)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("see [faults](faults.md#disk)", "see [faults](faults.md#disk)"),
        ("see [home](../README.md)", "see [home](../README.md)"),
        ("see [below](#disk)", "see [below](#disk)"),
        ("see [dbt](https://docs.getdbt.com)", "see [dbt](https://docs.getdbt.com)"),
        ("![seen](pictures/minio.png)", "![seen](pictures/minio.png)"),
        ("The [project](../transform) is", "The project (`transform`) is"),
        ("in [frame/run.py](../lib/lakehouse/frame/run.py)", "in `lib/lakehouse/frame/run.py`"),
        ("in [`run.py`](../lib/lakehouse/frame/run.py)", "in `lib/lakehouse/frame/run.py`"),
        ("`[text](../transform)` is a link", "`[text](../transform)` is a link"),
        ("```md\n[text](../transform)\n```", "```md\n[text](../transform)\n```"),
    ],
)
def test_a_link_to_what_is_no_page_becomes_its_path_and_all_else_stays(written: str, shown: str) -> None:
    assert adapted(written, "docs/security.md", KNOWN) == shown


@pytest.mark.unit
def test_the_pictures_of_a_page_come_along() -> None:
    text = "![seen](pictures/minio.png)\n\n![far](https://example.com/far.png)\n\n[no picture](pictures/report.png)"
    assert list(pictures(text, "docs/stack.md")) == ["docs/pictures/minio.png"]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("name", "text", "asks"),
    [
        ("a.html", '<script src="https://cdn.example.com/x.js"></script>', True),
        ("a.html", '<link rel="stylesheet" href=//fonts.example.com/css>', True),
        ("a.html", '<img alt="a" src="https://example.com/a.png">', True),
        ("a.html", "<style>@import 'https://example.com/a.css'</style>", True),
        ("a.css", "src: url(https://fonts.example.com/a.woff2)", True),
        ("a.js", 'fetch("https://api.example.com/stars")', True),
        ("a.js", 'load("//unpkg.example.com/x@1")', True),
        ("a.html", '<a href="https://example.com">a link that a reader follows</a>', False),
        ("a.html", '<script src="assets/x.js"></script><img src="a.png">', False),
        ("a.js", '/* https://example.com */ n("http://www.w3.org/2000/svg")', False),
    ],
)
def test_what_a_browser_would_ask_another_host_for_is_found(tmp_path: Path, name: str, text: str, asks: bool) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert bool(list(foreign(tmp_path))) == asks


@pytest.mark.integration
def test_the_site_has_every_page_and_its_search_and_asks_no_other_host(tmp_path: Path) -> None:
    assert DOCS.mark.is_file(), "the builder is not installed: run `make docs`"
    assert build(ROOT, tmp_path) == 0
    site = tmp_path / "site"
    for page in pages(ROOT):
        html = site / re.sub(r"(README)?\.md$", lambda m: "index.html" if m[1] else ".html", page)
        assert "</article>" in html.read_text(encoding="utf-8"), page
    assert list(foreign(site)) == []
    assert "quarantine" in (site / "search" / "search_index.json").read_text(encoding="utf-8")


@pytest.mark.integration
def test_a_link_that_leads_nowhere_ends_the_build(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(ROOT / "docs", root / "docs")
    for name in (*(p.name for p in ROOT.glob("*.md")), *OUTSIDE_DOCS, "mkdocs.yml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, root / name)
    shutil.copytree(ROOT / "benchmarks" / "pictures", root / "benchmarks" / "pictures")
    with (root / "docs" / "glossary.md").open("a", encoding="utf-8") as page:
        page.write("\nSee [the end](operations.md#no-such-section).\n")
    assert build(root, tmp_path) != 0
