"""What the stack's programs are told of TLS: the certificate that they show, and the certificates that they trust.

Read by whatever python3 there is, so it needs nothing but Python; certificates.py makes the files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

# What only this machine's VictoriaMetrics and vmalert ask: figures, and alerts on their way.
IN_THE_CLEAR = ("LAKEHOUSE_METRICS_PORT", "LAKEHOUSE_ALERTS_PORT")


@dataclass(frozen=True)
class Files:
    """The files of one stack, all of them in one folder."""

    folder: Path

    @property
    def certificate(self) -> str:
        return str(self.folder / "server.pem")

    @property
    def key(self) -> str:
        return str(self.folder / "server.key")

    @property
    def trusted(self) -> str:
        return str(self.folder / "trusted.pem")

    def mark(self) -> dict[str, str]:
        """By it a part is started again where what it shows, or what it trusts, is another since."""
        files = [file for name in ("server.pem", "trusted.pem") if (file := self.folder / name).exists()]
        held = b"".join(file.read_bytes() for file in files)
        return {"CERTIFICATES_SHA256": hashlib.sha256(held).hexdigest()} if held else {}

    def airflow(self) -> dict[str, str]:
        """Airflow's web server, and its clients of its metadata: psycopg2 and asyncpg have no word in common but these."""
        return {
            "AIRFLOW__API__SSL_CERT": self.certificate,
            "AIRFLOW__API__SSL_KEY": self.key,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": self.trusted,
        }

    def docs(self) -> list[str]:
        """Options of the Data Docs' server."""
        return ["--certificate", self.certificate, "--key", self.key]

    def jupyter(self) -> list[str]:
        return [f"--ServerApp.certfile={self.certificate}", f"--ServerApp.keyfile={self.key}"]

    def minio(self) -> list[str]:
        return ["--certs-dir", str(self.folder / "minio")]

    def victoria(self) -> list[str]:
        """Options by which VictoriaMetrics and vmalert show the certificate."""
        return ["-tls", f"-tlsCertFile={self.certificate}", f"-tlsKeyFile={self.key}"]

    def vmalert(self, asked: tuple[str, ...]) -> list[str]:
        """Options of vmalert by which it trusts whom it asks."""
        return [*self.victoria(), *(f"-{what}.tlsCAFile={self.trusted}" for what in asked)]
