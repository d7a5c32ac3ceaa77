"""Which backup a moment asks for; and the choice of a restore that is under way, written down before its first step.

Where such a restore ends between ledger and lake, the log that is kept ends in the restore itself, so that "as late as it
reaches" would be another moment: what was chosen is taken again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakehouse.errors import UsageError
from lakehouse.recovery.kept.manifest import Base, Manifest
from lakehouse.recovery.kept.place import Folder, GoneError, whole

UNDER_WAY = "restore.json"


@dataclass(frozen=True)
class Choice:
    """What a moment is restored from: a base and the log that follows it up to a point, a time or its end; or a dump."""

    manifest: Manifest
    base: Base | None
    until: datetime | None = None
    point: str = ""


def choose(known: Sequence[Manifest], where: str, *, to: datetime | None, backup_id: str, latest: bool) -> Choice:
    """What to restore from. Raises UsageError where no backup reaches the moment, and for a question that is not one."""
    if not known:
        raise UsageError(f"there is no backup at {where}: check LAKEHOUSE_BACKUP_URI")
    if (to is not None) + bool(backup_id) + latest != 1:
        raise UsageError("say to which moment: --to TIME, --backup ID or --latest")
    if backup_id:
        named = next((m for m in known if m.id == backup_id), None)
        if named is None:
            raise UsageError(
                f"there is no backup {backup_id} at {where}: lakehouse backup list names those that there are"
            )
        return Choice(named, named.base, point=named.point)
    newest = known[-1]
    if latest:
        return Choice(newest, newest.base)
    assert to is not None  # noqa: S101 - one of the three was given
    before = [m for m in known if m.moment <= to]
    reaching = [m.base for m in known if m.base and datetime.fromisoformat(m.base.finished_at) <= to]
    if not before and not reaching:
        first = min(datetime.fromisoformat(m.base.finished_at) if m.base else m.moment for m in known)
        raise UsageError(f"no backup reaches back to {to.isoformat()}: the first moment is {first.isoformat()}")
    if reaching and not (before and before[-1].base is None):
        base = max(reaching, key=lambda b: b.finished_at)
        return Choice(next((m for m in known if m.moment >= to), newest), base, until=to)
    return Choice(before[-1], None, until=to)


@dataclass(frozen=True)
class UnderWay:
    """A restore that has begun. `ledger`: the name that the ledger takes with it; `stamp`: how what was there is named."""

    ledger: str
    stamp: str
    backup: str
    point: str
    until: str | None

    def choice(self, known: Sequence[Manifest], where: str) -> Choice:
        """What it is restored from. Raises UsageError where that backup is gone, or none reaches that moment any more."""
        if self.until:
            return choose(known, where, to=datetime.fromisoformat(self.until), backup_id="", latest=False)
        named = next((m for m in known if m.id == self.backup), None)
        if named is None:
            raise UsageError(
                f"a restore was ended halfway, and the backup {self.backup} that it was made from is not at {where} any more: "
                "name another moment, by --to or --backup"
            )
        return Choice(named, named.base, point=self.point)

    def write(self, home: Path) -> None:
        """Writes it down, on the disk when this returns."""
        Folder(home).write(UNDER_WAY, [json.dumps(self.__dict__).encode()])
        os.sync()


def under_way(home: Path) -> UnderWay | None:
    """The restore that has begun in a home and was not seen to end; None where there is none."""
    try:
        return UnderWay(**json.loads(whole(Folder(home), UNDER_WAY)))
    except (GoneError, ValueError, TypeError):
        return None


def ended(home: Path) -> None:
    """The restore in a home has come to its end."""
    Folder(home).delete(UNDER_WAY)
