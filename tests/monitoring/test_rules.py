"""The rules of alerts, by the tester of the server that evaluates them; and that each has its page and its cases."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.monitoring.collector import OF_A_SCRAPE, OF_MEASURES, questions
from tests.monitoring.victoria import victoria

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parent.parent.parent
RULES = [
    (group["name"], rule)
    for group in yaml.safe_load((ROOT / "conf/monitoring/rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
CASES = ("rules.yml", "rules_of_days.yml")
ALERTS = sorted({rule["alert"] for _, rule in RULES})


@pytest.mark.slow
@pytest.mark.parametrize("file", CASES)
def test_every_case_of_the_rules_holds(file: str) -> None:
    command = [victoria("vmalert-tool"), "unittest", "--files", Path(__file__).with_name(file)]
    tested = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert tested.returncode == 0, tested.stdout
    assert "SUCCESS" in tested.stdout


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    cases: dict[str, set[bool]] = defaultdict(set)
    groups: dict[str, set[str]] = defaultdict(set)
    for file in CASES:
        for test in yaml.safe_load(Path(__file__).with_name(file).read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                cases[case["alertname"]].add(bool(case["exp_alerts"]))
                groups[case["alertname"]].add(case["groupname"])
    assert cases == {name: {True, False} for name in ALERTS}
    assert groups == {rule["alert"]: {group} for group, rule in RULES}


@pytest.mark.parametrize(("group", "rule"), RULES, ids=[f"{r['alert']}-{n}" for n, (_, r) in enumerate(RULES)])
def test_a_rule_says_how_serious_it_is_and_where_its_page_is_and_no_value(group: str, rule: dict[str, Any]) -> None:
    by_labels = rule.get("labels", {}).get("severity") or re.search(r"by \([\w, ]*severity", rule["expr"])
    assert by_labels
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]
    assert anchor == re.sub(r"(?<=.)([A-Z])", r"-\1", rule["alert"]).lower()
    assert "$value" not in str(rule["annotations"])
    assert group in ("lakehouse", "machine")


def test_rules_ask_for_metrics_that_there_are() -> None:
    ours = {q.exposed for q in questions()} | {
        *OF_MEASURES,
        *OF_A_SCRAPE,
        "lakehouse_disk_bytes",
        "lakehouse_disk_free_bytes",
    }
    asked = {name for _, rule in RULES for name in re.findall(r"lakehouse_\w+", rule["expr"])}
    assert asked - ours == set()


def test_the_page_has_every_metric_with_its_words() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = [f"| `{q.exposed}` | {', '.join(f'`{n}`' for n in q.labels) or '–'} | {q.words} |" for q in questions()]
    assert [row for row in rows if row not in page] == []
    assert [name for name in (*OF_MEASURES, *OF_A_SCRAPE) if f"| `{name}` |" not in page] == []
