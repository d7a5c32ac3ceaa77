"""Everything a person sets, from the environment or a folder of secret files, checked once and then frozen.

Secrets are held as SecretStr: printing the settings, or an error about them, never shows one.
"""

from __future__ import annotations

import os
import re
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from psycopg2.extensions import parse_dsn
from pydantic import (
    AfterValidator,
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from lakehouse.business_date import EVERY_DAY, WEEK, weekdays
from lakehouse.errors import ConfigError
from lakehouse.secret_files import is_known, refuse_open
from lakehouse.setting_kinds import Duration, PostgresUrl, SmtpUrl, WebUrl

PREFIX = "LAKEHOUSE_"
MOUNTED = "/run/secrets"
OF_GOLD = ("owner_dsn", "reader_dsn", "pii_reader_dsn")
DATABASES = ("source_dsn", "gold_dsn", *OF_GOLD)
ZONE = re.compile(r"[A-Z][A-Za-z]+/.+")
OURS = re.compile(r"LAKEHOUSE_[A-Z0-9_]+")
# How alike two names are of which one is the other, mistyped: the nearest two of ours are less so.
ALMOST = 0.92
# A century: so far before any day of a shop there are still dates.
LONGEST = timedelta(days=36_525)
# In a path Hadoop reads these as patterns or parts of an address, Spark as the end of a path, and deltalake %41 as A.
NOT_IN_A_PATH = re.compile(r"[][{}*?:,\\\x00-\x1f\x7f]|%[0-9A-Fa-f]{2}")


class Settings(BaseSettings):
    """Settings of one process. Names are those of the environment: `source_dsn` is LAKEHOUSE_SOURCE_DSN."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    home: Path = Path(".lakehouse")
    source_dsn: PostgresUrl | None = None
    gold_dsn: PostgresUrl | None = None
    # Beside it, where each role has its own: gold's owner, and who only reads it.
    owner_dsn: PostgresUrl | None = None
    reader_dsn: PostgresUrl | None = None
    pii_reader_dsn: PostgresUrl | None = None
    lake: str = ""
    backup_uri: str = ""
    backups_kept: int = Field(14, ge=1)
    timezone: str = "UTC"
    max_quarantined_share: float = Field(0.05, ge=0, le=1)
    max_deleted_share: float = Field(0.05, ge=0, le=1)
    deletes_on: Annotated[str, AfterValidator(weekdays)] = EVERY_DAY
    cdc: Literal["compare", "slot"] = "compare"
    cdc_slot: str = Field("lakehouse", pattern=r"^[a-z0-9_]{1,63}$")
    extract_lookback: Duration = Field(timedelta(days=1), ge=timedelta(0), le=LONGEST)
    retention: Duration = Field(timedelta(days=30), ge=timedelta(days=1), le=LONGEST)
    report: Literal["on", "off"] = "off"
    lineage: Literal["off", "file"] | WebUrl = "off"
    lineage_token: SecretStr | None = None
    airflow_url: str = "http://127.0.0.1:8080"
    airflow_user: str = "admin"
    airflow_password: SecretStr | None = None
    atlas_url: WebUrl | None = None
    atlas_user: str = "admin"
    atlas_password: SecretStr | None = None
    access_key: SecretStr | None = Field(None, validation_alias="AWS_ACCESS_KEY_ID")
    secret_key: SecretStr | None = Field(None, validation_alias="AWS_SECRET_ACCESS_KEY")
    session_token: SecretStr | None = Field(None, validation_alias="AWS_SESSION_TOKEN")
    endpoint: str | None = Field(None, validation_alias="AWS_ENDPOINT_URL")
    # What Amazon's own clients read, in their order. Stores that are not Amazon's seldom care.
    region: str = Field("us-east-1", validation_alias=AliasChoices("AWS_REGION", "AWS_DEFAULT_REGION"))
    s3_path_style: bool = True
    # Certificates (PEM) that every client of the stores trusts, and no others.
    ca_file: Path | None = None
    spark_secret: SecretStr | None = None  # shared by all machines of a Spark cluster
    # What only Airflow's DAGs read; a job has no use for these.
    schedule: Literal["cron", "assets"] = "cron"
    root: Path | None = None
    jobs_environment: Path | None = None
    spark_properties: Path | None = None
    gold_deadline: Duration = Field(timedelta(hours=2), gt=timedelta(0))
    log_retention: Duration = Field(timedelta(days=30), gt=timedelta(0))
    docs_url: str = ""
    alert_webhook: WebUrl | None = None
    alert_email_to: str = ""
    alert_email_from: str = ""
    smtp_url: SmtpUrl | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_unset(cls, values: Any) -> Any:
        # For variables pydantic does it by itself; an empty secret file says the same: docker compose wants each to exist.
        return {name: value for name, value in values.items() if value != ""} if isinstance(values, dict) else values

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        try:
            home = value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("begins with ~ and an account that there is not: write the whole path") from None
        if found := NOT_IN_A_PATH.search(str(home)):
            raise ValueError(f"is {str(home)!r}, where {found[0]!r} is not read as it stands: choose another folder")
        return home

    @field_validator("ca_file", mode="after")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not os.access(value, os.R_OK):
            raise ValueError("is no file that can be read")
        return value.absolute() if value else None

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        # By region: Java does not know every file that lies in the folder of zones (localtime, posix/…).
        if value != "UTC" and not (ZONE.fullmatch(value) and value in available_timezones()):
            raise ValueError("must be UTC or a zone of the tz database by its region, for example Europe/Berlin")
        return value

    @field_validator("lake", "backup_uri")
    @classmethod
    def _lake_known(cls, value: str) -> str:
        if value and not value.startswith(("file:///", "s3a://")):
            raise ValueError("must begin with file:/// or s3a://")
        if found := NOT_IN_A_PATH.search(value.partition("://")[2]):
            raise ValueError(f"holds {found[0]!r}, which is not read as it stands: choose another place")
        return value

    @model_validator(mode="after")
    def _mail_complete(self) -> Settings:
        mail = {n: bool(getattr(self, n)) for n in ("alert_email_to", "alert_email_from", "smtp_url")}
        if any(mail.values()) and not all(mail.values()):
            raise ValueError(f"alerts by e-mail need {', '.join(_variable(n) for n in mail if not mail[n])} too")
        return self

    @model_validator(mode="after")
    def _gold_named(self) -> Settings:
        others = [n for n in OF_GOLD if getattr(self, n)]
        if others and self.gold_dsn is None:
            raise ValueError(f"{', '.join(map(_variable, others))} are roles of LAKEHOUSE_GOLD_DSN, which is not set")
        return self

    @model_validator(mode="after")
    def _secret(self) -> Settings:
        urls = {n: dsn for n in DATABASES if (dsn := _word(getattr(self, n)))}
        opened = {n: (parse_dsn(url).get("password", ""), url) for n, url in urls.items()}
        opened["AWS_SECRET_ACCESS_KEY"] = (_word(self.secret_key), self.endpoint or "")
        opened["airflow_password"] = (_word(self.airflow_password), self.airflow_url)
        opened["atlas_password"] = (_word(self.atlas_password), _word(self.atlas_url))
        if known := [_variable(n) for n, (secret, where) in opened.items() if is_known(secret, where)]:
            raise ValueError(
                f"{', '.join(known)}: everybody knows this password; only a server on loopback may have it"
            )
        return self

    @property
    def lake_root(self) -> str:
        # Not as_uri(): Hadoop takes %20 for what it says.
        return (self.lake or f"file://{self.home / 'lake'}").rstrip("/")

    @property
    def backup_root(self) -> str:
        """Where backups are kept: beside the home, unless a setting names a place."""
        return (self.backup_uri or f"file://{self.home.parent / f'{self.home.name}-backup'}").rstrip("/")

    def compares_keys(self, day: date) -> bool:
        """Whether the run for a business date compares the keys of the source with those that are held.

        By a slot, which tells which are gone, this is the proof: on Sundays, where no days are named.
        """
        named = WEEK[-1] if self.cdc == "slot" and self.deletes_on == EVERY_DAY else self.deletes_on
        return named == EVERY_DAY or WEEK[day.weekday()] in named.split(",")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def load_settings(secrets: Path | None = None) -> Settings:
    """Reads the environment, then files of `secrets`, else LAKEHOUSE_SECRETS_DIR, else /run/secrets where it exists.

    Raises ConfigError naming each faulty setting, never its value.
    """
    folder = secrets or os.environ.get("LAKEHOUSE_SECRETS_DIR") or (MOUNTED if Path(MOUNTED).is_dir() else None)
    if folder and not Path(folder).is_dir():
        raise ConfigError(f"LAKEHOUSE_SECRETS_DIR is not a folder: {folder}")
    files = [file.name for file in Path(folder).iterdir()] if folder else []
    if folder and str(folder) != MOUNTED:  # there an orchestrator mounts what one container alone sees
        refuse_open(Path(folder), secret_variables() & set(files))
    faults = _mistyped({*files, *(name for name, value in os.environ.items() if value)})
    try:
        settings = Settings(_secrets_dir=folder)
    except ValidationError as e:
        faults += [
            ": ".join([*map(_variable, map(str, f["loc"][:1])), f["msg"].removeprefix("Value error, ")])
            for f in e.errors(include_input=False, include_url=False)
        ]
    except SettingsError as e:  # its own words name the field; those of its cause may quote the file
        name = re.findall(r'"(\w+)"', str(e))[0]
        why = getattr(e.__cause__, "strerror", None) or "it is not UTF-8"
        raise ConfigError(
            f"{_variable(name)} cannot be read from {folder} ({why}): write it as text, and let the account that runs this "
            "read it"
        ) from None
    if faults:
        raise ConfigError("settings are wrong: " + "; ".join(faults)) from None
    return settings


def _mistyped(names: set[str]) -> list[str]:
    """Names that are almost a setting's: unset, that one would be its default, and the zone UTC."""
    known = {_variable(name) for name in Settings.model_fields}
    others = sorted(name for name in names - known if OURS.fullmatch(name))
    meant = {name: get_close_matches(name, known, n=1, cutoff=ALMOST) for name in others}
    return [f"{name}: there is no such setting; it is {setting}" for name, found in meant.items() for setting in found]


def secret_variables() -> set[str]:
    """The environment's names of settings that are secrets, and of what libraries take for secrets by themselves."""
    fields = Settings.model_fields.items()
    ours = {str(f.validation_alias or _variable(n)) for n, f in fields if _is_secret(f.annotation)}
    return ours | {"AWS_SESSION_TOKEN", "PGPASSWORD"}


def _is_secret(annotation: Any) -> bool:
    return "SecretStr" in str(annotation)


def _word(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


def _variable(name: str) -> str:
    """The variable of a field; pydantic names a field with an alias by that."""
    return name if name.isupper() else f"{PREFIX}{name.upper()}"
