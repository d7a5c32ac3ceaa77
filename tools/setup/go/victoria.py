"""Builds VictoriaMetrics, vmalert and the tester of its rules from one published Go module; `--where` prints the folder.

The servers of metrics that a package registry brings ready-made are of older releases, without pages and without OTLP.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools.setup.go.modules import Module, build
from tools.setup.machine import exit_with_sentence

VICTORIA = Module(
    name="VictoriaMetrics",
    path="github.com/VictoriaMetrics/VictoriaMetrics",
    version="v1.151.0",
    sum="h1:Svzb/7gPYbzmQnvLjab8h1Jl9olB76mokDE7ykvF/ro=",
    programs=("app/victoria-metrics", "app/vmalert", "app/vmalert-tool"),
    minutes="six",
)


def program(name: str) -> Path:
    """Where `victoria-metrics`, `vmalert` or `vmalert-tool` lies, or will."""
    return VICTORIA.program(f"app/{name}")


def main() -> None:
    if "--where" in sys.argv[1:]:
        print(VICTORIA.folder)
    else:
        build(VICTORIA)


if __name__ == "__main__":
    exit_with_sentence(main)
