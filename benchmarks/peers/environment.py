"""Makes .venv-benchmarks: the environment of the peers, apart from the jobs' because a peer brings versions of its own."""

from __future__ import annotations

from tools.setup.environment import Beside
from tools.setup.machine import exit_with_sentence

PEERS = Beside("benchmarks", "bench", "the peers", "60 MB of downloads")
ENVIRONMENT, PYTHON, MARK = PEERS.folder, PEERS.python, PEERS.mark


def main() -> None:
    """Makes the environment; does nothing where nothing changed."""
    PEERS.make()


if __name__ == "__main__":
    exit_with_sentence(main)
