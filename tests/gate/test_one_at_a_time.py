"""Great Expectations promises nothing to threads: it is used by one at a time, and its first use is no race."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from pyspark.sql import SparkSession

from lakehouse.gate.late import Late
from lakehouse.gate.rules import ROWS, NativeRule, broken, nulls_of

pytestmark = pytest.mark.unit
RULE = NativeRule("expect_column_values_to_not_be_null", {"column": "id"}, "id_null", "critical", "A key has a value.")
COUNTS = {ROWS: 3, broken(RULE): 0, nulls_of("id"): 0}
# As in a run: imported in the background while the session is made, then used for the first time by several threads.
FIRST_USE = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from lakehouse.gate.rules import NativeRule, ROWS, broken, nulls_of
from lakehouse.gate.late import Late
from lakehouse.session import spark_session
from lakehouse.settings import Settings
late = Late()
late.start()
spark, at_once = spark_session(Settings()), Barrier(6)
rule = NativeRule("expect_column_values_to_not_be_null", {"column": "id"}, "id_null", "critical", "A key has a value.")
def check(number):
    at_once.wait()
    frame = spark.range(number + 1)
    counts = {ROWS: number + 1, broken(rule): 0, nulls_of("id"): 0}
    return late.get().validate(f"bronze.table_{number}", frame, [rule], {}, counts).counted[0].rows
with ThreadPoolExecutor(6) as threads:
    print(sorted(threads.map(check, range(6))))
"""


class Room:
    """Which threads are inside at once, and how many there were at most."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.most, self._lock = 0, threading.Lock()

    @contextmanager
    def entered(self) -> Iterator[None]:
        with self._lock:
            self.inside.append(threading.get_ident())
            self.most = max(self.most, len(set(self.inside)))
        try:
            time.sleep(0.02)
            yield
        finally:
            with self._lock:
                self.inside.remove(threading.get_ident())


def test_one_thread_at_a_time_is_in_the_library(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    late, room = Late(), Room()
    library = late.get()
    from great_expectations import ExpectationSuite
    from great_expectations.datasource.fluent.interfaces import Batch

    for owner, name in ((Batch, "validate"), (ExpectationSuite, "__init__")):
        inner = getattr(owner, name)

        def watched(*args: object, _inner: object = inner, **kwargs: object) -> object:
            with room.entered():
                return _inner(*args, **kwargs)  # type: ignore[operator]

        monkeypatch.setattr(owner, name, watched)
    frame = spark.range(3)
    with ThreadPoolExecutor(4) as threads:
        found = list(
            threads.map(
                lambda n: library.validate(f"bronze.t{n}", frame, [RULE], {}, COUNTS).counted[0].success, range(4)
            )
        )
    assert found == [True] * 4
    assert room.most == 1


def test_the_first_use_in_a_process_by_six_threads_at_once_is_right() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_USE], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[1, 2, 3, 4, 5, 6]"), done.stderr


def test_the_class_of_new_loggers_stays_pythons_own() -> None:
    code = (
        "import logging, threading; from lakehouse.session import quiet_pyspark\n"
        "threads = [threading.Thread(target=quiet_pyspark) for _ in range(50)]\n"
        "quiet_pyspark()\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(logging.getLoggerClass().__name__, type(logging.getLogger('SQLQueryContextLogger')).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["Logger", "PySparkLogger"]
    assert logging.getLoggerClass() is logging.Logger
