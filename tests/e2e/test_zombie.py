"""A driver that sleeps while another takes over publishes nothing, whatever it does when it wakes.

Silver of the second day is stopped when order_items has data files and no log entry for them yet, which is the moment at
which nothing in Delta tells what will come; then its lock goes, and another run publishes. On files and on MinIO. Gold is
stopped while it stages, and wakes when the run after it has verified its own staging and is about to publish.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from minio import Minio

from lakehouse import address
from lakehouse.business_date import BusinessDate
from lakehouse.errors import BusyError, LakehouseError, StoreError
from lakehouse.runs import day as days
from tests.conftest import copy_database
from tests.e2e.lakehouse import RealPipeline

pytestmark = pytest.mark.e2e
LAKEHOUSE = Path(sys.executable).parent / "lakehouse"
SCHEMA = (Path(__file__).parent.parent.parent / "samples" / "schema.sql").read_text()
DAY_1, DAY_2, DAY_3 = (date(2020, 1, n) for n in (1, 2, 3))
LINES = 40
PARENTS = """
insert into customers (customer_id, created_at, updated_at) values ('c', '2020-01-01', '2020-01-01');
insert into products (product_id, product_name, price, cost, is_active, created_at, updated_at)
    values ('p', 'Tea', 4, 1, true, '2020-01-01', '2020-01-01');
"""
SOLD = """
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at)
    select 'o{day}-' || n, 'c', 'completed', t, t, t from generate_series(1, {lines}) n, (select timestamptz '{day}') d (t);
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)
    select 'i{day}-' || n, 'o{day}-' || n, 'p', 1, 4, 1, t, t
    from generate_series(1, {lines}) n, (select timestamptz '{day}') d (t);
"""


class Files:
    """A lake of files: a copy of the world's."""

    def __init__(self, folder: Path, lake: Path) -> None:
        self.folder, self.root, self.settings, self.environment = folder, folder.as_uri(), {}, dict[str, str]()
        shutil.copytree(lake, folder)

    def names(self) -> set[str]:
        """Every file of silver's order_items."""
        found = (self.folder / "silver" / "order_items").rglob("*")
        return {str(p.relative_to(self.folder)) for p in found}


class Bucket:
    """A lake in a bucket of MinIO: the same copy, uploaded."""

    def __init__(self, minio: Any, lake: Path) -> None:
        self.bucket = f"zombie-{uuid.uuid4().hex}"
        minio.make_bucket(self.bucket)
        self.client = Minio(f"127.0.0.1:{minio.port}", minio.access_key, minio.secret_key, secure=False)
        self.root = f"s3a://{self.bucket}/shop"
        keys = {"access_key": minio.access_key, "secret_key": minio.secret_key}
        self.settings = {"endpoint": minio.endpoint, **keys}
        self.environment = {"AWS_ENDPOINT_URL": minio.endpoint, "AWS_ACCESS_KEY_ID": minio.access_key,
                            "AWS_SECRET_ACCESS_KEY": minio.secret_key}  # fmt: skip
        for layer in ("bronze", "silver", "quarantine"):
            for file in (lake / layer).rglob("*"):
                if file.is_file() and not file.name.endswith(".crc"):
                    self.client.fput_object(self.bucket, f"shop/{file.relative_to(lake)}", str(file))

    def names(self) -> set[str]:
        """Every object of silver's order_items."""
        listed = self.client.list_objects(self.bucket, prefix="shop/silver/order_items/", recursive=True)
        return {o.object_name for o in listed}


