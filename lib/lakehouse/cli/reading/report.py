"""The report for the business, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import out as console
from lakehouse.cli.databases import gold_of
from lakehouse.cli.reading.files import write_file
from lakehouse.errors import ConfigError, StoreError
from lakehouse.receivers import NotSentError, mail_page
from lakehouse.settings import load_settings


def report(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there, and leave the Data Docs as they are."),
    ] = None,
    mail_to: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Send it there too, by the mail server of the alerts; may be repeated."),
    ] = None,
) -> None:
    """Write the sales report of the published gold: among the Data Docs, or to a file. No customer is named in it."""
    settings = load_settings()
    if mail_to and settings.smtp_url is None:
        raise ConfigError(
            "LAKEHOUSE_SMTP_URL is not set: name the mail server, and its sender as LAKEHOUSE_ALERT_EMAIL_FROM"
        )
    database = gold_of(settings)  # who looks makes no database
    from lakehouse.report import NAME
    from lakehouse.wiring import Lakehouse

    lakehouse = Lakehouse(settings, gold_database=database)
    page = lakehouse.report()
    if out is None:
        lakehouse.pages.publish_whole(NAME, page)
        out = lakehouse.pages.folder / NAME
    else:
        write_file(out, page)
    console.print(f"{out}: {len(page.encode()):,} bytes", soft_wrap=True)
    if mail_to:
        words = "The sales report is attached: open it in a browser.\n"
        try:
            mail_page(settings, mail_to, "Sales report", words, page, "sales-report.html")
        except NotSentError as e:
            raise StoreError(f"the report was written, and not sent: {e}; check LAKEHOUSE_SMTP_URL") from None
        console.print(f"sent to {len(mail_to)} addresses" if len(mail_to) > 1 else "sent")
