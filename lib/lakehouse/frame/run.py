"""The frame of every run: lock, row, restore, body, publish on the lock's own connection; afterwards pages and views.

    with opened(lakehouse, "silver", day) as run:  the lock, and the plan under it
        run.restore("silver", tables)              heads that are not published go back
        …                                          write, judge, run.find(findings)
        run.publish({"silver": tables}, shapes)    one transaction, refused to a run that lost its right

What comes after the publish can warn. It can change neither the verdict nor the exit code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext

from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.errors import LakehouseError, StoreError, safe_words
from lakehouse.frame.afterwards import attempt, tell
from lakehouse.frame.restore import mark, recognise, restored
from lakehouse.gate.findings import raise_if_critical
from lakehouse.lake.files import answering
from lakehouse.ledger.lease import Lease
from lakehouse.parts import Lakehouse
from lakehouse.records import Finding, Inputs, Outcome, Published, Run, Shapes, TableRun, Tables

Also = Callable[[Cursor], None]


class OpenRun:
    """A run at work: it holds its layer's lock, and everything it commits to the lake bears its name."""

    def __init__(self, lakehouse: Lakehouse, run: Run, lease: Lease) -> None:
        self.lakehouse, self.record, self.lease = lakehouse, run, lease
        self.findings = list[Finding]()
        self._under_lock, self._after = list[Callable[[], None]](), list[Callable[[], None]]()
        self.touches_lake = self._succeeded = False

    def restore(self, layer: str, tables: Iterable[str]) -> dict[str, Published]:
        """The published version of each table, made the head again where a dead or refused run left another."""
        self.enter_lake()
        return restored(self.lakehouse, self.record, self.lease, layer, tables)

    def enter_lake(self) -> None:
        """From here on every commit bears this run's name, and none is made once its right is lost."""
        if not self.touches_lake:
            self.touches_lake, lake, ledger = True, self.lakehouse.lake, self.lakehouse.ledger
            lake.guard = self.lease.check
            lake.stamp(ledger.identity(), self.record.run_id, self.record.layer, self.record.business_date)
            recognise(self.lakehouse)

    def find(self, findings: Iterable[Finding]) -> None:
        """Takes in what a gate found; the ledger and the run's page show it however the run ends."""
        self.findings += findings

    def at_the_end(self, call: Callable[[], None]) -> None:
        """Something to do before the lock is given back, however the run ends: it can only warn."""
        self._under_lock.append(call)

    def after(self, call: Callable[[], None]) -> None:
        """Something to do once the run is published and the lock is free: it can only warn."""
        self._after.append(call)

    def cover(self, message: str, inputs: Inputs = None) -> Outcome:
        """Closes a run for which nothing was due."""
        with self.lease.transaction() as cursor:
            self.lakehouse.ledger.close(cursor, self.record, "covered", message, inputs)
            self.lease.unwatch()
        return self._outcome("covered", message, [])

    def publish(
        self, tables: Tables, shapes: Shapes, message: str, *, inputs: Inputs = None, also: Also = lambda _: None
    ) -> Outcome:
        """Moves the layer's pointers in one transaction, on the connection that holds the lock; `also` joins it.

        Raises GateError where a critical rule failed, RightLostError where the run lost its right: then nothing moved.
        """
        ledger, layer = self.lakehouse.ledger, self.record.layer
        raise_if_critical(self.findings)
        if self.touches_lake:
            self.lakehouse.lake.claim(ledger.identity())
        try:
            with self.lease.transaction() as cursor:
                ledger.publish(cursor, self.record, tables, shapes, inputs)
                also(cursor)
                self.lease.unwatch()  # before a heartbeat that waited meets a run that is not at work any more
        except LakehouseError as e:  # the reply to a commit can be lost: the ledger tells
            if ledger.state(self.record.run_id) != "published":
                raise
            log.warning("publish.reply_lost", run_id=self.record.run_id, message=safe_words(e))
        if self.touches_lake:
            self.at_the_end(lambda: mark(self.lakehouse, self.record, tables))
        return self._outcome("published", message, tables[layer])

    def join(self, cursor: Cursor, tables: Tables, shapes: Shapes, inputs: Inputs = None) -> None:
        """Publishes this run in the transaction of another one: both, or neither."""
        self.lakehouse.ledger.publish(cursor, self.record, tables, shapes, inputs)
        self._succeeded = True
        self.at_the_end(lambda: mark(self.lakehouse, self.record, tables))

    def _outcome(self, state: str, message: str, tables: list[TableRun]) -> Outcome:
        run, self._succeeded = self.record, True
        return Outcome(run.layer, run.business_date, run.run_id, state, message, 0.0, tables)

    def leave(self) -> None:
        """Once the lock is free: findings, pages, and what the layer left for afterwards."""
        tell(self.lakehouse, self.record, self.findings, self._after if self._succeeded else [])

    def end(self) -> None:
        """While the lock is held: marks in the lake, and what the layer cleans up."""
        attempt(self.record, [*self._under_lock, *([self.lakehouse.lake.unstamp] if self.touches_lake else [])])


@contextmanager
def opened(
    lakehouse: Lakehouse, layer: str, day: BusinessDate, *, reason: str | None = None, lease: Lease | None = None
) -> Iterator[OpenRun]:
    """Opens a run of a layer: its lock, the ledger brought up to date, its row. Ends it however the body ends.

    `lease`: the layer's lock, where the caller holds it already. Raises BusyError where another run of the layer is at
    work, and what the body raises, once the ledger has it.
    """
    ledger, work = lakehouse.ledger, None
    try:
        with nullcontext(lease) if lease else ledger.alone(layer) as held:
            ledger.prepare(lakehouse.settings.timezone)
            with held.transaction() as cursor:
                run = ledger.open(cursor, layer, day.day, reason)
            held.watch(run.run_id)
            work = OpenRun(lakehouse, run, held)
            try:
                with answering(lakehouse.settings.lake_root):
                    yield work
            except BaseException as e:  # noqa: BLE001 - recorded, and raised again
                # Of two that write at once each may meet the other's commit before it meets its lost right.
                why = held.behind(e) if isinstance(e, StoreError) else e
                ledger.fail(run.run_id, why)
                raise why from e.__cause__
            finally:
                held.unwatch()
                work.end()
    except LakehouseError as e:
        if work is None:
            ledger.refused(layer, day.day, e)
        raise
    finally:
        if work is not None:
            work.leave()
