"""Which account the embedded Postgres runs under, and how that account reaches it.

Postgres refuses to run as root. Everybody else runs it as themselves; for root it runs as the system user `pgserver`, which
owns the server's folder. Folders that root keeps closed (the home, /root itself, or those of mktemp) would stand in its
way. They are not opened to the world: this one account gets an access control entry that lets it pass, and neither list
nor read.
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import struct
import subprocess
from pathlib import Path
from typing import TypedDict

from lakehouse.errors import StoreError
from lakehouse.home import owner_name

NAME = "pgserver"

# The kernel's form of an access control list: a version, then (kind, permissions, id) of each entry.
ACL = "system.posix_acl_access"
ACL_VERSION = struct.pack("<I", 2)
OWNER, USER, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
NO_ID = 0xFFFFFFFF
PASS = 0o1


class RunAs(TypedDict, total=False):
    """Arguments of subprocess that start a program under another account; empty for one's own."""

    user: int
    group: int
    extra_groups: list[int]


def account() -> RunAs:
    """How to start the server's programs: as oneself, or, for root, as pgserver, which is made if it is missing."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam(NAME)
    except KeyError:
        entry = _make_account()
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def open_way(paths: list[Path], run_as: RunAs) -> None:
    """Makes sure that the server's account can reach `paths`; raises StoreError naming the folder where it cannot."""
    if not run_as:
        return
    for path in (path for path in paths if not _can_pass(path, run_as)):
        for step in (*reversed(path.parents), path):
            if not _can_pass(step, run_as) and not _let_pass(step, run_as):
                raise StoreError(
                    f"For root the embedded Postgres runs as user {owner_name(run_as['user'])}, who cannot enter {step}: run "
                    f"`chmod o+x {step}`, or move the checkout and LAKEHOUSE_HOME to a folder that user can enter."
                )


def _can_pass(path: Path, run_as: RunAs) -> bool:
    # The kernel is asked, as that account: modes, lists and mounts all count, and are not second-guessed here.
    ask = ["/bin/sh", "-c", '[ -x "$1" ]', "sh", str(path)]
    return subprocess.run(ask, cwd="/", env={}, check=False, **run_as).returncode == 0


def _let_pass(folder: Path, run_as: RunAs) -> bool:
    """Adds an entry for the account to a folder's list, or widens its mask; False where that is not possible or not wanted."""
    if not hasattr(os, "setxattr") or not folder.is_dir():
        return False
    ours, mask = (USER, run_as["user"]), (MASK, NO_ID)
    try:
        entries = _entries(folder)
        if mask in entries and not entries.get(ours, 0) & PASS:
            return False  # somebody made a list for this folder, and we are not on it: leave it to them
        entries[ours] = PASS
        entries[mask] = entries.get(mask, entries[GROUP, NO_ID]) | PASS
        packed = b"".join(struct.pack("<HHI", kind, allowed, who) for (kind, who), allowed in sorted(entries.items()))
        os.setxattr(folder, ACL, ACL_VERSION + packed)
    except OSError:
        return False
    return _can_pass(folder, run_as)


def _entries(folder: Path) -> dict[tuple[int, int], int]:
    """Who may do what: the folder's list, or its mode written as one."""
    try:
        packed = os.getxattr(folder, ACL)[len(ACL_VERSION) :]
    except OSError as e:
        if e.errno != errno.ENODATA:
            raise
        mode = folder.stat().st_mode
        return {(OWNER, NO_ID): mode >> 6 & 7, (GROUP, NO_ID): mode >> 3 & 7, (OTHER, NO_ID): mode & 7}
    return {(kind, who): allowed for kind, allowed, who in struct.iter_unpack("<HHI", packed)}


def _make_account() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path=os.defpath + ":/usr/sbin:/sbin")
    if useradd:
        # Its result does not matter: another process may have been first.
        powerless = ["--system", "--user-group", "--no-create-home", "--home-dir", "/", "--shell", "/bin/false"]
        subprocess.run([useradd, *powerless, NAME], capture_output=True, check=False)
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        raise StoreError(
            f"Postgres does not run as root, and the system user {NAME} could not be made: make it, or run as an "
            "ordinary user."
        ) from None
