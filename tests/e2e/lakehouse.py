"""The real pipeline, in this process: what the hostile shop and other whole-day tests run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakehouse.business_date import BusinessDate
from lakehouse.frame.published import published_frame
from lakehouse.records import Outcome
from lakehouse.runs import day
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RealPipeline:
    """One lakehouse on one source, one gold database, one lake and one zone."""

    def __init__(self, source_dsn: str, gold_dsn: str, lake: Path | str, zone: str = "UTC", **settings: Any) -> None:
        root = lake.as_uri() if isinstance(lake, Path) else lake
        home = settings.pop("home", None) or (lake / "home" if isinstance(lake, Path) else None)
        self.lakehouse = Lakehouse(
            Settings(
                home=home, source_dsn=SecretStr(source_dsn), gold_dsn=SecretStr(gold_dsn), lake=root, timezone=zone,
                **settings,
            )
        )  # fmt: skip

    def run_day(self, business_date: date) -> list[Outcome]:
        # The tests of a process share one session; its zone is this shop's while this shop runs.
        self.lakehouse.spark.conf.set("spark.sql.session.timeZone", self.lakehouse.settings.timezone)
        return day.run(
            self.lakehouse, "day", BusinessDate.parse(business_date.isoformat(), self.lakehouse.settings.zone)
        )

    def silver(self, table: str) -> Iterable[Mapping[str, Any]]:
        return rows(published_frame(self.lakehouse, "silver", table))

    def bronze(self, table: str) -> list[dict[str, Any]]:
        return rows(published_frame(self.lakehouse, "bronze", table))

    def quarantine(self, table: str) -> Iterable[tuple[Mapping[str, Any], Iterable[str]]]:
        names = self.lakehouse.contracts["bronze"][table].names
        for row in rows(published_frame(self.lakehouse, "quarantine", table)):
            yield {n: row[n] for n in names}, row["_reasons"]

    def counts(self, table: str) -> Mapping[str, Any]:
        totals = self.lakehouse.ledger.totals("silver")[table]
        return {"extracted": totals.read, "kept": totals.held, "deduplicated": totals.gone, "removed": totals.removed,
                "open": totals.open}  # fmt: skip

    def run_counts(self, table: str) -> Mapping[str, Any]:
        with self.lakehouse.gold_database.connection() as connection, connection.cursor() as cursor:
            cursor.execute(
                "select rows_read, coalesce(lag(rows_quarantined) over (order by seq), 0), rows_recalled, rows_kept, "
                "rows_deduplicated, rows_removed, rows_quarantined from ops.run_tables join ops.runs using (run_id) where run_tables.layer = 'silver' "
                "and state = 'published' and table_name = %s order by seq desc limit 1",
                (table,),
            )
            found = cursor.fetchone()
        assert found is not None
        return dict(
            zip(
                ("batch", "open_before", "recalled", "kept", "deduplicated", "removed", "open_after"),
                found,
                strict=True,
            )
        )


def rows(frame: DataFrame) -> list[dict[str, Any]]:
    """A frame as dicts; instants with their zone, exact at any year (Python's own conversion is not)."""
    instants = {f.name for f in frame.schema if f.dataType.typeName() == "timestamp"}
    carried = frame.select(*(F.unix_micros(c).alias(c) if c in instants else F.col(c) for c in frame.columns))
    return [
        {k: EPOCH + timedelta(microseconds=v) if k in instants and v is not None else v for k, v in r.asDict().items()}
        for r in carried.collect()
    ]
