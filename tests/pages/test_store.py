"""The Data Docs of an s3a:// lake, in a real bucket: what is copied, under which name and type, and what a failure does."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from pydantic import SecretStr

from lakehouse import log
from lakehouse.business_date import BusinessDate
from lakehouse.errors import GateError, StoreError
from lakehouse.frame.run import opened
from lakehouse.pages.pages import Pages
from lakehouse.pages.store import DocsBucket, Place, place
from lakehouse.records import Finding
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse

pytestmark = pytest.mark.integration
DAY = date(2011, 12, 9)
MET = Finding("silver", "orders", "rows_of_run_add_up", "critical", True, 0, 7)
WARNED = Finding("silver", "orders", "ordered_in_future", "warning", False, 3, 7)


def settings(minio: Any, lake: str = "s3a://", **others: Any) -> Settings:
    keys = {"access_key": SecretStr(minio.access_key), "secret_key": SecretStr(minio.secret_key)}
    return Settings(lake=lake, endpoint=minio.endpoint, **keys, **others)


def bucket(minio: Any, name: str, prefix: str = "") -> DocsBucket:
    minio.make_bucket(name)
    return DocsBucket(settings(minio), Place(name, prefix))


def objects(minio: Any, name: str) -> dict[str, Any]:
    """Every object of a bucket: when it was last written."""
    found = store(minio).list_objects_v2(Bucket=name).get("Contents", [])
    return {o["Key"]: o["LastModified"] for o in found}


def store(minio: Any) -> Any:
    keys = {"aws_access_key_id": minio.access_key, "aws_secret_access_key": minio.secret_key}
    return boto3.client("s3", endpoint_url=minio.endpoint, region_name="us-east-1", **keys)


def text_of(minio: Any, name: str, key: str) -> str:
    return str(store(minio).get_object(Bucket=name, Key=key)["Body"].read().decode())


def write(folder: Path, *names: str, text: str = "a page") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        # As old as a page is by the time a later run looks at it.
        os.utime(folder / name, (time.time() - 60,) * 2)


@pytest.mark.parametrize(
    ("lake", "expected"),
    [
        ("", None),
        ("file:///srv/lake", None),
        ("s3a://", Place("data-docs", "")),
        ("s3a://shop", Place("shop", "data-docs/")),
        ("s3a://shop/lake/", Place("shop", "lake/data-docs/")),
        ("s3a://shop/a/lake", Place("shop", "a/lake/data-docs/")),
    ],
)
def test_the_pages_lie_beside_the_layers_of_an_s3a_lake(lake: str, expected: Place | None) -> None:
    assert place(Settings(lake=lake)) == expected


def test_pages_are_copied_with_their_types_and_the_runs_that_have_pages_are_told(minio: Any, tmp_path: Path) -> None:
    docs = bucket(minio, "docs-types", "lake/data-docs/")
    write(tmp_path, "index.html", "runs/run-1/index.html", "runs/run-1/orders.html", "assets/bootstrap.css")
    write(tmp_path, "assets/bootstrap.LICENSE", "runs/.run-2.draft/index.html", "runs/run-1/notes.txt")
    assert docs.sync(tmp_path) == {
        "runs/run-1/index.html",
        "runs/run-1/orders.html",
        "assets/bootstrap.css",
        "assets/bootstrap.LICENSE",
    }
    docs.write("index.html", b"all runs")
    types = {
        key: store(minio).head_object(Bucket="docs-types", Key=key)["ContentType"]
        for key in objects(minio, "docs-types")
    }
    assert types == {
        "lake/data-docs/index.html": "text/html; charset=utf-8",
        "lake/data-docs/runs/run-1/index.html": "text/html; charset=utf-8",
        "lake/data-docs/runs/run-1/orders.html": "text/html; charset=utf-8",
        "lake/data-docs/assets/bootstrap.css": "text/css; charset=utf-8",
        "lake/data-docs/assets/bootstrap.LICENSE": "text/plain; charset=utf-8",
    }
    page = docs.open("index.html")
    assert page is not None
    assert (page.length, b"".join(page.pieces)) == (8, b"all runs")
    assert docs.open("runs/run-9/index.html") is None


def test_only_what_changed_is_copied_and_nothing_is_taken_away(minio: Any, tmp_path: Path) -> None:
    docs = bucket(minio, "docs-changes")
    write(tmp_path, "runs/run-1/index.html", "runs/run-2/index.html", "runs/run-3/index.html")
    docs.sync(tmp_path)
    before = objects(minio, "docs-changes")
    write(tmp_path, "runs/run-2/index.html", text="a longer page")
    (tmp_path / "runs" / "run-3" / "index.html").write_text("A PAGE")  # as long, and newer
    os.utime(tmp_path / "runs" / "run-3" / "index.html", (time.time() + 5,) * 2)
    (tmp_path / "runs" / "run-1" / "index.html").unlink()
    write(tmp_path, "runs/run-4/index.html")
    assert docs.sync(tmp_path) == {f"runs/run-{n}/index.html" for n in (1, 2, 3, 4)}
    after = objects(minio, "docs-changes")
    assert {key.split("/")[1] for key in after if after[key] != before.get(key)} == {"run-2", "run-3", "run-4"}


def test_two_machines_fill_one_bucket(minio: Any, tmp_path: Path) -> None:
    docs = bucket(minio, "docs-machines")
    write(tmp_path / "one", "runs/run-1/index.html")
    write(tmp_path / "two", "runs/run-2/index.html")
    docs.sync(tmp_path / "one")
    assert docs.sync(tmp_path / "two") == {"runs/run-1/index.html", "runs/run-2/index.html"}


def test_a_page_of_the_whole_is_that_of_the_run_that_made_it(minio: Any, tmp_path: Path) -> None:
    docs = bucket(minio, "docs-whole")
    one, two = Pages(tmp_path / "one", docs), Pages(tmp_path / "two", docs)
    assert one.read("report/index.html") is None
    one.publish_whole("report/index.html", "as of Monday")
    two.publish_whole("report/index.html", "as of Tuesday")
    # Newer, of another size: what a machine still has of an earlier day must not come back.
    write(tmp_path / "one", "runs/run-1/index.html")
    os.utime(tmp_path / "one" / "report" / "index.html", (time.time() + 60,) * 2)
    one.publish_front(lambda: ([], 0))
    assert one.read("report/index.html") == two.read("report/index.html") == "as of Tuesday"
    assert 'href="report/index.html"' in text_of(minio, "docs-whole", "index.html")


def test_a_page_of_the_whole_lies_in_the_folder_where_there_is_no_bucket(tmp_path: Path) -> None:
    pages = Pages(tmp_path, None)
    assert pages.read("report/index.html") is None
    pages.publish_whole("report/index.html", "Überschrift")
    assert pages.read("report/index.html") == (tmp_path / "report" / "index.html").read_text() == "Überschrift"


def test_a_store_that_refuses_is_one_sentence_without_a_secret(minio: Any, tmp_path: Path) -> None:
    write(tmp_path, "runs/run-1/index.html")
    with pytest.raises(StoreError, match=r"s3://nowhere/ do not answer \(NoSuchBucket\)"):
        DocsBucket(settings(minio), Place("nowhere", "")).sync(tmp_path)
    stranger = settings(minio).model_copy(update={"secret_key": SecretStr("mistyped")})
    with pytest.raises(StoreError, match=r"\(SignatureDoesNotMatch\)") as refused:
        DocsBucket(stranger, Place("nowhere", "")).open("index.html")
    assert minio.access_key not in str(refused.value)
    assert "mistyped" not in str(refused.value)


class Shop:
    """A lakehouse whose runs do nothing but find something; its lake is never asked for."""

    def __init__(self, house: Lakehouse) -> None:
        self.lakehouse = house

    def run(self, *findings: Finding, refused: str = "", layer: str = "silver") -> str:
        """A run that is published, or refused in these words."""
        with suppress(GateError), opened(self.lakehouse, layer, BusinessDate(DAY, ZoneInfo("UTC"))) as run:
            run.find(findings)
            if refused:
                raise GateError(refused)
            run.publish({layer: []}, {layer: {}}, "")
        return run.record.run_id


@contextmanager
def shop(minio: Any, gold: str, home: Path, lake: str) -> Iterator[Shop]:
    house = Lakehouse(settings(minio, lake, home=home, gold_dsn=SecretStr(gold)))
    yield Shop(house)
    house.gold_database.close()


@pytest.fixture
def told() -> Iterator[dict[str, dict[str, object]]]:
    """What is logged, by event."""
    events: dict[str, dict[str, object]] = {}
    log.listen(lambda name, facts: events.update({name: facts}))
    yield events
    log.unlisten()


def test_runs_of_two_machines_are_on_one_front_page_in_the_bucket(postgres: Any, minio: Any, tmp_path: Path) -> None:
    minio.make_bucket("docs-front")
    gold, lake = postgres.create_database("docs_front_gold"), "s3a://docs-front/lake"
    with shop(minio, gold, tmp_path / "1", lake) as one, shop(minio, gold, tmp_path / "2", lake) as two:
        published = one.run(MET)
        refused = two.run(WARNED, refused="the gate refused <3> rows")
        silent = two.run(refused="the source is down", layer="bronze")
        assert one.lakehouse.pages.folder != two.lakehouse.pages.folder
    front = text_of(minio, "docs-front", "lake/data-docs/index.html")
    assert front.index(silent) < front.index(refused) < front.index(published)
    assert "the gate refused &lt;3&gt; rows" in front
    links = set(re.findall(r'href="(runs/[^"]+)"', front))
    assert links == {f"runs/{run}/index.html" for run in (published, refused)}, "a run without findings has no page"
    assert "failed</span> · 1 rules" in text_of(minio, "docs-front", f"lake/data-docs/runs/{refused}/index.html")
    # A folder links to what it holds.
    assert f'href="runs/{published}' not in (tmp_path / "2" / "data-docs" / "index.html").read_text()


def test_a_bucket_that_is_not_there_fails_no_run_and_gets_the_pages_later(
    postgres: Any, minio: Any, tmp_path: Path, told: dict[str, dict[str, object]]
) -> None:
    with shop(minio, postgres.create_database("docs_late_gold"), tmp_path, "s3a://docs-late") as late:
        first = late.run(MET)
        assert "(NoSuchBucket)" in str(told["docs.not_synced"]["reason"])
        assert late.lakehouse.ledger.recent()[0]["state"] == "published"
        assert first in (tmp_path / "data-docs" / "index.html").read_text()
        minio.make_bucket("docs-late")
        late.run(MET)
    assert f'href="runs/{first}' in text_of(minio, "docs-late", "data-docs/index.html")
    assert f"data-docs/runs/{first}/index.html" in objects(minio, "docs-late")


def test_a_run_whose_pages_cannot_be_copied_fails_for_its_own_reason(
    postgres: Any, minio: Any, tmp_path: Path, told: dict[str, dict[str, object]]
) -> None:
    with shop(minio, postgres.create_database("docs_reason_gold"), tmp_path, "s3a://docs-nowhere") as other:
        other.run(WARNED, refused="the gate refused")
        assert [(r["state"], r["error_code"]) for r in other.lakehouse.ledger.recent()] == [("failed", 6)]
    assert "docs.not_synced" in told
    assert "the gate refused" in (tmp_path / "data-docs" / "index.html").read_text()
