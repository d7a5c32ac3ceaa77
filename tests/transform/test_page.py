"""dbt's page is published without the address of any host, and not at all with a secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.errors import StoreError
from tools.dbt.page import cleaned, foreign_hosts

pytestmark = pytest.mark.unit
HOME = Path("/srv/größe/dbt")


@pytest.mark.parametrize(
    ("page", "without"),
    [
        ('<a href="https://docs.getdbt.com/docs/x?y=1#z">docs</a>', '<a href="#">docs</a>'),
        ("see http://angular.example.org:8080/a.$b for more", "see # for more"),
        ('i.src="//d1fc.cloudfront.net/2.9.0/sp.js",a', 'i.src="#",a'),
        ('r("newTracker","sp","a.sinter-collect.com",l)', 'r("newTracker","sp","#",l)'),
        ('location.hostname.indexOf(".getdbt.com")>-1', 'location.hostname.indexOf("#")>-1'),
        ("/*! normalize v3 | MIT | github.com/necolas/normalize.css */", "/*! normalize v3 | MIT | # */"),
        (r'{"sql": "-- https://github.com/x/y\nselect 1"}', r'{"sql": "-- #\nselect 1"}'),
    ],
)
def test_an_address_is_taken_out_wherever_it_stands(page: str, without: str) -> None:
    assert cleaned(page, HOME) == without
    assert foreign_hosts(without) == set()


@pytest.mark.parametrize(
    "page",
    [
        'createElementNS("http://www.w3.org/2000/svg","g")',
        'ao.href="http://[::1]"',
        'r="www."===o[1]?"http://"+n:n',
        "a//b\nreturn e.com",
        "select 1 -- half // and half",
        'x="data:image/png;base64,ab//cd+/ef"',
    ],
)
def test_what_is_no_address_of_a_host_stays(page: str) -> None:
    assert cleaned(page, HOME) == page


def test_a_page_that_still_names_a_host_is_refused_with_its_name() -> None:
    with pytest.raises(StoreError, match=r"names other hosts, so it was not published: 10\.1\.2\.3, localhost$"):
        cleaned('<script src="http://localhost:80/x"></script><img src="https://10.1.2.3/x">', HOME)


def test_a_page_with_a_password_is_refused_without_it() -> None:
    with pytest.raises(StoreError, match=r"^dbt's page holds a password, so it was not published$"):
        cleaned("<p>s3cret-word</p>", HOME, ["s3cret-word"])


def test_where_dbt_worked_is_nobodys_business() -> None:
    page = '{"path": "/srv/gr\\u00f6\\u00dfe/dbt/target/x.sql", "other": "/srv/größe/dbt/target/y.sql"}'
    assert cleaned(page, HOME) == '{"path": "target/x.sql", "other": "target/y.sql"}'