class World:
    """A shop whose first day is published, and whose second is in bronze."""

    def __init__(self, postgres: Any, folder: Path) -> None:
        self.postgres, self.folder, self.lake = postgres, folder, folder / "lake"
        self.source, self.gold = postgres.create_database("zombie_source"), postgres.create_database("zombie_gold")
        with closing(psycopg2.connect(self.source)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("set timezone = 'UTC'")
            cursor.execute(SCHEMA + PARENTS)
            for day in (DAY_1, DAY_2, DAY_3):
                cursor.execute(SOLD.format(day=day, lines=LINES))
        pipeline = RealPipeline(self.source, self.gold, self.lake, home=folder / "home")
        pipeline.run_day(DAY_1)
        run(pipeline, "bronze", DAY_2)
        close(pipeline)

    def trial(self, minio: Any | None) -> Trial:
        name = f"zombie_{uuid.uuid4().hex[:12]}"
        gold = copy_database(self.postgres.server, name, "zombie_gold")
        store = Bucket(minio, self.lake) if minio else Files(self.folder / name, self.lake)
        return Trial(self.source, gold, store, self.folder / f"{name}_home")


class Trial:
    """A copy of the world, a driver of its own process at work on it, and the lakehouse of this process beside it."""

    def __init__(self, source: str, gold: str, store: Files | Bucket, home: Path) -> None:
        self.source, self.gold, self.store, self.home = source, gold, store, home
        self.before = store.names()
        self.home.mkdir(mode=0o700)
        self.process: subprocess.Popen[bytes] | None = None

    def stopped(self, layer: str) -> bool:
        """Starts a layer of the second day and stops it at its moment; False where it was too quick for us."""
        has_begun, is_over = MOMENTS[layer]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_", "PYSPARK_", "SPARK_"))}
        environment = {
            **kept, **self.store.environment, "LAKEHOUSE_SOURCE_DSN": self.source, "LAKEHOUSE_GOLD_DSN": self.gold,
            "LAKEHOUSE_TIMEZONE": "UTC", "LAKEHOUSE_LAKE": self.store.root, "LAKEHOUSE_HOME": str(self.home),
        }  # fmt: skip
        with (self.home / "run.log").open("wb") as log:
            self.process = subprocess.Popen(
                [LAKEHOUSE, "run", layer, "--date", DAY_2.isoformat()],
                env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while self.process.poll() is None:
            if has_begun(self):
                os.killpg(self.process.pid, signal.SIGSTOP)
                return not is_over(self)
            time.sleep(0.002)
        raise AssertionError(f"{layer} ended by itself with {self.process.returncode}:\n{self.said()}")

    def goes_on(self) -> int:
        """Lets the driver go on to its end; returns its exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGCONT)
        return self.process.wait(timeout=300)

    def said(self) -> str:
        return (self.home / "run.log").read_text()[-3000:]

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def lakehouse(self) -> RealPipeline:
        return RealPipeline(self.source, self.gold, self.store.root, home=self.home, **self.store.settings)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.gold)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def end_lock(self) -> None:
        """What the runbook's own query does, and a restart, an idle limit, a firewall."""
        ended = self.ask(
            "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = "
            "(select oid from pg_database where datname = current_database())"
        )
        assert ended == [(True,)]

    def pointers(self) -> list[tuple[Any, ...]]:
        return self.ask("select layer, table_name, version, run_id from ops.published order by 1, 2")

    def states(self, layer: str = "silver") -> list[tuple[Any, ...]]:
        return self.ask(f"select state, error_code from ops.runs where layer = '{layer}' order by seq")

    def new(self) -> set[str]:
        return self.store.names() - self.before

    def staged(self) -> list[tuple[Any, ...]]:
        return self.ask("select tablename from pg_tables where schemaname = 'gold_staging' order by 1")

    def sales(self) -> list[tuple[Any, ...]]:
        return self.ask("select sales_date::text, units_sold, net_sales::int from gold.fact_daily_sales order by 1")


def _is_data(name: str) -> bool:
    return name.endswith(".parquet") and "_delta_log" not in name


def _is_entry(name: str) -> bool:
    return "_delta_log" in name and name.endswith(".json")


# When a driver is stopped, and how we know that we came too late.
MOMENTS: dict[str, tuple[Callable[[Trial], bool], Callable[[Trial], bool]]] = {
    "silver": (lambda t: any(map(_is_data, t.new())), lambda t: any(map(_is_entry, t.new()))),
    "gold": (lambda t: bool(t.staged()), lambda t: t.states("gold")[-1] != ("running", None)),
}


def run(pipeline: RealPipeline, layer: str, day: date) -> str:
    house = pipeline.lakehouse
    for name, value in address.s3a_options(house.settings).items():
        house.spark._jsc.hadoopConfiguration().set(name, value)
    house.spark.conf.set("spark.sql.session.timeZone", "UTC")
    return days.run(house, layer, BusinessDate(day, house.settings.zone))[-1].state


def close(pipeline: RealPipeline) -> None:
    pipeline.lakehouse.gold_database.close()
    pipeline.lakehouse.source.database.close()


@pytest.fixture(scope="module")
def world(postgres: Any, spark: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(postgres, tmp_path_factory.mktemp("zombie"))


@contextmanager
def asleep(world: World, minio: Any | None, limits: str = "", layer: str = "silver") -> Iterator[Trial]:
    """A driver that is stopped at the moment; one that was too quick for us is tried again. `limits`: of its database."""
    for _ in range(5):
        made = world.trial(minio)
        if limits:
            made.ask(f"alter database {psycopg2.extensions.parse_dsn(made.gold)['dbname']} set {limits}")
        try:
            if layer == "gold":
                pipeline = made.lakehouse()
                run(pipeline, "silver", DAY_2)
                close(pipeline)
            if made.stopped(layer):
                yield made
                return
        finally:
            made.end()
    pytest.fail(f"no driver of {layer} could be stopped at its moment")


@pytest.fixture(params=["files", pytest.param("bucket", marks=pytest.mark.slow)])
def trial(request: pytest.FixtureRequest, world: World) -> Iterator[Trial]:
    minio = request.getfixturevalue("minio") if request.param == "bucket" else None
    with asleep(world, minio) as made:
        yield made


def right_at_the_end(trial: Trial, pipeline: RealPipeline) -> None:
    """The third day: what the sleeper left in the lake is gone, and nothing is doubled anywhere."""
    assert run(pipeline, "day", DAY_3) == "published"
    ledger, lake = pipeline.lakehouse.ledger, pipeline.lakehouse.lake
    pointer = ledger.published("silver")["order_items"]
    assert lake.head("silver", "order_items") == pointer.version
    assert len(list(pipeline.silver("order_items"))) == 3 * LINES
    assert trial.sales() == [(day.isoformat(), LINES, 4 * LINES) for day in (DAY_1, DAY_2, DAY_3)]


@pytest.mark.fault("F9")
def test_a_driver_that_slept_through_its_lock_publishes_nothing_and_its_orphan_is_gone_at_the_next_run(
    trial: Trial,
) -> None:
    pipeline = trial.lakehouse()
    try:
        trial.end_lock()
        assert run(pipeline, "silver", DAY_2) == "published"
        assert run(pipeline, "gold", DAY_2) == "published"
        pointers, sales = trial.pointers(), trial.sales()

        assert trial.goes_on() == 11, trial.said()

        assert "lost its lock" in trial.said()
        assert (trial.pointers(), trial.sales()) == (pointers, sales)
        assert sales == [(day.isoformat(), LINES, 4 * LINES) for day in (DAY_1, DAY_2)]
        assert trial.states()[1:] == [("abandoned", None), ("published", None)]
        published = pipeline.lakehouse.ledger.published("silver")["order_items"].version
        head = pipeline.lakehouse.lake.head("silver", "order_items")
        assert head is not None
        assert head > published, "the sleeper's append came in on top of what is published"
        assert len(list(pipeline.silver("order_items"))) == 2 * LINES
        right_at_the_end(trial, pipeline)
    finally:
        close(pipeline)


@pytest.mark.slow
@pytest.mark.fault("F9")
def test_a_gold_that_wakes_while_the_run_after_it_publishes_brings_nothing_of_its_older_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asleep(world, None, layer="gold") as trial:
        pipeline, codes = trial.lakehouse(), list[int]()
        gold = pipeline.lakehouse.gold
        publish = gold.publish

        def after_the_sleeper(*arguments: Any) -> Any:
            codes.append(trial.goes_on())
            return publish(*arguments)

        monkeypatch.setattr(gold, "publish", after_the_sleeper)
        try:
            trial.end_lock()
            assert [run(pipeline, layer, DAY_3) for layer in ("bronze", "silver", "gold")] == ["published"] * 3
            assert codes == [11], trial.said()
            assert "lost its lock" in trial.said()
            assert trial.states("gold")[1:] == [("abandoned", None), ("published", None)]
            assert trial.sales() == [(day.isoformat(), LINES, 4 * LINES) for day in (DAY_1, DAY_2, DAY_3)]
            assert trial.staged() == []
        finally:
            close(pipeline)


@pytest.mark.slow
def test_an_idle_limit_of_the_role_takes_no_lock_away_from_a_driver_that_sleeps(world: World) -> None:
    with asleep(world, None, "idle_session_timeout = '500ms'") as trial:
        pipeline = trial.lakehouse()
        try:
            time.sleep(2)
            with pytest.raises(BusyError):
                run(pipeline, "silver", DAY_2)
            assert trial.goes_on() == 0, trial.said()
            assert run(pipeline, "gold", DAY_2) == "published"
            right_at_the_end(trial, pipeline)
        finally:
            close(pipeline)


@pytest.mark.slow
@pytest.mark.fault("F9", "F17")
def test_of_two_living_drivers_only_the_one_with_the_lock_publishes(trial: Trial) -> None:
    """The lock went without a word: both write at once, and the first is not even asleep."""
    pipeline = trial.lakehouse()
    came: list[str | LakehouseError] = []

    def second() -> None:
        try:
            came.append(run(pipeline, "silver", DAY_2))
        except LakehouseError as e:
            came.append(e)

    try:
        _ = pipeline.lakehouse.lake
        trial.end_lock()
        other = threading.Thread(target=second)
        other.start()
        while trial.states()[-1] != ("running", None) or len(trial.states()) < 3:
            time.sleep(0.01)
        assert trial.goes_on() == 11, trial.said()
        other.join(300)
        # What the first still wrote may have come between: the second then publishes nothing either, and says why.
        assert came == ["published"] or isinstance(came[0], StoreError), came
        assert trial.states()[1] == ("abandoned", None)
        assert run(pipeline, "silver", DAY_2) in ("published", "covered")
        assert len(list(pipeline.silver("order_items"))) == 2 * LINES
        assert run(pipeline, "gold", DAY_2) == "published"
        right_at_the_end(trial, pipeline)
    finally:
        close(pipeline)
