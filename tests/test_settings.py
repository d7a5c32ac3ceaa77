"""Settings: where they come from, what is refused, and that no secret is ever printed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lakehouse.errors import ConfigError
from lakehouse.settings import Settings, _variable, load_settings
from tools.stack.settings import OF_THE_STACK

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent

SECRET = "s3cret-word"
URL = f"postgresql://reader:{SECRET}@db.example.com:5432/shop"
HOOK = f"https://chat.example.com/hooks/{SECRET}"
SMTP = f"smtp://shop:{SECRET}@mail.example.com:587"
MAIL = {
    "LAKEHOUSE_ALERT_EMAIL_TO": "ada@example.com",
    "LAKEHOUSE_ALERT_EMAIL_FROM": "lakehouse@example.com",
    "LAKEHOUSE_SMTP_URL": SMTP,
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set, and there is an empty folder of secrets."""
    for name in [n for n in os.environ if n.upper().startswith(("LAKEHOUSE_", "AWS_"))]:
        monkeypatch.delenv(name)
    (tmp_path / "no-secrets").mkdir()
    monkeypatch.setenv("LAKEHOUSE_SECRETS_DIR", str(tmp_path / "no-secrets"))


Given = Callable[..., Settings]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Settings of an environment."""

    def load(**environment: str) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return load


def refusal(given: Given, **environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        given(**environment)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value)


def test_nothing_needs_to_be_set(given: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = given()
    assert settings.home == tmp_path / ".lakehouse"
    assert settings.lake_root == f"file://{tmp_path}/.lakehouse/lake"
    assert (settings.source_dsn, settings.gold_dsn, settings.access_key, settings.endpoint) == (None,) * 4
    assert settings.zone == ZoneInfo("UTC")
    assert settings.max_quarantined_share == 0.05
    assert settings.extract_lookback == timedelta(days=1)
    assert (settings.schedule, settings.gold_deadline) == ("cron", timedelta(hours=2))
    assert (settings.root, settings.jobs_environment) == (None, None)
    assert (settings.alert_webhook, settings.smtp_url) == (None, None)


def test_everything_can_be_set(given: Given) -> None:
    settings = given(
        LAKEHOUSE_HOME="~/shop",
        LAKEHOUSE_SOURCE_DSN=URL,
        LAKEHOUSE_GOLD_DSN=URL,
        LAKEHOUSE_LAKE="s3a://",
        LAKEHOUSE_TIMEZONE="America/Sao_Paulo",
        LAKEHOUSE_MAX_QUARANTINED_SHARE="0.2",
        LAKEHOUSE_EXTRACT_LOOKBACK="PT36H",
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_ENDPOINT_URL="http://127.0.0.1:9000",
        LAKEHOUSE_SCHEDULE="assets",
        LAKEHOUSE_ROOT="/opt/lakehouse",
        LAKEHOUSE_JOBS_ENVIRONMENT="/opt/jobs",
        LAKEHOUSE_GOLD_DEADLINE="PT45M",
        LAKEHOUSE_DOCS_URL="https://docs.example.com",
        LAKEHOUSE_ALERT_WEBHOOK=HOOK,
        LAKEHOUSE_ALERT_EMAIL_TO="ada@example.com, bob@example.com",
        LAKEHOUSE_ALERT_EMAIL_FROM="lakehouse@example.com",
        LAKEHOUSE_SMTP_URL=SMTP,
    )
    assert settings.home == Path.home() / "shop"
    assert [s and s.get_secret_value() for s in (settings.source_dsn, settings.gold_dsn)] == [URL, URL]
    assert [s and s.get_secret_value() for s in (settings.access_key, settings.secret_key)] == ["key", SECRET]
    assert settings.endpoint == "http://127.0.0.1:9000"
    assert settings.zone == ZoneInfo("America/Sao_Paulo")
    assert settings.max_quarantined_share == 0.2
    assert settings.extract_lookback == timedelta(hours=36)
    assert settings.schedule == "assets"
    assert (settings.root, settings.jobs_environment) == (Path("/opt/lakehouse"), Path("/opt/jobs"))
    assert settings.gold_deadline == timedelta(minutes=45)
    assert settings.docs_url == "https://docs.example.com"
    assert [s and s.get_secret_value() for s in (settings.alert_webhook, settings.smtp_url)] == [HOOK, SMTP]
    assert settings.alert_email_to == "ada@example.com, bob@example.com"
    assert settings.alert_email_from == "lakehouse@example.com"


def test_a_variable_that_is_empty_is_not_set(given: Given) -> None:
    settings = given(LAKEHOUSE_SOURCE_DSN="", LAKEHOUSE_TIMEZONE="", AWS_ACCESS_KEY_ID="", LAKEHOUSE_LAKE="")
    assert (settings.source_dsn, settings.timezone, settings.access_key, settings.lake) == (None, "UTC", None, "")


def test_settings_are_not_changed_once_they_are_read(given: Given) -> None:
    with pytest.raises(ValueError, match="frozen"):
        given().timezone = "Europe/Berlin"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("lake", "root"),
    [
        ("file:///data/lake", "file:///data/lake"),
        ("file:///data/lake/", "file:///data/lake"),
        ("s3a://", "s3a:"),
        ("s3a://shop/lake/", "s3a://shop/lake"),
    ],
)
def test_a_lake_has_one_of_three_forms(given: Given, lake: str, root: str) -> None:
    assert given(LAKEHOUSE_LAKE=lake).lake_root == root


@pytest.mark.parametrize(
    "lake", ["/data/lake", "file:/data/lake", "file://data/lake", "s3://shop", "hdfs://shop", " s3a://"]
)
def test_a_lake_of_another_form_is_refused(given: Given, lake: str) -> None:
    assert "LAKEHOUSE_LAKE: must begin with file:/// or s3a://" in refusal(given, LAKEHOUSE_LAKE=lake)


FAULTS = {
    "LAKEHOUSE_LAKE": (f"s3://{SECRET}", "must begin with file:/// or s3a://"),
    "LAKEHOUSE_SOURCE_DSN": (f"host=db user=reader password={SECRET}", "must be a libpq URL"),
    "LAKEHOUSE_GOLD_DSN": (f"mysql://reader:{SECRET}@db/shop", "must be a libpq URL"),
    "LAKEHOUSE_TIMEZONE": (
        f"Europe/{SECRET}",
        "must be UTC or a zone of the tz database by its region, for example Europe/Berlin",
    ),
    "LAKEHOUSE_MAX_QUARANTINED_SHARE": (SECRET, "Input should be a valid number"),
    "LAKEHOUSE_MAX_DELETED_SHARE": (SECRET, "Input should be a valid number"),
    "LAKEHOUSE_DELETES_ON": (f"sunday,{SECRET}", "must be daily, or names of days of the week"),
    "LAKEHOUSE_EXTRACT_LOOKBACK": (SECRET, "Input should be a valid timedelta"),
    "LAKEHOUSE_SCHEDULE": (SECRET, "Input should be 'cron' or 'assets'"),
    "LAKEHOUSE_GOLD_DEADLINE": ("PT0S", "Input should be greater than 0"),
    "LAKEHOUSE_ALERT_WEBHOOK": (f"chat.example.com/{SECRET}", "must begin with http:// or https://"),
    "LAKEHOUSE_SMTP_URL": (f"mail.example.com:587/{SECRET}", "must be smtp://user:password@host:port"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_setting_is_named_without_its_value(given: Given, name: str) -> None:
    value, reason = FAULTS[name]
    said = refusal(given, **{name: value})
    assert f"{name}: {reason}" in said
    assert SECRET not in said


def test_all_faulty_settings_are_named_at_once(given: Given) -> None:
    said = refusal(given, **{name: value for name, (value, _) in FAULTS.items()})
    assert [name for name in FAULTS if f"{name}: " in said] == list(FAULTS)
    assert SECRET not in said


@pytest.mark.parametrize("password", [f"p#{SECRET}", f"12#{SECRET}", f"p/{SECRET}", f"p?{SECRET}", f"[{SECRET}"])
def test_a_password_of_the_mail_server_that_is_not_escaped_is_refused_and_not_shown(
    given: Given, password: str
) -> None:
    said = refusal(given, LAKEHOUSE_SMTP_URL=f"smtp://shop:{password}@mail.example.com:587")
    assert "LAKEHOUSE_SMTP_URL: must be smtp://user:password@host:port" in said
    assert SECRET not in said


@pytest.mark.parametrize("missing", MAIL)
def test_mail_needs_a_server_a_sender_and_a_receiver(given: Given, missing: str) -> None:
    assert given(**MAIL).alert_email_to
    said = refusal(given, **{**MAIL, missing: ""})
    assert said == f"settings are wrong: alerts by e-mail need {missing} too"


@pytest.mark.parametrize(
    ("days", "looks_on"),
    [("daily", ["Fri", "Sat", "Sun"]), ("Sunday", ["Sun"]), ("friday, SUNDAY", ["Fri", "Sun"]), ("monday", [])],
)
def test_deletes_are_looked_for_daily_or_on_days_of_the_week(given: Given, days: str, looks_on: list[str]) -> None:
    settings, weekend = given(LAKEHOUSE_DELETES_ON=days), [date(2020, 1, n) for n in (3, 4, 5)]
    assert [f"{day:%a}" for day in weekend if settings.compares_keys(day)] == looks_on


@pytest.mark.parametrize("share", ["-0.01", "1.01", "nan"])
def test_a_share_lies_between_none_and_all(given: Given, share: str) -> None:
    assert "LAKEHOUSE_MAX_QUARANTINED_SHARE: Input should be" in refusal(given, LAKEHOUSE_MAX_QUARANTINED_SHARE=share)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://reader:{SECRET}@db",
        f"postgresql://reader:{SECRET}@db/",
        "postgresql://",
        "shop",
        # A password whose own @ or / is not escaped is no part of a host, and is not printed as one.
        f"postgresql://reader:ge@{SECRET}@db/shop",
        f"postgresql://reader:ge/{SECRET}@db/shop",
        # JDBC knows neither sockets nor libpq's lists of servers.
        "postgresql:///shop",
        "postgresql:///shop?host=/var/run/postgresql",
        "postgresql://one:5432,two:5432/shop",
    ],
)
def test_a_url_names_one_server_and_a_database(given: Given, url: str) -> None:
    said = refusal(given, LAKEHOUSE_SOURCE_DSN=url)
    assert (
        "LAKEHOUSE_SOURCE_DSN: must be a libpq URL of one server: postgresql://user:password@host:port/database" in said
    )
    assert SECRET not in said


@pytest.mark.parametrize(
    "zone", ["Berlin", "../etc/passwd", "/etc/passwd", "Europe", "+01:00", "localtime", "posix/Europe/Berlin"]
)
def test_what_is_no_zone_is_refused(given: Given, zone: str) -> None:
    assert "LAKEHOUSE_TIMEZONE: must be UTC or a zone of the tz database" in refusal(given, LAKEHOUSE_TIMEZONE=zone)


@pytest.mark.parametrize("number", ["2", " 30 ", "1.5", "-1"])
@pytest.mark.parametrize("name", ["EXTRACT_LOOKBACK", "RETENTION", "GOLD_DEADLINE", "LOG_RETENTION"])
def test_a_duration_says_its_unit_as_two_days_are_not_two_seconds(given: Given, name: str, number: str) -> None:
    said = refusal(given, **{f"LAKEHOUSE_{name}": number})
    assert (
        said
        == f"settings are wrong: LAKEHOUSE_{name}: must say its unit, as P2D for two days or PT12H for twelve hours"
    )


@pytest.mark.parametrize(
    ("mistyped", "setting"),
    [
        ("TIME_ZONE", "TIMEZONE"),
        ("RETENTON", "RETENTION"),
        ("GOLD_DNS", "GOLD_DSN"),
        ("EXTRACT_LOOK_BACK", "EXTRACT_LOOKBACK"),
        ("MAX_QUARANTINE_SHARE", "MAX_QUARANTINED_SHARE"),
        ("LAKES", "LAKE"),
    ],
)
def test_a_variable_that_is_almost_a_settings_is_named_and_not_passed_over(
    given: Given, mistyped: str, setting: str
) -> None:
    said = refusal(given, **{f"LAKEHOUSE_{mistyped}": SECRET, "LAKEHOUSE_LAKE": "here"})
    assert f"LAKEHOUSE_{mistyped}: there is no such setting; it is LAKEHOUSE_{setting}" in said
    assert "LAKEHOUSE_LAKE: must begin with" in said
    assert SECRET not in said


def test_a_secret_file_that_is_almost_named_as_a_setting_is_told_too(given: Given, tmp_path: Path) -> None:
    for name in ("LAKEHOUSE_TIME_ZONE", "LAKEHOUSE_TIMEZONE.part"):
        (tmp_path / "no-secrets" / name).write_text(SECRET)
    assert (
        refusal(given) == "settings are wrong: LAKEHOUSE_TIME_ZONE: there is no such setting; it is LAKEHOUSE_TIMEZONE"
    )


def test_what_the_stack_and_its_tools_are_told_is_no_mistyped_setting(given: Given) -> None:
    names = re.findall(r"\bLAKEHOUSE_[A-Z0-9_]+", (ROOT / ".env.example").read_text(encoding="utf-8"))
    others = {*names, *OF_THE_STACK, "LAKEHOUSE_DEBUG", "LAKEHOUSE_PICTURES"} - {
        _variable(name) for name in Settings.model_fields
    }
    assert {"LAKEHOUSE_AIRFLOW_PORT", "LAKEHOUSE_SPARK_MASTER"} <= others
    assert given(**dict.fromkeys(others - {"LAKEHOUSE_SECRETS_DIR"}, "1")) == given()


def test_a_look_back_does_not_look_ahead(given: Given) -> None:
    assert "LAKEHOUSE_EXTRACT_LOOKBACK: Input should be greater" in refusal(given, LAKEHOUSE_EXTRACT_LOOKBACK="-P1D")


@pytest.mark.parametrize("name", ["LAKEHOUSE_EXTRACT_LOOKBACK", "LAKEHOUSE_RETENTION"])
def test_a_span_that_leads_before_the_first_date_is_refused(given: Given, name: str) -> None:
    assert f"{name}: Input should be less than or equal to 36525 days" in refusal(given, **{name: "P999999D"})


def test_a_home_of_an_account_that_there_is_not_is_refused(given: Given) -> None:
    assert "LAKEHOUSE_HOME: begins with ~" in refusal(given, LAKEHOUSE_HOME="~nobody-of-that-name/shop")


def test_a_home_with_a_space_or_an_umlaut_is_that_folder(given: Given, tmp_path: Path) -> None:
    assert given(LAKEHOUSE_HOME=str(tmp_path / "my höme")).lake_root == f"file://{tmp_path}/my höme/lake"


@pytest.mark.parametrize("show", [str, repr, lambda s: str(s.model_dump()), lambda s: s.model_dump_json()])
def test_settings_printed_show_no_secret(given: Given, show: Callable[[Settings], str]) -> None:
    given_secrets = {"LAKEHOUSE_SOURCE_DSN": URL, "LAKEHOUSE_GOLD_DSN": URL, "AWS_SECRET_ACCESS_KEY": SECRET}
    settings = given(**given_secrets, **MAIL, LAKEHOUSE_ALERT_WEBHOOK=HOOK)
    assert "timezone" in show(settings)
    assert SECRET not in show(settings)


def test_secrets_are_read_from_a_folder_of_files(given: Given, tmp_path: Path) -> None:
    for name, secret in (("LAKEHOUSE_SOURCE_DSN", URL), ("lakehouse_gold_dsn", URL), ("AWS_SECRET_ACCESS_KEY", SECRET)):
        (tmp_path / name).write_text(f"{secret}\n", encoding="utf-8")
    settings = given(LAKEHOUSE_SECRETS_DIR=str(tmp_path))
    found = (settings.source_dsn, settings.gold_dsn, settings.secret_key)
    assert [s and s.get_secret_value() for s in found] == [URL, URL, SECRET]


def test_an_empty_secret_file_sets_nothing(given: Given, tmp_path: Path) -> None:
    for name in ("LAKEHOUSE_GOLD_DSN", "LAKEHOUSE_TIMEZONE"):
        (tmp_path / name).write_text("\n", encoding="utf-8")
    settings = given(LAKEHOUSE_SECRETS_DIR=str(tmp_path))
    assert (settings.gold_dsn, settings.timezone) == (None, "UTC")


def test_the_environment_goes_before_the_folder(given: Given, tmp_path: Path) -> None:
    (tmp_path / "LAKEHOUSE_TIMEZONE").write_text("Europe/Berlin", encoding="utf-8")
    assert given(LAKEHOUSE_SECRETS_DIR=str(tmp_path)).timezone == "Europe/Berlin"
    assert given(LAKEHOUSE_SECRETS_DIR=str(tmp_path), LAKEHOUSE_TIMEZONE="Asia/Tokyo").timezone == "Asia/Tokyo"


def test_a_faulty_secret_file_is_named_without_its_value(given: Given, tmp_path: Path) -> None:
    (tmp_path / "LAKEHOUSE_GOLD_DSN").write_text(f"password={SECRET}", encoding="utf-8")
    said = refusal(given, LAKEHOUSE_SECRETS_DIR=str(tmp_path))
    assert "LAKEHOUSE_GOLD_DSN: must be a libpq URL" in said
    assert SECRET not in said


def test_a_secret_file_that_cannot_be_read_is_named_without_a_word_of_it(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "LAKEHOUSE_GOLD_DSN"
    file.write_bytes(URL.replace("shop", "\xff").encode("latin-1"))
    said = refusal(given, LAKEHOUSE_SECRETS_DIR=str(tmp_path))
    assert said.startswith(f"LAKEHOUSE_GOLD_DSN cannot be read from {tmp_path} (it is not UTF-8): ")
    assert SECRET not in said

    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", denied)  # as root may read whatever there is
    assert "(Permission denied)" in refusal(given, LAKEHOUSE_SECRETS_DIR=str(tmp_path))


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_of_secrets_that_is_none_is_refused(given: Given, tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"LAKEHOUSE_SECRETS_DIR is not a folder: .*/{folder}$"):
        given(LAKEHOUSE_SECRETS_DIR=str(tmp_path / folder))


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({}, "us-east-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-central-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
    ],
)
def test_the_region_is_read_as_amazons_own_clients_read_it(
    given: Given, environment: dict[str, str], region: str
) -> None:
    assert given(**environment).region == region


def test_temporary_credentials_come_from_files_too(given: Given, tmp_path: Path) -> None:
    for name, value in {"AWS_SESSION_TOKEN": SECRET, "AWS_REGION": "eu-west-1"}.items():
        (tmp_path / "no-secrets" / name).write_text(value)
    settings = given(LAKEHOUSE_S3_PATH_STYLE="false")
    assert settings.session_token is not None
    assert (settings.session_token.get_secret_value(), settings.region) == (SECRET, "eu-west-1")
    assert not settings.s3_path_style
    assert SECRET not in repr(settings)
