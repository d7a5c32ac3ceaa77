"""What the broker and Connect are started with: the files of conf/live, and what differs between places."""

from __future__ import annotations

import base64
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import parse_dsn

from lakehouse.cli.live.live import ROLE
from lakehouse.contracts import load_contracts
from lakehouse.live.settings import LiveSettings
from tools.live.setup import FOLDER
from tools.setup.machine import ROOT, SetupError, java

CONF = ROOT / "conf" / "live"
HOST, POSTGRES = "127.0.0.1", 5432
# Without the environment: who starts the programs says what differs.
DEFAULTS = LiveSettings.model_construct()
JAVA = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={CONF / 'log4j2.properties'}")


@dataclass(frozen=True)
class Shop:
    """The source as Debezium reaches it; its password is the text of a file of that name in `secrets`.

    Connect may read every file of that folder, so no other secret belongs there.
    """

    host: str
    port: int
    database: str
    user: str
    secrets: Path
    password: str
    ca: str = ""
    """The file of the certificates to trust, of a source that speaks TLS."""

    @classmethod
    def at(cls, dsn: str, secrets: Path, ca: str = "") -> Shop:
        """The source of a libpq URL, read by the live layer's role, whose password is the file `password` in `secrets`."""
        found = parse_dsn(dsn)
        place = (found.get("host", "localhost"), int(found.get("port", POSTGRES)), found["dbname"])
        return cls(*place, ROLE, secrets, "password", ca)


@dataclass(frozen=True)
class Place:
    """Where the programs of one live layer are: a folder and ports, of this machine unless it is said otherwise."""

    folder: Path
    broker: int
    controller: int
    connect: int
    topics: str = DEFAULTS.topics
    slot: str = DEFAULTS.slot
    publication: str = DEFAULTS.publication
    listens: str = HOST
    """The address that broker and Connect listen on."""
    host: str = HOST
    """The name by which others find the broker."""

    def write(self, shop: Shop) -> None:
        """Writes what both programs read."""
        self.write_broker()
        self.write_connect(shop)

    def write_broker(self) -> None:
        """Writes what the broker reads, and makes its storage where there is none."""
        self._write("kafka", {
            "listeners": f"PLAINTEXT://{self.listens}:{self.broker},CONTROLLER://{HOST}:{self.controller}",
            "advertised.listeners": f"PLAINTEXT://{self.host}:{self.broker}",
            "controller.quorum.voters": f"1@{HOST}:{self.controller}",
            "log.dirs": str(self.folder / "topics"),
        })  # fmt: skip
        if not (self.folder / "topics" / "meta.properties").exists():
            self._format()

    def write_connect(self, shop: Shop) -> None:
        """Writes what Connect reads, and Debezium in it."""
        self._write("connect", {
            "bootstrap.servers": f"{self.host}:{self.broker}",
            "listeners": f"http://{self.listens}:{self.connect}",
            "offset.storage.file.filename": str(self.folder / "connect.offsets"),
            "config.providers.directory.param.allowed.paths": str(shop.secrets),
        })  # fmt: skip
        self._write("source", {
            "name": self.topics,
            "topic.prefix": self.topics,
            "slot.name": self.slot,
            "publication.name": self.publication,
            "table.include.list": ",".join(f"public.{table}" for table in load_contracts()["bronze"]),
            "database.hostname": shop.host,
            "database.port": str(shop.port),
            "database.dbname": shop.database,
            "database.user": shop.user,
            "database.password": f"${{directory:{shop.secrets}:{shop.password}}}",
            **({"database.sslmode": "verify-full", "database.sslrootcert": shop.ca} if shop.ca else {}),
        })  # fmt: skip

    def kafka(self) -> list[str]:
        """The broker's command."""
        return self._java("-Xms48m", "-Xmx128m", "kafka.Kafka", str(self.file("kafka")))

    def connect_worker(self) -> list[str]:
        """Connect's command, with Debezium."""
        program = "org.apache.kafka.connect.cli.ConnectStandalone"
        return self._java("-Xms48m", "-Xmx192m", program, str(self.file("connect")), str(self.file("source")))

    def file(self, name: str) -> Path:
        return self.folder / f"{name}.properties"

    def _write(self, name: str, more: dict[str, str]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = (CONF / f"{name}.properties").read_text(encoding="utf-8")
        self.file(name).touch(mode=0o600)
        self.file(name).write_text(text + "".join(f"{key}={value}\n" for key, value in more.items()), encoding="utf-8")

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        words = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(self.file("kafka"))]
        done = subprocess.run(self._java("-Xmx96m", *words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"Kafka's storage in {self.folder} could not be made: {done.stderr.strip()[-300:]}")

    @staticmethod
    def _java(*words: str) -> list[str]:
        return [java(), *JAVA, "-cp", str(FOLDER / "kafka" / "*"), *words]
