"""What Postgres means by a SQLSTATE, and what a person can do: the one table, for psycopg2 and JDBC alike.

Codes are of Postgres' appendix A, https://www.postgresql.org/docs/current/errcodes-appendix.html. A message is never
read: it is in the server's language and may quote a row.
"""

from __future__ import annotations

from typing import NamedTuple

import psycopg2

from lakehouse.errors import safe_words

MOST_CAUSES = 20


class Meaning(NamedTuple):
    """What happened, as a verb of which the database is the subject, and what to do."""

    happened: str
    advice: str


AGAIN = "run it again"
BROKE_OFF = Meaning("broke off the work", "check that the server runs, and run it again")
ENDED = "have it lifted, or run it again"
# By code, and by class, which is a code's first two characters.
MEANINGS = {
    "08": BROKE_OFF,
    "0A": Meaning("cannot do what we need", "Postgres 14 or newer is needed, and the server itself, not a pooler"),
    "22": Meaning("refused a value", "look at the table's rows in question, as no value is shown here"),
    "22021": Meaning("holds text that is not of its encoding", "have the text corrected where it is written"),
    "22P05": Meaning("has a character that its encoding and UTF-8 do not share", "have the text corrected, or move it to a "
                                                                                  "database made with encoding UTF8"),
    "23": Meaning("refused rows that break a constraint", "have the rows or the contract corrected"),
    "25": Meaning("is in a state that does not allow the work", AGAIN),
    "25006": Meaning("only lets us read", "name the primary and not a standby, and take default_transaction_read_only "
                                          "from the role and the database"),
    "25P03": Meaning("ended our session by idle_in_transaction_session_timeout", ENDED),
    "25P04": Meaning("ended our session by transaction_timeout", ENDED),
    "26": Meaning("does not know our prepared statement", "a pooler in transaction mode is between us: name the server "
                                                          "itself, or set pool_mode=session"),
    "28": Meaning("does not let us in", "check user and password of the DSN, and the server's pg_hba.conf"),
    "2BP01": Meaning("keeps an object on which other objects stand", "drop those first, and make them again afterwards"),
    "3D": Meaning("is not there", "create it, or correct the DSN"),
    "3F": Meaning("lacks a schema", "create it, or have a run make it"),
    "40": Meaning("rolled the work back because of other work at the same time", AGAIN),
    "42": Meaning("does not take a statement", "LAKEHOUSE_DEBUG=1 shows where; look for an object of that name that is "
                                               "not ours"),
    "42501": Meaning("does not give the role the right to do that", "grant the role what the README asks for"),
    "42703": Meaning("lacks a column that should be there", "look who changed the table"),
    "42704": Meaning("lacks an object that should be there", "look who removed it"),
    "42883": Meaning("lacks a function that should be there", "look who removed it, and that it is Postgres 14 or newer"),
    "42P01": Meaning("lacks a table that should be there", "look who removed it, or have a run make it"),
    "42701": Meaning("has a column of that name already", "look who made it"),
    "42710": Meaning("has an object of that name already", "rename whichever is not ours"),
    "42P06": Meaning("has a schema of that name already", AGAIN),
    "42P07": Meaning("has a table or index of that name already", "rename whichever is not ours"),
    "53": Meaning("is out of resources", "free some on the server, and run it again"),
    "53100": Meaning("has no disk space left", "free or add disk space on the server, and run it again"),
    "53200": Meaning("is out of memory", "free or add memory on the server, and run it again"),
    "53300": Meaning("has no connection left for us", "raise the role's, the database's or the server's limit to 10 or "
                                                      "more for us, or end other sessions"),
    "54": Meaning("has met a limit of Postgres", "have the value shortened or the contract's index taken away"),
    "55": Meaning("has an object that is not in the state for it", AGAIN),
    "55006": Meaning("has an object that another session is using", "end that session, and run it again"),
    "55P03": Meaning("made us wait too long for a lock that another session holds",
                     "end that session's transaction (pg_stat_activity shows it), and run it again"),
    "57": Meaning("was stopped by an operator", AGAIN),
    "57014": Meaning("cancelled a statement, by a person's request or by statement_timeout", AGAIN),
    "57P01": BROKE_OFF,
    "57P02": BROKE_OFF,
    "57P03": Meaning("does not accept connections now", "wait until the server has started, and run it again"),
    "57P04": Meaning("was dropped", "create it, or correct the DSN"),
    "57P05": Meaning("ended our session by idle_session_timeout", ENDED),
    "58": Meaning("has trouble with its own files", "read the server's log"),
    "XX": Meaning("has met a fault within itself", "read the server's log"),
    "XX001": Meaning("has damaged data", "read the server's log, and restore the database from its backup"),
    "XX002": Meaning("has a damaged index", "read the server's log, and rebuild the index"),
}  # fmt: skip
UNKNOWN = Meaning("refused the work", "read the server's log")


def meaning(sqlstate: str | None) -> Meaning:
    """What a SQLSTATE means; none at all is a connection that is gone."""
    if not sqlstate:
        return BROKE_OFF
    return MEANINGS.get(sqlstate) or MEANINGS.get(sqlstate[:2]) or UNKNOWN


def sentence(role: str, where: str, error: psycopg2.Error) -> str:
    """What psycopg2 met, in one sentence without a value: names of objects are shown, messages are not."""
    happened, advice = meaning(error.pgcode)
    diag = getattr(error, "diag", None)
    names = [
        printable(n)
        for n in (getattr(diag, f"{k}_name", None) for k in ("schema", "table", "column", "constraint"))
        if n
    ]
    where_in_it = f" at {'.'.join(names)}" if names else ""
    return f"the {role} database at {where} {happened}{where_in_it} ({safe_words(error)}); {advice}"


def jdbc_sentence(role: str, where: str, error: BaseException, doing: str) -> str | None:
    """What Spark met in Postgres while `doing`, in one sentence without a value; None for what Postgres has no part in."""
    causes = list(java_causes(error))
    ours = [(name, state) for name, state in causes if name.startswith(("org.postgresql.", "java.sql."))]
    if not ours:
        return None
    name, state = next(((n, s) for n, s in ours if s), ours[-1])
    happened, advice = meaning(state)
    return f"the {role} database at {where} {happened} {doing} ({' '.join(filter(None, (name, state)))}); {advice}"


def java_causes(error: BaseException) -> list[tuple[str, str | None]]:
    """Class and SQLSTATE of a Java error and its causes, outermost first. Py4J and PySpark keep it in different places."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    causes: list[tuple[str, str | None]] = []
    while java is not None and len(causes) < MOST_CAUSES:
        name = str(java.getClass().getName())
        speaks_sql = name.startswith(("org.postgresql.", "java.sql."))
        causes.append((name, java.getSQLState() if speaks_sql and hasattr(java, "getSQLState") else None))
        java = java.getCause()
    return causes


def printable(text: str) -> str:
    """One line of a server's text without what steers a terminal."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
