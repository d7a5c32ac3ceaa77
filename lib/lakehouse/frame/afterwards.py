"""What comes after a run: findings, pages and views, each in a try of its own. The verdict stands, whatever they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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


def tell(lakehouse: Lakehouse, run: Run, findings: Sequence[Finding], others: Iterable[Callable[[], None]]) -> None:
    """Takes the other steps, then keeps what the gates found, and publishes the run's page and the front page."""
    ledger = lakehouse.ledger

    def page() -> None:
        listed = ledger.listed_run(run.run_id)
        lakehouse.pages.publish(listed, findings, lakehouse.gate.pages(run.run_id, run.layer))

    steps = [*others]
    if findings:
        steps += [lambda: ledger.record_findings(run, findings), page]
    attempt(run, [*steps, lambda: lakehouse.pages.publish_front(lambda: ledger.listed_runs(LISTED))])
