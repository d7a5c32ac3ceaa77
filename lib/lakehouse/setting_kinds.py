"""Kinds of settings, each checked as it is read; an error says what is wrong and never shows the value."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn
from pydantic import AfterValidator, BeforeValidator, SecretStr

NUMBER = re.compile(r"[-+]?[0-9.]+")


def _postgres_url(value: SecretStr) -> SecretStr:
    """One server by TCP, which is what libpq and JDBC both know; libpq's own reading decides what is which part."""
    text = value.get_secret_value()
    try:
        scheme, parts, _ = urlsplit(text).scheme, parse_dsn(text), urlsplit(text).port
    except (ValueError, psycopg2.Error):
        scheme, parts = "", {}
    host, database = parts.get("host", ""), parts.get("dbname", "")
    if scheme not in ("postgresql", "postgres") or not host or not database or set(host + database) & set("@/,"):
        raise ValueError("must be a libpq URL of one server: postgresql://user:password@host:port/database; in a password "
                         "write @ : / # ? as %40 %3A %2F %23 %3F")  # fmt: skip
    return value


def _smtp_url(value: SecretStr) -> SecretStr:
    url = _split(value)
    if url.scheme not in ("smtp", "smtps") or not url.hostname or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be smtp://user:password@host:port, or smtps:// where the server speaks TLS at once; in a "
                         "password write @ : / # ? as %40 %3A %2F %23 %3F")  # fmt: skip
    return value


def _web_url(value: SecretStr) -> SecretStr:
    url = _split(value)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("must begin with http:// or https://")
    return value


def _duration(value: object) -> object:
    """With its unit: pydantic takes a number for seconds, and two days of looking back would be two seconds."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        raise ValueError("must say its unit, as P2D for two days or PT12H for twelve hours")
    return value


def _split(value: SecretStr) -> SplitResult:
    """The parts of an address; none where it is no address, as Python's words would quote it."""
    try:
        url = urlsplit(value.get_secret_value())
        _ = url.port
    except ValueError:
        return urlsplit("")
    return url


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgres_url)]
SmtpUrl = Annotated[SecretStr, AfterValidator(_smtp_url)]
WebUrl = Annotated[SecretStr, AfterValidator(_web_url)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
