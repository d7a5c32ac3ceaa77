"""libpq's parameters in JDBC's words, by a list of what both understand: nothing else reaches JDBC's URL.

A parameter in that URL can load a class or write a file (socketFactory, loggerFile), so an unknown one is not passed on
but refused. What libpq found elsewhere (PGPASSWORD, a password file, a service file) is among its effective parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from lakehouse.errors import ConfigError

# Longer than any one answer of a server should take, shorter than the kernel's two hours with a peer that is gone:
# neither Java nor the driver can ask the kernel to look earlier.
ANSWER_SECONDS = 3600
# libpq's name to pgjdbc's.
JDBC_NAMES = {
    "application_name": "ApplicationName",
    "channel_binding": "channelBinding",
    "connect_timeout": "connectTimeout",
    "gssencmode": "gssEncMode",
    "krbsrvname": "kerberosServerName",
    "options": "options",
    "sslcert": "sslcert",
    "sslkey": "sslkey",
    "sslmode": "sslmode",
    "sslnegotiation": "sslNegotiation",
    "sslrootcert": "sslrootcert",
    "target_session_attrs": "targetServerType",
}
SERVER_TYPES = {
    "read-write": "primary",
    "primary": "primary",
    "read-only": "secondary",
    "standby": "secondary",
    "prefer-standby": "preferSecondary",
}
# Said in another way, or of libpq's own transport: JDBC does as well without them.
NOT_FOR_JDBC = {
    "client_encoding", "dbname", "fallback_application_name", "gssdelegation", "host", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts", "passfile", "password", "port",
    "requirepeer", "service", "servicefile", "sslcertmode", "sslcompression", "sslpassword", "sslsni", "tcp_user_timeout", "user",
}  # fmt: skip
# libpq's own defaults, which it lists among the effective parameters.
DEFAULTS = {
    "channel_binding": "prefer",
    "gssencmode": "prefer",
    "krbsrvname": "postgres",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "ssl_min_protocol_version": "TLSv1.2",
    "sslmode": "prefer",
    "sslnegotiation": "postgres",
    "target_session_attrs": "any",
}


def jdbc_address(
    role: str, parameters: Mapping[str, str], secrets: Mapping[str, str], more: Mapping[str, str]
) -> dict[str, str]:
    """Options of Spark's JDBC source from libpq's effective parameters; `more` goes into the URL, secrets never do.

    Raises ConfigError naming every parameter that libpq understands and JDBC does not.
    """
    refuse_unknown(role, parameters)
    set_by_hand = {k: v for k, v in parameters.items() if v and v != DEFAULTS.get(k)}
    query = {"ApplicationName": "lakehouse", "connectTimeout": "10", "tcpKeepAlive": "true",
             "socketTimeout": str(ANSWER_SECONDS)}  # fmt: skip
    query |= {JDBC_NAMES[k]: v for k, v in set_by_hand.items() if k in JDBC_NAMES}
    if target := query.get("targetServerType"):
        query["targetServerType"] = SERVER_TYPES[target]
    if query.get("sslmode") == "require" and (root := _root_certificate(query)):
        # libpq checks the certificate once there is one to check it by; JDBC would not.
        query |= {"sslmode": "verify-ca", "sslrootcert": root}
    query |= more
    host, port = parameters.get("hostaddr") or parameters["host"], parameters.get("port", "5432")
    address = f"[{host}]" if ":" in host else host
    return {
        "url": f"jdbc:postgresql://{address}:{port}/{quote(parameters['dbname'], safe='')}?{urlencode(query, quote_via=quote)}",
        "user": parameters.get("user", ""),
        **secrets,
        "driver": "org.postgresql.Driver",
    }


def refuse_unknown(role: str, parameters: Mapping[str, str]) -> None:
    """Raises ConfigError for parameters that one of the two drivers would not keep to; their values are not shown."""
    faults = [
        f"{name} (JDBC has nothing like it: leave it out)"
        for name, value in sorted(parameters.items())
        if value and value != DEFAULTS.get(name) and name not in JDBC_NAMES and name not in NOT_FOR_JDBC
    ]
    if parameters.get("sslrootcert") == "system":
        faults.append("sslrootcert=system (JDBC knows no such store: name the file of certificates)")
    if parameters.get("hostaddr") and parameters.get("sslmode") == "verify-full":
        faults.append("hostaddr with sslmode=verify-full (JDBC checks the name it connects to: leave hostaddr out)")
    if _is_pem(parameters.get("sslkey", "")):
        faults.append("sslkey (a PEM file, which JDBC cannot read: write it as PKCS-8 in DER, which both read, by openssl "
                      "pkcs8 -topk8 -outform DER)")  # fmt: skip
    if faults:
        raise ConfigError(f"LAKEHOUSE_{role.upper()}_DSN, or libpq's own environment and files, set what only one of the "
                          f"two drivers understands: {'; '.join(faults)}")  # fmt: skip


def _root_certificate(query: Mapping[str, str]) -> str | None:
    default = Path("~/.postgresql/root.crt").expanduser()
    return query.get("sslrootcert") or (str(default) if default.is_file() else None)


def _is_pem(file: str) -> bool:
    try:
        return bool(file) and Path(file).read_bytes()[:10] == b"-----BEGIN"
    except OSError:
        return False  # libpq says itself what is wrong with it
