"""Which keys are gone from the source: those that the lakehouse holds and no row of the source has any more.

A key is what the identifier rule makes of it, so another spelling keeps it; a row outside every window is still there. The
rule is Spark's to apply. Only of *plain* keys, printable ASCII between blanks, is SQL known to make the same of them: these
fall into buckets by a hash, the server counts and sums each bucket in one pass, a key that stands twice once, and of buckets
that agree with what is held no key is read. A match says that each key held is there, whatever the pass has left out: so it
leaves out rows made since the last window, which nobody holds yet. A key that is held and that only such a row has, as one
that was deleted and made again after midnight, puts its bucket in doubt for the next run. All of it is SELECT, in the snapshot
of the run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.columns import BLANKS, clean_identifier
from lakehouse.contracts import Contract
from lakehouse.source.carried import UTF_8
from lakehouse.source.cdc.slot import Drained
from lakehouse.source.digests import Digest, digest_of
from lakehouse.source.postgres import SCHEMA, Snapshot
from lakehouse.source.windows import CREATED, instant, mark_column

# So many buckets that differ cost as much to ask for as all of them.
MOST_BUCKETS = 1024
# The bucket of keys that are not plain: no hash of them is compared.
STRANGE = ""
SEPARATOR = "\x1f"
# Of the sums that are kept of what was seen; and what stands for one that no later sum may agree with.
SEEN_BITS = 48
UNSURE = 2**SEEN_BITS
# What was seen by an earlier way of looking is not gone on from: all keys are compared once.
RELEASE = 2
# Of a key that no row made or stamped before an end has: whether a later one has it.
IS_LATER = "_is_later"
# Of each bucket the keys and the sum of their digests.
Figures = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class Seen:
    """The keys of the rows that were made or stamped before an end, as a server saw them: of each bucket a sum of hashes.

    `scheme`: by which digest, and of which columns. Whatever a run brings lies before its window's end: so where the next
    run sees the same of the same rows, each key that is held is there.
    """

    end: datetime
    scheme: str
    sums: Mapping[str, int]

    def unsure_of(self, buckets: Collection[str]) -> Seen:
        """The same, in which a key of some buckets may be gone by the next run whatever that sees."""
        return replace(self, sums={**self.sums, **dict.fromkeys(buckets, UNSURE)})

    def __str__(self) -> str:
        return " ".join([self.end.isoformat(), self.scheme, *(f"{b}:{n:x}" for b, n in sorted(self.sums.items()))])

    @classmethod
    def parse(cls, text: str | None) -> Seen | None:
        """What was written down of a comparison; None for none, and for one by an earlier release."""
        end, _, rest = (text or "").partition(" ")
        scheme, *sums = rest.split(" ")
        if not scheme:
            return None
        return cls(datetime.fromisoformat(end), scheme, {b: int(n, 16) for b, n in (s.split(":") for s in sums)})


def keys_seen(snapshot: Snapshot, contract: Contract, end: datetime, last: Seen | None) -> tuple[Seen, set[str] | None]:
    """What is seen of the keys now, and in which buckets of them one that was seen last may be gone; None: in any.

    One pass of the server over the keys as they are written. A key may have gone from a bucket where rows have come to it,
    or another spelling: that is for who compares the keys to say.
    """
    written = ", ".join(f'coalesce("{k}"::text, \'\') collate "C"' for k in contract.key)
    scheme = _scheme(snapshot, contract)
    ends = [end, last.end if last else end]
    sums = ", ".join(f"sum(hash) filter (where made_{n}) % {2**SEEN_BITS}" for n in range(len(ends)))
    rows = snapshot.rows(
        f"select bucket, {sums} from (select {_place(snapshot, contract)} as bucket, "
        f"hashtextextended(concat_ws(E'\\x1f', {written}), 0) as hash, "
        f"{', '.join(f'{_made(contract, e)} as made_{n}' for n, e in enumerate(ends))} from {_name(contract)}) k group by 1",
        contract.table,
    )
    now, then = ({row[0]: int(row[n]) for row in rows if row[n] is not None} for n in (1, 2))
    seen = Seen(end, scheme, now)
    if last is None or last.scheme != scheme:
        return seen, None
    changed = {b for b in {*last.sums, *then} if last.sums.get(b) != then.get(b)}
    # What Spark makes of a key that is not plain may lie in any bucket.
    return seen, None if STRANGE in changed else changed


def keys_followed(
    drained: Drained, snapshot: Snapshot, contract: Contract, end: datetime, last: Seen | None
) -> tuple[Seen, set[str] | None]:
    """The same by what a replication slot told of the table since the last run; None where that run did not end where it begins.

    So it is after a comparison without a slot, with another one, on another server, where the ledger was taken back, and of a
    table whose keys are not all known.
    """
    keys, scheme = drained.keys[contract.table], _scheme(snapshot, contract, "slot", drained.server)
    seen = Seen(end, f"{scheme}@{drained.end}", {})
    before, _, position = (last.scheme if last else "").rpartition("@")
    if last is None or before != scheme or drained.start > int(position) or not keys.is_known:
        return seen, None
    buckets = {*_buckets(snapshot, contract, keys.gone), *last.sums}
    return seen, None if STRANGE in buckets else buckets


def _buckets(snapshot: Snapshot, contract: Contract, keys: Collection[tuple[str, ...]]) -> set[str]:
    """The buckets of keys as they are written."""
    if not keys:
        return set()
    columns = list(zip(*keys, strict=True))
    names = ", ".join(f'"{k}"' for k in contract.key)
    place = _place(snapshot, contract).replace("%", "%%")
    arrays = ", ".join("%s::text[]" for _ in columns)
    rows = snapshot.rows(
        f"select distinct {place} from unnest({arrays}) k ({names})", contract.table, [list(c) for c in columns]
    )
    return {row[0] for row in rows}


def _place(snapshot: Snapshot, contract: Contract) -> str:
    """SQL of the bucket of a key."""
    parts = _parts(snapshot, contract)
    return f"case when {_plain(parts)} then {digest_of(snapshot.release).place_sql(_text(parts))} else '{STRANGE}' end"


def _scheme(snapshot: Snapshot, contract: Contract, *way: str) -> str:
    """By which digest, and of which columns, keys are seen; `way`: how, where it is not by looking at all of them."""
    digest = digest_of(snapshot.release)
    return "/".join([str(RELEASE), *way, digest.name, snapshot.standing.encoding, *contract.key])


def _made(contract: Contract, end: datetime) -> str:
    """Rows that were made or stamped before an end; all, where it is not known when a row was made."""
    if CREATED not in contract.names:
        return "true"
    return f'("{CREATED}" < {instant(end)} or "{mark_column(contract)}" < {instant(end)}) is not false'


def _made_later(contract: Contract, end: datetime) -> str:
    """The other rows, in words that an index on their stamps can answer."""
    return f'("{CREATED}" >= {instant(end)} and "{mark_column(contract)}" >= {instant(end)})'


def source_figures(snapshot: Snapshot, contract: Contract, mark: datetime | None) -> Figures:
    """Figures of the plain keys, each once, of rows that were not made since the mark (None: of all), by the server."""
    made = f' and ("{CREATED}" < {instant(mark)}) is not false' if mark and CREATED in contract.names else ""
    digest, keys = digest_of(snapshot.release), _parts(snapshot, contract)
    rows = snapshot.rows(
        f"select {digest.bucket_sql('hash')}, count(*), sum({digest.summed_sql('hash')}) from (select distinct "
        f"{digest.hash_sql(_text(keys))} as hash from {_name(contract)} where {_plain(keys)}{made}) h group by 1",
        contract.table,
    )
    return {bucket: (int(keys), int(total)) for bucket, keys, total in rows}


def held_figures(held: DataFrame, contract: Contract, digest: Digest) -> DataFrame:
    """Figures of keys that are held, each once, by the digest of the server's release: `table`, `bucket`, `keys`, `total`."""
    hashed = held.select(F.when(_is_plain(contract), digest.hash(_key(contract))).alias("hash"))
    bucket = F.coalesce(digest.bucket(F.col("hash")), F.lit(STRANGE)).alias("bucket")
    total = F.sum(digest.summed(F.col("hash"))).alias("total")
    counted = hashed.groupBy(bucket).agg(F.count(F.lit(1)).alias("keys"), total)
    return counted.select(
        F.lit(contract.table).alias("table"), "bucket", "keys", F.coalesce("total", F.lit(0)).alias("total")
    )


