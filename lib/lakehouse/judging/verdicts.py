"""What becomes of each image: kept, deduplicated, removed, or open in quarantine.

Among the valid images of a key the highest `updated_at` wins; a tie goes to the key that the source wrote least in byte
order, then to the least md5 of the row's text, so that every rerun keeps the same one. An invalid image stays open until a
valid one of its key has a strictly higher `updated_at`.

An image that a tombstone voids is removed. Of a table that keeps its rows the best valid image stays, voided or not: one
that counts beats those that are void, and of these the one that was voided last.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql.window import WindowSpec

from lakehouse.contracts import Contract
from lakehouse.contracts.types import NUMERIC
from lakehouse.judging.rules import Rule
from lakehouse.judging.tombstones import ORDER, VOID

KEPT, DEDUPLICATED, REMOVED, OPEN = "kept", "deduplicated", "removed", "open"
# Columns of a run in which rows are gone: an image that was judged before, and of the row that silver has of its key
# whether it is judged again (marked on one image of the key), and whether it then leaves silver.
RECALLED, RECALLS_ROW, KEY_RECALLED, LEAVES = "_recalled", "_recalls_row", "_key_recalled", "_leaves"
# Whether a valid image is passed over, or passes silver's row over, at the same `updated_at`: the loser is open as soon as it
# breaks a rule.
TIED = "_tied"
# Whether silver's row of the key was missed by an earlier run: nothing is held against it.
CURRENT_MISSED = "_current_missed"
MICROS_A_DAY, HOUR, MINUTE = 86_400_000_000, 3_600_000_000, 60_000_000
# A candidate as the source wrote it, which is what quarantine keeps.
SOURCE = "_source"
# Beside the silver columns: what decides ties, kept so that a later image can be compared without reading bronze again.
TIE_BREAKERS = ("_source_key", "_row_md5")


def identified(images: DataFrame, bronze: Contract) -> DataFrame:
    """Adds what orders images of one key beyond updated_at: `_source_key` as written, `_row_md5` of the row's text."""
    return images.withColumns({
        "_source_key": F.array(*(F.coalesce(F.col(k), F.lit("")) for k in bronze.key)),
        "_row_md5": F.md5(F.concat_ws("\x1f", *(F.coalesce(_text(c.name, c.type), F.lit(r"\N")) for c in bronze.columns))),
    })  # fmt: skip


def judged(
    candidates: DataFrame,
    rules: Sequence[Rule],
    contract: Contract,
    current: DataFrame | None,
    *,
    keeps_missed: bool = False,
) -> DataFrame:
    """Adds `_reasons` (every rule that fires) and `_verdict` to each candidate; `_source` stays with rows that break a rule.

    `current`: silver's row of each key, as `_current_updated_at` and `_current_` + tie-breakers; None where silver is new.
    Candidates with `_void` and `_recalled` also get what becomes of silver's row of their key. `keeps_missed`: a row whose key
    is gone stays.
    """
    names = F.array_compact(F.array(*(F.when(rule.fires, F.lit(rule.name)) for rule in rules)))
    # The few rows that break a rule are looked at twice: Spark interprets array_compact, and would do so for every row.
    breaks_one = reduce(operator.or_, (rule.fires for rule in rules))
    frame = candidates.withColumn("_reasons", F.when(breaks_one, names).otherwise(F.array().cast("array<string>")))
    if SOURCE in frame.columns:
        # Only a row that breaks a rule can stay open and is written as it came: the others are sorted without a copy.
        frame = frame.withColumn(SOURCE, F.when(breaks_one, F.col(SOURCE)))
    if current is None:
        nothing = {
            "_current_updated_at": "timestamp",
            "_current_source_key": "array<string>",
            "_current_row_md5": "string",
        }
        frame = frame.withColumns({name: F.lit(None).cast(kind) for name, kind in nothing.items()})
    else:
        frame = frame.join(current, list(contract.key), how="left")
    held = F.col("_current_updated_at")
    if CURRENT_MISSED in frame.columns:
        held = F.when(~F.coalesce(CURRENT_MISSED, F.lit(False)), held)
    if VOID in frame.columns:
        return _judged_with_tombstones(frame, contract, held, keeps_missed=keeps_missed)
    valid, updated_at = F.size("_reasons") == 0, F.col("updated_at")
    best_first = Window.partitionBy(*contract.key).orderBy(
        valid.desc(), updated_at.desc_nulls_last(), *(F.col(c).asc() for c in TIE_BREAKERS)
    )
    is_best = valid & (F.row_number().over(best_first) == 1)
    newest_valid = F.greatest(F.first(F.when(valid, updated_at)).over(best_first), held)
    # A null updated_at (one that could not be carried) is not known to be older, so its image stays open.
    overtaken = F.coalesce(newest_valid > updated_at, F.lit(False))
    verdict = (
        F.when(is_best & _beats(held), KEPT).when(valid | overtaken, DEDUPLICATED).otherwise(OPEN)
    )  # fmt: skip
    return frame.withColumns({"_verdict": verdict, TIED: _tied(valid, best_first, held)})


