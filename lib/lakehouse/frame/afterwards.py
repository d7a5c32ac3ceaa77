"""What comes after a run: findings, pages and views, each in a try of its own. The verdict stands, whatever they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from lakehouse import log
from lakehouse.errors import safe_words
from lakehouse.pages.data_docs import LISTED
from lakehouse.parts import Lakehouse
from lakehouse.records import Finding, Run


def attempt(run: Run, steps: Iterable[Callable[[], None]]) -> None:
    """Takes every step; one that fails is a warning of its run."""
    for step in steps:
        try:
            step()
        except Exception as e:  # noqa: BLE001 - the verdict stands, whatever a page or a view says
            log.warning("run.afterwards", run_id=run.run_id, layer=run.layer, message=safe_words(e))


def _publish_whole(lakehouse: Lakehouse, name: str, make: Callable[[], str]) -> None:
    lakehouse.pages.publish_whole(name, make())


def tell(lakehouse: Lakehouse, run: Run, findings: Sequence[Finding], others: Sequence[Callable[[], None]]) -> None:
    """Takes the other steps, then keeps what the gates found, and publishes the run's page and the front page.

    The lineage is told once the ledger has all of it, beside the pages. Where gold has other steps, it has a publish behind
    it: then the pages of the whole are made again, too.
    """
    ledger = lakehouse.ledger

    def page() -> None:
        listed = ledger.listed_run(run.run_id)
        lakehouse.pages.publish(listed, findings, lakehouse.gate.pages(run.run_id, run.layer))

    steps = [*others]
    if findings:
        steps.append(lambda: ledger.record_findings(run, findings))
    steps.append(lambda: lakehouse.tell_lineage(run.run_id))
    if findings:
        steps.append(page)
    if run.layer == "gold" and others:
        steps += [partial(_publish_whole, lakehouse, *whole) for whole in lakehouse.pages_of_the_whole.items()]
    attempt(run, [*steps, lambda: lakehouse.pages.publish_front(lambda: ledger.listed_runs(LISTED))])
