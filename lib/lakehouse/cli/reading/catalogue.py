"""The catalogue of tables, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.console import Json, print_json
from lakehouse.cli.console import out as console
from lakehouse.cli.databases import gold_of
from lakehouse.cli.reading.files import write_file
from lakehouse.errors import UsageError
from lakehouse.settings import load_settings

catalogue = typer.Typer(no_args_is_help=True, help="Every table: what it is, where it comes from, how it stands.")


class Form(StrEnum):
    """What the catalogue can be."""

    html = "html"
    json = "json"
    duckdb = "duckdb"
    atlas = "atlas"


@catalogue.callback()
def about() -> None:
    """Every table: what it is, where it comes from, how it stands."""


@catalogue.command()
def export(
    to: Annotated[
        Form,
        typer.Option(
            help="html: a page among the Data Docs. json: the model, for programs. duckdb: lake.duckdb, a view for each "
            "published table of a lake of files, without personal columns. atlas: entities in the Apache Atlas of "
            "LAKEHOUSE_ATLAS_URL, or in the one of `make atlas`."
        ),
    ],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it there.")] = None,
    as_json: Json = False,
) -> None:
    """Write the catalogue of what is published now."""
    if to is Form.atlas and out is not None:
        raise UsageError("an export to Atlas writes no file: leave --out away")
    settings = load_settings()
    database = gold_of(settings)  # who looks makes no database
    from lakehouse.catalogue import NAME
    from lakehouse.catalogue.views import write_views
    from lakehouse.wiring import Lakehouse

    lakehouse = Lakehouse(settings, gold_database=database)
    model = lakehouse.catalogue()
    if to is Form.atlas:
        from lakehouse.catalogue.atlas import export_catalogue

        where, done = export_catalogue(settings, model, lakehouse.ledger)
        if as_json:
            print_json({"atlas": where, **asdict(done)})
        else:
            console.print(f"{where}: {done}", soft_wrap=True)
        return
    if to is Form.json:
        if out is None:
            print_json(asdict(model))
            return
        write_file(out, json.dumps(asdict(model), default=str, indent=1) + "\n")
    elif to is Form.duckdb:
        out = out or settings.home / "lake.duckdb"
        write_views(out, model, lakehouse.contracts, settings.lake_root)
    elif out is None:
        lakehouse.pages.publish_whole(NAME, lakehouse.catalogue_page())
        out = lakehouse.pages.folder / NAME
    else:
        write_file(out, lakehouse.catalogue_page())
    size = out.stat().st_size
    if as_json:
        print_json({"file": str(out), "bytes": size})
    else:
        console.print(f"{out}: {size:,} bytes", soft_wrap=True)
