"""The report: every figure is gold's, it loads nothing, names nobody, and says so where sums differ or nothing is there."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from lakehouse.contracts import load_contracts
from lakehouse.report import facts
from lakehouse.report.changes import told_by
from lakehouse.settings import Settings
from lakehouse.wiring import Lakehouse
from tests.report.conftest import Shop

pytestmark = pytest.mark.integration
VOID = {"meta", "link", "input", "br", "img", "hr"}


class Page(HTMLParser):
    """What a page loads, links to and says; every element is closed by its own end, and every id is there once."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.charts = 0
        self.feed(html)
        self.close()
        assert self.open == [], "an element is left open"
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "srcset", "data", "action", "xlink:href", "poster"):
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name == "aria-labelledby":
                self.labels += (value or "").split()
        self.charts += tag == "svg"
        if tag == "table":
            self._rows: list[list[str]] = []
            self._caption = ""
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"{tag} ends where another element is open"
        self.open.pop()
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" in self.open or "script" in self.open:
            return
        self.words += data.split()
        if "caption" in self.open:
            self._caption += data
        elif self.open and ("td" in self.open or ("th" in self.open)):
            self._rows[-1][-1] += data

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def row(self, table: str, name: str) -> list[str]:
        """The cells of the row of that name, without it."""
        return next(r[1:] for r in self.tables[table] if r[0] == name)


def test_the_figures_are_those_of_gold(first_report: str) -> None:
    page = Page(first_report)
    assert page.row("Net sales by day", "2026-03-10") == ["2", "2", "28.25", "0.00", "27.75", "not known"]
    assert page.row("Net sales by day", "2026-03-08") == ["0", "0", "0.00", "0.00", "0.00", "0.00"]
    assert page.row("Net sales by week, from Monday", "2026-03-09") == [
        "3",
        "7",
        "78.25",
        "10.00",
        "67.75",
        "not known",
    ]
    assert page.row("Net sales by month", "2026-02") == ["1", "10", "100.00", "0.00", "100.00", "40.00"]
    assert page.row("Amounts returned, in per cent of gross sales, by month", "2026-03") == ["1", "10.00", "12.8 %"]
    categories = "Net sales of the year by category"
    assert page.row(categories, "Kitchen") == ["140.00", "0.00", "–", "6.7 %", "55.00"]
    assert page.row(categories, "all") == ["167.75", "0.00", "–", "5.6 %", "not known"]
    assert page.row("Net sales of the year by brand", "(none)")[0] == "27.75"
    assert "3 customers, of whom 2 have ordered and 1 more than once (50.0 % of those who ordered)" in page.text
    assert "Customers brought 160.50 so far, guests 7.25" in page.text
    months = "Net sales by month: first orders, later orders, guests"
    assert page.row(months, "2026-03") == ["1", "1", "1", "20.50", "40.00", "7.25", "0.00"]
    cohorts = page.tables["Customers who bought again, by the month of their first order"]
    assert cohorts[1:] == [["2026-02", "0", "1", "100.0 %", "100.00"], ["2026-02", "1", "1", "100.0 %", "40.00"],
                           ["2026-03", "0", "1", "100.0 %", "20.50"]]  # fmt: skip
    campaign = ["tv", "2026-02-01", "2026-03-31", "70.00", "1", "1", "100.00", "1.4"]
    assert page.row("Net sales of campaigns, and their budgets as a line", "Spring") == campaign
    assert page.row("Products by warehouse, by the state of their stock", "low") == ["1", "18.00"]
    assert page.row("To order again", "Mug") == ["W1", "3", "5", "6", "15.0"]
    assert len(page.tables["To order again"]) == 2, "of two products one is above its point"


def test_three_tables_have_the_same_net_sales(first_report: str) -> None:
    page = Page(first_report)
    assert "The three tables agree to the last digit." in page.text
    sums = page.tables["Net sales since the beginning, by three tables"]
    assert {row[1] for row in sums[1:]} == {"167.7500"}
    assert "Net sales since the beginning 167.75" in page.text


