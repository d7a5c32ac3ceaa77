"""A metric is a question to a database: one statement, whose rows are labels and a number.

Labels are names that contracts, suites and this package give: layers, tables, reasons, states. What a source may name
as it likes, such as a column, is counted and not named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from psycopg2.extensions import cursor as Cursor

Family = GaugeMetricFamily | CounterMetricFamily


@dataclass(frozen=True)
class Question:
    """A metric, and the statement that has a row per series: its labels in order, then its value (null: no series).

    `needs`: a relation without which it is not asked. Counters are named without `_total`, which the exposition adds.
    """

    name: str
    words: str
    labels: tuple[str, ...]
    sql: str
    kind: Literal["gauge", "counter"] = "gauge"
    needs: str | None = None

    @property
    def exposed(self) -> str:
        """The name as it is scraped."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


def answers(
    cursor: Cursor, questions: Iterable[Question], parameters: Mapping[str, object] | None = None
) -> Iterator[Family]:
    """The metrics of an open transaction. Raises psycopg2.Error for a schema in which one cannot be asked."""
    for question in questions:
        if question.needs and not _is_there(cursor, question.needs):
            continue
        cursor.execute(question.sql, parameters or {})
        found = family(question.name, question.words, question.labels, question.kind)
        for row in cursor.fetchall():
            if row[-1] is not None:
                found.add_metric([str(label) for label in row[:-1]], float(row[-1]))
        yield found


def family(name: str, words: str, labels: Iterable[str] = (), kind: Literal["gauge", "counter"] = "gauge") -> Family:
    """A metric without a series yet."""
    kinds: dict[str, type[Family]] = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}
    return kinds[kind](name, words, labels=list(labels))


def _is_there(cursor: Cursor, relation: str) -> bool:
    cursor.execute("select to_regclass(%s) is not null", (relation,))
    row = cursor.fetchone()
    return bool(row and row[0])
