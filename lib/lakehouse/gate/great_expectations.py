"""The only file that knows Great Expectations: imported late, asked for counts, never for values.

Five of its habits are broken here. It sends usage statistics: off. It compares decimals as doubles: its condition of
`between` on Spark is replaced by an exact one. It fetches values that break a rule even where none is to be shown (a Spark
query a rule): its metrics `unexpected_values` and `unexpected_rows` are replaced by one that fetches nothing. It counts rows
in a query of its own: the caller of a check has counted them already. It logs errors
with what Spark said of the data: its logger is silenced, as are those by which PySpark does the same, and an error becomes
one of ours.
"""

from __future__ import annotations

import html
import logging
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import reduce
from importlib import import_module
from itertools import count
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.contracts import resource_folder
from lakehouse.errors import LakehouseError
from lakehouse.records import Severity
from lakehouse.session import quiet_pyspark

KNOWN_ROWS = "_lakehouse_rows"
# With BASIC come the counts, with BOOLEAN_ONLY they would not.
RESULT_FORMAT = {"result_format": "BASIC", "partial_unexpected_count": 0}


@dataclass(frozen=True)
class NativeRule:
    """An expectation, its name and why it is there."""

    type: str
    kwargs: Mapping[str, Any]
    name: str
    severity: Severity
    why: str

    @property
    def columns(self) -> set[str]:
        """Columns whose values it looks at."""
        return {self.kwargs[k] for k in ("column", "column_A", "column_B") if k in self.kwargs}

    @property
    def configuration(self) -> dict[str, Any]:
        # Pages take texts as they come, so they are escaped here.
        about = {"rule": self.name, "severity": self.severity, "why": html.escape(self.why)}
        meta = {"rule": self.name, "about": about}
        return {"type": self.type, "kwargs": dict(self.kwargs), "severity": self.severity, "meta": meta}


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

    def __init__(self) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        quiet_pyspark()
        self._gx: Any = import_module("great_expectations")
        import_module("great_expectations.expectations")  # registers every expectation
        logging.captureWarnings(False)  # importing it turns this on for the whole process
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL + 1)  # and sets its own level again
        self._compare_exactly()
        self._fetch_no_values()
        self._count_no_rows_again()
        self._context = self._gx.get_context(mode="ephemeral")
        self._context.variables.progress_bars = {"globally": False}
        self._lock = threading.Lock()
        self._numbers = count(1)

    def validate(
        self, name: str, frame: DataFrame, rows: int, rules: Sequence[NativeRule], parameters: Mapping[str, int | date]
    ) -> Validation:
        """Runs the rules as one suite on a frame of so many rows. Raises LakehouseError for a rule that could not be computed."""
        # A data source of its own: its engine then holds this frame only, and lets go of it at the end.
        source = f"{name}-{next(self._numbers)}"
        setattr(frame, KNOWN_ROWS, rows)
        with self._lock:
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
            said = "; ".join(f"{r.expectation_config.meta['rule']}{_error_class(r)}" for r in failed[:10])
            raise LakehouseError(
                f"{name}: {len(failed)} rules could not be computed: {said}. Compare expectations/{name.replace('.', '/')}.json "
                "with the table's contract; the rows themselves were not judged"
            )
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
    def _compare_exactly() -> None:
        provider: Any = import_module("great_expectations.expectations.metrics.map_metric_provider")
        engine: Any = import_module("great_expectations.execution_engine").SparkDFExecutionEngine

        def between(
            cls: type,
            column: Column,
            min_value: Any = None,
            max_value: Any = None,
            strict_min: bool | None = None,
            strict_max: bool | None = None,
            **_: object,
        ) -> Column:
            low, high = _exact(min_value), _exact(max_value)
            conditions = []
            if low is not None:
                conditions.append(column > low if strict_min else column >= low)
            if high is not None:
                conditions.append(column < high if strict_max else column <= high)
            return reduce(lambda a, b: a & b, conditions)

        # Defining the class registers it.
        type(
            "ExactBetween",
            (provider.ColumnMapMetricProvider,),
            {
                "condition_metric_name": "column_values.between",
                "condition_value_keys": ("min_value", "max_value", "strict_min", "strict_max"),
                "_spark": provider.column_condition_partial(engine=engine)(between),
            },
        )

    @staticmethod
    def _count_no_rows_again() -> None:
        provider: Any = import_module("great_expectations.expectations.metrics.table_metric_provider")
        value: Any = import_module("great_expectations.expectations.metrics.metric_provider").metric_value
        engine: Any = import_module("great_expectations.execution_engine").SparkDFExecutionEngine

        def known(cls: type, execution_engine: Any, metric_domain_kwargs: dict[str, Any], **_: object) -> int:
            frame = execution_engine.get_domain_records(metric_domain_kwargs)
            return int(getattr(frame, KNOWN_ROWS))

        # Defining the class registers it; without dependencies the metric is no query.
        of_class = {"metric_name": "table.row_count", "_spark": value(engine=engine)(known)}
        of_class["_get_evaluation_dependencies"] = classmethod(lambda *_, **__: {})
        type("KnownRowCount", (provider.TableMetricProvider,), of_class)

    @staticmethod
    def _fetch_no_values() -> None:
        registry: Any = import_module("great_expectations.expectations.registry")
        engine: Any = import_module("great_expectations.execution_engine").SparkDFExecutionEngine
        value: Any = import_module("great_expectations.core.metric_function_types").MetricFunctionTypes.VALUE

        def nothing(**_: object) -> list[object]:
            return []

        spark = engine.__name__
        for name, metric in list(registry._registered_metrics.items()):
            if name.endswith((".unexpected_values", ".unexpected_rows")) and spark in metric["providers"]:
                registry.register_metric(
                    metric_name=name,
                    metric_domain_keys=metric["metric_domain_keys"],
                    metric_value_keys=metric["metric_value_keys"],
                    execution_engine=engine,
                    metric_class=metric["providers"][spark][0],
                    metric_provider=nothing,
                    metric_fn_type=value,
                )


def _exact(bound: Any) -> Column | None:
    """Great Expectations makes each number a double; its shortest decimal form is what the suite says."""
    if isinstance(bound, float):
        bound = int(bound) if bound.is_integer() else Decimal(repr(bound))
    return None if bound is None else F.lit(bound)


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


def _error_class(result: Any) -> str:
    """Spark's name of the error, as (DIVIDE_BY_ZERO): its message may carry values."""
    found = re.search(r"\[([A-Z][A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]", str(result.exception_info))
    return f" ({found[1]})" if found else ""
