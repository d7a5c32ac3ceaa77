"""Run by Feast's own environment: applies the definitions, and brings the newest day into the online store.

`repository` is the folder features/, which is on the path of modules; `end` is the end of the newest day.
"""

import sys
from datetime import datetime

import definitions
from feast import FeatureStore


def main(repository: str, end: str) -> None:
    store = FeatureStore(repo_path=repository)
    store.apply([*definitions.ENTITIES, *definitions.VIEWS])
    until = datetime.fromisoformat(end)
    store.materialize(until - definitions.LIVES, until)


if __name__ == "__main__":
    main(*sys.argv[1:])
