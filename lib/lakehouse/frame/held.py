"""Keys that the lakehouse holds of a table, and which of them are gone from the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse import log
from lakehouse.columns import clean_identifier
from lakehouse.contracts import Contract
from lakehouse.frame.published import frame
from lakehouse.judging.tombstones import OLDER, ORDER, VOID, by_key, images, in_order, voided
from lakehouse.parts import Lakehouse
from lakehouse.records import Extracted, Published, Totals, Window
from lakehouse.source.cdc.slot import Drained
from lakehouse.source.deletes import (
    IS_LATER,
    Seen,
    counted,
    differing,
    held_figures,
    keys_followed,
    keys_seen,
    source_figures,
    unmet,
)
from lakehouse.source.digests import digest_of
from lakehouse.source.postgres import Snapshot

MISSED_AT = "_deleted_at"
# So many keys fit into a broadcast with room to spare.
FEW_KEYS = 200_000
# Tables of which keys are compared at once: while one is planned, another is read.
COMPARED_AT_ONCE = 2


def held_keys(lakehouse: Lakehouse, contract: Contract) -> DataFrame | None:
    """Each key of a bronze table once, as an identifier: of published silver but for what was missed before, of what is open
    in quarantine, and of bronze that silver has not judged yet, without those of a tombstone. None where there is none.

    A key of which a part is null is none. This asks nothing of bronze that silver has judged.
    """
    ledger, lake, table, key = lakehouse.ledger, lakehouse.lake, contract.table, contract.key
    # Asked for before silver: what is published between the two answers is held twice, and not left out.
    pending = ledger.pending([table])[table]
    parts: list[DataFrame] = []
    silver, waiting = ledger.silver_and_open(table)
    if silver:
        rows = lake.read("silver", table, silver.version)
        rows = rows.where(F.col(MISSED_AT).isNull()) if MISSED_AT in rows.columns else rows
        parts.append(rows.select(*key, F.lit(OLDER).alias(ORDER)))
    if waiting:
        rows = lake.read("quarantine", table, waiting.version)
        parts.append(rows.select(*_cleaned(key), F.lit(OLDER).alias(ORDER)))
    brings, buries = any(e.rows for e in pending), any(e.tombstones for e in pending)
    if brings or buries:
        bronze, runs = (
            frame(lakehouse, "bronze", table, ledger.published("bronze")[table]),
            in_order(lakehouse.spark, pending),
        )
        rows = images(bronze).join(F.broadcast(runs), "_run_id", how="inner")
        parts.append(rows.select(*_cleaned(key), ORDER))
    if not parts:
        return None
    held = reduce(DataFrame.unionByName, parts)
    if buries:
        held = voided(held, by_key(bronze, runs, key), key).where(F.col(VOID).isNull())
    held = held.select(*key)
    if len(parts) == 1 and silver:
        return held  # silver has each key once
    if silver and not buries and _few(lakehouse, table, pending):
        # Once, too, without a shuffle of all that silver holds.
        others = _once(reduce(DataFrame.unionByName, parts[1:]).select(*key), key)
        return parts[0].select(*key).join(F.broadcast(others), list(key), how="left_anti").unionByName(others)
    return _once(held, key)


def _few(lakehouse: Lakehouse, table: str, pending: Sequence[Extracted]) -> bool:
    """Whether the rows that silver has not judged, or has not taken in, fit into a broadcast."""
    waiting = lakehouse.ledger.totals("silver").get(table, Totals()).open
    return waiting + sum(e.rows for e in pending) <= FEW_KEYS


def _once(keys: DataFrame, key: tuple[str, ...]) -> DataFrame:
    return keys.where(reduce(Column.__and__, (F.col(k).isNotNull() for k in key))).distinct()


def _cleaned(key: tuple[str, ...]) -> list[Column]:
    return [clean_identifier(k).alias(k) for k in key]


@dataclass(frozen=True)
class Gone:
    """Keys of a table that are held and gone from the source: as a frame (None where there is none), how many, and of how many.

    `seen`: all keys that the source has, as `keys_seen` tells them.
    """

    keys: DataFrame | None
    count: int
    held: int
    seen: str | None = None


# Of a table whose keys were not compared.
NOTHING = Gone(None, 0, 0)


# What the server said of a table's keys, once it has: see `keys_seen`.
Asked = Mapping[str, Future[tuple[Seen, set[str] | None]]]


def ask_for_keys(
    lakehouse: Lakehouse,
    snapshot: Snapshot,
    tables: Mapping[str, tuple[Contract, Window]],
    pointers: Mapping[str, Published],
    kept: ExitStack,
    drained: Drained | None = None,
) -> Asked:
    """Has the server look at the keys of tables, one after the other, the biggest first, while Java starts or Spark compares.

    Until `kept` is closed. `tables`: their contracts and windows. `pointers`: bronze as published. `drained`: what a
    replication slot told of them, in the place of looking.
    """
    totals = lakehouse.ledger.totals("bronze")
    pool = ThreadPoolExecutor(1)
    kept.callback(pool.shutdown, cancel_futures=True)
    by_size = sorted(tables, key=lambda table: totals.get(table, Totals()).held, reverse=True)
    look = partial(keys_followed, drained) if drained else keys_seen
    return {
        t: pool.submit(look, snapshot, tables[t][0], tables[t][1].end, Seen.parse(pointers[t].keys_seen))
        for t in by_size
    }


def gone_keys(
    lakehouse: Lakehouse,
    snapshot: Snapshot,
    tables: Mapping[str, tuple[Contract, Window]],
    asked: Asked,
    kept: ExitStack,
) -> dict[str, Gone]:
    """Which keys of tables are gone, in the snapshot; `asked`: what `ask_for_keys` gave for these tables.

    The server tells in which buckets a key of the last comparison may be gone: of a table without such a bucket none is, of
    the others the keys in these are compared. Where nothing was seen last, one query of Spark gives the figures of all keys
    that are held. The keys found are kept in memory until `kept` is closed. Raises SourceError where the source refuses.
    """
    seen, held, numbers = dict[str, Seen](), dict[str, DataFrame](), dict[str, int]()
    figured, found = dict[str, DataFrame](), dict[str, Gone]()

    def compare(table: str, buckets: set[str]) -> Gone:
        (contract, window), its = tables[table], seen[table]
        gone = Gone(None, 0, numbers.get(table, 0), str(its))
        if buckets:
            with lakehouse.source.read(table):
                missing = unmet(lakehouse.spark, snapshot, contract, held[table], buckets, window.end).persist()
                kept.callback(missing.unpersist)
                count, later = counted(missing, snapshot, contract)
            gone = replace(gone, seen=str(its.unsure_of(later)))
            if count:
                number = numbers[table] if table in numbers else held[table].count()
                gone = Gone(missing.where(~F.col(IS_LATER)).select(*contract.key), count, number, gone.seen)
        log.event("bronze.keys_compared", table=table, keys=gone.held, buckets=len(buckets), gone=gone.count)
        return gone

    with ThreadPoolExecutor(COMPARED_AT_ONCE) as pool:
        comparing = dict[str, Future[Gone]]()
        for table, answer in asked.items():
            seen[table], buckets = answer.result()
            found[table] = Gone(None, 0, 0, str(seen[table]))
            if buckets == set() or (keys := held_keys(lakehouse, tables[table][0])) is None:
                continue
            held[table] = keys
            if buckets is None:
                figured[table] = keys
            else:
                comparing[table] = pool.submit(compare, table, buckets)
        differ, figures = _figures(snapshot, tables, figured)
        numbers |= figures
        comparing |= {table: pool.submit(compare, table, buckets) for table, buckets in differ.items()}
        found |= {table: gone.result() for table, gone in comparing.items()}
    return found


def _figures(
    snapshot: Snapshot, tables: Mapping[str, tuple[Contract, Window]], held: Mapping[str, DataFrame]
) -> tuple[dict[str, set[str]], dict[str, int]]:
    """Of each table the buckets in which what is held is not what the source has, and how many keys are held."""
    if not held:
        return {}, {}
    digest = digest_of(snapshot.release)
    every = reduce(DataFrame.unionByName, (held_figures(keys, tables[t][0], digest) for t, keys in held.items()))
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(every.collect)
        theirs = {t: source_figures(snapshot, tables[t][0], tables[t][1].mark) for t in held}
        ours: dict[str, dict[str, tuple[int, int]]] = {t: {} for t in held}
        for table, bucket, count, total in counting.result():
            ours[table][bucket] = count, total
    numbers = {t: sum(count for count, _ in figures.values()) for t, figures in ours.items()}
    return {t: differing(theirs[t], ours[t]) for t in held}, numbers
