"""What became of an order, in sentences: from the source to gold, each with its run and its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from lakehouse.contracts import Contracts
from lakehouse.history.order import LINES, ORDERS, Row, Way, cleaned, dead
from lakehouse.judging.suites import Suites


def sentences(way: Way, rules: Mapping[str, str]) -> list[str]:
    """`rules`: what a reason of quarantine means, by its name."""
    if not any(way.places.values()):
        places = "the source as it is now, bronze" if f"source.{ORDERS}" in way.places else "bronze"
        unread = [_sentence(words) for words in way.unanswered]
        return [*unread, f"No order {way.order_id} is in {places}, silver, quarantine or gold."]
    said = [_source(way), *_bronze(way), *_silver(way, rules), _gold(way)]
    return [sentence for sentence in said if sentence]


def meanings(contracts: Contracts, suites: Suites) -> dict[str, str]:
    """What each reason means for which an order or a line can wait: by its contract, or in the words of its suite."""
    found = {}
    for table in (ORDERS, LINES):
        for column in contracts["silver"][table].columns:
            if column.references and column.references.reason:
                found[column.references.reason] = (
                    f"silver.{column.references.table} has no row that its {column.name} names"
                )
        found |= {e.rule: e.notes.rstrip(".") for e in suites["silver"][table].reasoned}
    return found


def _source(way: Way) -> str:
    if f"source.{ORDERS}" not in way.places:
        return _sentence(way.unanswered[0]) if way.unanswered else ""
    heads, lines = way.places[f"source.{ORDERS}"], way.places[f"source.{LINES}"]
    if not heads:
        return "The source does not have it now."
    head = max(heads, key=lambda row: str(row["updated_at"]))
    return f"The source has it as {head['status']}, changed at {head['updated_at']}, with {_counted(lines, 'line')}."


def _bronze(way: Way) -> list[str]:
    rows, lines = way.places[f"bronze.{ORDERS}"], way.places[f"bronze.{LINES}"]
    if not rows:
        return ["Bronze has no image of it: no run has brought it yet."]
    images, gone = [r for r in rows if not dead(r)], [r for r in rows if dead(r)]
    brought = ", ".join(dict.fromkeys(_day(way, r) for r in images))
    said = [f"Bronze holds {_counted(images, 'image')} of it, brought for {brought}; "
            f"and {_counted([r for r in lines if not dead(r)], 'image')} of its lines."]  # fmt: skip
    if gone:
        said.append(f"Bronze found it gone from the source in the run for {_day(way, gone[-1])}.")
    return said


def _silver(way: Way, rules: Mapping[str, str]) -> list[str]:
    kept, waiting = way.places[f"silver.{ORDERS}"], way.places[f"quarantine.{ORDERS}"]
    lines, lines_waiting = way.places[f"silver.{LINES}"], way.places[f"quarantine.{LINES}"]
    said = []
    for row in kept:
        said.append(f"Silver keeps it as {row['status']} of {row['order_date']}, as the run for {_day(way, row)} left it; "
                    f"and {_counted(lines, 'line')}.")  # fmt: skip
    for row in waiting:
        said.append(f"An image of it has waited in quarantine since {row['_first_seen_at']}: {_reasons(row, rules)}.")
    if not kept and not waiting:
        gone = any(dead(row) for row in way.places[f"bronze.{ORDERS}"])
        said.append(
            "Silver does not have it: "
            + ("it was gone from the source." if gone else "no run of silver has judged it yet.")
        )
    found = Counter(reason for row in lines_waiting for reason in row["_reasons"])
    if found:
        words = "; ".join(f"{n} for {reason}{_meaning(reason, rules)}" for reason, n in found.items())
        said.append(
            f"{_counted(lines_waiting, 'line')} of it {'waits' if len(lines_waiting) == 1 else 'wait'} in quarantine: {words}."
        )
    elsewhere = {cleaned(r["order_item_id"]) for r in way.places[f"bronze.{LINES}"] if not dead(r)}
    elsewhere -= {cleaned(r["order_item_id"]) for r in (*lines, *lines_waiting)}
    if elsewhere and kept:
        said.append(f"{len(elsewhere)} of the lines that bronze has seen are no longer its lines: gone from the source, of "
                    f"another order since, or not judged yet.")  # fmt: skip
    return said


def _gold(way: Way) -> str:
    rows, kept = way.places["gold.fact_customer_orders"], way.places[f"silver.{ORDERS}"]
    if rows:
        row = rows[0]
        if not row["is_sale"]:
            return f"Gold has it as {row['status']}, which is no sale: fact_daily_sales does not count it."
        return (f"Gold counts it as a sale of {row['order_date']}: {row['line_count']} lines, {row['units']} units, net "
                f"{'unknown' if row['net_amount'] is None else row['net_amount']}; published by the run for {_day(way, row)}.")  # fmt: skip
    return (
        "Gold does not have it yet: its last run is older than silver's."
        if kept
        else "Gold does not have it, as silver does not."
    )


def _sentence(words: str) -> str:
    """Words as a sentence; what follows the first letter may be the name of a setting."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _day(way: Way, row: Row) -> str:
    run = way.runs.get(str(row.get("_run_id")))
    return str(run["business_date"]) if run else f"a date that the ledger does not know (run {row.get('_run_id')})"


def _reasons(row: Row, rules: Mapping[str, str]) -> str:
    return "; ".join(f"{reason}{_meaning(reason, rules)}" for reason in row["_reasons"])


def _meaning(reason: str, rules: Mapping[str, str]) -> str:
    return f" ({rules[reason]})" if reason in rules else ""


def _counted(rows: Sequence[Row], noun: str) -> str:
    return f"{len(rows)} {noun}" if len(rows) == 1 else f"{len(rows)} {noun}s"
