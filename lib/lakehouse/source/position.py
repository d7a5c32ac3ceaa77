"""Where a window of a table was read: in which snapshot of the source, on which server, and from which relations.

The ledger keeps it with the window as one text, `xmin:xmax:xip,…|server|relation,…`. Windows of the first release have
the snapshot alone; what is not known of them counts as unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

# Rows and the log tell the low 32 bits of a transaction's number.
TWO_32 = 1 << 32


@dataclass(frozen=True)
class Position:
    """A snapshot in Postgres's own words, a mark of the server, and the relations that held the table's rows.

    A server that was started again is another one. A relation is its oid, with its file where that is another number:
    a table that was truncated or rewritten is a new relation too, and so is one whose policy no longer hides rows.
    """

    transactions: str
    server: str | None = None
    relations: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: str) -> Position:
        """Reads what `str` wrote, and the form of the first release."""
        transactions, *more = text.split("|")
        if not more:
            return cls(transactions)
        server, relations = more
        return cls(transactions, server or None, frozenset(relations.split(",")) if relations else None)

    def __str__(self) -> str:
        return "|".join([self.transactions, self.server or "", ",".join(sorted(self.relations or ()))])

    @property
    def oldest(self) -> int:
        """The oldest transaction that was open; whatever is below it, the snapshot saw."""
        return int(self.transactions.split(":")[0])

    @property
    def next(self) -> int:
        """The number that no transaction had yet."""
        return int(self.transactions.split(":")[1])

    @property
    def running(self) -> frozenset[int]:
        """Transactions that were open."""
        return frozenset(int(xid) for xid in self.transactions.split(":")[2].split(",") if xid)

    def is_of(self, now: Position) -> bool:
        """Whether transaction numbers of this position mean the same at another one, read later.

        They do not on another server: a standby that became primary goes on a little lower, a restored one far lower.
        """
        same = self.server is None or now.server is None or self.server == now.server
        return same and now.next >= self.oldest

    def gained(self, now: Position) -> frozenset[str]:
        """Relations of a later position that this one did not have: their rows became visible by DDL."""
        if self.relations is None or now.relations is None:
            return frozenset()
        return now.relations - self.relations


def oid(relation: str) -> str:
    """The oid of a relation of a position."""
    return relation.split(".")[0]
