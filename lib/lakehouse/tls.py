"""One file of certificates that every client trusts: libpq, JDBC, boto3, deltalake and Spark's s3a.

What the store shows is looked at once, before any client tries it again and again: a certificate that is not trusted, has
expired or is another host's is refused in one sentence.
"""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from lakehouse.errors import ConfigError, StoreError
from lakehouse.settings import Settings

LOOK_SECONDS = 10
TRUST_STORE = "trust.p12"
# What is in it is public; Java only asks that a store have a password.
TRUST_STORE_PASSWORD = "certificates"  # noqa: S105


def check_store(settings: Settings) -> None:
    """Raises StoreError in one sentence where the object store's certificate would be refused; one connection in all."""
    url = urlsplit(settings.endpoint or "")
    if url.scheme != "https" or not url.hostname or not settings.lake.startswith("s3a:"):
        return
    where = f"{url.hostname}:{url.port or 443}"
    try:
        with socket.create_connection((url.hostname, url.port or 443), LOOK_SECONDS) as raw:
            context = ssl.create_default_context(cafile=settings.ca_file)
            with context.wrap_socket(raw, server_hostname=url.hostname):
                return
    except ssl.SSLCertVerificationError as e:
        raise StoreError(f"the certificate of the object store at {where} is refused: {e.verify_message.rstrip('.')}; check "
                         f"LAKEHOUSE_CA_FILE, AWS_ENDPOINT_URL and the server's certificate") from None  # fmt: skip
    except (OSError, ValueError) as e:
        raise StoreError(f"the object store at {where} does not answer by TLS ({type(e).__name__}): check AWS_ENDPOINT_URL "
                         f"and that the server runs") from None  # fmt: skip


def checked_dsn(dsn: str, settings: Settings) -> str:
    """A libpq URL that asks for our certificates and the server's own name, where the URL itself says nothing of either."""
    if settings.ca_file is None:
        return dsn
    url = urlsplit(dsn)
    asked = dict(parse_qsl(url.query, keep_blank_values=True))
    asked = {"sslmode": "verify-full", "sslrootcert": str(settings.ca_file)} | asked
    return url._replace(query=urlencode(asked, quote_via=quote)).geturl()


def trust_in_this_process(settings: Settings) -> None:
    """Lets deltalake trust the file; it reads where certificates are from the environment alone."""
    if settings.ca_file is not None:
        os.environ["SSL_CERT_FILE"] = str(settings.ca_file)


def java_options(settings: Settings, folder: Path) -> dict[str, str]:
    """Java's system properties by which it trusts the file, as a store that is made in `folder`; none where there is no file.

    Raises ConfigError for a file that holds no certificate.
    """
    if settings.ca_file is None:
        return {}
    store = folder / TRUST_STORE
    write_trust_store(settings.ca_file, store)
    return {
        "javax.net.ssl.trustStore": str(store),
        "javax.net.ssl.trustStorePassword": TRUST_STORE_PASSWORD,
        "javax.net.ssl.trustStoreType": "PKCS12",
    }


def write_trust_store(certificates: Path, store: Path) -> None:
    """Writes the certificates of a file in Java's form. Raises ConfigError for a file that holds none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

    try:
        held = x509.load_pem_x509_certificates(certificates.read_bytes())
    except (OSError, ValueError):
        raise ConfigError("LAKEHOUSE_CA_FILE holds no certificate that can be read (PEM)") from None
    named = [PKCS12Certificate(c, f"ca{n}".encode()) for n, c in enumerate(held)]
    part = store.with_name(f"{store.name}.{os.getpid()}")
    part.write_bytes(serialize_java_truststore(named, BestAvailableEncryption(TRUST_STORE_PASSWORD.encode())))
    part.replace(store)
