"""CSV files read straight from the compressed archives in data/: nothing is unpacked to disk."""

import csv
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

DATA = Path(__file__).parent / "data"


def csv_files(archive: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The CSV files of an archive whose name (without folder and ending) is wanted, in the order of their names.

    An archive holds its files in any order and can only be read from its beginning, so they are held in memory: the
    larger of the two data sets is 46 MB.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(DATA / archive, mode="r|xz") as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            if path.suffix == ".csv" and wanted(path.stem) and (content := tar.extractfile(member)):
                found[path.stem] = content.read()
    return dict(sorted(found.items()))


def records(content: bytes, columns: tuple[str, ...]) -> Iterator[list[str]]:
    """The lines of a CSV file without its header, which must be the columns given."""
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline=""))
    header = tuple(next(lines))
    if header != columns:
        raise ValueError(f"the columns are {', '.join(header)}, not {', '.join(columns)}")
    yield from lines
