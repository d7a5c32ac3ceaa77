"""What the site is made of: the repository's pages in their places, so that links between them hold as they stand.

A link to what is no page, such as a module or a test, would lead nowhere on the site: it becomes the path that it names.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

# A README is the page of its folder; further pages belong to what they lie beside, such as a fixture.
OUTSIDE_DOCS = ("benchmarks/README.md", "samples/data/README.md")
FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
# Code between backticks is passed over as a whole: what looks like a link in it is none.
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)|`[^`\n]+`")
ELSEWHERE = re.compile(r"[a-z]+:|#", re.IGNORECASE)


def pages(root: Path) -> list[str]:
    """The pages by their paths: those at the top, all of docs/, and two more."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / page for page in OUTSIDE_DOCS)]
    return sorted(str(page.relative_to(root)) for page in found)


def gather(root: Path, folder: Path) -> None:
    """Fills `folder` with the pages and their pictures; what was in it before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    known = pages(root)
    for page in known:
        text = (root / page).read_text(encoding="utf-8")
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        (folder / page).write_text(adapted(text, page, known), encoding="utf-8")
        for picture in pictures(text, page):
            (folder / picture).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / picture, folder / picture)


def adapted(text: str, page: str, known: list[str]) -> str:
    """A page for the site: links to what is none of the `known` pages become paths."""

    def path_or_link(found: re.Match[str]) -> str:
        target = found["target"]
        if target is None or found["image"] or ELSEWHERE.match(target):
            return found[0]
        path = _path(page, target)
        if path in known:
            return found[0]
        words = found["text"].strip("`")
        return f"`{path}`" if path.endswith(words) else f"{found['text']} (`{path}`)"

    # Blocks of code are every second part.
    parts = FENCE.split(text)
    return "".join(part if n % 2 else LINK.sub(path_or_link, part) for n, part in enumerate(parts))


def pictures(text: str, page: str) -> Iterator[str]:
    """The paths of the pictures that a page shows."""
    for part in FENCE.split(text)[::2]:
        for found in LINK.finditer(part):
            if found["image"] and not ELSEWHERE.match(found["target"]):
                yield _path(page, found["target"])


def _path(page: str, target: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(page), target.partition("#")[0]))
