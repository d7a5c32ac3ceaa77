"""The environment of the site, .venv-docs: MkDocs and its theme, which no job needs."""

from __future__ import annotations

from tools.setup.environment import Beside
from tools.setup.machine import exit_with_sentence

DOCS = Beside("docs", "docs", "the site's builder", "15 MB of downloads")

if __name__ == "__main__":
    exit_with_sentence(DOCS.make)