def differing(source: Figures, held: Figures) -> set[str]:
    """Buckets of which keys that are held may be gone."""
    return {bucket for bucket, figures in held.items() if bucket == STRANGE or source.get(bucket) != figures}


def unmet(
    spark: SparkSession,
    snapshot: Snapshot,
    contract: Contract,
    held: DataFrame,
    buckets: Collection[str],
    end: datetime,
) -> DataFrame:
    """Keys held, of some buckets, that no row of the source made or stamped before an end has; the key's columns, as
    identifiers, and `IS_LATER`: whether another row has it. Where none has, the key is gone.
    """
    key, there = list(contract.key), " and ".join(f'"{k}" is not null' for k in contract.key)
    if snapshot.standing.encoding == "SQL_ASCII":
        # Bytes that are no Unicode are carried as null: such a row has no key.
        there += "".join(
            f" and encode(convert_to(\"{k}\"::text, 'SQL_ASCII'), 'hex') ~ '{UTF_8}'" for k in contract.key
        )
    plain = [b for b in buckets if b != STRANGE]
    if len(plain) <= MOST_BUCKETS:
        # A key that is held may be there in a spelling that is not plain, so all of those are read.
        named = ", ".join(f"'{b}'" for b in sorted(plain)) or "null"
        digest, parts = digest_of(snapshot.release), _parts(snapshot, contract)
        theirs = digest.place_sql(_text(parts))
        there += f" and case when {_plain(parts)} then {theirs} in ({named}) else true end"
        held = held.where(~_is_plain(contract) | digest.place(_key(contract)).isin(plain))
    keys = ", ".join(f'"{k}"::text as "{k}"' for k in contract.key)

    def having(which: str) -> DataFrame:
        read = snapshot.frame_of(spark, f"select {keys} from {_name(contract)} where {there} and {which}")
        return read.select(*(clean_identifier(k).alias(k) for k in contract.key))

    missing = held.select(*key).join(having(_made(contract, end)), key, how="left_anti")
    if CREATED not in contract.names:
        return missing.withColumn(IS_LATER, F.lit(False))
    later = having(_made_later(contract, end)).distinct().withColumn(IS_LATER, F.lit(True))
    return missing.join(later, key, how="left").withColumn(IS_LATER, F.coalesce(IS_LATER, F.lit(False)))


