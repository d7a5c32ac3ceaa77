"""The environment of Feast, .venv-features: a feature store, whose versions do not go together with those of the jobs."""

from __future__ import annotations

from tools.setup.environment import Beside
from tools.setup.machine import exit_with_sentence

FEATURES = Beside("features", "features", "Feast", "150 MB of downloads")

if __name__ == "__main__":
    exit_with_sentence(FEATURES.make)
