"""A replication slot of the source: how it stands, draining it up to a run's snapshot, and letting the server go on from there.

Draining takes no change away: until `confirm`, which a run calls once the ledger has published, the same ones come again. Past
what holds none of these tables the client may move the slot on by itself; the next run then compares all keys.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NoReturn

import psycopg2
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from lakehouse.database import Database
from lakehouse.errors import SourceError
from lakehouse.source.cdc.pgoutput import Begin, Changes, Commit, Keys
from lakehouse.source.position import TWO_32, Position
from lakehouse.source.postgres import SCHEMA, Snapshot

PLUGIN, PUBLICATION = "pgoutput", "lakehouse"
STANDING = """
    select active, coalesce(wal_status, ''), (confirmed_flush_lsn - '0/0')::bigint, (pg_current_wal_lsn() - restart_lsn)::bigint, safe_wal_size
    from pg_replication_slots where slot_name = %s and plugin = %s and database = current_database()
"""
# Tables that a publication does not follow whole: not in it, not for every kind of change, or some rows of it alone. Changes of
# heirs come under their own names.
NOT_FOLLOWED = """
    select t from unnest(%(tables)s::text[]) t where exists (
        select from pg_inherits i join pg_class c on c.oid = i.inhparent
        where c.relkind = 'r' and c.oid = to_regclass(format('%%I.%%I', %(schema)s, t))
    ) or not exists (
        select from pg_publication p join pg_publication_tables f on f.pubname = p.pubname
        where p.pubname = %(publication)s and f.schemaname = %(schema)s and f.tablename = t
        and p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate and to_jsonb(f) ->> 'rowfilter' is null
    ) order by 1
