"""Which ledger a lake belongs to, kept in the lake itself, with a copy of that ledger's pointers.

Both are small files beside bronze's tables, so that a lake that is moved, copied or restored takes them along:
`_lakehouse/identity.json`, written once, and `_lakehouse/<layer>.json`, replaced after each publish.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lakehouse import address
from lakehouse.errors import LedgerError, StoreError
from lakehouse.lake.files import Files
from lakehouse.records import Marks


class Identity:
    """A lake as far as it knows its ledger."""

    def __init__(self, files: Files, root: str) -> None:
        self.files, self.root = files, root

    def identity(self) -> str | None:
        """The id of the ledger that the lake belongs to; None where it has not been claimed yet."""
        return self._held("identity", "ledger").get("ledger")

    def claim(self, ledger_id: str) -> None:
        """Says that the lake belongs to a ledger, once and for good. Raises LedgerError where another's id stands."""
        self.files.write_new(self._path("identity"), json.dumps({"ledger": ledger_id}))
        theirs = self.identity()
        if theirs != ledger_id:
            raise LedgerError(f"the lake at {self.root} belongs to another ledger ({theirs}; this one is {ledger_id}): check "
                              f"LAKEHOUSE_LAKE and LAKEHOUSE_GOLD_DSN")  # fmt: skip

    def mark(self, layer: str, ledger_id: str, run_id: str, versions: Mapping[str, int]) -> None:
        """Keeps a copy of the pointers that a run has published."""
        held = {"ledger": ledger_id, "run": run_id, "versions": dict(versions)}
        self.files.write(self._path(layer), json.dumps(held))

    def marks(self, layer: str) -> Marks | None:
        """The pointers that the last run published of a layer, as far as the lake was told; None where it was not."""
        held = self._held(layer, "ledger", "run", "versions")
        return Marks(held["ledger"], held["run"], held["versions"]) if held else None

    def _held(self, name: str, *keys: str) -> dict[str, Any]:
        text = self.files.read(self._path(name))
        if text is None:
            return {}
        if not text:
            # Whose lake it is, an empty file does not say; and what has been published in it by now, nobody knows here.
            raise StoreError(
                f"{self._path(name)} is empty, as a driver of an earlier release left it that was killed while it "
                "wrote there: where no other lakehouse writes to this lake, delete the file, then run again"
            )
        try:
            held = json.loads(text)
        except ValueError:
            held = None
        if not isinstance(held, dict) or not set(keys) <= held.keys():
            raise StoreError(f"{self._path(name)} is not what was written there; restore it from the lake's backup")
        return held

    def _path(self, name: str) -> str:
        return f"{address.layer(self.root, 'bronze')}/{address.MARKS}/{name}.json"
