"""Where the stack is and what it is told: its folder, ports, and the environment of each of its programs.

Read by `make up` and by what makes the secrets for docker compose, so it needs nothing but Python. A setting comes from
the environment, else from .env, else from .env.example, which is the one place that holds defaults.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from tools.setup.machine import ROOT, VENV, SetupError
from tools.stack.ports import MARK, OF_LIVE, OF_MONITORING, PORTS
from tools.stack.tls.files import IN_THE_CLEAR, Files

# As shells and docker compose read it: a value in quotes, or one up to a comment.
SETTING = re.compile(r"""^([A-Z][A-Z0-9_]*)=(?:'(.*)'|"(.*)"|(.*?))(?:\s+\#.*)?\s*$""")
AIRFLOW_BIN = ROOT / ".venv-airflow" / "bin"

ON = ("1", "true", "yes")
# What a shop sets by these names reaches the pipeline; what is the stack's own does not, nor what only the live layer reads.
OF_A_SHOP = re.compile(
    "LAKEHOUSE_(?!LIVE).+|AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|ENDPOINT_URL|REGION|DEFAULT_REGION)"
)
OF_THE_STACK = (*PORTS, "LAKEHOUSE_AIRFLOW_PASSWORD", "LAKEHOUSE_AIRFLOW_URL", "LAKEHOUSE_AIRFLOW_USER", "LAKEHOUSE_HOME",
                "LAKEHOUSE_MONITORING", "LAKEHOUSE_POSTGRES", "LAKEHOUSE_SECRETS_DIR", "LAKEHOUSE_SPARK_MASTER", "LAKEHOUSE_TLS",
                "LAKEHOUSE_UID", MARK)  # fmt: skip
# What somebody sets of Airflow by Airflow's own names is meant for it.
OF_AIRFLOW = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")
# Of a shop's settings these may be meant for one command only.
OF_ONE_COMMAND = ("LAKEHOUSE_DEBUG", "LAKEHOUSE_DELETES_ON", "LAKEHOUSE_EXTRACT_LOOKBACK", "LAKEHOUSE_MAX_DELETED_SHARE",
                  "LAKEHOUSE_MAX_QUARANTINED_SHARE")  # fmt: skip
# Of the caller's environment these reach the programs. Everything else is a setting of the stack or not its business.
INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "JAVA_HOME", "SSL_CERT_FILE",
             "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")  # fmt: skip


def read_settings(file: Path) -> dict[str, str]:
    """The settings of a file in the form of .env.example; lines that set nothing are left out."""
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        if setting := SETTING.match(line):
            found[setting[1]] = setting[2] or setting[3] or setting[4] or ""
    return found


def read_secrets(given: dict[str, str]) -> dict[str, str]:
    """The settings that a person keeps as files, in the folder that LAKEHOUSE_SECRETS_DIR names."""
    folder = Path(given["LAKEHOUSE_SECRETS_DIR"]) if given.get("LAKEHOUSE_SECRETS_DIR") else None
    if folder and not folder.is_dir():
        raise SetupError(f"LAKEHOUSE_SECRETS_DIR is not a folder: {folder}.")
    files = [file for file in folder.iterdir() if OF_A_SHOP.fullmatch(file.name)] if folder else []
    return {file.name: file.read_text(encoding="utf-8").strip() for file in files}