"""
# Whether what the server logs of a row that is gone holds the key. A partitioned table's is that of its partitions.
IDENTITY = """
    select coalesce(bool_and(c.relreplident = 'f' or exists (
        select from pg_index i where i.indrelid = c.oid
        and (i.indisreplident or (c.relreplident = 'd' and i.indisprimary)) and %(key)s::text[] <@ (
            select array_agg(a.attname::text) from pg_attribute a where a.attrelid = c.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
    )), false)
    from pg_class c where c.relkind = 'r' and c.oid in (select relid from pg_partition_tree(to_regclass(%(name)s))
                                                        union select to_regclass(%(name)s)::oid)
"""
# The log ends inside a page, and the server sends up to its last record: behind the header of a page there is none yet.
END = "select (pg_current_wal_insert_lsn() - '0/0')::bigint, current_setting('wal_block_size')::int"
PAGE_HEADERS = (24, 40)
# A server that sends nothing for so long, though there is more. It walks through a large transaction of other tables in silence.
PATIENCE_S = 3600.0
# After a driver was killed, the server holds its slot until it misses an answer (wal_sender_timeout, a minute by default).
SLOT_WAIT_S, SLOT_PAUSE_S = 90.0, 2.0


@dataclass(frozen=True)
class Standing:
    """How a slot stands: whether somebody reads it, the server's word, up to where its changes are done with, the log that the
    server keeps for it, and how much more it may (None: without end).
    """

    active: bool
    status: str
    confirmed: int
    retained_bytes: int
    safe_bytes: int | None

    @property
    def is_lost(self) -> bool:
        """The server kept its log no longer: it is to be made again."""
        return self.status == "lost"


@dataclass(frozen=True)
class Drained:
    """What a slot held when a snapshot was taken, of transactions that the snapshot sees: keys by table.

    It begins at `start`, and nothing before `end` is needed again. `server`: whose log it is.
    """

    server: str
    start: int
    end: int
    keys: Mapping[str, Keys]


def find(database: Database, name: str) -> Standing | None:
    """How a slot stands; None where there is none of the name. Raises SourceError where the source does not answer."""
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(STANDING, (name, PLUGIN))
        row = cursor.fetchone()
    if row is None:
        return None
    active, status, confirmed, retained, safe = row
    return Standing(active, status, int(confirmed or 0), int(retained or 0), None if safe is None else int(safe))


def standing(database: Database, name: str) -> Standing:
    """How a slot stands. Raises SourceError where there is none of the name, or it has lost changes."""
    found = find(database, name)
    if found is None:
        raise SourceError(f"the source at {database.where} has no replication slot {name}, which LAKEHOUSE_CDC=slot drains: "
                          f"make it with `lakehouse cdc start`; the night after it compares keys once")  # fmt: skip
    if found.is_lost:
        refuse_lost(database, name)
    return found


def refuse_lost(database: Database, name: str) -> NoReturn:
    """Raises SourceError of a slot that has lost changes."""
    raise SourceError(f"replication slot {name} at {database.where} is lost: the server kept its log no longer, so changes are "
                      f"missing. `lakehouse cdc start --again` makes a new one, and the night after it compares keys once; "
                      f"give max_slot_wal_keep_size more room")  # fmt: skip


def require_followed(database: Database, tables: Sequence[str]) -> None:
    """Raises SourceError that names tables of which the publication does not tell every change."""
    with database.connection() as connection, connection.cursor() as cursor:
        given = {"tables": sorted(tables), "publication": PUBLICATION, "schema": SCHEMA}
        cursor.execute(NOT_FOLLOWED, given)
        missing = ", ".join(f"{SCHEMA}.{row[0]}" for row in cursor.fetchall())
    if missing:
        raise SourceError(f"publication {PUBLICATION} at {database.where} does not tell every change of {missing}: the owner of "
                          f"the tables makes it with `lakehouse live setup`, or by hand (docs/cdc.md)")  # fmt: skip


def require_identified(database: Database, keys: Mapping[str, Sequence[str]]) -> None:
    """Raises SourceError that names tables whose deleted rows would not tell their key."""
    with database.connection() as connection, connection.cursor() as cursor:
        found = [t for t, key in keys.items() if not _identifies(cursor, t, key)]
    if found:
        tables = ", ".join(f"{SCHEMA}.{table}" for table in sorted(found))
        raise SourceError(f"deletes of {tables} at {database.where} would not tell their key: make it the primary key, or alter "
                          f"the tables with replica identity full")  # fmt: skip


def _identifies(cursor: Any, table: str, key: Sequence[str]) -> bool:
    cursor.execute(IDENTITY, {"name": f'{SCHEMA}."{table}"', "key": list(key)})
    return bool(cursor.fetchone()[0])


def require_logical(database: Database) -> None:
    """Raises SourceError where the server's log does not say what changed."""
    with database.connection() as connection, connection.cursor() as cursor:
        level = wal_level(cursor)
    if level != "logical":
        raise SourceError(f"the wal_level of the source at {database.where} is {level}: set it to logical and start the server "
                          f"again, with max_slot_wal_keep_size set")  # fmt: skip


def wal_level(cursor: Any) -> str:
    """What the server writes to its log; only `logical` can be followed."""
    cursor.execute("show wal_level")
    return str(cursor.fetchone()[0])


def make(database: Database, name: str) -> None:
    """Makes the slot. Raises SourceError where the server or the role does not allow it."""
    require_logical(database)
    with closing(database.replication("UTF8")) as connection, connection.cursor() as cursor:
        try:
            cursor.create_replication_slot(name, output_plugin=PLUGIN)
        except psycopg2.Error as e:
            raise database.refused(e) from None


def drop(database: Database, name: str) -> bool:
    """Drops the slot, so that the server keeps no log for it; whether there was one."""
    _wait_until_free(database, name)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s", (name,)
        )
        return bool(cursor.rowcount)


def confirm(database: Database, name: str, end: int) -> None:
    """Lets the server go on from there: what lies before it is not sent again, and its log may go."""
    _wait_until_free(database, name)
    with database.connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select pg_replication_slot_advance(slot_name, greatest('0/0'::pg_lsn + %s, confirmed_flush_lsn)) "
            "from pg_replication_slots where slot_name = %s",
            (end, name),
        )


def _wait_until_free(database: Database, name: str) -> None:
    """The server lets go of a slot a moment after its reader is gone; one that stays in use is refused by what follows."""

    def is_used() -> bool:
        with database.connection() as connection, connection.cursor() as cursor:
            cursor.execute("select from pg_replication_slots where slot_name = %s and active", (name,))
            return bool(cursor.rowcount)

    Retrying(retry=retry_if_result(bool), stop=stop_after_delay(SLOT_WAIT_S), wait=wait_fixed(0.05),
             retry_error_callback=lambda _: None)(is_used)  # fmt: skip


