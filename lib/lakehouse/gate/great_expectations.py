"""The only file that knows Great Expectations: imported late, asked for counts, never for values.

Four of its habits are broken here. It sends usage statistics: off. It counts in queries of its own, and compares decimals as
doubles: its metrics are answered with what the caller has counted already (measures.py). It fetches values that break a rule
even where none is to be shown: its metrics `unexpected_values` and `unexpected_rows` are answered with nothing. It logs
errors with what Spark said of the data: its logger is silenced, as are those by which PySpark does the same, and an error
becomes one of ours.
"""

from __future__ import annotations

import html
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from itertools import count
from typing import Any, ClassVar

from pyspark.sql import DataFrame

from lakehouse.contracts import resource_folder
from lakehouse.errors import LakehouseError
from lakehouse.gate.rules import ROWS, NativeRule, broken, nulls_of
from lakehouse.records import Severity
from lakehouse.session import quiet_pyspark

PAIR = "column_pair_values.a_greater_than_b"
# The metric by which each kind of rule counts the rows that break it.
METRICS = {
    "expect_column_values_to_not_be_null": "column_values.nonnull",
    "expect_column_values_to_be_between": "column_values.between",
    "expect_column_values_to_be_in_set": "column_values.in_set",
    "expect_column_values_to_not_be_in_set": "column_values.not_in_set",
    "expect_column_values_to_match_regex": "column_values.match_regex",
    "expect_column_values_to_not_match_regex": "column_values.not_match_regex",
    "expect_column_pair_values_a_to_be_greater_than_b": PAIR,
}
BOUNDS = ("min_value", "max_value", "strict_min", "strict_max", "value_set", "regex", "or_equal")
# With BASIC come the counts, with BOOLEAN_ONLY they would not.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}


@dataclass(frozen=True)
class Counted:
    """The outcome of one rule."""

    rule: str
    severity: Severity
    success: bool
    unexpected: int | None
    rows: int | None


@dataclass(frozen=True)
class Validation:
    """The outcome of a suite: what was counted, and Great Expectations' own result for its page."""

    counted: tuple[Counted, ...]
    result: Any


class GreatExpectations:
    """The library, imported: takes seconds, once a process. One thread at a time is in it: it promises nothing to more.

    Its registries, its context and the project it keeps in module globals are filled at first use and bear no second
    thread. Checks wait for one another, which costs little: what they wait for is Spark, and Spark uses every core for one.
    """

    # The library's registries are the process's, so what answers for them is too.
    _lock = threading.Lock()
    _answers: ClassVar[Mapping[Question, int]] = {}

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        quiet_pyspark()
        self._gx: Any = import_module("great_expectations")
        import_module("great_expectations.expectations")  # registers every expectation
        logging.captureWarnings(False)  # importing it turns this on for the whole process
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)  # and sets its own level again
        self._answer_with_counts()
        self._context = self._gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = {"globally": False}
        self._numbers = count(1)

    def validate(
        self,
        name: str,
        frame: DataFrame,
        rules: Sequence[NativeRule],
        parameters: Mapping[str, int | date],
        counts: Mapping[str, int],
    ) -> Validation:
        """Runs the rules as one suite on a frame of which everything was counted; of the frame it sees the columns.

        `counts`: as measures.aggregates names them. Raises LakehouseError for a rule that could not be judged.
        """
        # A data source of its own: its engine then holds this frame only, and lets go of it at the end.
        source = f"{name}-{next(self._numbers)}"
        with self._lock:
            GreatExpectations._answers = _answers(rules, parameters, counts)
            asset = self._context.data_sources.add_spark(source, persist=False).add_dataframe_asset("frame")
            try:
                suite = self._gx.ExpectationSuite(name=name, expectations=[rule.configuration for rule in rules])
                batches = asset.add_batch_definition_whole_dataframe("whole")
                result = batches.get_batch(batch_parameters={"dataframe": frame}).validate(
                    suite, result_format=RESULT_FORMAT, expectation_parameters=dict(parameters)
                )
            finally:
                self._context.data_sources.delete(source)
        if failed := [r for r in result.results if _raised(r)]:
            words = "; ".join(r.expectation_config.meta["rule"] for r in failed[:10])
            raise LakehouseError(f"{name}: {len(failed)} rules could not be judged: {words}. Compare "
                                 f"expectations/{name.replace('.', '/')}.json with the table's contract")  # fmt: skip
        return Validation(tuple(_counted(r) for r in result.results), result)

    def pages(self, run_id: str, validations: Mapping[str, Validation]) -> dict[str, str]:
        """Great Expectations' own page of each validation as HTML, without anything from a network."""
        with self._lock:
            return self._pages(run_id, validations)

    def _pages(self, run_id: str, validations: Mapping[str, Validation]) -> dict[str, str]:
        identifier: Any = import_module("great_expectations.core.run_identifier").RunIdentifier
        renderer: Any = import_module("great_expectations.render.renderer.page_renderer").ValidationResultsPageRenderer(
            run_info_at_end=True
        )
        view = self._view()
        pages = {}
        for table, validation in validations.items():
            result = validation.result
            result.meta = {
                "great_expectations_version": self._gx.__version__,
                "run_id": identifier(run_name=run_id),
                "batch_kwargs": {"data_asset_name": result.suite_name},
            }
            document = renderer.render(result)
            _explain(document, result)
            page = view.render(document, run_id=html.escape(run_id))
            # The suite has no page of its own: its file is in the repository.
            pages[table] = re.sub(r'<a href="(?:\.\./)+expectations/[^"]*"[^>]*>([^<]*)</a>', r"\1", page)
        return pages

    @staticmethod
    def _view() -> Any:
        """Their page view, with our templates before theirs."""
        jinja: Any = import_module("jinja2")
        ours = resource_folder("pages") / "assets" / "pages"
        view: Any = import_module("great_expectations.render.view").DefaultJinjaPageView()
        templates = {t.name: t.read_text(encoding="utf-8") for t in ours.iterdir()}
        view.env.loader = jinja.ChoiceLoader([jinja.DictLoader(templates), view.env.loader])
        return view

    @staticmethod
    def _answer_with_counts() -> None:
        """Puts our answers in the place of the metrics that would ask Spark: they depend on nothing and are no query."""
        registry: Any = import_module("great_expectations.expectations.registry")
        engine: Any = import_module("great_expectations.execution_engine").SparkDFExecutionEngine
        value: Any = import_module("great_expectations.core.metric_function_types").MetricFunctionTypes.VALUE
        provider: Any = import_module("great_expectations.expectations.metrics.metric_provider").MetricProvider
        alone = type("Alone", (provider,), {"_get_evaluation_dependencies": classmethod(lambda *_, **__: {})})

        def known(metric: str) -> Callable[..., object]:
            def answer(*, metric_domain_kwargs: Any, metric_value_kwargs: Any = None, **_: object) -> int:
                return GreatExpectations._answers[_question(metric, metric_domain_kwargs, metric_value_kwargs or {})]

            return answer

        def nothing(**_: object) -> list[object]:
            return []

        answers: dict[str, Callable[..., object]] = {"table.row_count": known("table.row_count")}
        for metric in METRICS.values():
            answers[f"{metric}.unexpected_count"] = known(metric)
            answers |= dict.fromkeys((f"{metric}.unexpected_values", f"{metric}.unexpected_rows"), nothing)
        answers[f"{PAIR}.filtered_row_count"] = known(f"{PAIR}.filtered_row_count")
        for name, answer in answers.items():
            keys = registry._registered_metrics[name]
            registry.register_metric(
                metric_name=name,
                metric_domain_keys=keys["metric_domain_keys"],
                metric_value_keys=keys["metric_value_keys"],
                execution_engine=engine,
                metric_class=alone,
                metric_provider=answer,
                metric_fn_type=value,
            )