class Stack:
    """One stack on this machine: everything of it is below one folder and on its ports."""

    def __init__(self, env_file: Path = ROOT / ".env") -> None:
        given = {**read_settings(env_file), **{name: value for name, value in os.environ.items() if value}}
        self.settings = {**read_settings(ROOT / ".env.example"), **read_secrets(given), **given}
        # Below LAKEHOUSE_HOME, not in it: the demo has its own lake and ledger there, and may be run beside the stack.
        self.home = Path(self.settings["LAKEHOUSE_HOME"]).expanduser().absolute() / "stack"
        self.logs = self.home / "logs"
        self.secrets = self.home / "secrets"
        self.airflow = self.home / "airflow"

    def port(self, setting: str) -> int:
        """The port of a setting; raises SetupError where it is none."""
        text = self.settings[setting]
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise SetupError(f"{setting} must be a port, a number up to 65535, and is {text}.")
        return int(text)

    def url(self, setting: str) -> str:
        """Where what listens on the port of a setting is found."""
        scheme = "https" if self.tls and setting not in IN_THE_CLEAR else "http"
        return f"{scheme}://127.0.0.1:{self.port(setting)}"

    def secret(self, name: str) -> str:
        """The secret of that name, made by secrets."""
        return (self.secrets / name).read_text(encoding="utf-8")

    def named(self, setting: str) -> str:
        """A setting that people may leave out, such as LAKEHOUSE_SOURCE_DSN; empty where they did."""
        return self.settings.get(setting, "")

    def of_the_shop(self) -> dict[str, str]:
        """What a shop may set for its pipeline, such as its zone and its databases: settings that are not the stack's."""
        return {
            name: value
            for name, value in self.settings.items()
            if OF_A_SHOP.fullmatch(name) and name not in OF_THE_STACK and value
        }

    @property
    def brings_minio(self) -> bool:
        """Whether the lake is on the stack's own MinIO: a shop that names its lake has its own store for it."""
        return not self.named("LAKEHOUSE_LAKE")

    @property
    def is_watched(self) -> bool:
        """Whether the parts run that scrape metrics and send alerts."""
        return self.named("LAKEHOUSE_MONITORING") in ON

    @property
    def is_live(self) -> bool:
        """Whether the parts of the live layer run."""
        return self.named("LAKEHOUSE_LIVE") in ON

    @property
    def tls(self) -> Files | None:
        """The files of TLS, where the parts speak it."""
        return Files(self.home / "tls") if self.named("LAKEHOUSE_TLS") in ON else None

    def note(self) -> None:
        """Notes whether the parts that are started now speak TLS."""
        if self.tls:
            self._note.touch()
        else:
            self._note.unlink(missing_ok=True)

    def as_started(self) -> None:
        """Takes from that note what a stack that runs was started as: `make status` need not be told again."""
        self.settings["LAKEHOUSE_TLS"] = "1" if self._note.exists() else ""

    @property
    def _note(self) -> Path:
        return self.home / "speaks-tls"

    def postgres(self, server: str) -> str:
        """host:port at which clients find the stack's Postgres, which itself is found at `server`."""
        return f"127.0.0.1:{self.port('LAKEHOUSE_POSTGRES_PORT')}" if self.tls else server

    def lake(self, who: str) -> dict[str, str]:
        """The lake and, on the stack's MinIO, the credentials of `who`, one of its users."""
        if not self.brings_minio:
            return {}
        return {
            "LAKEHOUSE_LAKE": "s3a://",
            "AWS_ENDPOINT_URL": self.url("LAKEHOUSE_MINIO_PORT"),
            "AWS_ACCESS_KEY_ID": self.secret(f"minio_{who}_user"),
            "AWS_SECRET_ACCESS_KEY": self.secret(f"minio_{who}_password"),
        }

    def make_folder(self) -> None:
        """Makes the folder of the stack, closed to everybody else."""
        try:
            self.home.parent.mkdir(parents=True, exist_ok=True)
            self.home.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as e:
            raise SetupError(
                f"{e.filename} cannot be made ({e.strerror}): set LAKEHOUSE_HOME to a folder of your own."
            ) from None

    @property
    def ports(self) -> dict[str, str]:
        """The settings of the ports that it listens on, and what each is for."""
        left_out = () if self.brings_minio else ("LAKEHOUSE_MINIO_PORT", "LAKEHOUSE_MINIO_CONSOLE_PORT")
        left_out += () if self.is_watched else OF_MONITORING
        left_out += () if self.is_live else OF_LIVE
        left_out += () if self.tls else ("LAKEHOUSE_POSTGRES_PORT",)
        return {name: what for name, what in PORTS.items() if name not in left_out}

    # What the programs are told. But for what the command line asks Airflow with, no secret is among it, only where
    # secrets are.

    def inherited(self) -> dict[str, str]:
        """What each program gets of the caller's environment, and the mark by which it is known as this stack's."""
        given = {name: os.environ[name] for name in INHERITED if name in os.environ}
        # The parts talk to each other without a proxy, whatever else goes through one.
        no_proxy = ",".join(filter(None, [given.get("no_proxy") or given.get("NO_PROXY"), "127.0.0.1,localhost"]))
        return {
            **given,
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
            MARK: str(self.home),
            "SPT_NOENV": "1",  # else a process of Airflow that gives itself a title overwrites the mark
            "PYTHONUNBUFFERED": "1",
            "GX_ANALYTICS_ENABLED": "false",
        }

    def lakehouse(self, who: str) -> dict[str, str]:
        """The settings of a process that works on the lakehouse as `who`, a folder of the secrets."""
        return {
            "LAKEHOUSE_HOME": str(self.home),
            "LAKEHOUSE_SECRETS_DIR": str(self.secrets / who),
            "LAKEHOUSE_SPARK_MASTER": self.settings["LAKEHOUSE_SPARK_MASTER"],
            # Spark's own listeners too stay on this machine, unless its workers are elsewhere.
            **({"SPARK_LOCAL_IP": "127.0.0.1"} if self._spark_is_here() else {}),
        }

    def airflow_environment(self) -> dict[str, str]:
        """The environment of every Airflow process: conf/airflow/airflow.env and what that file asks for."""
        return {
            **read_settings(ROOT / "conf" / "airflow" / "airflow.env"),
            **self.lakehouse("pipeline"),
            "PATH": _path(AIRFLOW_BIN),
            "AIRFLOW_HOME": str(self.airflow),
            "AIRFLOW_FILES": str(self.airflow),
            "AIRFLOW_SECRETS": str(self.secrets),
            "AIRFLOW_HOST": "127.0.0.1",
            "AIRFLOW_PORT": str(self.port("LAKEHOUSE_AIRFLOW_PORT")),
            "AIRFLOW_API": self.url("LAKEHOUSE_AIRFLOW_PORT"),
            "AIRFLOW__API__BASE_URL": self.url("LAKEHOUSE_AIRFLOW_PORT"),
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(
                {"conn_type": "spark", "host": self.settings["LAKEHOUSE_SPARK_MASTER"]}
            ),
            "LAKEHOUSE_ROOT": str(ROOT),
            "LAKEHOUSE_AIRFLOW_USER": self.settings["LAKEHOUSE_AIRFLOW_USER"],
            **(self._airflow_metrics() if self.is_watched else {}),
            **(self.tls.airflow() if self.tls else {}),
            **{name: value for name, value in self.settings.items() if name.startswith(OF_AIRFLOW)},
        }

    def _airflow_metrics(self) -> dict[str, str]:
        """What has Airflow's processes send their metrics to VictoriaMetrics."""
        endpoint = f"{self.url('LAKEHOUSE_VICTORIA_PORT')}/opentelemetry/v1/metrics"
        return {
            **read_settings(ROOT / "conf" / "monitoring" / "airflow.env"),
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint,
            **({"OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE": self.tls.trusted} if self.tls else {}),
        }

    def asks_airflow(self) -> dict[str, str]:
        """What the command line needs to ask the stack's Airflow for a backfill."""
        return {
            "LAKEHOUSE_AIRFLOW_URL": self.url("LAKEHOUSE_AIRFLOW_PORT"),
            "LAKEHOUSE_AIRFLOW_USER": self.settings["LAKEHOUSE_AIRFLOW_USER"],
            "LAKEHOUSE_AIRFLOW_PASSWORD": self.secret("airflow_password"),
        }

    def minio_environment(self) -> dict[str, str]:
        """The environment of MinIO, whose name and password of root are read from their files."""
        return {
            "MINIO_ROOT_USER_FILE": str(self.secrets / "minio_root_user"),
            "MINIO_ROOT_PASSWORD_FILE": str(self.secrets / "minio_root_password"),
            "MINIO_UPDATE": "off",
            # Sizes and counts, without a name of an object, for this machine alone.
            **({"MINIO_PROMETHEUS_AUTH_TYPE": "public"} if self.is_watched else {}),
        }

    def jupyter_environment(self) -> dict[str, str]:
        """The environment of Jupyter: its token by its file, nothing of the user's own Jupyter, and a reader's rights.

        Its LAKEHOUSE_HOME is its own too: that of the stack holds the database server with its owner's password.
        """
        folder = self.home / "jupyter"
        return {
            **self.lakehouse("notebooks"),
            "LAKEHOUSE_HOME": str(folder / "lakehouse"),
            "PATH": _path(VENV / "bin"),
            "JUPYTER_TOKEN_FILE": str(self.secrets / "jupyter_token"),
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "IPYTHONDIR": str(folder / "ipython"),
        }

    def _spark_is_here(self) -> bool:
        # A connection set by Airflow's own name goes before the master, and may lead anywhere.
        here = re.match(r"local\b|spark://(127\.|localhost\b)", self.settings["LAKEHOUSE_SPARK_MASTER"])
        return bool(here) and not self.named("AIRFLOW_CONN_SPARK_DEFAULT")


def _path(programs: Path) -> str:
    """Where a part finds its programs and Java; the same from every shell, else `up` from another one would start it again."""
    java = shutil.which("java")
    folders = [str(programs), *([str(Path(java).parent)] if java else []), "/usr/local/bin", "/usr/bin", "/bin"]
    return os.pathsep.join(dict.fromkeys(folders))
