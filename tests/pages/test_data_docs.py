"""Data Docs: every run listed, every page whole without a network, and not one value of the data in any of them."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.gate.gate import Gate
from lakehouse.judging.suites import load_suites
from lakehouse.pages.data_docs import front_page, publish, publish_front_page, write
from lakehouse.records import Finding, ListedRun
from tests.tables import CONTRACTS, contract, judged, table

pytestmark = pytest.mark.unit

SUITES = load_suites(CONTRACTS)
DAY = date(2011, 12, 9)
MET = Finding("silver", "orders", "rows_of_run_add_up", "critical", True, 0, 7)
WARNED = Finding("silver", "orders", "ordered_in_future", "warning", False, 1234, 56789)
REFUSED = Finding("silver", "orders", "rows_since_beginning_add_up", "critical", False, 3, None)


def run_of(
    run_id: str = "run-1", layer: str = "silver", state: str = "published", day: date = DAY, **facts: Any
) -> ListedRun:
    """A run that took a minute and a half."""
    started = datetime(2011, 12, 10, 1, 0, tzinfo=UTC)
    return ListedRun(run_id, layer, day, state, started, started + timedelta(seconds=90), **facts)


class Page(HTMLParser):
    """What a browser would load or follow, and what a person would read."""

    def __init__(self, page: Path | str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page if isinstance(page, str) else page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data", "srcset")]

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def pages(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def judged_pages(gate: Gate, spark: SparkSession, folder: Path, run_id: str = "run-1") -> Path:
    """A run in which rules of several kinds fail on values that must not be seen."""
    customers = table(
        spark,
        "silver.customers",
        "customer_id email phone",
        ("s3cret-id", "s3cret-mail", "s3cret-phone"),
        ("C2", None, None),
    )
    campaigns = table(
        spark,
        "silver.campaigns",
        "budget start_date end_date channel",
        ("-4711.25", "2011-11-23", "2011-11-22", "S3CRET"),
    )
    found = [
        *judged(gate, contract("silver.customers"), SUITES["silver"]["customers"], customers),
        *judged(gate, contract("silver.campaigns"), SUITES["silver"]["campaigns"], campaigns),
        WARNED,
        REFUSED,
    ]
    run = run_of(run_id, state="failed", rules=12, critical=5, warnings=3, message="the gate refused")
    publish(folder, run, found, gate.pages(run_id, "silver"))
    return publish_front_page(folder, [run], 1)


def test_a_run_has_a_page_of_findings_and_great_expectations_pages(
    gate: Gate, spark: SparkSession, tmp_path: Path
) -> None:
    front = judged_pages(gate, spark, tmp_path)
    assert front == tmp_path / "index.html"
    assert [p.name for p in pages(tmp_path / "runs" / "run-1")] == ["campaigns.html", "customers.html", "index.html"]
    assert "2011-12-09 silver failed 5 3 12 90 2011-12-10 01:01:30 UTC run-1 the gate refused" in Page(front).text
    assert "runs/run-1/index.html" in Page(front).links
    run = Page(tmp_path / "runs" / "run-1" / "index.html")
    assert "failed · 12 rules · critical failed: 5 · warnings: 3" in run.text
    assert "orders ordered_in_future warning warned 1,234 56,789" in run.text
    assert "orders rows_since_beginning_add_up critical failed 3" in run.text
    assert "campaigns end_before_start warning warned 1 1" in run.text
    assert {"campaigns.html", "customers.html"} <= set(run.links)
    theirs = Page(tmp_path / "runs" / "run-1" / "customers.html").text
    assert "values must match this regular expression" in theirs
    assert "1 unexpected values found. 100% of 1 total rows." in theirs or "1 unexpected values found. 50%" in theirs
    why = "What is no address was to become null; one that slips through bounces in every mailing."
    assert f"critical {why}" in theirs


def test_no_value_of_the_data_is_in_any_file(gate: Gate, spark: SparkSession, tmp_path: Path) -> None:
    judged_pages(gate, spark, tmp_path)
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(written) > 8
    for path in written:
        content = path.read_text(encoding="utf-8").lower()
        for value in ("s3cret", "4711", "2011-11-2"):
            assert value not in content, f"{path.name} shows {value}"


def test_no_result_holds_a_value(gate: Gate, spark: SparkSession) -> None:
    frame = table(spark, "silver.customers", "customer_id email", ("s3cret", "s3cret"))
    judged(gate, contract("silver.customers"), SUITES["silver"]["customers"], frame)
    result = gate._validations["silver"]["customers"].result
    assert "s3cret" not in json.dumps(result.to_json_dict())
    assert result.statistics["unsuccessful_expectations"] == 2


def test_pages_are_whole_without_a_network(gate: Gate, spark: SparkSession, tmp_path: Path) -> None:
    judged_pages(gate, spark, tmp_path)
    for path in pages(tmp_path):
        page = Page(path)
        assert not re.search(r"https?:|//[a-z]+\.", path.read_text(encoding="utf-8")), f"{path.name} names a network"
        assert "script" not in page.tags
        for link in page.links:
            if not link.startswith(("#", "data:")):
                assert (path.parent / link).is_file(), f"{path.name} links to {link}, which is not there"
    for sheet in (tmp_path / "assets").glob("*.css"):
        loads = re.findall(r"""(?:url\(|@import)\s*["']?([^"')]+)""", sheet.read_text(encoding="utf-8"))
        assert all(target.startswith("data:") for target in loads), f"{sheet.name} loads from elsewhere"


def test_style_sheets_of_others_come_with_their_licences(gate: Gate, spark: SparkSession, tmp_path: Path) -> None:
    judged_pages(gate, spark, tmp_path)
    sheets = {p.stem for p in (tmp_path / "assets").glob("*.css")} - {"lakehouse"}
    assert sheets == {p.stem for p in (tmp_path / "assets").glob("*.LICENSE")} == {"bootstrap", "bootstrap-dark"}


def test_texts_of_suites_are_shown_as_they_are_written(gate: Gate, spark: SparkSession, tmp_path: Path) -> None:
    suite = SUITES["silver"]["inventory"]
    first = suite.expectations[0].model_copy(update={"notes": "<b>less</b> & more"})
    frame = table(spark, "silver.inventory", "", ())
    judged(gate, contract("silver.inventory"), suite.model_copy(update={"expectations": (first,)}), frame)
    publish(tmp_path, run_of(), [], gate.pages("run-1", "silver"))
    assert "<b>less</b> & more" in Page(tmp_path / "runs" / "run-1" / "inventory.html").text


def test_runs_are_listed_in_the_ledgers_order_with_state_and_counts() -> None:
    runs = [
        run_of("run-3", "gold", "failed", date(2011, 12, 10), rules=2000, critical=1, message="3 <rows> are missing"),
        run_of("run-2", "silver", "published", rules=2, warnings=1),
        ListedRun("run-1", "bronze", DAY, "running", datetime(2011, 12, 10, tzinfo=UTC)),
    ]
    page = front_page(runs, 3, held={"runs/run-2/index.html"})
    assert Page(page).text.endswith(
        "2011-12-10 gold failed 1 0 2,000 90 2011-12-10 01:01:30 UTC run-3 3 <rows> are missing "
        "2011-12-09 silver published 0 1 2 90 2011-12-10 01:01:30 UTC run-2 "
        "2011-12-09 bronze running 0 0 0 run-1"
    )
    assert [link for link in Page(page).links if link.startswith("runs/")] == ["runs/run-2/index.html"] * 2
    # What the box above the list hides.
    assert re.findall(r"<tr class='?(\w+)", page) == ["look", "look", "look", "fine"]


def test_the_front_page_says_as_of_which_day_each_layer_is_published() -> None:
    runs = [
        run_of("run-4", "silver", "failed", date(2011, 12, 11)),
        run_of("run-3", "silver", day=date(2011, 12, 10)),
        run_of("run-2", "silver"),
        run_of("run-1", "bronze", day=date(2011, 12, 11)),
    ]
    text = Page(front_page(runs, 4, ())).text
    assert "bronze published 2011-12-11 2011-12-10 01:01:30 UTC silver published 2011-12-10 2011" in text
    assert "gold published" not in text


def test_the_front_page_links_to_pages_of_the_whole_that_are_there(tmp_path: Path) -> None:
    assert "report/index.html" not in Page(publish_front_page(tmp_path, [run_of()], 1)).links
    write(tmp_path, "report/index.html", "<p>sales</p>")
    assert "report/index.html" in Page(publish_front_page(tmp_path, [run_of()], 1)).links
    both = front_page([run_of()], 1, {"report/index.html", "catalogue/index.html", "runs/run-1/index.html"})
    assert {"report/index.html", "catalogue/index.html", "runs/run-1/index.html"} <= set(Page(both).links)


def test_a_front_page_without_runs_says_so(tmp_path: Path) -> None:
    assert "No run yet." in Page(publish_front_page(tmp_path / "docs", [], 0)).text


def test_older_runs_are_counted() -> None:
    assert "1,204 older runs are in the ledger" in Page(front_page([run_of()], 1205, ())).text


def test_old_pages_are_left_alone(tmp_path: Path) -> None:
    first = publish(tmp_path, run_of("run-1"), [MET, WARNED], {}).stat().st_mtime_ns
    publish(tmp_path, run_of("run-2", "gold", "failed"), [REFUSED], {})
    publish_front_page(tmp_path, [run_of("run-2"), run_of("run-1")], 2)
    assert (tmp_path / "runs" / "run-1" / "index.html").stat().st_mtime_ns == first


def test_a_layers_pages_go_to_its_own_run_once(gate: Gate, spark: SparkSession) -> None:
    frame = table(spark, "silver.customers", "customer_id", ("C1",))
    judged(gate, contract("silver.customers"), SUITES["silver"]["customers"], frame)
    assert [set(gate.pages(f"run-{n}", layer)) for n, layer in enumerate(("gold", "silver", "silver"))] == [
        set(),
        {"customers"},
        set(),
    ]


def test_a_run_published_again_is_replaced(tmp_path: Path) -> None:
    publish(tmp_path, run_of(state="failed"), [REFUSED], {"orders": "<p>old</p>"})
    page = publish(tmp_path, run_of(), [MET], {})
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["run-1"]
    assert [p.name for p in (tmp_path / "runs" / "run-1").iterdir()] == ["index.html"]
    assert "failed ·" not in Page(page).text


def test_what_an_interrupted_run_left_is_not_in_the_way(tmp_path: Path) -> None:
    left = tmp_path / "runs" / ".run-1.draft"
    left.mkdir(parents=True)
    (left / "orders.html").write_text("half")
    publish(tmp_path, run_of(), [MET], {})
    assert [p.name for p in tmp_path.rglob("*.html")] == ["index.html"]


@pytest.mark.parametrize("run_id", ["../run", "", ".run", "a/b", "a b"])
def test_a_runs_id_is_a_plain_name(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(ValueError, match="a run's id"):
        publish(tmp_path, run_of(run_id), [], {})


def test_a_rules_count_is_not_mistaken_for_a_sample(gate: Gate, spark: SparkSession) -> None:
    frame = table(spark, "silver.customers", "customer_id", *[(f"c{n}",) for n in range(250)])
    frame = frame.withColumn("customer_id", F.lower("customer_id"))
    findings = judged(gate, contract("silver.customers"), SUITES["silver"]["customers"], frame)
    assert {f.unexpected for f in findings if f.rule == "customer_id_unclean"} == {250}
