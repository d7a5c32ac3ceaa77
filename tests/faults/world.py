"""A shop whose first day is published and whose second is due: copied for each trial, injected with a fault, and judged.

A trial lies in a bucket behind a proxy with faults. Its second day is run in this process, or in one of its own that can
be killed. What it ends at is held against a second day that was left in peace, by the promises of docs/faults.md.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from deltalake import DeltaTable
from psycopg2.extensions import parse_dsn

from lakehouse import address
from lakehouse.business_date import BusinessDate
from lakehouse.errors import LakehouseError
from lakehouse.records import RUNS_OF
from lakehouse.runs import day as days
from tests.conftest import MinioForTests, copy_database
from tests.e2e.lakehouse import RealPipeline
from tests.e2e.small_shop import EVERY_DAY, SCHEMA, Hashes, SmallShop, day
from tests.faults.lakes import Bucket, Folder
from tests.faults.proxy import FaultProxy, Request

LAKEHOUSE = Path(sys.executable).parent / "lakehouse"
# Names and towns of the shop's customers: wherever it turns up, a personal value has leaked.
CANARY = "Xyzzy"
A_DAY = EVERY_DAY.replace("'Ada'", f"'{CANARY}'").replace("'Ulm'", f"'{CANARY}'")
ENTRIES = "*/_delta_log/*.json"
DATA = "*.parquet"
# Layers that a refused bronze or silver leaves alone.
LAYERS = ("silver", "quarantine", "gold")
# Only the pauses of s3a between its tries are shorter than the project's own; how often it tries is not.
SOON = {f"fs.s3a.retry{kind}.interval": "20ms" for kind in ("", ".throttle")}


class World:
    """The shop after its first day, in files, and what its second day ends at where nothing happens."""

    def __init__(self, source: Any, gold: Any, folder: Path) -> None:
        self.gold_server, self.folder = gold, folder
        self.name = f"world_{uuid.uuid4().hex[:8]}"
        self.lake = folder / "lake"
        shop = _Shop(source.create_database(f"{self.name}_source"), gold.create_database(f"{self.name}_gold"),
                     self.lake, home=folder / "home")  # fmt: skip
        shop.write(shop.source, SCHEMA)
        self.source = shop.source
        shop.write(shop.source, A_DAY.format(n=1, next=2, day=day(1).isoformat()))
        shop.run(1)
        shop.write(shop.source, A_DAY.format(n=2, next=3, day=day(2).isoformat()))
        shop.close()
        self.secrets: set[str] = {parse_dsn(dsn)["password"] for dsn in (shop.source, shop.gold)}
        self._expected: tuple[Hashes, list[tuple[Any, ...]]] | None = None

    def expected(self, minio: MinioForTests) -> tuple[Hashes, list[tuple[Any, ...]]]:
        """Content and sums of a second day that was left in peace."""
        if self._expected is None:
            with self.trial(minio) as trial:
                trial.run(2)
                self._expected = trial.contents(), trial.sums()
        return self._expected

    @contextmanager
    def trial(self, minio: MinioForTests, *, is_versioned: bool = False, **more: Any) -> Iterator[Trial]:
        """A copy of the world in a bucket behind a proxy with faults. `more` is for Trial."""
        with FaultProxy(minio.endpoint) as proxy:
            name = f"{self.name}_{uuid.uuid4().hex[:8]}".replace("_", "-")
            bucket = Bucket(minio, name, self.lake, proxy.endpoint, is_versioned=is_versioned)
            self.secrets.add(minio.secret_key)
            with self._trial(bucket, proxy=proxy, **more) as trial:
                yield trial
                proxy.clear()

    @contextmanager
    def trial_in_files(self, **more: Any) -> Iterator[Trial]:
        """A copy of the world in files."""
        with self._trial(Folder(self.folder / f"lake_{uuid.uuid4().hex[:8]}", self.lake), **more) as trial:
            yield trial

    @contextmanager
    def _trial(self, store: Bucket | Folder, **more: Any) -> Iterator[Trial]:
        name = f"{self.name}_{uuid.uuid4().hex[:8]}"
        gold = copy_database(self.gold_server, name, f"{self.name}_gold")
        trial = Trial(self, gold, store, self.folder / name, **more)
        try:
            yield trial
            trial.keeps_its_secrets()
        finally:
            trial.close()
            trial.kill()


class _Shop(SmallShop):
    """A small shop on databases that are there."""

    def __init__(self, source: str, gold: str, lake: Path | str, **settings: Any) -> None:
        self.source, self.gold = source, gold
        self.lake, self._settings = lake, settings  # type: ignore[assignment]
        self.open()


@dataclass(frozen=True)
class Before:
    """What readers saw before the fault."""

    gold: Hashes
    pointers: list[tuple[Any, ...]]
    log: dict[str, str]


class Trial(_Shop):
    """One copy of the world: databases, bucket, proxy, and the processes that are started on it."""

    def __init__(
        self, world: World, gold: str, store: Bucket | Folder, home: Path, proxy: FaultProxy | None = None,
        through: Callable[[str], str] = str, options: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """`through`: the way of runs to the gold database; who judges goes there directly. `options`: of s3a."""
        home.mkdir(mode=0o700)
        self.world, self.store, self.home = world, store, home
        if proxy is not None:
            self.proxy = proxy
        self.process: subprocess.Popen[bytes] | None = None
        self.seen_by_runs = through(gold)
        super().__init__(world.source, gold, store.root, home=home, **store.settings)
        self._hadoop = self.lakehouse.spark._jsc.hadoopConfiguration()
        ours = {**address.s3a_options(self.lakehouse.settings), **SOON, **(options or {})}
        # The session is that of all tests: what it had is put back when the trial ends.
        self._options_before = {name: self._hadoop.get(name) for name in ours}
        self._set(ours)
        self.before = Before(self.gold_hashes(), self.pointers(), self.log())

    def _set(self, options: Mapping[str, str | None]) -> None:
        for name, value in options.items():
            if value is None:
                self._hadoop.unset(name)
            else:
                self._hadoop.set(name, value)

    def close(self) -> None:
        super().close()
        self._set(self._options_before)

    def open(self) -> None:
        self.pipeline = RealPipeline(self.source, self.seen_by_runs, self.lake, **self._settings)
        self.lakehouse = self.pipeline.lakehouse

    # A day.

    def run_layers(self, *layers: str, n: int = 2) -> None:
        """Single layers of a day, in this process."""
        business_date = BusinessDate(day(n), self.lakehouse.settings.zone)
        for layer in layers:
            days.run(self.lakehouse, layer, business_date)

    def refused(self, n: int = 2, layers: tuple[str, ...] = LAYERS) -> LakehouseError:
        """Runs a day that must fail with an error of ours; nothing that readers see of these layers has moved."""
        with pytest.raises(LakehouseError) as raised:
            self.run(n)
        self.changed_nothing(layers)
        assert self.last_run() == ("failed", raised.value.exit_code, True)
        return raised.value

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """The command line in a process group of its own: `words`, or the second day."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAKEHOUSE_", "AWS_", "PYSPARK_", "SPARK_"))}
        settings = {
            "LAKEHOUSE_SOURCE_DSN": self.source, "LAKEHOUSE_GOLD_DSN": self.seen_by_runs, "LAKEHOUSE_TIMEZONE": "UTC",
            "LAKEHOUSE_LAKE": self.store.root, "LAKEHOUSE_HOME": str(self.home), **self.store.environment,
        }  # fmt: skip
        with (self.home / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                [LAKEHOUSE, *(words or ("run", "day", "--date", day(2).isoformat()))],
                env={**kept, **settings, **environment}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        return self.process

    def kill(self) -> None:
        """Ends the process group at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()

    def said(self) -> str:
        log = self.home / "run.log"
        return log.read_text() if log.exists() else ""

    # What is there.

    def pointers(self) -> list[tuple[Any, ...]]:
        return self.ask("select layer, table_name, version, run_id from ops.published order by 1, 2")

    def last_run(self) -> tuple[Any, ...]:
        """State and code of the newest run, and whether it says something."""
        query = "select state, error_code, length(coalesce(message, '')) > 20 from ops.runs order by seq desc limit 1"
        return self.ask(query)[0]

    def table(self, layer: str, table: str, version: int | None = None) -> DeltaTable:
        """A table of the lake as another reader than Spark sees it."""
        settings = self.lakehouse.settings
        where = address.arrow_path(settings.lake_root, layer, table)
        options = address.storage_options(settings) if settings.lake_root.startswith("s3a:") else None
        return DeltaTable(where, version=version, storage_options=options)

    def contents(self) -> Hashes:
        """Rows of every published table, and a hash of its business columns in any order of rows."""
        found = self.gold_hashes()
        for layer, table, version, _ in self.pointers():
            if layer in RUNS_OF:
                contract = self.lakehouse.contracts["silver" if layer == "silver" else "bronze"][table]
                rows = self.table(layer, table, version).to_pyarrow_table(columns=list(contract.names)).to_pylist()
                texts = sorted(repr(tuple(row[name] for name in contract.names)) for row in rows)
                found[f"{layer}.{table}"] = (
                    len(rows),
                    int(hashlib.sha256("\n".join(texts).encode()).hexdigest()[:15], 16),
                )
        return found

    def changed_nothing(self, layers: tuple[str, ...] = LAYERS) -> None:
        """P3 and P5: what readers see of these layers, and gold, is what they saw."""
        assert self.gold_hashes() == self.before.gold
        assert [p for p in self.pointers() if p[0] in layers] == [p for p in self.before.pointers if p[0] in layers]

    def log(self) -> dict[str, str]:
        """Every entry of every table's log and the hash of its content."""
        return {k: v for k, v in self.store.objects().items() if "/_delta_log/" in k and k.endswith(".json")}

    def ends_well(self, minio: MinioForTests) -> None:
        """The promises P1 to P4, once the day has ended as published."""
        hashes, sums = self.world.expected(minio)
        self.close()
        self.open()
        assert self.contents() == hashes, "P1: another content than that of a day in peace"
        assert self.sums() == sums, "P2: rows that were counted twice or not at all"
        for layer, table, rows_read, gone, held, open_ in self.sums():
            if layer == "silver":
                assert rows_read == gone + held + open_, f"P2: {table} does not add up"
        for layer, table, version, _ in self.pointers():
            if layer in RUNS_OF:
                assert self.table(layer, table).version() == version, "P3: a head that is not published"
        self.log_is_whole()

    def log_is_whole(self) -> None:
        """P4: each table's log is contiguous, and no entry was overwritten."""
        log = self.log()
        assert {k: log.get(k) for k in self.before.log} == self.before.log, "P4: an entry was overwritten"
        tables: dict[str, list[int]] = {}
        for key in log:
            table, _, name = key.partition("/_delta_log/")
            tables.setdefault(table, []).append(int(name.removesuffix(".json")))
        for table, versions in tables.items():
            assert sorted(versions) == list(range(len(versions))), f"P4: the log of {table} has gaps"

    def keeps_its_secrets(self) -> None:
        """P7 for what runs wrote to files: logs, pages, and the ledger. The streams of this process are conftest's."""
        pages = "".join(p.read_text() for p in self.home.rglob("*.html") if p.parent.name != "report")
        ledger = str([self.ask(f"select * from ops.{t}") for t in ("runs", "run_tables", "quality_results", "actions")])
        discreet(self.said() + pages + ledger, self.world.secrets)


def discreet(text: str, secrets: set[str]) -> None:
    """P7: no secret and no personal value."""
    assert CANARY not in text, "P7: a personal value was told"
    assert not [s for s in secrets if s in text or quote(s, safe="") in text], "P7: a secret was told"


def once(do: Callable[[], object]) -> Callable[[Request], None]:
    """For a hook: does it at the first request, and lets those of other threads wait until it is done."""
    turn, done = threading.Lock(), list[bool]()

    def act(_: Request) -> None:
        with turn:
            if not done:
                done.append(True)
                do()

    return act