def counted(unmet: DataFrame, snapshot: Snapshot, contract: Contract) -> tuple[int, set[str]]:
    """How many keys are gone, and the buckets of those that only later rows have."""
    place = F.when(_is_plain(contract), digest_of(snapshot.release).place(_key(contract))).otherwise(F.lit(STRANGE))
    row = unmet.agg(F.count_if(~F.col(IS_LATER)), F.collect_set(F.when(F.col(IS_LATER), place))).first()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return int(row[0]), set(row[1])


def _is_plain(contract: Contract) -> Column:
    """Whether a key that is held is plain, in every part."""
    return reduce(Column.__and__, (F.col(k).rlike(r"\A[!-~]+\z") for k in contract.key))


def _key(contract: Contract) -> Column:
    """A key that is held as one text, which `_text` makes of a plain one too."""
    return F.concat_ws(SEPARATOR, *contract.key)


def _parts(snapshot: Snapshot, contract: Contract) -> list[str]:
    """SQL of the parts of a key without the blanks around them, as far as the server's encoding has a blank at all."""
    blanks = BLANKS if snapshot.standing.encoding == "UTF8" else BLANKS.replace(r"\u00A0", "")
    return [f"btrim(\"{k}\"::text, E'{blanks}')" for k in contract.key]


def _plain(parts: Sequence[str]) -> str:
    return " and ".join(f"({part} collate \"C\") ~ '^[!-~]+$'" for part in parts)


def _text(parts: Sequence[str]) -> str:
    """SQL of a plain key as one text, after the identifier rule."""
    ruled = (
        f"case when {part} like '%.0' then "
        f"regexp_replace(upper({part} collate \"C\"), E'^([0-9]+)\\\\.0$', E'\\\\1') "
        f'else upper({part} collate "C") end'
        for part in parts
    )
    return f"concat_ws(E'\\x1f', {', '.join(ruled)})"


def _name(contract: Contract) -> str:
    return f'{SCHEMA}."{contract.table}"'
