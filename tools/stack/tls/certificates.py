"""Makes a certificate authority of one's own, and by it the certificate of the stack's servers: `--folder` says where.

ca.pem is what clients trust (LAKEHOUSE_CA_FILE), server.pem (with the CA behind it) and server.key are what servers show,
ca.key signs; minio/ has the two under MinIO's names. Keys are only their owner's to read. What is there and holds for
another month stays; after that all are made again.
"""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lakehouse.tls import write_trust_store
from tools.stack.access.secrets import write

# By these names clients find the servers: on this machine, and in docker compose.
NAMES = ("localhost", "minio", "postgres", "metadata", "docs", "jupyter", "airflow-api-server", "victoria", "vmalert")
ADDRESSES = ("127.0.0.1", "::1")
MADE = ("ca.pem", "server.key", "minio/public.crt", "minio/private.key")
VALID, EARLY = timedelta(days=365), timedelta(days=30)


def make_certificates(
    folder: Path, names: Sequence[str] = (*NAMES, *ADDRESSES), valid: timedelta = VALID, now: datetime | None = None
) -> bool:
    """Makes CA and server certificate unless they are there; whether it made any. `now`: when they begin to hold."""
    began = now or datetime.now(UTC)
    if _holds(folder / "server.pem") and all((folder / name).exists() for name in MADE):
        return False
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lakehouse CA")])
    ca = (
        _certificate(issuer, issuer, ca_key, began, began + valid)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lakehouse")])
    server = (
        _certificate(subject, issuer, key, began, began + valid)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    for file, secret in (("ca.key", ca_key), ("server.key", key)):
        pem = secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write(folder / file, pem.decode())
    write(folder / "ca.pem", ca.public_bytes(Encoding.PEM).decode())
    # With the CA: Airflow's tasks trust what they find in the file that its web server shows.
    write(folder / "server.pem", "".join(c.public_bytes(Encoding.PEM).decode() for c in (server, ca)))
    for file, name in (("server.pem", "public.crt"), ("server.key", "private.key")):
        write(folder / "minio" / name, (folder / file).read_text(encoding="utf-8"))
    return True


def write_trusted(folder: Path, others: Path | None = None) -> None:
    """Writes trusted.pem and, for Java, trust.p12, what the stack's clients trust: our CA and, of the shop's own stores, others."""
    texts = [file.read_text(encoding="utf-8") for file in (folder / "ca.pem", *([others] if others else []))]
    write(folder / "trusted.pem", "\n".join(texts))
    write_trust_store(folder / "trusted.pem", folder / "trust.p12")
    (folder / "trust.p12").chmod(0o600)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, began: datetime, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    # An hour before now, for clocks that are behind ours.
    builder = builder.not_valid_before(began - timedelta(hours=1)).not_valid_after(ends)
    return builder.serial_number(x509.random_serial_number())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _holds(file: Path) -> bool:
    if not file.exists():
        return False
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc > datetime.now(UTC) + EARLY


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", required=True, type=Path, help="where they are, or are to be")
    parser.add_argument("--trust", type=Path, help="certificates that trusted.pem is to hold, too")
    given = parser.parse_args()
    made = make_certificates(given.folder)
    write_trusted(given.folder, given.trust)
    print(f"The certificates are in {given.folder}{'' if made else ', as before'}.")


if __name__ == "__main__":
    main()
