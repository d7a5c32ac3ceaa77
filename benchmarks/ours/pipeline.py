"""The lakehouse as a contestant: `lakehouse run day`, all three layers in one session, with the settings it ships with.

Phases, as far as its log tells them. P0 ends where bronze begins (with the event log: at the first finished Spark job); P1 is
bronze and P2 silver, each with its gate; P3 ends when the last table of gold is staged and verified; P4 when gold is
published and its views are refreshed. Gates are counted in the queries of their layers, so P5 has no time of its own, and
maintenance (P6) is no part of a day.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.contestant import Step, clean_environment
from benchmarks.measure.processes import Measured
from benchmarks.ours.executions import Span, event_log, options
from benchmarks.place import ROOT, Site
from lakehouse.session import CLASS_ARCHIVE

LAYERS = ("bronze", "silver", "gold")


class Lakehouse:
    """Ours. With `counts` Spark writes its event log, by which executions are counted; that run's times are not quite its own."""

    name = "lakehouse"
    does_less = ""

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts

    def settings(self) -> dict[str, str]:
        """The options that Spark starts with, and whether executions are counted."""
        lines = (ROOT / "spark-defaults.conf").read_text(encoding="utf-8").splitlines()
        pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
        return {**{name: value.strip() for name, value in pairs}, "event log": "on" if self._counts else "off"}

    def command(self, step: Step, site: Site) -> list[str]:
        """A day of all three layers; the first load is the day on which the history ends."""
        return [str(Path(sys.prefix) / "bin" / "lakehouse"), "run", "day", "--date", str(step.date), "--json"]

    def environment(self, site: Site) -> dict[str, str]:
        """A home of its own; a lake of files in it."""
        own = {
            "LAKEHOUSE_HOME": str(site.folder),
            "LAKEHOUSE_SOURCE_DSN": site.source_dsn,
            "LAKEHOUSE_GOLD_DSN": site.gold_dsn,
        }
        if self._counts:
            own["PYSPARK_SUBMIT_ARGS"] = self._arguments(_log_folder(site))
        return clean_environment(own)

    def facts(self, measured: Measured, site: Site) -> dict[str, Any]:
        """Phases, rows read and kept by layer, and executions by layer where they are counted."""
        spans, staged = _spans(measured.log)
        outcomes = json.loads(measured.output)
        rows = {
            o["layer"]: {t["table"]: {"read": t["rows_read"], "kept": t["rows_kept"]} for t in o["tables"]}
            for o in outcomes
        }
        rows_in = sum(table["read"] for table in rows["bronze"].values())
        found: dict[str, Any] = {"phases": _phases(measured, spans, staged), "rows_in": rows_in, "rows": rows}
        if self._counts:
            log = event_log(_log_folder(site))
            found["executions"] = log.by_layer(spans)
            if log.jobs:
                found["phases"]["P0 first job"] = round(log.jobs[0] - measured.began_at, 2)
            _clear(_log_folder(site))
        return found

    @staticmethod
    def _arguments(folder: Path) -> str:
        """What plain Python in a checkout gives Spark (lakehouse.session), and the event log."""
        folder.mkdir(exist_ok=True)
        words = ["--properties-file", str(ROOT / "spark-defaults.conf")]
        if CLASS_ARCHIVE.is_file():
            words += ["--conf", f"spark.driver.defaultJavaOptions=-XX:SharedArchiveFile={CLASS_ARCHIVE}"]
        for option, value in options(folder).items():
            words += ["--conf", f"{option}={value}"]
        return shlex.join([*words, "pyspark-shell"])


def _log_folder(site: Site) -> Path:
    return site.folder / "events"


def _clear(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _phases(measured: Measured, spans: dict[str, Span], staged: float) -> dict[str, float]:
    """Seconds from the start of the command on, one phase after the other."""
    bronze, silver, gold = (spans[layer] for layer in LAYERS)
    seconds = {
        "P0 start": bronze.began - measured.began_at,
        "P1 bronze": bronze.ended - bronze.began,
        "P2 silver": silver.ended - silver.began,
        "P3 gold": staged - gold.began,
        "P4 publish": gold.ended - staged,
    }
    return {phase: round(s, 2) for phase, s in seconds.items()}


def _spans(log: str) -> tuple[dict[str, Span], float]:
    """When each layer ran, and when the last table of gold was staged: in seconds since 1970."""
    began: dict[str, float] = {}
    spans: dict[str, Span] = {}
    staged = 0.0
    for event in _events(log):
        at = datetime.fromisoformat(event["timestamp"]).timestamp()
        if event["event"] == "layer.started":
            began[event["layer"]] = at
        elif event["event"] == "layer.done":
            spans[event["layer"]] = Span(began[event["layer"]], at)
        elif event["event"] == "gold.staged":
            staged = at
    return spans, staged or spans["gold"].ended


def _events(log: str) -> Iterator[dict[str, Any]]:
    """The lines of JSON among those that Spark and Java write."""
    for line in log.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
