"""`lakehouse …`: the jobs' calls for people, with progress on a terminal, tables to read and JSON to pipe."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.text import Text

from lakehouse import __version__, log
from lakehouse.cli import clients, databases, repair, runs, samples
from lakehouse.cli.console import err, out
from lakehouse.cli.doctor import doctor
from lakehouse.cli.live.cdc import cdc
from lakehouse.cli.live.live import live
from lakehouse.cli.models.features import features
from lakehouse.cli.personal.forget import forget
from lakehouse.cli.quarantine import quarantine
from lakehouse.cli.reading import catalogue, report
from lakehouse.cli.reading.diff import diff
from lakehouse.cli.reading.explain import explain
from lakehouse.cli.reading.lineage import lineage
from lakehouse.cli.reading.restatements import restatements
from lakehouse.cli.recovery.backup import backup
from lakehouse.cli.recovery.restore import restore
from lakehouse.cli.watching.metrics import metrics
from lakehouse.errors import LakehouseError, frames, may_quote, safe_words
from lakehouse.home import close_files_to_others

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A shop's day, from Postgres through bronze and silver to gold.",
                  pretty_exceptions_enable=False)  # fmt: skip
for command in (
    runs.run,
    runs.backfill,
    runs.status,
    runs.tables,
    repair.verify,
    repair.rewind,
    repair.rerun,
    repair.rebuild,
    repair.adopt,
    repair.maintain,
    repair.pin,
    repair.unpin,
    repair.actions,
    restore,
    databases.setup,
    forget,
    databases.dsn,
    databases.stop,
    samples.demo,
    doctor,
    report.report,
    features,
    diff,
    lineage,
    restatements,
):
    app.command()(command)
for client in (clients.psql, clients.pg_dump, clients.pg_restore):
    app.command(client.__name__, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(client)
app.add_typer(samples.sample, name="sample")
app.add_typer(quarantine, name="quarantine")
app.add_typer(metrics, name="metrics")
app.add_typer(backup, name="backup")
app.add_typer(catalogue.catalogue, name="catalogue")
app.add_typer(explain, name="explain")
app.add_typer(live, name="live")
app.add_typer(cdc, name="cdc")


def main() -> None:
    """The console script: errors of our family are one sentence and their exit code."""
    close_files_to_others()
    try:
        app(standalone_mode=True)
    except LakehouseError as e:
        _say(str(e), e.exit_code)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        # Where it came from is said now: what happens once in many nights is not there to be asked again.
        _say(f"{safe_words(e)}; LAKEHOUSE_DEBUG=1 shows its own words, which may quote a row", 1, frames(e))
        if may_quote():
            raise
        sys.exit(1)


def _say(words: str, code: int, where: list[str] | None = None) -> None:
    """The last words of a command that failed: to a person, or as one more line of JSON."""
    if err.is_terminal or not log.is_json():
        for frame in where or ():
            err.print(Text(f"  {frame}", style="dim"), soft_wrap=True)
        err.print(Text.assemble(("error:", "bold red"), f" {words}"), soft_wrap=True)
    else:
        log.event("command.failed", code=code, message=words, **({"frames": where} if where else {}))


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """The program without a command."""
    if show:
        out.print(__version__)
        raise typer.Exit
