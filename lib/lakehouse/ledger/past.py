"""Values of repairs: places in the order of runs, runs that were set aside, runs that only the lake still knows; and the
customers who were forgotten, whom only digests still tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor

from lakehouse.errors import LedgerError
from lakehouse.ledger.questions import Questions


@dataclass(frozen=True)
class Cut:
    """A place in the order of a layer's published runs, the greatest business date up to it, and its run's inputs."""

    seq: int
    run_id: str
    as_of: date
    inputs: dict[str, Any]


@dataclass(frozen=True)
class Aside:
    """One table of a bronze run that a rewind set aside, and the version that still holds its rows."""

    run_id: str
    business_date: date
    table: str
    version: int
    rows: int


@dataclass(frozen=True)
class AdoptedTable:
    """One table of a bronze run, as its commit and its rows tell of it; `rows` are images and tombstones."""

    table: str
    version: int
    rows: int
    window_start: datetime | None
    window_end: datetime
    snapshot: str | None
    tombstones: int = 0


@dataclass(frozen=True)
class Adopted:
    """A bronze run that only the lake still knows."""

    run_id: str
    business_date: date
    started_at: datetime
    tables: tuple[AdoptedTable, ...]


@dataclass(frozen=True)
class Undone:
    """A bronze run that nobody knows to have been published: what it left in the lake is restored away."""

    run_id: str
    business_date: date
    at: datetime
    tables: tuple[str, ...]
    rows: int


@dataclass(frozen=True)
class KeptOut:
    """Customers who were forgotten: keyed digests of their identifiers, and the key. `pending`: those not yet gone everywhere."""

    key: bytes
    digests: frozenset[str] = frozenset()
    pending: frozenset[str] = frozenset()


class Forgotten(Questions):
    """Questions and changes of `lakehouse forget`, and what keeps a customer out afterwards."""

    def kept_out(self) -> KeptOut:
        """The customers who stay out. Raises LedgerError where the key of their digests is gone."""
        rows = self._rows(
            "select f.digest, f.forgotten_at is null as pending, s.value as key "
            "from (select) one left join ops.settings s on s.name = 'forget_key' left join ops.forgotten f on true"
        )
        if not rows:  # no ledger yet
            return KeptOut(b"")
        if rows[0]["key"] is None:
            raise LedgerError(f"the ledger at {self.database.where} has lost forget_key of ops.settings, without which nobody knows "
                              "who was forgotten: restore it from a backup of the gold database")  # fmt: skip
        digests = {r["digest"]: r["pending"] for r in rows if r["digest"]}
        return KeptOut(
            bytes.fromhex(rows[0]["key"]), frozenset(digests), frozenset(d for d, pending in digests.items() if pending)
        )

    def keep_out(self, cursor: Cursor, digests: Iterable[str]) -> None:
        """From now on rows of these customers stay out; those of all who are listed have to go."""
        cursor.execute(
            "insert into ops.forgotten (digest) select unnest(%s::text[]) on conflict (digest) do nothing",
            (sorted(digests),),
        )
        cursor.execute("update ops.forgotten set forgotten_at = null")

    def forgotten(self, cursor: Cursor, silver_run_id: str | None) -> None:
        """Everyone who is listed is gone everywhere; `silver_run_id`: the first run of silver without them."""
        cursor.execute(
            "update ops.forgotten set forgotten_at = clock_timestamp(), silver_run_id = coalesce(%s, silver_run_id)",
            (silver_run_id,),
        )

    def first_without(self) -> int:
        """The place in the order of runs of the newest run of silver that a forgetting made; 0 where there is none."""
        rows = self._rows(
            "select coalesce(max(r.seq), 0) as seq from ops.forgotten f join ops.runs r on r.run_id = f.silver_run_id"
        )
        return int(rows[0]["seq"]) if rows else 0

    def recount(self, cursor: Cursor, table: str, held: Mapping[str, tuple[int, int]]) -> None:
        """Brings what the ledger says of published bronze runs down to what a table still holds of each: images, tombstones."""
        cursor.execute(
            "select run_id, rows_read, rows_removed from ops.run_tables join ops.runs using (run_id) where run_tables.layer = 'bronze' "
            "and table_name = %s and state = 'published' and window_end is not null",
            (table,),
        )
        for run_id, images, tombstones in cursor.fetchall():
            now = held.get(run_id, (0, 0))
            if now[0] < images or now[1] < tombstones:
                cursor.execute(
                    "update ops.run_tables set rows_read = %s, rows_removed = %s, rows_kept = %s "
                    "where run_id = %s and layer = 'bronze' and table_name = %s",
                    (*now, sum(now), run_id, table),
                )
