"""What the stream refuses before it reads, and what it says when it ends: no Kafka is needed for either."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.errors import StreamingQueryException
from pyspark.sql import SparkSession

from lakehouse.errors import DriftError, StoreError
from lakehouse.live.place import require_bucket
from lakehouse.live.settings import LiveSettings
from lakehouse.live.stream import Stream
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse
from tests.conftest import MinioForTests

LIVE = LiveSettings.model_construct()


@pytest.fixture
def stream(spark: SparkSession, tmp_path: Path) -> Stream:
    return Stream(Lakehouse(Settings(home=tmp_path / "a home"), spark=spark), LIVE)


def begun(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs the stream as far as its query."""
    reached: list[str] = []
    monkeypatch.setattr(stream, "_follow", lambda *_, **__: reached.append("query"))
    stream.run(lambda: None, once=True)
    return reached


@pytest.mark.unit
def test_tables_that_are_gone_behind_a_checkpoint_are_not_made_again(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begun(stream, monkeypatch) == ["query"]
    checkpoint = stream._checkpoint()
    assert begun(stream, monkeypatch) == ["query"]
    (checkpoint / "commits").mkdir()
    (checkpoint / "commits" / "0").touch()
    assert begun(stream, monkeypatch) == ["query"]
    lake = stream.folder.parent / "lake"
    (lake / "live" / "orders").rename(lake / "live" / "orders.before")
    with pytest.raises(StoreError, match=r"live\.orders, as after a restore.* reset --all"):
        begun(stream, monkeypatch)
    assert not (lake / "live" / "orders").exists()


@pytest.mark.unit
def test_a_table_of_other_columns_than_its_contract_is_refused(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    spark = stream.lakehouse.spark
    DeltaTable.create(spark).location(stream.path("orders").removeprefix("file://")).addColumn(
        "order_id", "string"
    ).execute()
    with pytest.raises(DriftError, match=r"live\.orders has other columns"):
        begun(stream, monkeypatch)


class OfJava(Exception):  # noqa: N818
    """An error as py4j hands it on: with the Java error, and its causes, behind it."""

    def __init__(self, *kinds: str) -> None:
        super().__init__("o12.call")
        self.java_exception: Any = None
        for kind in reversed(kinds):
            inner = self.java_exception
            self.java_exception = SimpleNamespace(
                getClass=lambda kind=kind: SimpleNamespace(getName=lambda: kind), getCause=lambda inner=inner: inner
            )


@pytest.mark.unit
@pytest.mark.parametrize(
    ("met", "query", "said"),
    [
        (DriftError("a column is gone"), "", "a column is gone"),
        (
            OfJava("org.apache.spark.SparkException", "org.apache.kafka.common.errors.TimeoutException"),
            "",
            "see that Kafka",
        ),
        (
            None,
            "org.apache.kafka.common.errors.TimeoutException: Timed out",
            "see that Kafka answers at 127.0.0.1:39092",
        ),
        (None, "Some data may have been lost, failOnDataLoss", "Kafka no longer has events"),
        (OfJava("org.apache.spark.SparkException", "java.io.IOException"), "", "the lake at file:.* does not answer"),
        (OfJava("io.delta.exceptions.ConcurrentAppendException"), "", "another driver wrote to the same table"),
        (ValueError("Jane Doe"), "", r"ended \(ValueError\), and not by Kafka"),
    ],
)
def test_only_what_kafka_met_is_said_of_kafka(stream: Stream, met: Exception | None, query: str, said: str) -> None:
    stream._fault = met
    with pytest.raises(Exception, match=said) as told:
        raise stream._sentence(StreamingQueryException(query))
    assert "Jane" not in str(told.value)
    assert ("Kafka answers" in str(told.value)) == said.startswith("see that Kafka")


@pytest.mark.unit
def test_files_need_no_bucket() -> None:
    require_bucket(Settings())


@pytest.mark.integration
def test_a_bucket_that_is_missing_or_closed_is_named(minio: MinioForTests) -> None:
    keys = {"endpoint": minio.endpoint, "access_key": minio.access_key, "secret_key": minio.secret_key}
    with pytest.raises(StoreError, match="the bucket live, where live tables lie, is not in the store: make it"):
        require_bucket(Settings(lake="s3a://", **keys))  # type: ignore[arg-type]
    minio.make_bucket("one-for-all")
    require_bucket(Settings(lake="s3a://one-for-all/shop", **keys))  # type: ignore[arg-type]
    wrong = {**keys, "secret_key": "not the secret"}
    with pytest.raises(StoreError, match=r"the bucket live, .* cannot be looked at \(403\)"):
        require_bucket(Settings(lake="s3a://", **wrong))  # type: ignore[arg-type]
