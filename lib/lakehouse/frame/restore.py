"""Before a run writes: each table of the lake is as the ledger has published it, or the run is refused."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse import log
from lakehouse.errors import LedgerError
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import Published, Run, Stamped


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
    for table in tables:
        pointer = published.get(table)
        if pointer is None:
            if lake.head(layer, table) is not None:
                lake.clear(layer, table, ledger.identity())
                log.event("table.restored", layer=layer, table=table, version=None)
            continue
        version = pointer.version
        if lake.head(layer, table, version) != version:
            if layer == "bronze":
                _refuse_lost(lakehouse, table, lake.commits(layer, table, version))
            version = lake.restore(layer, table, version)
            log.event("table.restored", layer=layer, table=table, version=version)
        version = lake.keep_log(layer, table) or version
        if version != pointer.version:
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


def _refuse_lost(lakehouse: Lakehouse, table: str, commits: list[Stamped]) -> None:
    """Commits of runs of this ledger that it does not know: the ledger is older than its lake, and they would be lost."""
    ours = [c for c in commits if c.run and c.ledger == lakehouse.ledger.identity()]
    unknown = {c.run for c in ours if c.run} - lakehouse.ledger.known(sorted({c.run for c in ours if c.run}))
    if unknown:
        rows = sum(c.rows for c in ours if c.run in unknown)
        raise LedgerError(
            f"bronze.{table} holds {rows:,} rows of {len(unknown)} runs that this ledger does not know: the ledger was "
            "restored from an older backup than the lake. Take them in with lakehouse adopt, or restore the lake of the "
            "same moment"
        )
