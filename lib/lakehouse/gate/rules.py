"""A rule as Great Expectations takes it, and the names under which its counts travel."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from lakehouse.records import Severity

ROWS = "gate rows"


@dataclass(frozen=True)
class NativeRule:
    """An expectation, its name and why it is there."""

    type: str
    kwargs: Mapping[str, Any]
    name: str
    severity: Severity
    why: str

    @property
    def columns(self) -> set[str]:
        """Columns whose values it looks at."""
        return {self.kwargs[k] for k in ("column", "column_A", "column_B") if k in self.kwargs}

    @property
    def configuration(self) -> dict[str, Any]:
        # Pages take texts as they come, so they are escaped here.
        about = {"rule": self.name, "severity": self.severity, "why": html.escape(self.why)}
        meta = {"rule": self.name, "about": about}
        return {"type": self.type, "kwargs": dict(self.kwargs), "severity": self.severity, "meta": meta}

    def bound(self, parameters: Mapping[str, int | date]) -> dict[str, Any]:
        """The rule's own words, with what the pipeline tells in the place of each parameter's name."""
        return {k: parameters[v["$PARAMETER"]] if isinstance(v, dict) else v for k, v in self.kwargs.items()}


def nulls_of(*columns: str) -> str:
    """The name of the count of rows in which one of the columns is null."""
    return f"gate nulls {' '.join(columns)}"


def broken(rule: NativeRule) -> str:
    """The name of the count of rows that break a rule."""
    return f"gate {rule.name}"
