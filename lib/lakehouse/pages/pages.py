"""The Data Docs as a run leaves them: its own pages, the front page, and the same in the bucket of an s3a:// lake."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from lakehouse import log
from lakehouse.errors import StoreError, safe_words
from lakehouse.pages import data_docs
from lakehouse.pages.store import DocsBucket
from lakehouse.records import Finding, ListedRun

# Two runs that end at once may both write the front page: the one that finds it out of date writes it again.
MOST_LOOKS = 3
Listing = tuple[Sequence[ListedRun], int]


class Pages:
    """A folder of pages, and the bucket they are copied to, where there is one."""

    def __init__(self, folder: Path, bucket: DocsBucket | None) -> None:
        self.folder, self._bucket = folder, bucket

    def publish(self, run: ListedRun, findings: Sequence[Finding], pages: Mapping[str, str]) -> None:
        """Writes the pages of a run; `pages`: Great Expectations' own, HTML by table."""
        data_docs.publish(self.folder, run, findings, pages)

    def publish_whole(self, name: str, page: str) -> None:
        """Writes a page of the whole, such as the report, in the folder and in the bucket.

        Raises StoreError where the bucket does not answer.
        """
        data_docs.write(self.folder, name, page)
        if self._bucket is not None:
            self._bucket.write(name, page.encode())

    def read(self, name: str) -> str | None:
        """A page as readers have it; None where there is none. Raises StoreError where the bucket does not answer."""
        if self._bucket is None:
            path = self.folder / name
            return path.read_text(encoding="utf-8") if path.is_file() else None
        page = self._bucket.open(name)
        return b"".join(page.pieces).decode() if page else None

    def older_than(self, before: datetime) -> int:
        """How many runs of the folder have pages from before a time only."""
        return len(self._old(before))

    def forget(self, before: datetime) -> int:
        """Deletes the pages of runs from before a time, in the folder and in the bucket; returns how many runs' in the folder.

        Raises StoreError where the bucket does not answer.
        """
        old = self._old(before)
        for folder in old:
            shutil.rmtree(folder)
        if self._bucket is not None:
            self._bucket.forget(before)
        return len(old)

    def _old(self, before: datetime) -> list[Path]:
        runs = self.folder / "runs"
        folders = [f for f in runs.iterdir() if f.is_dir()] if runs.is_dir() else []
        newest = {f: max((p.stat().st_mtime for p in f.iterdir()), default=0.0) for f in folders}
        return [f for f, changed in newest.items() if changed < before.timestamp()]

    def publish_front(self, listing: Callable[[], Listing]) -> None:
        """Lists the newest runs on the front page and copies what is new to the bucket, if it answers.

        No lock is held meanwhile: the list is asked for again afterwards, and a page that is out of date written again.
        """
        for _ in range(MOST_LOOKS):
            runs, total = listing()
            data_docs.publish_front_page(self.folder, runs, total)
            if self._bucket is not None:
                try:
                    held = self._bucket.sync(self.folder)
                    self._bucket.write("index.html", data_docs.front_page(runs, total, held).encode())
                except (StoreError, OSError) as e:
                    log.warning("docs.not_synced", reason=safe_words(e))
            if listing() == (runs, total):
                return
