"""Data Docs: every run listed, every page whole without a network, and not one value of the data in any of them."""

from __future__ import annotations

import json
import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.quality.docs import LISTED, Run, publish
from lakehouse.quality.findings import Finding
from lakehouse.quality.gate import Gate
from lakehouse.quality.suites import load_suites
from tests.tables import CONTRACTS, contract, table

pytestmark = pytest.mark.unit

SUITES = load_suites(CONTRACTS)
DAY = date(2011, 12, 9)
MET = Finding("silver", "orders", "rows_of_run_add_up", "critical", True, 0, 7)
WARNED = Finding("silver", "orders", "ordered_in_future", "warning", False, 1234, 56789)
REFUSED = Finding("silver", "orders", "rows_since_beginning_add_up", "critical", False, 3, None)


class Page(HTMLParser):
    """What a browser would load or follow, and what a person would read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

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


def judged_pages(gate: Gate, spark: SparkSession, run_id: str = "run-1") -> Path:
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
    gate.add(gate.check(contract("silver.customers"), SUITES["silver"]["customers"], customers, customers.count(), {}))
    gate.add(gate.check(contract("silver.campaigns"), SUITES["silver"]["campaigns"], campaigns, campaigns.count(), {}))
    gate.add([WARNED, REFUSED])
    return gate.publish_docs(run_id, "silver", DAY, "failed")


def test_a_run_has_a_page_of_findings_and_great_expectations_pages(
    gate: Gate, spark: SparkSession, tmp_path: Path
) -> None:
    front = judged_pages(gate, spark)
    assert front == tmp_path / "index.html"
    assert [p.name for p in pages(tmp_path / "runs" / "run-1")] == ["campaigns.html", "customers.html", "index.html"]
    assert "2011-12-09 silver failed 12 5 3" in Page(front).text
    run = Page(tmp_path / "runs" / "run-1" / "index.html")
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
    judged_pages(gate, spark)
    written = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(written) > 8
    for path in written:
        content = path.read_text(encoding="utf-8").lower()
        for value in ("s3cret", "4711", "2011-11-2"):
            assert value not in content, f"{path.name} shows {value}"


def test_no_result_holds_a_value(gate: Gate, spark: SparkSession) -> None:
    frame = table(spark, "silver.customers", "customer_id email", ("s3cret", "s3cret"))
    gate.check(contract("silver.customers"), SUITES["silver"]["customers"], frame, frame.count(), {})
    result = gate._validations["silver"]["customers"].result
    assert "s3cret" not in json.dumps(result.to_json_dict())
    assert result.statistics["unsuccessful_expectations"] == 2


def test_pages_are_whole_without_a_network(gate: Gate, spark: SparkSession, tmp_path: Path) -> None:
    judged_pages(gate, spark)
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
    judged_pages(gate, spark)
    sheets = {p.stem for p in (tmp_path / "assets").glob("*.css")} - {"lakehouse"}
    assert sheets == {p.stem for p in (tmp_path / "assets").glob("*.LICENSE")} == {"bootstrap", "bootstrap-dark"}


def test_texts_of_suites_are_shown_as_they_are_written(gate: Gate, spark: SparkSession, tmp_path: Path) -> None:
    suite = SUITES["silver"]["inventory"]
    first = suite.expectations[0].model_copy(update={"notes": "<b>less</b> & more"})
    frame = table(spark, "silver.inventory", "", ())
    gate.check(
        contract("silver.inventory"), suite.model_copy(update={"expectations": (first,)}), frame, frame.count(), {}
    )
    gate.publish_docs("run-1", "silver", DAY, "published")
    assert "<b>less</b> & more" in Page(tmp_path / "runs" / "run-1" / "inventory.html").text


def test_runs_are_listed_newest_first_with_verdict_and_counts(tmp_path: Path) -> None:
    publish(tmp_path, Run("run-1", "silver", DAY, "published"), [MET, WARNED], {})
    first = (tmp_path / "runs" / "run-1" / "index.html").stat().st_mtime_ns
    front = publish(tmp_path, Run("run-2", "gold", date(2011, 12, 10), "failed"), [REFUSED], {})
    text = Page(front).text
    assert text.index("2011-12-10 gold failed 1 1 0") < text.index("2011-12-09 silver published 2 0 1")
    assert (tmp_path / "runs" / "run-1" / "index.html").stat().st_mtime_ns == first, "old pages are left alone"


def test_a_layers_findings_go_to_its_own_run_once(gate: Gate, tmp_path: Path) -> None:
    gate.add([MET, Finding("gold", "dim_products", "rows_lost", "critical", True, None, 7)])
    gate.publish_docs("run-1", "silver", DAY, "published")
    gate.publish_docs("run-2", "gold", DAY, "published")
    front = gate.publish_docs("run-3", "silver", DAY, "published")
    text = Page(front).text
    assert "silver published 1 0 0" in text
    assert "gold published 1 0 0" in text
    assert "silver published 0 0 0" in text


def test_a_run_published_again_is_replaced(tmp_path: Path) -> None:
    publish(tmp_path, Run("run-1", "silver", DAY, "failed"), [REFUSED], {"orders": "<p>old</p>"})
    front = publish(tmp_path, Run("run-1", "silver", DAY, "published"), [MET], {})
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["run-1"]
    assert sorted(p.name for p in (tmp_path / "runs" / "run-1").iterdir()) == ["index.html", "run.json"]
    assert "silver failed" not in Page(front).text


def test_what_an_interrupted_run_left_is_neither_listed_nor_in_the_way(tmp_path: Path) -> None:
    left = tmp_path / "runs" / ".run-1.draft"
    left.mkdir(parents=True)
    (left / "orders.html").write_text("half")
    publish(tmp_path, Run("run-2", "silver", DAY, "published"), [MET], {})
    front = publish(tmp_path, Run("run-1", "silver", DAY, "published"), [MET], {})
    assert Page(front).text.count("silver published") == 2
    assert not (tmp_path / "runs" / "run-1" / "orders.html").exists()


def test_the_front_page_does_not_grow_without_end(tmp_path: Path) -> None:
    for n in range(LISTED + 2):
        run = tmp_path / "runs" / f"old-{n:04}"
        run.mkdir(parents=True)
        facts = {"layer": "silver", "business_date": "2010-01-01", "verdict": "published", "at": f"2010-{n:04}"}
        (run / "run.json").write_text(
            json.dumps({"run_id": run.name, "rules": 1, "critical": 0, "warnings": 0, **facts})
        )
    page = Page(publish(tmp_path, Run("run-1", "silver", DAY, "published"), [MET], {}))
    assert page.tags.count("tr") == LISTED + 1
    assert "3 older runs are in the folder runs" in page.text
    assert page.text.index("run-1") < page.text.index("old-0366")


@pytest.mark.parametrize("run_id", ["../run", "", ".run", "a/b", "a b"])
def test_a_runs_id_is_a_plain_name(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(ValueError, match="a run's id"):
        publish(tmp_path, Run(run_id, "silver", DAY, "published"), [], {})


def test_a_rules_count_is_not_mistaken_for_a_sample(gate: Gate, spark: SparkSession) -> None:
    frame = table(spark, "silver.customers", "customer_id", *[(f"c{n}",) for n in range(250)])
    frame = frame.withColumn("customer_id", F.lower("customer_id"))
    findings = gate.check(contract("silver.customers"), SUITES["silver"]["customers"], frame, frame.count(), {})
    assert {f.unexpected for f in findings if f.rule == "customer_id_unclean"} == {250}
