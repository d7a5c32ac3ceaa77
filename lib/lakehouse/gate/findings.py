"""What a rule said of a table, as counts."""

from __future__ import annotations

from collections.abc import Iterable

from lakehouse.errors import GateError
from lakehouse.records import Finding

MOST_NAMED = 10


def raise_if_critical(findings: Iterable[Finding]) -> None:
    """Raises GateError that names the critical rules that failed, with their counts, all at once."""
    failed = [str(f) for f in findings if f.severity == "critical" and not f.success]
    if failed:
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        raise GateError(
            f"the gate refused, nothing was published: {'; '.join(failed[:MOST_NAMED])}{more}. Data Docs and expectations/ "
            "say why each rule is there: fix the data or the rule, then run the day again"
        )
