"""The real broker, Connect with Debezium, and the stream, each a process that may be killed; and the shop they follow."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from deltalake import DeltaTable

from lakehouse.contracts import load_contracts
from tests.conftest import ROOT, free_port
from tools.live.programs import Place, Shop

CONTRACTS = load_contracts()["bronze"]


class Trio:
    """One live layer below a folder."""

    def __init__(self, folder: Path, dsn: str, gold: str) -> None:
        self.folder, self.dsn = folder, dsn
        self.place = Place(folder / "live", free_port(), free_port(), free_port())
        self.home = folder / "home"
        self.environment = {
            **{n: os.environ[n] for n in ("PATH", "HOME", "LANG", "JAVA_HOME") if n in os.environ},
            "PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}",
            "LAKEHOUSE_HOME": str(self.home),
            "LAKEHOUSE_SOURCE_DSN": dsn,
            "LAKEHOUSE_GOLD_DSN": gold,
            "LAKEHOUSE_LIVE_KAFKA": f"127.0.0.1:{self.place.broker}",
            "LAKEHOUSE_LIVE_CONNECT": f"http://127.0.0.1:{self.place.connect}",
            "LAKEHOUSE_LIVE_TRIGGER": "PT5S",
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        program = [str(Path(sys.executable).with_name("lakehouse")), *words]
        return subprocess.run(program, env=self.environment, capture_output=True, text=True, check=False)

    def prepare(self) -> None:
        """The source made ready by its owner, and what the programs read."""
        secret = self.folder / "password"
        done = self.command("live", "setup", "--password-file", str(secret))
        assert done.returncode == 0, done.stderr
        parts = psycopg2.extensions.parse_dsn(self.dsn)
        shop = Shop(parts["host"], int(parts["port"]), parts["dbname"], "lakehouse_live", self.folder, "password")
        self.place.write(shop)

    def start(self, name: str) -> None:
        command = {
            "kafka": self.place.kafka,
            "connect": self.place.connect_worker,
            "live": lambda: [str(Path(sys.executable).with_name("lakehouse")), "live", "run"],
        }[name]()
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """As kill -9 of the program and all that it started."""
        os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running[name].wait()

    def close(self) -> None:
        for process in self.running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.place.broker)) == 0

    def follows(self) -> bool:
        try:
            address = f"http://127.0.0.1:{self.place.connect}/connectors/lakehouse/status"
            with urllib.request.urlopen(address) as said:
                return [t["state"] for t in json.load(said)["tasks"]] == ["RUNNING"]
        except OSError:
            return False

    def refuses(self, method: str, path: str) -> bool:
        """Whether Connect takes no such request, no matter who sends it."""
        body = json.dumps({"connector.class": "PostgresConnector", "database.hostname": "127.0.0.1"}).encode()
        address = f"http://127.0.0.1:{self.place.connect}/{path}"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request):  # noqa: S310
                return False
        except urllib.error.HTTPError as e:
            return e.code == 405

    def wait(self, until: Callable[[], bool], what: str, seconds: float = 180) -> float:
        began = time.monotonic()
        while not until():
            for name, process in self.running.items():
                assert process.poll() is None, f"{name}: {(self.folder / f'{name}.log').read_text()[-1500:]}"
            assert time.monotonic() - began < seconds, f"{what} not within {seconds} s"
            time.sleep(0.5)
        return time.monotonic() - began

    def path(self, table: str) -> Path:
        return self.home / "lake" / "live" / table

    def live_rows(self, table: str) -> set[tuple[Any, ...]]:
        if not (self.path(table) / "_delta_log" / f"{0:020}.json").is_file():
            return set()
        names = list(CONTRACTS[table].names)
        held = DeltaTable(str(self.path(table))).to_pyarrow_table(columns=[*names, "_deleted"])
        return {tuple(row[n] for n in names) for row in held.to_pylist() if not row["_deleted"]}

    def source_rows(self, table: str) -> set[tuple[Any, ...]]:
        names = ", ".join(CONTRACTS[table].names)
        return set(self.ask(f"select {names} from public.{table}"))

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def equal(self) -> bool:
        return all(self.live_rows(table) == self.source_rows(table) for table in CONTRACTS)

    def retained(self) -> int:
        return int(self.ask("select coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) "
                            "from pg_replication_slots")[0][0])  # fmt: skip

    def listeners(self) -> set[str]:
        """The addresses that any program of it listens on."""
        found = set()
        for process in self.running.values():
            family = psutil.Process(process.pid)
            for each in (family, *family.children(recursive=True)):
                found |= {c.laddr.ip for c in each.net_connections("inet") if c.status == psutil.CONN_LISTEN}
        return found

    def latencies(self, table: str) -> list[float]:
        """Seconds from a change's commit to the commit of Delta by which it can be seen, of each row that was left."""
        head, before, found = DeltaTable(str(self.path(table))).version(), -1, []
        for version in range(1, head + 1):
            log = self.path(table) / "_delta_log" / f"{version:020}.json"
            held = DeltaTable(str(self.path(table)), version=version).to_pyarrow_table(
                columns=["_offset", "_committed_at"]
            )
            new = [row for row in held.to_pylist() if row["_offset"] > before]
            seen = log.stat().st_mtime
            found += [seen - row["_committed_at"].timestamp() for row in new]
            before = max((row["_offset"] for row in new), default=before)
        return sorted(found)
