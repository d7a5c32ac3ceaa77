"""Makes dist/lakehouse.zip for `spark-submit --py-files`: the package, contracts and suites; equal bytes each time.

A zip and not a wheel: Python workers of Spark import from a zip on their path, but not from a file that ends in .whl.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

from tools.setup.machine import ROOT, exit_with_sentence, run

TARGET = ROOT / "dist" / "lakehouse.zip"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest time a zip can hold: equal content gives equal bytes


def main() -> None:
    with tempfile.TemporaryDirectory() as built:
        # setup.py is the one place that says what belongs to the package.
        run("Making the package", [sys.executable, "setup.py", "-q", "build_py", "--build-lib", built], cwd=ROOT)
        _write(Path(built))
    print(f"{TARGET.relative_to(ROOT)} {TARGET.stat().st_size // 1024} KiB")


def _write(built: Path) -> None:
    # Without the samples: executors never read them, and they are larger than everything else.
    files = sorted(path for path in (built / "lakehouse").rglob("*") if path.is_file() and path.suffix != ".pyc")
    TARGET.parent.mkdir(exist_ok=True)
    part = TARGET.with_suffix(".part")
    with zipfile.ZipFile(part, "w") as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(built).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes(), compresslevel=9)
    part.replace(TARGET)


if __name__ == "__main__":
    exit_with_sentence(main)
