"""What the scripts in jobs/ share: arguments, settings, one call, exit code."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.errors import GateError, LakehouseError, frames, may_quote, safe_words
from lakehouse.home import close_files_to_others
from lakehouse.runs.day import replace_day, run
from lakehouse.settings import Settings, load_settings
from lakehouse.wiring import Lakehouse

# Upkeep is of no day.
UPKEEP = ("maintain", "backup", "verify")


def main(layer: str, description: str) -> None:
    """Runs a layer (or `day`, all three) for --date, or upkeep, and exits with the code of what happened (errors.py)."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    if layer not in UPKEEP:
        parser.add_argument(
            "--date", required=True, metavar="YYYY-MM-DD", help="business date: the day whose data to bring"
        )
    if layer in ("bronze", "day"):
        parser.add_argument(
            "--accept-deletes",
            action="append",
            default=[],
            metavar="TABLE",
            help="let through that more keys of the table are gone from the source than LAKEHOUSE_MAX_DELETED_SHARE says; "
            "may be repeated",
        )
    if layer == "bronze":
        parser.add_argument(
            "--replace", action="store_true", help="read the published day's window again, keep the union"
        )
    arguments = parser.parse_args()
    log.to_json_lines()
    close_files_to_others()
    try:
        settings = load_settings()
        if layer in UPKEEP:
            {"maintain": _maintain, "backup": _backup, "verify": _verify}[layer](settings)
            return
        day = BusinessDate.parse(arguments.date, settings.zone)
        lakehouse = Lakehouse(settings)
        if getattr(arguments, "replace", False):
            replace_day(lakehouse, day)
        else:
            run(lakehouse, layer, day, accept=getattr(arguments, "accept_deletes", ()))
    except LakehouseError as e:
        log.event("run.refused", code=e.exit_code, message=str(e))
        sys.exit(e.exit_code)
    except Exception as e:
        # The last lines of a job: whatever it was, they say its kind and where, and no value.
        log.event("run.failed", code=1, message=safe_words(e), frames=frames(e))
        if may_quote():
            raise
        sys.exit(1)


def _maintain(settings: Settings) -> None:
    """The one place that calls the upkeep of lake and ledger."""
    # By name and late: the layers' jobs have no use for it.
    import_module("lakehouse.upkeep.maintain").maintain(Lakehouse(settings))


def _backup(settings: Settings) -> None:
    """A backup of ledger, gold and lake; of backups, the newest that a setting names stay."""
    work = import_module("lakehouse.recovery.backup")
    work.make(settings)
    work.prune(settings, settings.backups_kept)


def _verify(settings: Settings) -> None:
    """Ledger, lake and gold held against each other, and the newest backup, restored for trial, against its manifest.

    Raises GateError, once both were looked at, where a check is broken.
    """
    trial, verify = import_module("lakehouse.recovery.trial"), import_module("lakehouse.upkeep.verify")
    made, of_backup = trial.trial(settings)
    broken = [f"backup {made.id} {check['check']}" for check in of_backup if check["holds"] != "yes"]
    lakehouse = Lakehouse(settings)
    with import_module("lakehouse.upkeep.locks").locked(lakehouse):
        checks = verify.verify(lakehouse)
    broken += [f"{c.layer}.{c.table} {c.name}" for c in checks if not c.holds]
    log.event("verify.done", checks=len(checks) + len(of_backup), broken=len(broken))
    if broken:
        raise GateError(f"{len(broken)} checks are broken: {', '.join(broken)}. What to do: docs/operations.md, Verify")
