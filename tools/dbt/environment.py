"""The environment of dbt, .venv-dbt: a program of its own, whose versions do not go together with those of the jobs."""

from __future__ import annotations

from tools.setup.environment import Beside
from tools.setup.machine import exit_with_sentence

DBT = Beside("dbt", "dbt", "dbt", "40 MB of downloads")

if __name__ == "__main__":
    exit_with_sentence(DBT.make)
