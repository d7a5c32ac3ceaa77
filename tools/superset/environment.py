"""The environment of Superset, .venv-superset: a program of its own, whose versions do not go together with those of the jobs."""

from __future__ import annotations

from tools.setup.environment import Beside
from tools.setup.machine import exit_with_sentence

SUPERSET = Beside("superset", "superset", "Superset", "250 MB of downloads")

if __name__ == "__main__":
    exit_with_sentence(SUPERSET.make)