def drain(database: Database, name: str, snapshot: Snapshot, names: Mapping[str, Sequence[str]]) -> Drained:
    """Reads what a slot holds of tables, up to a snapshot; `names`: the columns of each table's key.

    Raises SourceError where the slot is not there, is lost or stays in another's hands, or the server breaks off.
    """
    if snapshot.standing.is_standby:
        raise SourceError(f"the source database at {database.where} is a standby, whose log LAKEHOUSE_CDC=slot cannot drain: "
                          f"name the primary, or leave LAKEHOUSE_CDC at compare")  # fmt: skip
    standing(database, name)
    require_followed(database, list(names))
    # Committed after the snapshot was taken, or before: the snapshot says, and whatever it sees lies before this.
    position, page = snapshot.rows(END, "*")[0]
    target = position - position % page if position % page in PAGE_HEADERS else position
    encoding = "SQL_ASCII" if snapshot.standing.encoding == "SQL_ASCII" else "UTF8"
    with closing(database.replication(encoding)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute("IDENTIFY_SYSTEM")
            system, timeline, *_ = cursor.fetchone()  # type: ignore[misc]
            _start(cursor, name)
            begins_at = standing(database, name).confirmed  # now that nobody else moves it
            changes, end = _read(cursor, target, Changes(names, SCHEMA), snapshot)
        except psycopg2.errors.ObjectInUse:
            raise SourceError(f"replication slot {name} at {database.where} is read by somebody else: end that, or set "
                              f"LAKEHOUSE_CDC_SLOT to a slot of this lakehouse's own") from None  # fmt: skip
        except psycopg2.Error as e:
            raise database.refused(e) from None
        except TimeoutError:
            raise SourceError(f"the source at {database.where} sent nothing of replication slot {name} for {PATIENCE_S:.0f} "
                              f"seconds, though its log goes on; look at its walsender, and run again") from None  # fmt: skip
    server = f"{system}.{timeline}.{snapshot.standing.server}"
    return Drained(server, begins_at, max(end, begins_at), changes.keys)


def _start(cursor: Any, name: str) -> None:
    """Waits for a slot that a killed driver still seems to hold."""
    options = {"proto_version": "1", "publication_names": PUBLICATION}
    for attempt in Retrying(retry=retry_if_exception_type(psycopg2.errors.ObjectInUse), stop=stop_after_delay(SLOT_WAIT_S),
                            wait=wait_fixed(SLOT_PAUSE_S), reraise=True):  # fmt: skip
        with attempt:
            cursor.start_replication(slot_name=name, decode=False, options=options)


def _read(cursor: Any, target: int, changes: Changes, snapshot: Snapshot) -> tuple[Changes, int]:
    """Reads up to the target; and up to where it is not needed again: the first transaction that the snapshot does not see."""
    position = Position.parse(snapshot.transactions)
    counts, unseen_at, heard = True, None, time.monotonic()
    reached, done = 0, 0
    while True:
        message = cursor.read_message()
        if message is None:
            if cursor.wal_end >= target:
                break
            if cursor.wal_end > reached:
                reached, heard = cursor.wal_end, time.monotonic()
            if time.monotonic() - heard > PATIENCE_S:
                raise TimeoutError
            cursor.send_feedback(reply=True)
            select.select([cursor], [], [], 0.05)
            continue
        heard = time.monotonic()
        match changes.read(message.payload, counts=counts):
            case Begin(xid, commit):
                if commit >= target:
                    break
                counts = sees(position, xid)
                if not counts and unseen_at is None:
                    unseen_at = done
            case Commit(end):
                done = end
    return changes, target if unseen_at is None else unseen_at


def sees(position: Position, xid: int) -> bool:
    """Whether a snapshot sees what a committed transaction wrote, of whose number only 32 bits are known: the nearest to its own."""
    is_older = (xid - position.next) % TWO_32 >= TWO_32 // 2
    return is_older and xid not in {running % TWO_32 for running in position.running}
