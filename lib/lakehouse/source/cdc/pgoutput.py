"""What the server's plugin pgoutput says of changes, read as far as their keys: which were written, and which are gone.

Version 1 of its protocol, https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html. No other value
is looked at, so none is kept.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# The parts of a key, as the server writes them.
Key = tuple[str, ...]
# Keys travel to the server in the statement that looks for late rows.
MOST_WRITTEN = 50_000
# So many are a comparison of all keys anyway, and they are held in memory.
MOST_GONE = 1_000_000
# A value of a row is its bytes, or one of these two.
NULL, UNCHANGED = "n", "u"
Row = list[bytes | str]
# Which rows a change tells of: as it is now, the identity of the one before, or all of that.
NEW_ROW, OLD_KEY, OLD_ROW = "N", "K", "O"
# Stands for a key that the server did not send; no row has it, as each has a part at least.
UNREADABLE: Key = ()


@dataclass
class Keys:
    """The keys of one table that were written, and those last seen going; `is_known` false where some cannot be told.

    So it is after TRUNCATE, where the table's replica identity does not hold the key, and of more than MOST_GONE. Of more
    than MOST_WRITTEN keys some are left out.
    """

    written: set[Key] = field(default_factory=set)
    gone: set[Key] = field(default_factory=set)
    is_known: bool = True

    def write(self, key: Key) -> None:
        """A row of this key is there."""
        if len(self.written) <= MOST_WRITTEN:
            self.written.add(key)
        self.gone.discard(key)

    def lose(self, key: Key) -> None:
        """A row of this key is there no more; another one of the same key may be."""
        self.gone.add(key)
        if len(self.gone) > MOST_GONE:
            self.is_known = False
            self.gone.clear()


@dataclass(frozen=True)
class Begin:
    """A transaction begins: its number, of 32 bits, and where its commit lies in the log."""

    xid: int
    commit: int


@dataclass(frozen=True)
class Commit:
    """A transaction has ended: what follows lies at `end` or behind it."""

    end: int


class Message:
    """One message, read from its second byte on."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.at = payload, 1

    def number(self, code: str) -> int:
        """An unsigned integer, by struct's letter for its size."""
        (value,) = struct.unpack_from(f">{code}", self.payload, self.at)
        self.at += struct.calcsize(f">{code}")
        return int(value)

    def skip(self, codes: str) -> None:
        """Passes integers over, by struct's letters."""
        self.at += struct.calcsize(f">{codes}")

    def letter(self) -> str:
        """One byte that names a kind."""
        return chr(self.number("B"))

    def text(self) -> str:
        """Up to the next zero byte."""
        end = self.payload.index(0, self.at)
        found = self.payload[self.at : end].decode(errors="replace")
        self.at = end + 1
        return found

    def row(self) -> Row:
        """The values of a row, as bytes; `NULL` and `UNCHANGED` where there is none."""
        return [self._value(self.letter()) for _ in range(self.number("H"))]

    def _value(self, kind: str) -> bytes | str:
        if kind in (NULL, UNCHANGED):
            return kind
        size = self.number("I")
        self.at += size
        return self.payload[self.at - size : self.at]


class Changes:
    """Keys of tables, as changes are read; `names`: the columns of each table's key.

    Changes of a table that is not named, and those of a schema other than `schema`, are passed over.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], schema: str) -> None:
        self._names, self._schema = names, schema
        # Columns are those of the last description: it comes again, in the middle of all changes, when they change.
        self._tables: dict[int, tuple[str, list[str]]] = {}
        self.keys = {table: Keys() for table in names}

    def read(self, payload: bytes, *, counts: bool) -> Begin | Commit | None:
        """Reads a message. `counts`: whether its change is to be taken in; descriptions of tables always are."""
        message = Message(payload)
        match chr(payload[0]):
            case "B":
                commit = message.number("Q")
                message.skip("Q")
                return Begin(message.number("I"), commit)
            case "C":
                message.skip("BQ")
                return Commit(message.number("Q"))
            case "R":
                self._describe(message)
            case "T" if counts:
                tables = message.number("I")
                message.skip("B")
                for _ in range(tables):
                    if keys := self._keys(message.number("I")):
                        keys.is_known = False
            case "I" | "U" | "D" if counts:
                self._change(message)
        return None

    def _describe(self, message: Message) -> None:
        oid, schema, table = message.number("I"), message.text(), message.text()
        message.skip("B")
        columns, identity = list[str](), set[str]()
        for _ in range(message.number("H")):
            is_identity = message.number("B") & 1
            columns.append(message.text())
            if is_identity:
                identity.add(columns[-1])
            message.skip("II")
        if schema == self._schema and table in self._names:
            self._tables[oid] = table, columns
            # A key that changes would not say which one it was.
            self.keys[table].is_known &= identity.issuperset(self._names[table])
        else:
            self._tables.pop(oid, None)

    def _keys(self, oid: int) -> Keys | None:
        return self.keys[self._tables[oid][0]] if oid in self._tables else None

    def _change(self, message: Message) -> None:
        oid, rows = message.number("I"), dict[str, Row]()
        if (keys := self._keys(oid)) is None:
            return
        while message.at < len(message.payload):
            kind = message.letter()
            rows[kind] = message.row()
        before = rows.get(OLD_KEY) or rows.get(OLD_ROW)
        lost = self._key(oid, before, is_whole=OLD_ROW in rows) if before else None
        came = self._key(oid, rows[NEW_ROW], before) if NEW_ROW in rows else None
        if UNREADABLE in (lost, came):
            keys.is_known = False
            return
        if lost and lost != came:
            keys.lose(lost)
        if came:
            keys.write(came)

    def _key(self, oid: int, row: Row, before: Row | None = None, *, is_whole: bool = True) -> Key | None:
        """The key of a row; None where a part of it is null or no text, as such a row has no key; `UNREADABLE`.

        `before`: the row as it was, from which a value that did not change is taken. `is_whole`: null means null, and not
        that the row's identity leaves the column out.
        """
        table, columns = self._tables[oid]
        parts = []
        for name in self._names[table]:
            if name not in columns:
                return UNREADABLE
            at = columns.index(name)
            value = before[at] if before and row[at] == UNCHANGED else row[at]
            if value == UNCHANGED or (value == NULL and not is_whole):
                return UNREADABLE
            if isinstance(value, str):
                return None
            try:
                parts.append(value.decode())
            except UnicodeDecodeError:
                return None
        return tuple(parts)
