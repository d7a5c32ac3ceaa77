"""Postgres as both drivers see it: sessions that last, errors in one sentence, and one address for libpq and JDBC.

database  the connections of one database, and what it says when it refuses
sessions  the pool, and what every session of ours is set to
meanings  what a SQLSTATE means and what to do about it: the one table
rights    what a database must allow us, asked before anything is written
address   libpq's parameters in JDBC's words
"""

from lakehouse.database.database import KNOWS_CRC, MOST_CONNECTIONS, Database

__all__ = ["KNOWS_CRC", "MOST_CONNECTIONS", "Database"]
