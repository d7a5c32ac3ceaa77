"""Silver's gate: what a run holds against the ledger, against what its commits say they changed, and against the suites.

Nothing is read a second time. That every row of silver is there once, over all of history, is what `lakehouse verify` counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.conform import warning_columns
from lakehouse.contracts import Contract
from lakehouse.frame.checkpoint import checkpoint
from lakehouse.gate.measures import Measures, observed
from lakehouse.judging.rules import Rule
from lakehouse.judging.verdicts import (
    DEDUPLICATED,
    KEPT,
    KEY_RECALLED,
    LEAVES,
    OPEN,
    RECALLED,
    RECALLS_ROW,
    REMOVED,
    TIED,
)
from lakehouse.parts import Lakehouse
from lakehouse.records import Commit, Finding, Published, Run, Totals

# A handful of bad rows is nobody's alarm, whatever share of a small batch they are.
FEW_ROWS = 100


@dataclass
class Silver:
    """What the tables of one run share."""

    lakehouse: Lakehouse
    day: BusinessDate
    run: Run
    rebuilds: bool
    bronze: Mapping[str, Published]
    published: Mapping[str, Published]
    quarantine: Mapping[str, Published]
    totals: Mapping[str, Totals]
    # Rules that hold no row back, by table: a person waived them.
    waived: Mapping[str, list[str]]
    # Heads written in this run: children are held against their parents as this run leaves them.
    heads: dict[str, int]
    # How many rows of a table are open by each reason, as its last run left them.
    reasons: Mapping[str, Mapping[str, int]]
    # Whether every open row is judged again, whatever has changed.
    again: bool = False
    # Keys whose row has left silver in this run: what refers to them is judged again.
    left: dict[str, DataFrame] = field(default_factory=dict)

    def may_free(self, contract: Contract) -> bool:
        """Whether rows that are open may be judged otherwise than before: their own table brings none, so only by a parent."""
        before = {t: self.published[t].version if t in self.published else None for t in contract.parents}
        return self.again or any(self.heads.get(t) != version for t, version in before.items())


def balances(
    table: str, before: Totals, batch_rows: int, open_before: int, counts: Mapping[str, int], commit: Commit | None
) -> list[Finding]:
    """The sums of this run and since the beginning, and the commit's own word. A row that is nowhere, or twice, is critical.

    The batch was judged against the rows that silver holds, so a key that stood there twice shows as two rows of one image;
    and a write that met another silver shows as more or fewer rows added than were judged new. A merge counts what it changed;
    of a few rows that are replaced by a write only the rows of the files before and after say so (Lake.rewrite).
    """
    kept, displaced, removed = counts[KEPT], counts["displaced"], counts[REMOVED]
    recalled, reopened, left = counts["recalled"], counts["reopened"], counts["left"]
    inserted, updated, deleted = (commit.inserted, commit.updated, commit.deleted) if commit else (0, 0, 0)
    taken_up = batch_rows + open_before + recalled + reopened
    of_run = taken_up - kept - counts[DEDUPLICATED] - removed - counts[OPEN]
    read = before.read + batch_rows
    gone = before.gone + counts[DEDUPLICATED] + displaced - reopened
    ever = read - gone - before.removed - removed - (before.held + inserted - deleted) - counts[OPEN]
    # A row that was recalled is either won by an image, and changed, or leaves.
    changed = displaced + recalled - left
    astray = abs(inserted - (kept - changed)) + abs(updated - changed) + abs(deleted - left)

    def critical(rule: str, unexpected: int, rows: int) -> Finding:
        return Finding("silver", table, rule, "critical", unexpected == 0, abs(unexpected), rows)

    return [
        critical("rows_of_run_add_up", of_run, batch_rows),
        critical("rows_since_beginning_add_up", ever, read),
        critical("keys_once_in_table", astray, kept),
    ]


def quality(
    silver: Silver,
    contract: Contract,
    frame: DataFrame,
    rules: list[Rule],
    batch_rows: int,
    counts: Mapping[str, int],
    suite: Measures,
) -> list[Finding]:
    """The gate: the suite, the counted rules and warnings, and the share of a batch that went to quarantine."""
    name = contract.table
    judged_rows = counts[KEPT] + counts[DEDUPLICATED] + counts[REMOVED] + counts[OPEN]
    findings = silver.lakehouse.gate.judge(suite, frame, counts)
    of_suite = {f.rule for f in findings}

    def warn(rule: str, unexpected: int) -> Finding:
        return Finding("silver", name, rule, "warning", unexpected == 0, unexpected, judged_rows)

    findings += [warn(r.name, counts[f"fired_{r.name}"]) for r in rules if r.name not in of_suite]
    findings += [warn(w.removeprefix("_warn_"), counts[w]) for w in warning_columns(frame)]
    findings += [warn(c.references.warning, counts[f"unheld_{c.name}"])
                 for c in contract.columns if c.references and c.references.warning]  # fmt: skip
    # What a rebuild judges again and holds back as before is no news.
    known = silver.totals.get(name, Totals()).open if silver.rebuilds else 0
    news, limit = max(counts["open_in_batch"] - known, 0), silver.lakehouse.settings.max_quarantined_share
    too_many = news > FEW_ROWS and news / max(batch_rows, 1) > limit
    findings.append(Finding("silver", name, "quarantined_share", "critical", not too_many,
                            counts["open_in_batch"], batch_rows))  # fmt: skip
    return findings


def measures(silver: Silver, contract: Contract, frame: DataFrame) -> Measures:
    """What the suite must know of the judged batch."""
    suite = silver.lakehouse.suites["silver"][contract.table]
    return silver.lakehouse.gate.measures(contract, suite, frame.columns, {"next_date": silver.day.next})


def checkpointed(frame: DataFrame, rules: list[Rule], suite: Measures) -> tuple[DataFrame, dict[str, int]]:
    """The judged batch, kept on the executors, and its verdicts, reasons, warnings and what the suite must know."""
    held = [n.removeprefix("_held_") for n in frame.columns if n.startswith("_held_")]
    verdict, breaks_one = F.col("_verdict"), F.size("_reasons") > 0
    flags = {
        KEPT: verdict == KEPT,
        DEDUPLICATED: verdict == DEDUPLICATED,
        OPEN: verdict == OPEN,
        "open_in_batch": (verdict == OPEN) & F.col("_batch"),
        REMOVED: verdict == REMOVED,
        TIED: F.col(TIED),
        **_of_deletes(frame, verdict),
        **{w: F.col(w) for w in warning_columns(frame)},
        **{f"unheld_{c}": F.col(c).isNotNull() & F.col(f"_held_{c}").isNull() for c in held},
    }
    for rule in rules:
        # Of the few rows that break a rule each reason is looked for; of the others none.
        fired = breaks_one & F.array_contains("_reasons", rule.name)
        flags |= {f"fired_{rule.name}": fired, f"open_{rule.name}": fired & (verdict == OPEN)}
    also = {name: F.count_if(flag) for name, flag in flags.items()}
    return observed(frame, suite, also, lambda watched: checkpoint(watched, eager=True))


def _of_deletes(frame: DataFrame, verdict: Column) -> dict[str, Column]:
    """What became of the rows that silver had: displaced by a newer image, recalled, left; and of images deduplicated before."""
    changed = (verdict == KEPT) & F.col("_current_updated_at").isNotNull()
    if RECALLS_ROW not in frame.columns:
        never = F.lit(False)
        return {"displaced": changed, "recalled": never, "reopened": never, "left": never}
    return {
        "displaced": changed & ~F.col(KEY_RECALLED),
        "recalled": F.col(RECALLS_ROW),
        "reopened": F.col(RECALLED) & ~F.col(RECALLS_ROW),
        "left": F.col(LEAVES),
    }
