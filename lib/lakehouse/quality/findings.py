"""What a rule said of a table, as counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lakehouse.errors import GateError
from lakehouse.quality.expectations import Severity

MOST_NAMED = 10


@dataclass(frozen=True)
class Finding:
    """One rule on one table: whether it was met, on how many rows (null: not counted), and how many broke it."""

    layer: str
    table: str
    rule: str
    severity: Severity
    success: bool
    unexpected: int | None
    rows: int | None

    def __str__(self) -> str:
        if self.unexpected and self.rows:
            counts = f" ({self.unexpected:,} of {self.rows:,} rows)"
        elif self.unexpected:
            counts = f" ({self.unexpected:,})"
        else:
            counts = f" ({self.rows:,} rows)" if self.rows is not None else ""
        return f"{self.layer}.{self.table} {self.rule}{counts}"


def raise_if_critical(findings: Iterable[Finding]) -> None:
    """Raises GateError that names the critical rules that failed, with their counts, all at once."""
    failed = [str(f) for f in findings if f.severity == "critical" and not f.success]
    if failed:
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        raise GateError(
            f"the gate refused, nothing was published: {'; '.join(failed[:MOST_NAMED])}{more}. Data Docs and expectations/ "
            "say why each rule is there: mend the data or the rule, then run the day again"
        )