def test_sums_that_differ_are_said(shop: Shop) -> None:
    shop.ask("update gold.dim_customers set lifetime_net_sales = 140.0001 where customer_id = 'C1'")
    page = Page(shop.report())
    assert "The three tables do not agree." in page.text
    assert page.row("Net sales since the beginning, by three tables", "gold.dim_customers") == ["167.7501"]


def test_an_amount_that_does_not_fit_is_left_out_of_no_sum(shop: Shop) -> None:
    shop.ask("update gold.fact_daily_sales set net_sales = null where product_id = 'P2'")
    page = Page(shop.report())
    assert "so a sum is not known and the tables cannot be compared" in page.text
    assert page.row("Net sales by month", "2026-03")[4] == "not known"
    assert page.row("Net sales by month", "2026-02")[4] == "100.00"


def test_the_page_is_whole_in_itself_and_small(first_report: str) -> None:
    html = first_report
    page = Page(html)
    inner = [link for link in page.loads if link.startswith("#")]
    assert set(page.loads) - set(inner) == {"data:,"}
    assert {link[1:] for link in inner} <= set(page.ids)
    assert set(page.labels) <= set(page.ids)
    assert not re.search(r"url\(|@import|<script(?! type=\"application/json\")|\bon\w+=", html)
    charts = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert page.charts == len(charts) == 10
    assert max(len(chart.encode()) for chart in charts) < 60_000
    assert len(html.encode()) < 400_000


def test_nobody_is_named_and_names_are_only_text(first_report: str) -> None:
    html = first_report
    for secret in ("Secretname", "secret.example", "C1", "C2", "O1", "O3", "Paris"):
        assert not re.search(rf"\b{re.escape(secret)}\b", html), secret
    assert "<script>x" not in html
    assert "Food &amp; Drink" in html


def test_a_name_may_be_long_and_of_any_letters(shop: Shop) -> None:
    shop.ask("update gold.dim_products set category = repeat('W', 5000) where product_id = 'P1'",
             "update gold.dim_products set category = E'\\u202eevil\\n\"quoted\" \\\\ ''x' where product_id = 'P2'")  # fmt: skip
    html = shop.report()
    names = [row[0] for row in Page(html).tables["Net sales of the year by category"][1:]]
    assert names == ["W" * 59 + "…", ' evil "quoted" \\ \'x', "all"]
    assert "\u202e" not in html
    assert len(html.encode()) < 400_000


def test_a_gold_without_a_ledger_and_one_without_a_day_say_so(empty: Shop) -> None:
    shop = empty
    assert "Gold has nothing published yet" in Page(shop.report()).text
    shop.prepare()
    assert "Gold has nothing published yet" in Page(shop.report()).text
    shop.publish("gold-1", "2026-03-10")
    page = Page(shop.report())
    assert "Net sales of 2026-03-10 0.00" in page.text
    assert "No campaign yet." in page.text
    assert "The three tables agree to the last digit." in page.text


def test_cohorts_of_an_earlier_gold_are_not_shown(shop: Shop) -> None:
    shop.ask("update ops.settings set value = 'another' where name = 'marts_run'")
    page = Page(shop.report())
    assert "marts.customer_cohorts is not up to date with gold" in page.text
    assert "Customers who bought again, by the month of their first order" not in page.tables


LATE = """
update gold.fact_daily_sales set net_sales = 39, _run_id = '{run}' where sales_date = '2026-03-09';
delete from gold.fact_daily_sales where sales_date = '2026-02-10';
insert into gold.fact_daily_sales (sales_date, product_id, order_count, customer_count, units_sold, units_returned, gross_sales,
    returns_amount, discount_amount, net_sales, cost_of_goods, gross_profit, _published_at, _run_id) values
  ('2026-03-08', 'P1', 1, 1, 1, 0, 5, 0, 0, 5, 3, 2, now(), '{run}'),
  ('2026-03-11', 'P1', 1, 1, 1, 0, 8, 0, 0, 8, 3, 5, now(), '{run}')
"""


