"""Before a run writes: each table of the lake is as the ledger has published it, or the run is refused."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse import log
from lakehouse.errors import LedgerError
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import Published, Run

# States of a run whose versions are in the pointers of a ledger that has it so.
IN_THE_POINTERS = ("published", "rewound", "maintained")


def recognise(lakehouse: Lakehouse) -> None:
    """Lake and ledger belong together. Raises LedgerError where they do not; a retry gets the same answer."""
    lake, ledger = lakehouse.lake, lakehouse.ledger
    theirs, ours, where = lake.identity(), ledger.identity(), lake.path("bronze", "")
    if theirs is not None and theirs != ours:
        raise LedgerError(
            f"the lake at {where} belongs to another ledger ({theirs}; this one is {ours}): check LAKEHOUSE_LAKE and "
            "LAKEHOUSE_GOLD_DSN; where the ledger was lost, see `lakehouse adopt`"
        )
    lost = [t for t in ledger.published("bronze") if lake.head("bronze", t) is None] if theirs is None else []
    if lost:
        raise LedgerError(
            f"the lake at {where} does not hold {', '.join(lost)}, which this ledger has published: check LAKEHOUSE_LAKE, "
            "or restore the lake from its backup"
        )


def restored(lakehouse: Lakehouse, run: Run, lease: Lease, layer: str, tables: Iterable[str]) -> dict[str, Published]:
    """The published versions of a lake layer, each made the head again where a dead or refused run left another.

    Raises LedgerError for a table that this ledger's runs did not make, and for a bronze that is ahead of its ledger:
    neither is ours to empty.
    """
    lake, ledger = lakehouse.lake, lakehouse.ledger
    published, moved = ledger.published(layer), dict[str, int]()
    pointers = {t: published[t].version if t in published else None for t in tables}
    if layer == "bronze":
        # First: of a backup older than the retention the lake has cleaned up the version that is published.
        refuse_lost(lakehouse, pointers)
    heads = {t: lake.head(layer, t, version) for t, version in pointers.items()}
    for table, pointer in pointers.items():
        if pointer is None:
            if heads[table] is not None:
                lake.clear(layer, table, ledger.identity())
                log.event("table.restored", layer=layer, table=table, version=None)
            continue
        version = pointer
        if heads[table] != version:
            version = lake.restore(layer, table, version)
            log.event("table.restored", layer=layer, table=table, version=version)
        version = lake.keep_log(layer, table, version) or version
        if version != pointer:
            moved[table] = version
    if moved:
        with lease.transaction() as cursor:
            for table, version in moved.items():
                ledger.point_at(cursor, layer, table, version)
        published = ledger.published(layer)
    return published


def mark(lakehouse: Lakehouse, run: Run, layers: Iterable[str]) -> None:
    """Keeps a copy of the pointers of a run's layers in the lake, by which a lost ledger can be made again."""
    ledger = lakehouse.ledger
    for layer in layers:
        versions = {t: p.version for t, p in ledger.published(layer).items()}
        lakehouse.lake.mark(layer, ledger.identity(), run.run_id, versions)


def ahead(lakehouse: Lakehouse) -> dict[str, int]:
    """Versions of bronze that were published by the lake's own word, and that a ledger older than its lake does not know.

    It is older where the run that last told the lake has not ended so in the ledger: it is unknown, or stands at work or
    abandoned in a backup that was made while it worked. A rewind moves pointers back, and its runs are known.
    """
    lake, ledger = lakehouse.lake, lakehouse.ledger
    marks, pointers = lake.marks("bronze"), ledger.published("bronze")
    if marks is None or marks.ledger != ledger.identity() or ledger.state(marks.run) in IN_THE_POINTERS:
        return {}
    return {t: v for t, v in marks.versions.items() if t not in pointers or v > pointers[t].version}


def refuse_lost(lakehouse: Lakehouse, tables: Iterable[str]) -> None:
    """Raises LedgerError where restoring bronze would lose rows that this ledger's runs have published, or may have.

    They are rows above a pointer, or of a table without one: of runs that the ledger does not know, or of versions that
    were published by the lake's word. What a commit without rows changed, such as a compaction, is no loss.
    """
    lake, ledger = lakehouse.lake, lakehouse.ledger
    pointers, newer, ours = ledger.published("bronze"), ahead(lakehouse), ledger.identity()
    for table in sorted({*tables, *newer}):
        pointer = pointers[table].version if table in pointers else -1
        head = lake.head("bronze", table)
        if head is None or head == pointer:
            continue
        above = [c for c in lake.commits("bronze", table, pointer) if c.run and c.rows and c.ledger == ours]
        known = ledger.known(sorted({c.run for c in above if c.run}))
        lost = [c for c in above if c.run not in known or c.version <= newer.get(table, -1)]
        if lost:
            rows, runs = sum(c.rows for c in lost), len({c.run for c in lost})
            raise LedgerError(
                f"bronze.{table} holds {rows:,} rows of {runs} runs that this ledger does not know as published: the ledger "
                "was restored from an older backup than the lake. Take them in with lakehouse adopt, or restore the lake of "
                "the same moment"
            )
