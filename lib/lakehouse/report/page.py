"""The page: sections of a picture, what it says, and its figures as a table. Valid HTML that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from html import escape

from lakehouse.records import Row
from lakehouse.report import charts, words
from lakehouse.report.changes import Told, restated, to_tell
from lakehouse.report.facts import LOOK_BACK, MOST_NAMES, Facts
from lakehouse.report.html import Cell, as_table, document, figure

EMPTY = "<p>Gold has nothing published yet: this page is filled after the first day that is.</p>"
PARTS = {"net_new": "first orders", "net_repeat": "later orders", "net_guest": "guests"}
STATUSES = ("out_of_stock", "low", "healthy", "overstock", "unknown")


def page_of(facts: Facts, told: Told | None) -> str:
    """The report as HTML; `told`: what the one before said."""
    if facts.as_of is None:
        return document("Sales report", "<h1>Sales report</h1>" + EMPTY)
    sections = {
        "sales": ("Sales", _sales(facts)),
        "returns": ("Returns", _returns(facts)),
        "products": ("Categories and brands", _products(facts)),
        "customers": ("Customers", _customers(facts)),
        "cohorts": ("Cohorts", _cohorts(facts)),
        "campaigns": ("Campaigns", _campaigns(facts)),
        "stock": ("Stock to reorder", _stock(facts)),
        "restated": ("What changed of earlier days", _restated(facts, told)),
        "sums": ("Do the sums agree?", _sums(facts)),
    }
    links = "".join(f'<li><a href="#{ident}">{title}</a></li>' for ident, (title, _) in sections.items())
    body = "".join(
        f'<section id="{ident}"><h2>{title}</h2>\n{text}</section>\n' for ident, (title, text) in sections.items()
    )
    about = (
        f"<p>Gold as published for {facts.as_of} at {words.moment(facts.published_at)}. Amounts are in the shop's "
        "currency, net of discounts and returns where they are called net. Sums only: no customer is named.</p>"
    )
    top = f'<h1>Sales report, {facts.as_of}</h1>{about}<nav aria-label="Sections"><ul>{links}</ul></nav>'
    return document(f"Sales report, {facts.as_of}", top + _cards(facts) + body + to_tell(facts, told))


def _cards(facts: Facts) -> str:
    today, totals, month = facts.days[-1], facts.totals, facts.months[-1]
    cards = {
        f"Net sales of {facts.as_of}": words.money(today["net"]),
        f"Net sales of {words.month(month['starts'])} so far": words.money(month["net"]),
        "Net sales since the beginning": words.money(totals["net"]),
        "Returned, of gross sales": words.share(totals["returned"], totals["gross"]),
    }
    return '<div class="cards">' + "".join(f"<div>{t}<strong>{v}</strong></div>" for t, v in cards.items()) + "</div>\n"


def _sales(facts: Facts) -> str:
    columns: dict[str, Cell] = {
        "#Orders": lambda r: words.count(r["orders"]),
        "#Units": lambda r: words.count(r["units"]),
        "#Gross": lambda r: words.money(r["gross"]),
        "#Returned": lambda r: words.money(r["returned"]),
        "#Net": lambda r: words.money(r["net"]),
        "#Profit": lambda r: words.money(r["profit"]),
    }
    periods = (
        ("day", "Net sales by day", facts.days, lambda r: words.day(r["starts"])),
        ("week", "Net sales by week, from Monday", facts.weeks, lambda r: words.day(r["starts"])),
        ("month", "Net sales by month", facts.months, lambda r: words.month(r["starts"])),
    )
    return "".join(
        figure(f"sales-{unit}", title, _span(rows, label), charts.over_time(rows),
                as_table(title, {unit.capitalize(): label, **columns}, reversed(rows)))
        for unit, title, rows, label in periods
    ) + "<p>Orders are those neither pending nor cancelled. The last week and month end with the date of this page.</p>"  # fmt: skip


def _span(rows: Sequence[Row], label: Cell) -> str:
    known = [r for r in rows if r["net"] is not None]
    if not known:
        return "No amount is known."
    best = max(known, key=lambda r: r["net"])
    return f"{label(rows[0])} to {label(rows[-1])}; most in {label(best)} with {words.money(best['net'])}."


def _returns(facts: Facts) -> str:
    rates = [{**r, "rate": None if r["returned"] is None or not r["gross"] else r["returned"] / r["gross"]}
             for r in facts.months]  # fmt: skip
    title = "Amounts returned, in per cent of gross sales, by month"
    table = as_table(title, {
        "Month": lambda r: words.month(r["starts"]),
        "#Units returned": lambda r: words.count(r["units_returned"]),
        "#Returned": lambda r: words.money(r["returned"]),
        "#Of gross": lambda r: words.share(r["returned"], r["gross"]),
    }, reversed(rates))  # fmt: skip
    totals = facts.totals
    said = (f"Since the beginning {words.money(totals['returned'])} of {words.money(totals['gross'])} came back, "
            f"{words.share(totals['returned'], totals['gross'])}.")  # fmt: skip
    return figure("returns-rate", title, said, charts.over_time(rates, "rate", format_="~%"), table)


def _products(facts: Facts) -> str:
    return (
        "<p>The year to the date of this page, beside the year before.</p>"
        + _names("categories", "Net sales of the year by category", "Category", facts.categories)
        + _names("brands", "Net sales of the year by brand", "Brand", facts.brands)
    )


def _names(ident: str, title: str, what: str, rows: Sequence[Row]) -> str:
    shown, rest = [*rows[:MOST_NAMES]], rows[MOST_NAMES:]
    sums = [_summed(f"{len(rest):,} others", rest)] if rest else []
    table = as_table(title, {
        what: lambda r: words.name(r["name"]),
        "#Net": lambda r: words.money(r["net"]),
        "#Year before": lambda r: words.money(r["before"]),
        "#Change": lambda r: words.change(r["net"], r["before"]),
        "#Returned": lambda r: words.share(r["returned"], r["gross"]),
        "#Profit": lambda r: words.money(r["profit"]),
    }, [*shown, *sums, _summed("all", rows)])  # fmt: skip
    bars = [(words.shortened(r["name"]), r["net"]) for r in shown]
    said = f"First of {len(rows):,}: {words.shortened(rows[0]['name'])}." if rows else "No sale in the year."
    return figure(ident, title, said, charts.by_name(bars), table)


def _summed(name: str, rows: Sequence[Row]) -> Row:
    return {"name": name, **{c: _sum([r[c] for r in rows]) for c in ("net", "before", "gross", "returned", "profit")}}


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _customers(facts: Facts) -> str:
    c = facts.customers
    said = (
        f"<p>{words.count(c['registered'])} customers, of whom {words.count(c['buyers'])} have ordered and "
        f"{words.count(c['repeats'])} more than once ({words.share(c['repeats'], c['buyers'])} of those who ordered). "
        f"Customers brought {words.money(c['net_known'])} so far, guests {words.money(c['net_guests'])}.</p>"
    )
    title = "Net sales by month: first orders, later orders, guests"
    table = as_table(title, {
        "Month": lambda r: words.month(r["starts"]),
        "#New customers": lambda r: words.count(r["new"]),
        "#Later orders": lambda r: words.count(r["repeat"]),
        "#Guests' orders": lambda r: words.count(r["guest"]),
        "#Net, first": lambda r: words.money(r["net_new"]),
        "#Net, later": lambda r: words.money(r["net_repeat"]),
        "#Net, guests": lambda r: words.money(r["net_guest"]),
        "#Net, returns only": lambda r: words.money(r["net_other"]),
    }, reversed(facts.new_and_repeat))  # fmt: skip
    newest = facts.new_and_repeat[-1] if facts.new_and_repeat else None
    note = (
        f"{words.count(newest['new'])} new customers in {words.month(newest['starts'])}." if newest else "No order yet."
    )
    return said + figure("new-and-repeat", title, note, charts.stacked(facts.new_and_repeat, PARTS), table)


def _cohorts(facts: Facts) -> str:
    if facts.cohorts is None:
        return "<p>The view <code>marts.customer_cohorts</code> is not up to date with gold: it is told of again after the next publish.</p>"
    sizes = {r["cohort_month"]: r["customers"] for r in facts.cohorts if r["months_since"] == 0}
    cells = [r for r in facts.cohorts if sizes.get(r["cohort_month"])]
    heat = [
        (words.month(r["cohort_month"]), r["months_since"], r["customers"] / sizes[r["cohort_month"]]) for r in cells
    ]
    title = "Customers who bought again, by the month of their first order"
    table = as_table(title, {
        "First order": lambda r: words.month(r["cohort_month"]),
        "#Months since": lambda r: words.count(r["months_since"]),
        "#Customers": lambda r: words.count(r["customers"]),
        "#Of the cohort": lambda r: words.share(r["customers"], sizes[r["cohort_month"]]),
        "#Net": lambda r: words.money(r["net_sales"]),
    }, cells)  # fmt: skip
    return figure("cohort-heat", title, "The fuller the square, the more of the cohort.", charts.heat(heat), table)


def _campaigns(facts: Facts) -> str:
    title = "Net sales of campaigns, and their budgets as a line"
    bars = [(words.shortened(c["name"]), c["net"]) for c in facts.campaigns]
    table = as_table(title, {
        "Campaign": lambda c: words.name(c["name"]),
        "Channel": lambda c: words.name(c["channel"]),
        "From": lambda c: words.day(c["start_date"]),
        "To": lambda c: words.day(c["end_date"]),
        "#Budget": lambda c: words.money(c["budget"]),
        "#Orders": lambda c: words.count(c["orders"]),
        "#New customers": lambda c: words.count(c["new_customers"]),
        "#Net": lambda c: words.money(c["net"]),
        "#Net by budget": lambda c: words.decimal(c["return_on_spend"]),
    }, facts.campaigns)  # fmt: skip
    said = f"The {len(bars):,} that brought most." if bars else "No campaign yet."
    return figure("campaign-sales", title, said, charts.by_name(bars, [c["budget"] for c in facts.campaigns]), table)


def _stock(facts: Facts) -> str:
    by_status = {s["status"]: s for s in facts.stock}
    ordered = [by_status[s] for s in STATUSES if s in by_status]
    title = "Products by warehouse, by the state of their stock"
    bars = [(s["status"].replace("_", " "), s["places"]) for s in ordered]
    states = as_table(title, {
        "State": lambda s: escape(s["status"].replace("_", " ")),
        "#Products by warehouse": lambda s: words.count(s["places"]),
        "#Value": lambda s: words.money(s["value"]),
    }, ordered)  # fmt: skip
    due = facts.to_reorder[0]["all"] if facts.to_reorder else 0
    said = f"{due:,} are at or below the point at which to order again."
    shown = f", the {len(facts.to_reorder):,} that last shortest" if due > len(facts.to_reorder) else ""
    table = as_table(f"To order again{shown}", {
        "Product": lambda r: words.name(r["name"]),
        "Warehouse": lambda r: words.name(r["warehouse"]),
        "#Available": lambda r: words.count(r["available"]),
        "#Order at": lambda r: words.count(r["reorder_point"]),
        "#Sold in 30 days": lambda r: words.count(r["units_sold_30d"]),
        "#Days of supply": lambda r: words.decimal(r["days_of_supply"]),
    }, facts.to_reorder)  # fmt: skip
    return figure("stock-state", title, said, charts.by_name(bars), states) + (table if due else "")


def _restated(facts: Facts, told: Told | None) -> str:
    return _since_the_last(facts, told) + _by_day(facts) + _by_run(facts)


def _since_the_last(facts: Facts, told: Told | None) -> str:
    if told is None:
        return "<p>There is no report before this one to compare with.</p>"
    if not (days := restated(facts, told)):
        return f"<p>No day up to {told.as_of} has other net sales than in the report before.</p>"
    title = f"Days that the report of {told.as_of} told of otherwise"
    return as_table(title, {
        "Day": lambda r: words.day(r["day"]),
        "#Net then": lambda r: words.money(r["before"]),
        "#Net now": lambda r: words.money(r["now"]),
        "#Difference": lambda r: words.money(None if None in r.values() else r["now"] - r["before"]),
    }, [vars(r) for r in days])  # fmt: skip


def _by_day(facts: Facts) -> str:
    if not facts.restated:
        return ""
    days, shown = facts.restated[0]["all"], len(facts.restated)
    title = f"Days restated by runs of the last {LOOK_BACK.days} days, and why" + (
        f": the {shown:,} newest of {days:,}" if days > shown else ""
    )
    return as_table(title, {
        "Day": lambda r: words.day(r["sales_date"]),
        "By the run of": lambda r: words.day(r["business_date"]),
        "#Net before": lambda r: words.money(r["before"]),
        "#Net then": lambda r: words.money(r["now"]),
        "#Difference": lambda r: words.money(None if None in (r["now"], r["before"]) else r["now"] - r["before"]),
        "Why": lambda r: words.restated(r["sold"], r["returned"]),
    }, facts.restated)  # fmt: skip


def _by_run(facts: Facts) -> str:
    days = LOOK_BACK.days
    if not facts.changed:
        return f"<p>No run of the last {days} days has changed sales of a day that had been published before.</p>"
    title = f"Runs of the last {days} days that changed sales of days published before"
    return as_table(title, {
        "Business date": lambda r: words.day(r["business_date"]),
        "#Days changed": lambda r: words.count(r["days"]),
        "#Rows": lambda r: words.count(r["rows"]),
        "From": lambda r: words.day(r["first"]),
        "To": lambda r: words.day(r["last"]),
        "Run": lambda r: words.name(r["run_id"]),
    }, facts.changed) + (
        "<p>A row counts for the run that changed it last. Rows that left, and what a rebuild wrote, are not in it.</p>"
    )  # fmt: skip


def _sums(facts: Facts) -> str:
    verdict = {
        True: '<p class="good">The three tables agree to the last digit.</p>',
        False: '<p class="bad">The three tables do not agree. Do not use this page before that is explained.</p>',
        None: '<p class="bad">An amount did not fit its column, so a sum is not known and the tables cannot be compared.</p>',
    }[facts.agrees]
    title = "Net sales since the beginning, by three tables"
    return verdict + as_table(title, {
        "Table": lambda r: f"<code>gold.{r['table']}</code>",
        "#Net sales": lambda r: words.UNKNOWN if r["sum"] is None else f"{r['sum']:,.4f}",
    }, [{"table": t, "sum": s} for t, s in facts.roll_ups.items()])  # fmt: skip
