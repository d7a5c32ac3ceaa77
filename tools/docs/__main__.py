"""`make docs`: the pages of this repository as a site in build/site. A warning of the builder ends it with code 1.

A reader of the site asks no other host for anything: the theme's fonts are the reader's own, its search is a file of
the site, and what its script would fetch from elsewhere is taken out of it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.docs.environment import DOCS
from tools.docs.pages import gather
from tools.setup.machine import ROOT, exit_with_sentence

FOLDER = ROOT / "build"
# In a script: an address in a string. The theme's would draw diagrams, count stars, and search in a page opened as a file.
ADDRESS = re.compile(
    r"""(?<=["'`])(?:https?:)?//(?!www\.w3\.org/)[a-z0-9-]+(?:\.[a-z0-9-]+)+[^"'`\s]*""", re.IGNORECASE
)
# In a page: what a browser fetches by itself, unlike a link that a reader follows.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object|link|form|input)\b[^>]*?\s(?:src|srcset|href|data|action|poster)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)""",
    re.IGNORECASE,
)
IN_STYLE = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


def main() -> None:
    DOCS.make()
    if code := build(ROOT, FOLDER):
        sys.exit(code)
    print("The site is build/site: python3 -m http.server --bind 127.0.0.1 --directory build/site")


def build(root: Path, folder: Path) -> int:
    """Builds the pages of `root` into folder/site; the builder's exit code, 1 also where the site would ask another host."""
    pages, site = folder / "pages", folder / "site"
    gather(root, pages)
    shutil.rmtree(site, ignore_errors=True)
    # Not --quiet: a warning that is not said is not counted either.
    words = ["build", "--strict", "--config-file", root / "mkdocs.yml", "--site-dir", site]
    # The theme speaks of its makers' next product where it is not told to be silent.
    environment = {**os.environ, "PAGES": str(pages), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run([DOCS.python, "-m", "mkdocs", *words], env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        return done.returncode
    for script in site.rglob("*.js"):
        script.write_text(ADDRESS.sub("about:blank", script.read_text(encoding="utf-8")), encoding="utf-8")
    for fault in (faults := sorted(set(foreign(site)))):
        print(f"The site would ask another host: {fault}", file=sys.stderr)
    return 1 if faults else 0


def foreign(site: Path) -> Iterator[str]:
    """Each file of a site that a browser asks another host for, and the address in it."""
    for file in site.rglob("*"):
        if file.suffix not in (".html", ".css", ".js", ".svg"):
            continue
        text = file.read_text(encoding="utf-8")
        found = IN_STYLE.findall(text)
        found += ADDRESS.findall(text) if file.suffix == ".js" else FETCHED.findall(text)
        yield from (f"{file.relative_to(site)} {address}" for address in found)


if __name__ == "__main__":
    exit_with_sentence(main)
