"""The right to write in a layer: one session-level advisory lock, on a connection that nothing else uses.

The run publishes on this very connection, so a run that lost its lock cannot publish: with the session go the lock and
the only way to commit. A thread keeps the connection busy, so that no idle limit ends it, and notices when it is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from lakehouse import log
from lakehouse.database import Database
from lakehouse.errors import BusyError, LakehouseError, RightLostError
from lakehouse.ledger.migrations import LOCK_SPACE

LOCK_OF = {"bronze": 1, "silver": 2, "gold": 3, "backup": 4}
HEARTBEAT_SECONDS = 10.0
# By the server's own settings it would hold the lock of a driver whose machine died for two hours and more; so it gives
# up after a minute. Any role may set them, and a connection by a Unix socket takes no notice.
PEER = {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
        "tcp_user_timeout": "60000"}  # fmt: skip


class Lease:
    """A layer's lock while it is held. `check` and `transaction` raise RightLostError once it is not."""

    def __init__(self, database: Database, layer: str, connection: Connection) -> None:
        self.database, self.layer = database, layer
        self._connection, self._turn, self._over = connection, threading.RLock(), threading.Event()
        self._run_id: str | None = None
        self._lost = False

    def watch(self, run_id: str, every: float = HEARTBEAT_SECONDS) -> None:
        """From now on the lease is that of a run, and its connection is kept alive."""
        self._run_id = run_id
        threading.Thread(target=self._beat, args=(every,), name=f"lease-{self.layer}", daemon=True).start()

    def unwatch(self) -> None:
        """The run has ended, and the lock is held on: there is nothing to be lost any more but the lock itself."""
        self._run_id = None

    def check(self) -> None:
        """Asks the server whether the run still has its right. Raises RightLostError where it has not."""
        with self.transaction() as cursor:
            self._still_running(cursor)

    def behind(self, error: LakehouseError) -> LakehouseError:
        """The lost right, where the run has lost it, and else the error it is asked about."""
        try:
            self.check()
        except RightLostError as e:
            return e
        except (LakehouseError, psycopg2.Error):
            return error
        return error

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """A transaction on the lock's own connection."""
        with self._turn:
            if self._lost:
                raise self._lost_right()
            try:
                with self._connection.cursor() as cursor:
                    yield cursor
                self._connection.commit()
            except psycopg2.Error as e:
                with suppress(psycopg2.Error):
                    self._connection.rollback()
                if self._connection.closed or isinstance(e, psycopg2.InterfaceError):
                    self._lost = True
                    raise self._lost_right() from None
                raise self.database.refused(e) from None
            except BaseException:
                with suppress(psycopg2.Error):
                    self._connection.rollback()
                raise

    def _still_running(self, cursor: Cursor) -> None:
        if self._run_id is None:
            cursor.execute("select 1")
            return
        cursor.execute("select state from ops.runs where run_id = %s", (self._run_id,))
        if cursor.fetchone() != ("running",):
            self._lost = True
            raise self._lost_right()

    def _beat(self, every: float) -> None:
        while not self._over.wait(every):
            try:
                with self.transaction() as cursor:
                    self._still_running(cursor)
                    cursor.execute(
                        "update ops.leases set seen_at = clock_timestamp() where layer = %s and run_id = %s",
                        (self.layer, self._run_id),
                    )
            except RightLostError:
                log.warning("lease.lost", layer=self.layer, run_id=self._run_id)
                return
            except LakehouseError:
                # Busy or short of something: the next beat, or the next check, will tell.
                continue

    def _lost_right(self) -> RightLostError:
        return RightLostError(
            f"this run of {self.layer} lost its lock in the gold database at {self.database.where}: its connection was "
            "ended, or another run has taken over. Nothing more was written; run it again, which first undoes what is "
            "not published"
        )

    def release(self) -> None:
        """Gives the lock back, and closes its connection.

        By words first: a server that is busy sees later that a connection is closed, and the next run would find the lock taken.
        """
        self._over.set()
        with self._turn, suppress(psycopg2.Error), closing(self._connection):
            self._connection.rollback()
            with self._connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(%s, %s)", (LOCK_SPACE, LOCK_OF[self.layer]))


@contextmanager
def held(database: Database, layer: str) -> Iterator[Lease]:
    """Holds a layer's lock. Raises BusyError where another run has it, LedgerError where a pooler breaks session locks."""
    database.check_sessions()
    lease = Lease(database, layer, database.dedicated())
    try:
        with lease.transaction() as cursor:
            for name, value in PEER.items():
                cursor.execute("select set_config(%s, %s, false)", (name, value))
            cursor.execute("select pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, LOCK_OF[layer]))
            if cursor.fetchone() != (True,):
                raise BusyError(f"another run of {layer} is at work: wait for it to end, or see `lakehouse status`")
        yield lease
    finally:
        lease.release()
