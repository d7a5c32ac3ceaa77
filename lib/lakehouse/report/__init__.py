"""The report for the business: one page of the published gold, whole in itself, with aggregates only.

facts    what the page says, asked of gold in one read-only transaction
changes  what a publish changed of days that an earlier one had told of
charts   pictures as SVG, in the colours of the page
page     the page
words    numbers, dates and names as people read them
"""

from __future__ import annotations

from lakehouse.database import Database
from lakehouse.report.changes import told_by
from lakehouse.report.facts import facts_of
from lakehouse.report.page import page_of

# Where it lies among the Data Docs.
NAME = "report/index.html"


def report(gold: Database, previous: str | None = None) -> str:
    """The report of what gold has published, as HTML. `previous`: the page of the one before, to say what has changed since.

    A gold of which nothing is published yet gives a page that says so. Raises StoreError where gold does not answer.
    """
    facts = facts_of(gold)
    return page_of(facts, told_by(previous, facts.run_id))
