"""Silver's gate: what a run holds against the ledger, against the table it leaves behind, and against the suites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.conform import warning_columns
from lakehouse.contracts import Contract
from lakehouse.gate.measures import Measures, count
from lakehouse.judging.rules import Rule
from lakehouse.judging.verdicts import DEDUPLICATED, KEPT, OPEN
from lakehouse.parts import Lakehouse
from lakehouse.records import Finding, Published, Run, TableRun, Totals

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
    archive: Mapping[str, tuple[int, int]]
    # Rules that hold no row back, by table: a person waived them.
    waived: Mapping[str, list[str]]
    # Heads written in this run: children are held against their parents as this run leaves them.
    heads: dict[str, int]


def balances(
    silver: Silver, contract: Contract, kept: TableRun, batch_rows: int, open_before: int, counts: Mapping[str, int]
) -> list[Finding]:
    """The two sums: of this run, and since the beginning. A row that is nowhere, or twice, is critical."""
    of_run = batch_rows + open_before - counts[KEPT] - counts[DEDUPLICATED] - counts[OPEN]
    held = silver.lakehouse.lake.read("silver", kept.table, silver.heads[kept.table]).count()
    before = Totals() if silver.rebuilds else silver.totals.get(kept.table, Totals())
    read = before.read
    ever = read + batch_rows - (before.gone + counts[DEDUPLICATED] + counts["displaced"]) - held - counts[OPEN]
    version, published = silver.archive[kept.table]
    found = silver.lakehouse.lake.read("bronze", kept.table, version).count()
    unknown = found - published
    return [
        # Rows of a run that never published: bronze's readers leave them out, and nobody else should have made them.
        Finding(
            "silver", kept.table, "bronze_holds_published_runs_only", "critical", unknown == 0, abs(unknown), found
        ),
        Finding("silver", kept.table, "rows_of_run_add_up", "critical", of_run == 0, abs(of_run), batch_rows),
        Finding(
            "silver", kept.table, "rows_since_beginning_add_up", "critical", ever == 0, abs(ever), read + batch_rows
        ),
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
    name, judged_rows = contract.table, counts[KEPT] + counts[DEDUPLICATED] + counts[OPEN]
    findings = silver.lakehouse.gate.judge(suite, frame, counts)
    of_suite = {f.rule for f in findings}

    def warn(rule: str, unexpected: int) -> Finding:
        return Finding("silver", name, rule, "warning", unexpected == 0, unexpected, judged_rows)

    findings += [warn(r.name, counts[f"fired_{r.name}"]) for r in rules if r.name not in of_suite]
    findings += [warn(w.removeprefix("_warn_"), counts[w]) for w in warning_columns(frame)]
    findings += [warn(c.references.warning, counts[f"unheld_{c.name}"])
                 for c in contract.columns if c.references and c.references.warning]  # fmt: skip
    share, limit = counts["open_in_batch"] / max(batch_rows, 1), silver.lakehouse.settings.max_quarantined_share
    too_many = counts["open_in_batch"] > FEW_ROWS and share > limit
    findings.append(Finding("silver", name, "quarantined_share", "critical", not too_many,
                            counts["open_in_batch"], batch_rows))  # fmt: skip
    return findings


def keys_once(
    silver: Silver, contract: Contract, frame: DataFrame, counts: Mapping[str, int], *, is_new: bool
) -> list[Finding]:
    """Each key that this run wrote stands once in the table it leaves behind, not only in its batch."""
    if not counts[KEPT]:
        return []
    held = silver.lakehouse.lake.read("silver", contract.table, silver.heads[contract.table]).select(*contract.key)
    if not is_new:
        written = frame.where(F.col("_verdict") == KEPT).select(*contract.key)
        held = held.join(F.broadcast(written), list(contract.key), how="left_semi")
    doubled = held.count() - counts[KEPT]
    return [
        Finding("silver", contract.table, "keys_once_in_table", "critical", doubled == 0, abs(doubled), counts[KEPT])
    ]


def measures(silver: Silver, contract: Contract, frame: DataFrame) -> Measures:
    """What the suite must know of the judged batch."""
    suite = silver.lakehouse.suites["silver"][contract.table]
    return silver.lakehouse.gate.measures(contract, suite, frame.columns, {"next_date": silver.day.next})


def counted(frame: DataFrame, rules: list[Rule], suite: Measures) -> dict[str, int]:
    """Verdicts, reasons, warnings and what the suite must know, in one pass: the frame's first read."""
    held = [n.removeprefix("_held_") for n in frame.columns if n.startswith("_held_")]
    verdict, breaks_one = F.col("_verdict"), F.size("_reasons") > 0
    flags = {
        KEPT: verdict == KEPT,
        DEDUPLICATED: verdict == DEDUPLICATED,
        OPEN: verdict == OPEN,
        "open_in_batch": (verdict == OPEN) & F.col("_batch"),
        "displaced": (verdict == KEPT) & F.col("_current_updated_at").isNotNull(),
        **{w: F.col(w) for w in warning_columns(frame)},
        **{f"unheld_{c}": F.col(c).isNotNull() & F.col(f"_held_{c}").isNull() for c in held},
    }
    for rule in rules:
        # Of the few rows that break a rule each reason is looked for; of the others none.
        fired = breaks_one & F.array_contains("_reasons", rule.name)
        flags |= {f"fired_{rule.name}": fired, f"open_{rule.name}": fired & (verdict == OPEN)}
    return count(frame, suite, {name: F.count_if(flag) for name, flag in flags.items()})
