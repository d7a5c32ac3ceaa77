"""What Postgres refused or broke off, in a sentence: told apart by SQLSTATE, as its words may quote a row."""

from __future__ import annotations

from py4j.protocol import Py4JJavaError
from pyspark.errors.exceptions.captured import CapturedException

from lakehouse.database import Database
from lakehouse.errors import SourceError

MOST_CAUSES = 20
DRIVER = "org.postgresql."
LIMIT = "a limit of the server or the role, or a person there, ended our session: see the role's settings"
# What to do, by SQLSTATE or by the first two letters of its class.
ADVICE = {
    "42501": "grant it usage on the schema and select on the table",
    "53300": "the role, the database or the server lets in no more sessions: raise the role's connection limit (alter role "
    "… connection limit), or max_connections; a run holds one session, and one more for each core that reads",
    "57014": f"{LIMIT} (statement_timeout)",
    "57P05": f"{LIMIT} (idle_session_timeout)",
    "25P03": f"{LIMIT} (idle_in_transaction_session_timeout)",
    "25P04": f"{LIMIT} (transaction_timeout)",
    "42704": "the session that held the run's snapshot ended: see the limits of the role and the server's log",
    "40001": "a standby cancels queries that hold its replay up: set hot_standby_feedback or a longer "
    "max_standby_streaming_delay there, or read the primary",
    "22021": "a text of it is not in the server's encoding: repair the text, or leave the column out by a view",
    "22P05": "a text of it has a character that Unicode does not know: repair the text, or leave the column out by a view",
    "08": "check that the server runs and that the way to it holds",
    "28": "check the user, its password and pg_hba.conf",
    "53": "the server lacks memory, disk or sessions: see its log",
    "57": "the server was stopped or is starting: check that it runs",
    "58": "the server met an error of its machine: see its log",
}
OTHERWISE = "check that the server runs and can read its rows"


def refused(database: Database, state: str | None, table: str | None = None) -> SourceError:
    """The error for what ended with a SQLSTATE; without one, the way to the server broke off."""
    state = state or ""
    if state == "42501":
        return SourceError(f"the role may not read {table or 'what it asks for'} at {database.where}; {ADVICE[state]}")
    advice = ADVICE.get(state) or ADVICE.get(state[:2], OTHERWISE) if state else ADVICE["08"]
    return SourceError(f"the source database at {database.where} broke off {f'while {table} was read' if table else 'the work'} "
                       f"({f'SQLSTATE {state}' if state else 'the connection ended'}); {advice}; then run bronze again"
                       )  # fmt: skip


def sqlstate(error: Py4JJavaError | CapturedException) -> str | None:
    """The SQLSTATE of Postgres's part in a Java error, empty where it has none; None where Postgres has no part in it."""
    java = error.java_exception if isinstance(error, Py4JJavaError) else error._origin
    for _ in range(MOST_CAUSES):
        if java is None:
            return None
        name = str(java.getClass().getName())
        if name.startswith(DRIVER):
            return str((java.getSQLState() if name == DRIVER + "util.PSQLException" else "") or "")
        java = java.getCause()
    return None
