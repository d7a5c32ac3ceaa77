"""Settings of the live layer, LAKEHOUSE_LIVE_…: only its own commands read them, so that a night knows none."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import ConfigError, SetupError
from lakehouse.setting_kinds import Duration

PREFIX = "LAKEHOUSE_LIVE_"
# Made by `make live-setup` (tools/live/setup.py).
JARS = Path(sys.prefix) / "share" / "lakehouse" / "live"
NAME = r"[a-z][a-z0-9_]*"


class LiveSettings(BaseSettings):
    """Where the stream reads, and how often. `topics`: the first word of the topics' names, and the connector's name."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    kafka: str = Field("127.0.0.1:39092", pattern=r"^[^\s,]+:\d+$")
    connect: str = Field("http://127.0.0.1:38083", pattern=r"^https?://")
    topics: str = Field("lakehouse", pattern=f"^{NAME}$")
    slot: str = Field("lakehouse_live", pattern=f"^{NAME}$")
    publication: str = Field("lakehouse", pattern=f"^{NAME}$")
    trigger: Duration = Field(timedelta(seconds=30), gt=timedelta(0), le=timedelta(hours=1))
    memory: str = Field("1g", pattern=r"^\d+[mg]$")


def live_settings() -> LiveSettings:
    """Reads them. Raises ConfigError that names each faulty one, never its value."""
    try:
        return LiveSettings()
    except ValidationError as e:
        faults = [f"{PREFIX}{str(f['loc'][0]).upper()}: {f['msg']}" for f in e.errors(include_input=False)]
        raise ConfigError(f"settings are wrong: {'; '.join(faults)}") from None


def spark_options(live: LiveSettings) -> dict[str, str]:
    """What the stream's Spark is started with: Kafka's jars, which a night's has not, and less memory."""
    jars = sorted((JARS / "spark").glob("*.jar"))
    if not jars:
        raise SetupError("the live layer is not installed: `make live-setup` fetches what it runs on")
    return {
        "spark.driver.extraClassPath": ":".join(map(str, jars)),
        "spark.driver.memory": live.memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
