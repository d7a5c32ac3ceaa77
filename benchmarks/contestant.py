"""Who takes part: how one is started for a step of a series, and what it says of itself afterwards."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date
from typing import Any, NamedTuple, Protocol

from benchmarks.measure.processes import Measured
from benchmarks.place import Site
from benchmarks.shop.size import business_date

# What could lead a contestant elsewhere than to its site, or change how it runs, is taken out of its environment.
STRAY = ("LAKEHOUSE_", "AWS_", "SPARK_", "PYSPARK_", "HADOOP_", "PG", "SHOPDAY_", "PYTHONPATH", "PYTHONHOME")


class Step(NamedTuple):
    """A step of a series: 0 is the first load, n the nth business day after it."""

    number: int

    @property
    def date(self) -> date:
        return business_date(self.number)

    @property
    def name(self) -> str:
        return f"day {self.number}" if self.number else "first load"


class Contestant(Protocol):
    """One pipeline."""

    name: str
    does_less: str
    """What it leaves out of what the lakehouse does; empty for none."""

    def settings(self) -> dict[str, str]:
        """Versions and settings that its figures belong to."""

    def command(self, step: Step, site: Site) -> list[str]:
        """The command that brings a step."""

    def environment(self, site: Site) -> dict[str, str]:
        """The environment of that command."""

    def facts(self, measured: Measured, site: Site) -> dict[str, Any]:
        """What it says of a step that is done: `phases` in seconds, `rows_in` from the source, and what else it counts."""


def clean_environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process without what could stray into a contestant's run, and with its own variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STRAY)}
    return {**kept, **own}