def test_what_changed_of_earlier_days_is_told(shop: Shop, first_report: str) -> None:
    assert "There is no report before this one to compare with." in Page(first_report).text
    assert "No run of the last 7 days has changed sales of a day" in Page(first_report).text
    shop.publish("gold-2", "2026-03-11", LATE.format(run="gold-2"))
    page = Page(shop.report(first_report))
    assert page.tables["Days that the report of 2026-03-10 told of otherwise"][1:] == [
        ["2026-03-09", "40.00", "39.00", "-1.00"],
        ["2026-03-08", "0.00", "5.00", "5.00"],
        ["2026-02-10", "100.00", "0.00", "-100.00"],
    ]
    runs = page.tables["Runs of the last 7 days that changed sales of days published before"]
    assert runs[1:] == [["2026-03-11", "2", "2", "2026-03-08", "2026-03-09", "gold-2"]], "not the day that it brought"


def test_days_that_were_restated_are_told_with_what_came_or_left(shop: Shop) -> None:
    values = "('gold-2', '2026-03-{day}', 0, 1, 0, {sold}, {returned}, {net})"
    days = (
        (9, "5, 4", "1, 1", "40, 32"), (8, "2, 5", "0, 1", "10, 15.5"), (7, "3, 3", "2, 0", "9, null"), (6, "1, 1", "0, 0", "5, 4")
    )  # fmt: skip
    rows = ", ".join(values.format(day=f"{d:02}", sold=s, returned=r, net=n) for d, s, r, n in days)
    shop.publish("gold-2", "2026-03-11", f"insert into ops.restatements values {rows}")
    assert Page(shop.report()).tables["Days restated by runs of the last 7 days, and why"][1:] == [
        ["2026-03-09", "2026-03-11", "40.00", "32.00", "-8.00", "1 fewer sold"],
        ["2026-03-08", "2026-03-11", "10.00", "15.50", "5.50", "3 more sold, 1 more returned"],
        ["2026-03-07", "2026-03-11", "9.00", "not known", "not known", "2 fewer returned"],
        ["2026-03-06", "2026-03-11", "5.00", "4.00", "-1.00", "the same units: amounts, or which products"],
    ]


def test_a_report_that_is_made_again_says_the_same(shop: Shop, first_report: str) -> None:
    shop.publish("gold-2", "2026-03-11", LATE.format(run="gold-2"))
    second = shop.report(first_report)
    assert shop.report(second) == second
    assert "There is no report before this one" in Page(shop.report()).text


def test_a_report_of_unchanged_days_says_so_and_a_rebuild_restates_nothing(shop: Shop, first_report: str) -> None:
    shop.publish("gold-2", "2026-03-11", "update gold.fact_daily_sales set _run_id = 'gold-2'", rebuilds=True)
    page = Page(shop.report(first_report))
    assert "No day up to 2026-03-10 has other net sales than in the report before." in page.text
    assert "No run of the last 7 days has changed sales of a day" in page.text


@pytest.mark.parametrize("before", ["", "<html></html>", '<script type="application/json" id="told">{"net": 3}</script>',
                                    '<script type="application/json" id="told">not JSON</script>'])  # fmt: skip
def test_a_page_that_is_no_report_tells_nothing(before: str) -> None:
    assert told_by(before, "gold-1") is None


def test_no_column_that_is_personal_is_read() -> None:
    sql = inspect.getsource(facts)
    personal = {c.name for contract in load_contracts()["gold"].values() for c in contract.columns if c.classification}
    assert personal == {"full_name", "email"}
    assert not [name for name in personal if re.search(rf"\b{name}\b", sql)]


def test_a_publish_makes_the_report_where_it_is_asked_for() -> None:
    assert set(Lakehouse(Settings(report="on")).pages_of_the_whole) == {"report/index.html", "catalogue/index.html"}
    assert Lakehouse(Settings()).pages_of_the_whole == {}


def test_figures_are_of_one_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = facts._rows
    hits: list[int] = []

    def rows(cursor: Any, sql: str, **parameters: object) -> list[dict[str, Any]]:
        found = asked(cursor, sql, **parameters)
        if sql is facts.TOTALS:
            hits.append(1)
            shop.ask("update gold.fact_daily_sales set net_sales = net_sales + 1")
        return found

    monkeypatch.setattr(facts, "_rows", rows)
    page = Page(shop.report())
    assert hits
    assert "The three tables agree to the last digit." in page.text
    assert "Net sales since the beginning 167.75" in page.text
