"""Files that a command writes for a person: whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from lakehouse.errors import UsageError


def write_file(out: Path, text: str) -> None:
    """Writes a file in the place of one that is there. Raises UsageError where it cannot be written."""
    draft = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(out)
    except OSError as e:
        draft.unlink(missing_ok=True)
        raise UsageError(f"{out} cannot be written ({e.strerror}): name another file with --out") from None
