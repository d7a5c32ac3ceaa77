"""Metrics for a scraper, and alerts for the people who are to be told."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lakehouse import log
from lakehouse.cli.databases import gold_of
from lakehouse.settings import load_settings

metrics = typer.Typer(no_args_is_help=True, help="Metrics of the lakehouse, and the alerts that are made of them.")
Host = Annotated[
    str, typer.Option("--host", help="Address to listen on; others than this machine are not asked who they are.")
]


@metrics.command("serve")
def serve(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 9108,
    once: Annotated[bool, typer.Option("--once", help="Print what a scrape would be answered, and end.")] = False,
) -> None:
    """Answer scrapes at /metrics: runs, rows, quarantine, rules, freshness, Postgres and this machine."""
    from lakehouse.monitoring.collector import Scrape
    from lakehouse.monitoring.server import exposition, metrics_server
    from lakehouse.monitoring.server import serve as serve_until_ended

    settings = load_settings()
    log.to_json_lines()
    scrape = Scrape(gold_of(settings), settings.home)
    if once:
        sys.stdout.write(exposition(scrape).decode())
        return
    serve_until_ended(lambda: metrics_server(scrape, host, port), "metrics")


@metrics.command("alerts")
def alerts(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.")] = 9093,
) -> None:
    """Take alerts from vmalert and tell the webhook and e-mail of the settings: each once, and once more when it is over."""
    from lakehouse.monitoring.server import alerts_server
    from lakehouse.monitoring.server import serve as serve_until_ended

    settings = load_settings()
    log.to_json_lines()
    serve_until_ended(lambda: alerts_server(settings, host, port), "alerts")