Question = tuple[str, tuple[str, ...], str]


def _question(metric: str, domain: Mapping[str, Any], values: Mapping[str, Any]) -> Question:
    """A metric of columns and bounds, as it is asked for; a bound that is not there may be null, false or left out."""
    columns = tuple(sorted(domain[k] for k in ("column", "column_A", "column_B") if domain.get(k)))
    bounds = {k: v for k, v in values.items() if k in BOUNDS and v is not None and v is not False}
    # Great Expectations makes a double of each number.
    bounds = {k: float(v) if isinstance(v, int) else v for k, v in bounds.items()}
    return metric, columns, json.dumps(bounds, sort_keys=True, default=str)


def _answers(
    rules: Iterable[NativeRule], parameters: Mapping[str, int | date], counts: Mapping[str, int]
) -> dict[Question, int]:
    """Every answer that a suite of these rules can ask for."""
    rows = counts[ROWS]
    found = {_question("table.row_count", {}, {}): rows}
    for rule in rules:
        if metric := METRICS.get(rule.type):
            nulls = counts[nulls_of(*sorted(rule.columns))]
            found[_question(metric, rule.kwargs, rule.bound(parameters))] = counts[broken(rule)]
            if metric == PAIR:
                found[_question(f"{PAIR}.filtered_row_count", rule.kwargs, rule.bound(parameters))] = rows - nulls
            else:
                found[_question("column_values.nonnull", rule.kwargs, {})] = nulls
    return found


def _counted(result: Any) -> Counted:
    said, config = result.result, result.expectation_config
    rows = said.get("element_count")
    if rows is None and isinstance(said.get("observed_value"), int):
        rows = said["observed_value"]
    unexpected = said.get("unexpected_count")
    if "column_set" in config.kwargs:
        unexpected = len(set(config.kwargs["column_set"]) - set(said["observed_value"]))
    elif rows == 0 and unexpected is None and "element_count" in said:
        unexpected = 0
    return Counted(config.meta["rule"], config.severity.value, bool(result.success), unexpected, rows)


def _explain(document: Any, result: Any) -> None:
    """Adds the name, severity and reason of each rule to the page's tables, which are of one column's rules each."""
    by_column: dict[str, list[list[str]]] = {}
    for r in result.results:
        column = r.expectation_config.kwargs.get("column", "Table-Level Expectations")
        by_column.setdefault(column, []).append(list(r.expectation_config.meta["about"].values()))
    for section in document.sections:
        if section.section_name in by_column:
            table = section.content_blocks[-1]
            table.header_row = [*table.header_row, "Rule", "Severity", "Why"]
            table.table = [[*row, *a] for row, a in zip(table.table, by_column[section.section_name], strict=True)]


def _raised(result: Any) -> bool:
    info = result.exception_info or {}
    return bool(info.get("raised_exception")) or any(
        isinstance(i, dict) and i.get("raised_exception") for i in info.values()
    )
