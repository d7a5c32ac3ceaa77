"""How a gold table is staged and judged: all of its rows, what differs of them from those that stand, or what a scope changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from pyspark.sql import DataFrame

from lakehouse import log
from lakehouse.columns import WARNING_PREFIX
from lakehouse.conform import conformed
from lakehouse.contracts import Contract
from lakehouse.frame.run import OpenRun
from lakehouse.gate.measures import Measures, observed
from lakehouse.parts import Lakehouse
from lakehouse.records import Finding
from lakehouse.units.totals import Totals, sums_of, totals_of
from lakehouse.warehouse.staging import Staging

Load = Callable[[DataFrame, Contract], None]


@dataclass(frozen=True)
class Stage:
    """Where a run stages its tables. `before`: rows of each so far, which its gate holds the new ones against, if any."""

    lakehouse: Lakehouse
    run: OpenRun
    staging: Staging
    before: Mapping[str, int]
    as_of: date

    def whole(self, contract: Contract, wide: DataFrame, *, compares: bool) -> tuple[Totals, list[Finding]]:
        """Stages a table that was computed whole; its totals, and what the gate found.

        `compares`: only what differs from the rows that stand is staged.
        """
        frame = conformed(wide, contract)
        suite = self.suite(contract, frame)

        def load(rows: DataFrame) -> Totals | None:
            """Stages a table; what was counted of the rows that were sent, where these are not all."""
            if not compares:
                self.load(self.staging.load, contract, rows)
                return None
            return self.differences(contract, self.lakehouse.gold.differing(rows, contract), suite)

        sent, totals = observed(frame, suite, totals_of(contract, frame), load)
        sent = sent or {n: totals[n] for n in sums_of(contract)}
        self.staging.verify(contract, sent)
        log.event("gold.staged", table=contract.table, rows=totals["rows"], sent=sent["rows"])
        return totals, self.judged(suite, frame, totals)

    def differences(self, contract: Contract, rows: DataFrame, suite: Measures) -> Totals:
        """Stages rows that differ from those that stand; what was counted of them."""
        # The suite looks at every row elsewhere.
        suiteless = replace(suite, rules=(), aggregates={})
        load = self.staging.load_differences
        return observed(rows, suiteless, sums_of(contract), lambda r: self.load(load, contract, r))[1]

    def load(self, load: Load, contract: Contract, rows: DataFrame) -> None:
        """Stages rows. Raises RightLostError, before anything is written, once the right is lost."""
        self.run.lease.check()
        load(rows, contract)

    def suite(self, contract: Contract, frame: DataFrame) -> Measures:
        """What the suite of a table asks to be counted."""
        gate, suite = self.lakehouse.gate, self.lakehouse.suites["gold"][contract.table]
        parameters = {"previous_rows": self.before.get(contract.table), "next_date": self.as_of + timedelta(days=1)}
        return gate.measures(contract, suite, frame.columns, parameters)

    def judged(self, suite: Measures, frame: DataFrame, totals: Totals) -> list[Finding]:
        """The gate of one table: the suite, and the counted warnings."""
        table, rows = suite.contract.table, totals["rows"]
        return [
            *self.lakehouse.gate.judge(suite, frame, totals),
            *(
                Finding("gold", table, w.removeprefix("_warn_"), "warning", totals[w] == 0, totals[w], rows)
                for w in totals
                if w.startswith(WARNING_PREFIX)
            ),
        ]
