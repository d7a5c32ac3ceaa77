"""The plan of a forgetting: customers by the digests of their identifiers, and what the lakehouse holds of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import functions as F

from lakehouse.columns import GUEST, clean_identifier
from lakehouse.errors import LedgerError, UsageError
from lakehouse.frame.door import DIGEST, FORGOTTEN, Reach, digested, marked, reaches
from lakehouse.frame.published import published_frame
from lakehouse.ledger.past import KeptOut
from lakehouse.parts import Lakehouse
from lakehouse.records import RUNS_OF, Row
from lakehouse.settings import Settings

# So much of a digest tells customers apart in a report, and tells nobody who they are.
SHOWN = 8


@dataclass(frozen=True)
class Held:
    """Rows of forgotten customers in the published version of a table, and whether they go or become a guest's."""

    layer: str
    reach: Reach
    rows: int

    @property
    def would(self) -> str:
        return "become a guest's" if self.reach.emptied else "go"


@dataclass(frozen=True)
class Plan:
    """`digests`: of the customers whom the command names; `kept_out`: everyone who is to stay out, these among them."""

    digests: frozenset[str]
    kept_out: KeptOut
    held: Sequence[Held]
    backups: str

    @property
    def is_empty(self) -> bool:
        return not self.kept_out.pending and not any(h.rows for h in self.held)

    def rows(self) -> list[Row]:
        """The plan as a table; none where everyone is forgotten already."""
        if self.is_empty:
            return []
        whom = ", ".join(d[:SHOWN] for d in sorted(self.digests)) or f"all {len(self.kept_out.digests)} of the list"
        return [
            {"store": "ledger", "table": "forgotten", "rows": len(self.digests), "would": f"stay out from now on: {whom}"},
            *({"store": h.layer, "table": h.reach.table, "rows": h.rows, "would": h.would} for h in self.held),
            {"store": "silver", "table": "all", "rows": None, "would": "be rebuilt from bronze"},
            {"store": "gold", "table": "all", "rows": None, "would": "be computed again"},
            {"store": "lake", "table": ", ".join(dict.fromkeys(h.reach.table for h in self.held)), "rows": None,
             "would": "lose every older version: a rewind goes no further back"},
            {"store": "backups", "table": None, "rows": None, "would": self.backups},
        ]  # fmt: skip


def plan(lakehouse: Lakehouse, customers: Collection[str], *, again: bool = False) -> Plan:
    """What forgetting customers would do; `again`: everyone who was forgotten before too.

    Raises UsageError for an id that names nobody, LedgerError where a version that someone keeps holds what has to go.
    """
    listed = lakehouse.ledger.kept_out()
    if again and not customers and not listed.digests:
        raise UsageError("nobody was forgotten yet: name a customer with --customer or --customer-file")
    digests = _digests(lakehouse, customers, listed.key)
    new = digests - listed.digests
    kept_out = replace(listed, digests=listed.digests | digests, pending=listed.pending | new)
    found = reaches(lakehouse.contracts)
    _refuse_what_is_kept(lakehouse, found)
    with lakehouse.lake.answering():
        held = [
            Held(layer, reach, _count(lakehouse, layer, reach, kept_out))
            for layer in RUNS_OF
            for table, reach in found.items()
            if table in lakehouse.ledger.published(layer)
        ]
    return Plan(digests, kept_out, held, backups(lakehouse.settings))


def backups(settings: Settings) -> str:
    """How long backups hold who is forgotten, in words."""
    return (f"of before now hold the customers until they are deleted: lakehouse backup keeps the newest {settings.backups_kept} "
            "(LAKEHOUSE_BACKUPS_KEPT), others are yours to delete. After one is restored forget them again, before the next "
            "run")  # fmt: skip


def _digests(lakehouse: Lakehouse, customers: Collection[str], key: bytes) -> frozenset[str]:
    """Digests of ids by the identifier rule; every spelling of one has the same."""
    if not customers:
        return frozenset()
    named = lakehouse.spark.createDataFrame([(c,) for c in customers], "id string")
    found = digested(named, "id", key).select(DIGEST, (clean_identifier("id") == GUEST).alias("is_guest")).collect()
    if any(digest is None for digest, _ in found):
        raise UsageError("an id is blank, and a blank names no customer")
    if any(is_guest for _, is_guest in found):
        raise UsageError(f"{GUEST} stands for every guest, so it cannot be forgotten")
    return frozenset(digest for digest, _ in found)


def _count(lakehouse: Lakehouse, layer: str, reach: Reach, kept_out: KeptOut) -> int:
    rows = published_frame(lakehouse, layer, reach.table).select(reach.column)
    return marked(rows, reach.column, kept_out).where(F.col(FORGOTTEN)).count()


def _refuse_what_is_kept(lakehouse: Lakehouse, found: Collection[str]) -> None:
    """Versions that a person pinned, or that hold what a rewind set aside, are not deleted unasked."""
    kept = sorted(
        f"{layer}.{table} {version}"
        for layer in RUNS_OF
        for table, versions in lakehouse.ledger.needed_versions(layer).items()
        if table in found
        for version in versions
    )
    if kept:
        raise LedgerError(f"{', '.join(kept)}: pinned, or holding bronze that a rewind set aside, and every older version has to "
                          "go; lakehouse unpin, or run the days forward that were taken back, then forget again")  # fmt: skip
