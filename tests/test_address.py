"""One address of the lake, and the same store for every client of it."""

from __future__ import annotations

from typing import Any

import pytest

from lakehouse import address
from lakehouse.settings import Settings

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("lake", "table", "arrow", "docs"),
    [
        ("file:///shop/my lake", "file:///shop/my lake/silver/orders", "/shop/my lake/silver/orders", None),
        ("s3a://", "s3a://silver/orders", "s3://silver/orders", ("data-docs", "")),
        ("s3a://shop", "s3a://shop/silver/orders", "s3://shop/silver/orders", ("shop", "data-docs/")),
        ("s3a://shop/a/lake/", "s3a://shop/a/lake/silver/orders", "s3://shop/a/lake/silver/orders", ("shop", "a/lake/data-docs/")),
    ],
)  # fmt: skip
def test_where_tables_and_pages_lie(lake: str, table: str, arrow: str, docs: tuple[str, str] | None) -> None:
    root = Settings(lake=lake).lake_root
    assert address.table(root, "silver", "orders") == table
    assert address.arrow_path(root, "silver", "orders") == arrow
    assert address.bucket_and_prefix(root, "data-docs") == docs


GIVEN: dict[str, Any] = {
    "endpoint": "https://store.example.com",
    "region": "eu-central-1",
    "access_key": "id",
    "secret_key": "secret",
    "session_token": "token",
    "s3_path_style": False,
}


def test_all_three_clients_are_given_what_is_set() -> None:
    settings = Settings(**GIVEN)
    assert address.s3a_options(settings) == {
        "fs.s3a.endpoint": "https://store.example.com",
        "fs.s3a.endpoint.region": "eu-central-1",
        "fs.s3a.path.style.access": "false",
        "fs.s3a.access.key": "id",
        "fs.s3a.secret.key": "secret",
        "fs.s3a.session.token": "token",
    }
    assert address.storage_options(settings).items() >= {
        "aws_endpoint_url": "https://store.example.com",
        "aws_region": "eu-central-1",
        "aws_virtual_hosted_style_request": "true",
        "aws_access_key_id": "id",
        "aws_secret_access_key": "secret",
        "aws_session_token": "token",
    }.items()  # fmt: skip
    assert address.client_arguments(settings) == {
        "endpoint_url": "https://store.example.com",
        "region_name": "eu-central-1",
        "aws_access_key_id": "id",
        "aws_secret_access_key": "secret",
        "aws_session_token": "token",
    }
    assert address.addressing_style(settings) == "virtual"


def test_what_is_not_set_is_left_to_the_client() -> None:
    settings = Settings(endpoint=None, region="us-east-1", access_key=None, secret_key=None, session_token=None)
    assert address.s3a_options(settings) == {
        "fs.s3a.endpoint.region": "us-east-1",
        "fs.s3a.path.style.access": "true",
    }
    assert not [name for name in address.storage_options(settings) if "key" in name or "token" in name]
    assert address.client_arguments(settings)["aws_session_token"] is None
    assert address.addressing_style(settings) == "path"