def _judged_with_tombstones(frame: DataFrame, contract: Contract, held: Column, *, keeps_missed: bool) -> DataFrame:
    """The same where images are void or recalled: of a key that is recalled silver's row is among the candidates."""
    of_key = Window.partitionBy(*contract.key)
    frame = frame.withColumn(KEY_RECALLED, F.max(F.coalesce(RECALLED, F.lit(False))).over(of_key))
    held = F.when(~F.col(KEY_RECALLED), held)
    valid, counts, updated_at = F.size("_reasons") == 0, F.col(VOID).isNull(), F.col("updated_at")
    usable = valid if keeps_missed else valid & counts
    best_first = of_key.orderBy(
        usable.desc(),
        F.col(f"{VOID}.{ORDER}").desc_nulls_first(),
        updated_at.desc_nulls_last(),
        *(F.col(c).asc() for c in TIE_BREAKERS),
    )
    is_best = usable & (F.row_number().over(best_first) == 1)
    newest_valid = F.greatest(F.max(F.when(valid & counts, updated_at)).over(of_key), held)
    overtaken = F.coalesce(newest_valid > updated_at, F.lit(False))
    verdict = (
        F.when(is_best & _beats(held), KEPT).when(~usable & ~counts, REMOVED)
        .when(valid | overtaken, DEDUPLICATED).otherwise(OPEN)
    )  # fmt: skip
    frame = frame.withColumns({"_verdict": verdict, TIED: _tied(valid & counts, best_first, held)})
    one_of_key = F.row_number().over(of_key.orderBy(F.coalesce(RECALLED, F.lit(False)).desc())) == 1
    of_row = F.col(KEY_RECALLED) & F.col("_current_updated_at").isNotNull() & one_of_key
    frame = frame.withColumn(RECALLS_ROW, of_row)
    is_won = F.max(F.col("_verdict") == KEPT).over(of_key)
    return frame.withColumn(LEAVES, F.col(RECALLS_ROW) & ~is_won)


def _tied(counts: Column, best_first: WindowSpec, held: Column) -> Column:
    """Whether an image that counts has the `updated_at` of the best one or of silver's row, and is another."""
    updated_at, row = F.col("updated_at"), F.col("_row_md5")
    best = (F.first("updated_at").over(best_first) == updated_at) & (F.first("_row_md5").over(best_first) != row)
    return counts & F.coalesce(
        updated_at.isNull() | best | ((held == updated_at) & (F.col("_current_row_md5") != row)), F.lit(False)
    )


def _beats(theirs: Column) -> Column:
    """Newer than what silver holds, or first in the order of ties; true where silver holds nothing."""
    better = F.lit(False)
    pairs = [(F.col(c), F.col(f"_current{c}")) for c in TIE_BREAKERS]
    for ours, its in reversed(pairs):
        better = (ours < its) | ((ours == its) & better)
    mine = F.col("updated_at")
    return theirs.isNull() | (mine > theirs) | ((mine == theirs) & better)


def _text(name: str, kind: str) -> Column:
    """A cell as the row text spells it: money with four decimals, instants in UTC to the microsecond."""
    value = F.col(name)
    if numeric := NUMERIC.fullmatch(kind):
        digits, scale = int(numeric[1]), int(numeric[2])
        # No wider than needed (one digit for rounding up): Spark is several times faster up to 18 digits.
        value = value if scale == 4 else value.cast(f"decimal({min(digits - scale + 5, 38)},4)")
    if kind == "timestamptz":
        return _utc_text(name)
    return value.cast("string")


def _utc_text(name: str) -> Column:
    """YYYY-MM-DDTHH:MM:SS.ffffffZ, by integer arithmetic: the session's zone must not show."""
    in_day = f"pmod(unix_micros({name}), {MICROS_A_DAY})"
    day = F.expr(
        f"cast(date_from_unix_date(cast((unix_micros({name}) - {in_day}) div {MICROS_A_DAY} as int)) as string)"
    )
    # 1HHMMSSffffff as one number, whose first digit keeps the zeros behind it.
    clock = F.expr(
        f"cast({10**12} + {in_day} div {HOUR} * {10**10} + {in_day} div {MINUTE} % 60 * {10**8} + {in_day} % {MINUTE} as string)"
    )

    def part(position: int, length: int) -> Column:
        return F.substring(clock, position, length)

    colon = F.lit(":")
    return F.concat(
        day, F.lit("T"), part(2, 2), colon, part(4, 2), colon, part(6, 2), F.lit("."), part(8, 6), F.lit("Z")
    )
