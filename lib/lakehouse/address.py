"""Where the lake is, and how each client of its store reaches it: the one home of paths, region, keys and path style.

Three clients know the store: Spark by s3a, notebooks by deltalake, the pages by boto3. What a person sets is the same for
all of them; only what each calls it differs.
"""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from lakehouse.settings import Settings

# Beside bronze's tables: whose lake it is, and what is published in it.
MARKS = "_lakehouse"


def layer(root: str, name: str) -> str:
    """Where the tables of a layer lie: a bucket of its name under `s3a:`, else a folder."""
    return f"{root}{'//' if root == 's3a:' else '/'}{name}"


def table(root: str, of_layer: str, name: str) -> str:
    """Where a table lies."""
    return f"{layer(root, of_layer)}/{name}"


def bucket_and_prefix(root: str, name: str) -> tuple[str, str] | None:
    """The bucket and the prefix of every key of what lies beside the layers under `name`; None for a lake of files.

    The prefix is empty, or ends in a slash.
    """
    if not root.startswith("s3a:"):
        return None
    bucket, _, prefix = layer(root, name).removeprefix("s3a://").partition("/")
    return bucket, f"{prefix}/" if prefix else ""


def arrow_path(root: str, of_layer: str, name: str) -> str:
    """Where a table lies, as deltalake says it."""
    return table(root, of_layer, name).replace("s3a://", "s3://").removeprefix("file://")


def s3a_options(settings: Settings) -> dict[str, str]:
    """Hadoop's options for the store. They hold secrets: for a session's configuration, never for a command line."""
    options = {
        "fs.s3a.endpoint": settings.endpoint,
        "fs.s3a.endpoint.region": settings.region,
        "fs.s3a.path.style.access": _word(settings.s3_path_style),
        "fs.s3a.access.key": _shown(settings.access_key),
        "fs.s3a.secret.key": _shown(settings.secret_key),
        "fs.s3a.session.token": _shown(settings.session_token),
    }
    return {name: value for name, value in options.items() if value}


def storage_options(settings: Settings) -> dict[str, str]:
    """deltalake's options for the store, secrets included."""
    options = {
        "aws_endpoint_url": settings.endpoint,
        "aws_region": settings.region,
        "aws_virtual_hosted_style_request": _word(not settings.s3_path_style),
        "aws_access_key_id": _shown(settings.access_key),
        "aws_secret_access_key": _shown(settings.secret_key),
        "aws_session_token": _shown(settings.session_token),
        "aws_allow_http": "true",
        "aws_conditional_put": "etag",
    }
    return {name: value for name, value in options.items() if value}


def object_client(settings: Settings, connections: int = 10) -> Any:
    """boto3's client of the object store, with so many connections at once."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        **client_arguments(settings),
        config=Config(
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 4},
            max_pool_connections=connections,
            s3={"addressing_style": addressing_style(settings)},
            # Stores that are not Amazon's need not know its newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def store_faults() -> tuple[type[Exception], ...]:
    """What that client raises where the store refuses, or does not answer as one."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from urllib3.exceptions import HTTPError

    # urllib3's own: of an answer that breaks off, as that of a server of TLS which is spoken to without.
    return BotoCoreError, ClientError, Boto3Error, HTTPError


def client_arguments(settings: Settings) -> dict[str, Any]:
    """boto3's arguments for a client of the store, secrets included; `s3` belongs into its Config."""
    return {
        "endpoint_url": settings.endpoint,
        "region_name": settings.region,
        "aws_access_key_id": _shown(settings.access_key),
        "aws_secret_access_key": _shown(settings.secret_key),
        "aws_session_token": _shown(settings.session_token),
        # A file of certificates, or botocore's own.
        **({"verify": str(settings.ca_file)} if settings.ca_file else {}),
    }


def addressing_style(settings: Settings) -> str:
    """boto3's word for whether a bucket's name stands in the path or in the host's name."""
    return "path" if settings.s3_path_style else "virtual"


def _word(value: bool) -> str:
    return str(value).lower()


def _shown(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
