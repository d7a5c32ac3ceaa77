"""Makes the secrets of the stack, once: files that only their owner can read, below LAKEHOUSE_HOME.

Both forms of the stack use the same files: programs are told where they are, and docker compose hands them on as Docker
secrets. Delete one and it is made again; what it opened (a role, a user) gets the new one with the next `make up`.
`python3 -m tools.stack.access.secrets` makes them for docker compose, and says where they are.
"""

from __future__ import annotations

import argparse
import base64
import secrets
from pathlib import Path
from urllib.parse import quote

from tools.setup.machine import ROOT, exit_with_sentence
from tools.stack.access.policies import BY_LAYER
from tools.stack.settings import Stack

SHORTEST_SECRET = 16  # shorter ones among the files are settings: a zone, a port

# MinIO's users: one a policy. Their names are secrets too: anyone who knows a key id may write (CVE-2026-40344).
MINIO_USERS = ("root", "pipeline", "notebooks", "docs")
ROLES = ("postgres", "pipeline", "notebooks", "airflow", "live")
LAKE = (
    *("LAKEHOUSE_CA_FILE", "LAKEHOUSE_LAKE", "LAKEHOUSE_S3_PATH_STYLE"),
    *("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
)
ROTATED = (
    "minio_",
    "postgres_",
    "airflow_password",
    "airflow_api_key",
    "airflow_jwt_key",
    "jupyter_token",
    "spark_secret",
)
# Secrets that a shop may do without: an empty file sets nothing, and docker compose wants a file.
OPTIONAL = ("LAKEHOUSE_ALERT_WEBHOOK", "LAKEHOUSE_SMTP_URL")
# Docker compose: what master, workers and drivers of the cluster must share, and where its workers find the driver, which
# is on two networks.
CLUSTER = """\
spark.authenticate                     true
spark.authenticate.secret              {secret}
spark.network.crypto.enabled           true
spark.network.crypto.authEngineVersion 2
spark.network.crypto.cipher            AES/GCM/NoPadding
spark.driver.host                      airflow-scheduler
spark.driver.bindAddress               0.0.0.0
"""
# With TLS, where their Java finds the store's CA; the password is that of lakehouse.tls, which this Python may not have.
CLUSTER_TRUST = """\
spark.executor.defaultJavaOptions      -Djavax.net.ssl.trustStore=/run/secrets/tls_trust_store \
-Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword=certificates
"""
METADATA_SERVER = "metadata:5432"  # docker compose: Airflow's own server, whichever one the shop's databases are on
# Of a shop's own settings, what those get who only read.
TO_READ = {"pipeline": (), "notebooks": ("LAKEHOUSE_GOLD_DSN", "LAKEHOUSE_TIMEZONE", *LAKE), "docs": LAKE}


def make_secrets(stack: Stack, *, by_layer: bool = False) -> None:
    """Makes every secret that is not there yet; `by_layer`: those of the store's users for single layers too."""
    users = (*MINIO_USERS, *BY_LAYER) if by_layer else MINIO_USERS
    words = ("airflow_password", "airflow_api_key", "airflow_jwt_key", "jupyter_token", "spark_secret")
    passwords = [
        *words,
        *(f"postgres_{role}_password" for role in ROLES),
        *(f"minio_{u}_password" for u in users),
    ]
    made = {name: secrets.token_urlsafe(32) for name in passwords}
    made |= {f"minio_{user}_user": secrets.token_hex(10) for user in users}
    made["airflow_fernet_key"] = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    for name, secret in made.items():
        if not (stack.secrets / name).exists():
            write(stack.secrets / name, secret)


def rotate(stack: Stack) -> list[str]:
    """Makes new secrets for all that the stack itself opens, and returns their names; the next start hands them out.

    Not Airflow's Fernet key, by which it enciphers what it keeps.
    """
    mine = [f for f in stack.secrets.iterdir() if f.is_file() and f.name.startswith(ROTATED)]
    by_layer = any(f.name == f"minio_{BY_LAYER[0]}_user" for f in mine)
    for file in mine:
        file.unlink()
    make_secrets(stack, by_layer=by_layer)
    return sorted(f.name for f in mine)


def write(file: Path, secret: str) -> None:
    """Writes a secret so that only its owner can ever read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    part.write_text(secret, encoding="utf-8")
    part.replace(file)


def dsn(secrets: Path, role: str, server: str, database: str) -> str:
    """The libpq URL of a database of the stack for one of its roles; `server` is host:port."""
    password = (secrets / f"postgres_{role}_password").read_text(encoding="utf-8")
    return f"postgresql://{role}:{quote(password, safe='')}@{server}/{database}"


def write_settings(stack: Stack, server: str, metadata: str, folder: Path) -> None:
    """Writes the databases' URLs, and what each process reads from its LAKEHOUSE_SECRETS_DIR: a setting a file.

    `server` (host:port) has source and gold, unless the shop names its own, and `metadata` Airflow's database.
    The pipeline gets all that a shop may set; the notebooks and the Data Docs' server get what they need to read.
    """
    write(folder / "airflow_dsn", dsn(stack.secrets, "airflow", metadata, "airflow"))
    shop = stack.of_the_shop()
    own = {
        "pipeline": {
            **dict.fromkeys(OPTIONAL, ""),
            "LAKEHOUSE_SOURCE_DSN": dsn(stack.secrets, "pipeline", server, "ecommerce_source"),
            "LAKEHOUSE_GOLD_DSN": dsn(stack.secrets, "pipeline", server, "ecommerce_gold"),
            "LAKEHOUSE_DOCS_URL": stack.url("LAKEHOUSE_DOCS_PORT"),
            **shop,
        },
        "notebooks": {"LAKEHOUSE_GOLD_DSN": dsn(stack.secrets, "notebooks", server, "ecommerce_gold")},
        "docs": {},
    }
    for who, settings in own.items():
        settings |= {name: shop[name] for name in TO_READ[who] if name in shop} | stack.lake(who)
        settings |= {"LAKEHOUSE_CA_FILE": stack.tls.trusted} if stack.tls else {}
        for name, value in settings.items():
            write(folder / who / name, value)
        for file in (folder / who).iterdir():
            if file.name not in settings:
                file.unlink()  # of a setting that is no longer set


def last_words(stack: Stack, log: Path) -> str:
    """The last line of a log, without any secret it may repeat."""
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    words = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "it said nothing")
    for secret in (file.read_text(encoding="utf-8") for file in stack.secrets.rglob("*") if file.is_file()):
        if len(secret) >= SHORTEST_SECRET:
            words = words.replace(secret, "…")
    return words[:300].rstrip(".")


def _cluster(stack: Stack) -> str:
    return CLUSTER.format(secret=stack.secret("spark_secret")) + (CLUSTER_TRUST if stack.tls else "")


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the secrets of the stack for docker compose.")
    parser.add_argument("--env-file", type=Path, default=ROOT / ".env", help="settings; the environment wins over them")
    parser.add_argument("--by-layer", action="store_true", help="a key of the object store for each layer, too")
    given = parser.parse_args()
    stack = Stack(given.env_file)
    stack.make_folder()
    make_secrets(stack, by_layer=given.by_layer)
    write_settings(stack, stack.settings["LAKEHOUSE_POSTGRES"], METADATA_SERVER, stack.secrets / "compose")
    write(stack.secrets / "compose" / "spark_properties", _cluster(stack))
    print(f"The secrets are in {stack.secrets}.")


if __name__ == "__main__":
    exit_with_sentence(main)
