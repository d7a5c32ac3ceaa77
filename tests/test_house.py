"""The rules of the house, read from the code itself: each names the file, the line and what is wrong with it."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
PACKAGE = "lib/lakehouse"
# Rooms of the package from the ground up: each imports what stands below it, rooms on one line do not see each other,
# and a room may always look into itself. The ground is one room of small files.
GROUND = ("errors", "log", "settings", "setting_kinds", "secret_files", "business_date", "records")
LINES = (
    GROUND,
    ("contracts", "columns", "address", "home", "java", "receivers", "tls"),
    ("conform", "database", "session", "judging"),
    ("source", "lake", "warehouse", "ledger", "gate", "pages", "report", "server"),
    ("parts", "monitoring", "features"),
    ("frame",),
    ("catalogue", "units", "live"),
    ("lineage",),
    ("layers",),
    ("runs",),
    ("upkeep", "recovery"),
    ("personal",),
    ("wiring",),
)
# A transform sees columns and nothing else, so the rooms of transforms stand on no line.
MAY_IMPORT = {
    **{room: tuple(r for lower in LINES[:n] for r in lower) for n, line in enumerate(LINES) for room in line},
    **dict.fromkeys(GROUND, GROUND),
    "columns": (),
    "silver": ("columns",),
    "gold": ("columns",),
}
# Who finds the transforms by name; what a day does is written there and nowhere else.
FIND_TRANSFORMS = ("frame",)
NOT_FOR_DOORS = ("silver", "gold", "columns")
# Of libraries: what a pure transform needs, and what a DAG file or a contract must do without.
PURE = ("__future__", "collections", "datetime", "pyspark", "lakehouse")
HEAVY = ("pyspark", "py4j", "delta", "great_expectations")
WITHOUT_SPARK = (*GROUND, "contracts", "address", "home", "java", "receivers", "database", "ledger", "lake.arrow", "server",
                 "monitoring", "recovery")  # fmt: skip
TOPS = ("lib/lakehouse", "jobs", "dags", "samples", "benchmarks", "tools", "tests")
# Longer than this a person does not read in one sitting.
MOST_LINES = 300
MOST_FILES = 8
MOST_LINES_OF_THE_FRAME = 150


class Import(NamedTuple):
    """A module that a file imports, and on which line; `late` inside a function."""

    line: int
    module: str
    late: bool


def python_files(root: Path, *tops: str) -> list[Path]:
    return sorted(f for top in tops or TOPS for f in (root / top).rglob("*.py") if "__pycache__" not in f.parts)


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imports(file: Path) -> Iterator[Import]:
    """Every import of a file, those by importlib's function too; `from a import b` is of `a.b`."""
    tree = parsed(file)
    late = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{'.' * node.level}{node.module or ''}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            names = [ast.unparse(node.args[0]).removeprefix("f").strip("'\"")]
        for name in names:
            yield Import(node.lineno, name, id(node) in late)


def room_of(module: str) -> str:
    """The room of a module of the package: `contracts` of lakehouse.contracts.Contract."""
    return module.split(".")[1] if "." in module else ""


def place(root: Path, file: Path, line: int) -> str:
    return f"{file.relative_to(root)}:{line}"


def forbidden_imports(root: Path) -> Iterator[str]:
    """Every import that the house does not allow, with its file and line."""
    for file in python_files(root):
        parts = file.relative_to(root).with_suffix("").parts
        in_package = parts[:2] == ("lib", "lakehouse")
        room, module = (parts[2], ".".join(parts[2:])) if in_package else (parts[0], ".".join(parts))
        for line, name, late in imports(file):
            here, theirs, top = place(root, file, line), room_of(name), name.split(".")[0]
            if top == "lib":
                yield f"{here} imports lib by that name"
            if name.startswith("."):
                yield f"{here} imports {name}: relative imports hide the room"
            if in_package and top in ("samples", "benchmarks", "tests", "jobs", "dags", "tools"):
                yield f"{here} imports {top}, which the package does not know"
            if (module in WITHOUT_SPARK or room in (*WITHOUT_SPARK, "dags")) and top in HEAVY:
                yield f"{here} imports {top}"
            if room in ("silver", "gold") and top not in PURE:
                yield f"{here} imports {top}: a transform needs only pyspark, datetime and lakehouse.columns"
            if top == "lakehouse" and not allowed(room, name, late, in_package=in_package):
                yield f"{here} imports lakehouse.{theirs}, which {room} may not know"


def allowed(room: str, module: str, late: bool, *, in_package: bool) -> bool:
    """Whether a room may import a module of the package."""
    theirs = room_of(module)
    if room in ("tests", "tools") or (room in FIND_TRANSFORMS and theirs in ("silver", "gold", "columns", "{layer}")):
        return True
    if room == "dags":
        asked_when_it_runs = late and module.startswith(("lakehouse.ledger", "lakehouse.database"))
        return theirs in ("contracts", "receivers", *GROUND) or asked_when_it_runs
    if room in MAY_IMPORT and in_package:
        if room in ("silver", "gold"):
            return theirs == "columns"
        return theirs in (room, *MAY_IMPORT[room])
    return theirs not in NOT_FOR_DOORS


def test_every_room_imports_only_what_it_may_know() -> None:
    assert list(forbidden_imports(ROOT)) == []


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("lib/lakehouse/silver/mugs.py", "from lakehouse.gold import dim_mugs", "imports lakehouse.gold, which silver"),
        ("lib/lakehouse/silver/mugs.py", "from lakehouse.silver import cups", "imports lakehouse.silver, which silver"),
        (
            "lib/lakehouse/gold/dim_mugs.py",
            "from lakehouse import contracts",
            "imports lakehouse.contracts, which gold",
        ),
        ("lib/lakehouse/gold/dim_mugs.py", "import random", "imports random: a transform needs only"),
        ("lib/lakehouse/contracts.py", "from pyspark.sql import types", "imports pyspark"),
        ("lib/lakehouse/ledger/__init__.py", "import pyspark", "imports pyspark"),
        (
            "lib/lakehouse/warehouse/gold.py",
            "from lakehouse.gate import gate",
            "imports lakehouse.gate, which warehouse",
        ),
        ("lib/lakehouse/gate/gate.py", "import lakehouse.lake.delta", "imports lakehouse.lake, which gate"),
        ("lib/lakehouse/conform.py", "from lakehouse.judging import rules", "imports lakehouse.judging, which conform"),
        (
            "lib/lakehouse/columns.py",
            "from lakehouse.contracts import Contract",
            "imports lakehouse.contracts, which col",
        ),
        ("lib/lakehouse/errors.py", "from lakehouse import session", "imports lakehouse.session, which errors"),
        ("lib/lakehouse/runs/day.py", "import lakehouse.wiring", "imports lakehouse.wiring, which runs"),
        ("lib/lakehouse/wiring.py", "import_module('lakehouse.gold.dim_mugs')", "imports lakehouse.gold, which wiring"),
        ("lib/lakehouse/cli/runs.py", "from lakehouse.silver import orders", "imports lakehouse.silver, which cli"),
        (
            "lib/lakehouse/cli/runs.py",
            "from samples import foodmart",
            "imports samples, which the package does not know",
        ),
        ("lib/lakehouse/job.py", "from . import log", "imports ..log: relative imports hide the room"),
        ("jobs/day.py", "from lakehouse.columns import ratio", "imports lakehouse.columns, which jobs"),
        ("jobs/day.py", "from lib.lakehouse.runs import day", "imports lib by that name"),
        ("dags/daily.py", "from lakehouse.ledger import Ledger", "imports lakehouse.ledger, which dags"),
        ("dags/daily.py", "import pyspark", "imports pyspark"),
    ],
)
def test_an_import_that_is_not_allowed_is_named_with_its_line(tmp_path: Path, file: str, line: str, said: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(f'"""A file."""\n\n{line}\n', encoding="utf-8")
    found = list(forbidden_imports(tmp_path))
    assert len(found) == 1
    assert found[0].startswith(f"{file}:3 {said}")


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("lib/lakehouse/silver/mugs.py", "from lakehouse.columns import clean_text"),
        ("lib/lakehouse/gold/dim_mugs.py", "import datetime"),
        ("lib/lakehouse/frame/transforms.py", "import_module(f'lakehouse.gold.{table}')"),
        ("lib/lakehouse/runs/day.py", "from lakehouse.judging import rules"),
        ("lib/lakehouse/gate/gate.py", "from lakehouse.judging import suites"),
        ("jobs/day.py", "from lakehouse.job import main"),
        ("dags/daily.py", "def told():\n    from lakehouse.ledger import Ledger"),
        ("dags/daily.py", "from lakehouse.contracts import load_contracts"),
        ("samples/mugs.py", "from lakehouse.errors import SourceError"),
    ],
)
def test_an_import_that_is_allowed_is_not_named(tmp_path: Path, file: str, line: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(f"{line}\n", encoding="utf-8")
    assert list(forbidden_imports(tmp_path)) == []


def test_contracts_are_read_without_spark() -> None:
    """What a DAG file imports: each scheduler parses it every few seconds."""
    names = "business_date, contracts, errors, log, settings"
    code = f"import sys; from lakehouse import {names}; print(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.split() == []


def test_nobody_edits_the_path_on_which_modules_are_found() -> None:
    found = [
        place(ROOT, file, node.lineno)
        for file in python_files(ROOT)
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path"
    ]
    assert found == []


# A transform is pure: these ask Spark for values, run Python in its rows, or know what time it is.
IMPURE = re.compile(
    "collect|toPandas|toArrow|toLocalIterator|take|head|tail|show|isEmpty|foreach|foreachPartition|rdd|write|writeTo|persist|"
    "cache|checkpoint|localCheckpoint|createOrReplaceTempView|sparkSession|getActiveSession|getOrCreate|udf|pandas_udf|udtf|"
    "mapInPandas|mapInArrow|applyInPandas|applyInArrow|rand|randn|randstr|uuid|shuffle|monotonically_increasing_id|now|curdate|"
    "current_date|current_timestamp|localtimestamp|unix_timestamp|input_file_name|today|utcnow|print|open|input"
)


def impurities(file: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(file)):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if IMPURE.fullmatch(name):
            yield node.lineno, name  # type: ignore[attr-defined]
        if isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, a.name) for a in node.names if IMPURE.fullmatch(a.name))


def test_transforms_are_pure() -> None:
    found = [
        f"{place(ROOT, file, line)} {name}"
        for file in python_files(ROOT, f"{PACKAGE}/silver", f"{PACKAGE}/gold", f"{PACKAGE}/columns.py")
        for line, name in impurities(file)
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "orders.collect()",
        "F.udf(str)",
        "from pyspark.sql.functions import pandas_udf",
        "F.current_timestamp()",
        "print(1)",
    ],
)
def test_what_is_not_pure_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "mugs.py").write_text(f"x = 1\n{line}\n", encoding="utf-8")
    assert [number for number, _ in impurities(tmp_path / "mugs.py")] == [2]


def joins_without_how(file: Path) -> Iterator[int]:
    for node in ast.walk(parsed(file)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("join", "crossJoin")
            and not isinstance(node.func.value, ast.Constant | ast.JoinedStr)  # ", ".join(…)
            and node.args
            and "how" not in {k.arg for k in node.keywords}
        ):
            yield node.lineno


def test_joins_say_how() -> None:
    rooms = [f"{PACKAGE}/{room}" for room in ("silver", "gold", "judging", "gate", "frame", "layers", "runs")]
    assert [place(ROOT, f, line) for f in python_files(ROOT, *rooms) for line in joins_without_how(f)] == []


def test_a_join_that_does_not_say_how_is_found(tmp_path: Path) -> None:
    code = 'a.join(b, "id")\na.join(b, "id", how="left")\n", ".join(names)\nthread.join()\na.crossJoin(b)\n'
    (tmp_path / "mugs.py").write_text(code, encoding="utf-8")
    assert list(joins_without_how(tmp_path / "mugs.py")) == [1, 5]


def undocumented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The module, and its public functions and methods, that do not say what they are; a property has its name."""
    if not ast.get_docstring(tree):
        yield 1, "the module"
    classes = [n for n in tree.body if isinstance(n, ast.ClassDef) and not n.name.startswith("_")]
    for owner in (tree, *classes):
        for node in owner.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or ast.get_docstring(node):
                continue
            if not any(ast.unparse(d).split(".")[-1] in ("property", "cached_property") for d in node.decorator_list):
                yield node.lineno, node.name


def test_every_public_function_says_what_it_does() -> None:
    found = [
        f"{place(ROOT, file, line)} {name}"
        for file in python_files(ROOT, PACKAGE, "benchmarks")
        for line, name in undocumented(parsed(file))
    ]
    assert found == []


def test_a_function_without_a_docstring_is_found() -> None:
    code = (
        "def open(): ...\ndef _closed(): ...\nclass Mug:\n  def fill(self): ...\n  @property\n  def size(self): ...\n"
    )
    assert list(undocumented(ast.parse(code))) == [(1, "the module"), (1, "open"), (4, "fill")]


def test_no_file_is_longer_than_one_sitting() -> None:
    lengths = {str(f.relative_to(ROOT)): len(f.read_text(encoding="utf-8").splitlines())
               for f in python_files(ROOT, "lib", "jobs", "dags", "samples", "benchmarks", "tools")}  # fmt: skip
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


def test_no_room_has_more_files_than_one_look_takes_in() -> None:
    rooms = {f.parent for f in python_files(ROOT, PACKAGE, "tools", "benchmarks")} - {ROOT / PACKAGE}
    sizes = {str(r.relative_to(ROOT)): len([f for f in r.glob("*.py") if f.name != "__init__.py"]) for r in rooms}
    assert {room: n for room, n in sizes.items() if n > MOST_FILES} == {}


def test_the_frame_is_read_in_one_go() -> None:
    assert (
        len((ROOT / PACKAGE / "frame" / "run.py").read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_THE_FRAME
    )


@pytest.mark.parametrize("fact", ['"year", "month", "day"', '"quarantine": "silver"'])
def test_folders_and_layers_of_the_lake_are_written_once(fact: str) -> None:
    files = [f.name for f in python_files(ROOT, "lib") if fact in f.read_text(encoding="utf-8")]
    assert files == ["records.py"]


def test_no_room_has_a_name_that_says_nothing() -> None:
    nothing = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
    assert [str(f.relative_to(ROOT)) for f in python_files(ROOT) if set(f.stem.split("_")) & nothing] == []


class Room(NamedTuple):
    """Where the files of a table lie: the file of the table `{}` in a layer."""

    path: str

    def file(self, table: str) -> str:
        return self.path.format(table)

    def tables(self, root: Path) -> set[str]:
        """Tables of which the room has a file."""
        before, _, after = self.path.rpartition("/")[2].partition("{}")
        folder = root / self.path.rpartition("/")[0]
        names = [f.name for f in folder.iterdir() if f.is_file()] if folder.is_dir() else []
        found = re.compile(re.escape(before) + r"(?!_)(\w+)" + re.escape(after))
        return {m[1] for name in names if (m := found.fullmatch(name))}


def rooms(layer: str) -> list[Room]:
    module, test = Room(f"{PACKAGE}/{layer}/{{}}.py"), Room(f"tests/{layer}/test_{{}}.py")
    contract, suite = Room(f"conf/contracts/{layer}/{{}}.yml"), Room(f"expectations/{layer}/{{}}.json")
    return [contract, suite] if layer == "bronze" else [contract, suite, module, test]


def missing_files(root: Path) -> list[str]:
    """Files that a table has not got: every table of gold has four, every table of the source six."""
    source = [*rooms("bronze"), *rooms("silver")]
    missing = []
    for needed in (source, rooms("gold")):
        tables = set[str]().union(*(room.tables(root) for room in needed))
        missing += [room.file(t) for t in sorted(tables) for room in needed if t not in room.tables(root)]
    return missing


def test_every_table_has_its_contract_suite_module_and_test() -> None:
    assert missing_files(ROOT) == []


def transforms(root: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Layer, table and argument names of every transform."""
    for layer in ("silver", "gold"):
        for file in python_files(root, f"{PACKAGE}/{layer}"):
            if file.stem != "__init__":
                functions = [n for n in parsed(file).body if isinstance(n, ast.FunctionDef) and n.name == "transform"]
                yield layer, file.stem, [a.arg for f in functions for a in f.args.args] if functions else ["nothing"]


def test_the_arguments_of_a_transform_are_its_inputs() -> None:
    silver, gold = (rooms(layer)[0].tables(ROOT) for layer in ("silver", "gold"))
    for layer, table, arguments in transforms(ROOT):
        if layer == "silver":
            assert arguments == [table], f"silver's {table} is made from images of {table}"
        else:
            assert set(arguments) <= silver | gold - {table} | {"business_date"}, f"gold's {table}"


NEW_TABLE = {
    "conf/contracts/gold/dim_channels.yml": """\
apiVersion: v3.1.0
kind: DataContract
id: gold.dim_channels
version: 1.0.0
status: active
owner: data-engineering
description: {purpose: "Channels that campaigns ran in"}
dataGranularityDescription: "One row per channel"
indexes: [[last_start_date]]
properties:
  - {name: channel, physicalType: text, primaryKey: true, description: "Channel"}
  - {name: last_start_date, physicalType: date, description: "First day of its last campaign"}
""",
    "expectations/gold/dim_channels.json": '{"name": "gold.dim_channels", "expectations": []}\n',
    "lib/lakehouse/gold/dim_channels.py": '''\
"""One row per channel that a campaign ran in."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def transform(campaigns: DataFrame) -> DataFrame:
    """Campaigns without a channel are in none."""
    named = campaigns.where("channel is not null")
    return named.groupBy("channel").agg(F.max("start_date").alias("last_start_date"))
''',
    "tests/gold/test_dim_channels.py": '''\
"""Gold's channels."""

from __future__ import annotations

from pyspark.sql import SparkSession

from tests.tables import expect, gold, table


def test_a_channel_is_one_row(spark: SparkSession) -> None:
    campaigns = table(
        spark, "silver.campaigns", "channel start_date", ("tv", "2011-12-01"), ("tv", "2011-12-02"), (None, "2011-12-03")
    )
    expect(gold("dim_channels", {"campaigns": campaigns}), "channel last_start_date", ("tv", "2011-12-02"))
''',
}
NEW_SOURCE_TABLE = [room.file("warehouses") for layer in ("bronze", "silver") for room in rooms(layer)]


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the house is made of."""
    for top in (
        "lib",
        "conf",
        "expectations",
        "jobs",
        "dags",
        "samples",
        "tests",
        "pyproject.toml",
        "spark-defaults.conf",
    ):
        if (ROOT / top).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.tar.xz", "e2e", "integration", "faults")
            shutil.copytree(ROOT / top, tmp_path / top, ignore=ignored)
        elif (ROOT / top).exists():
            shutil.copy(ROOT / top, tmp_path / top)
    return tmp_path


def test_a_gold_table_is_four_new_files_and_no_other_edit(copy: Path) -> None:
    write(copy, NEW_TABLE)
    assert missing_files(copy) == []
    code = (
        "import lakehouse; from lakehouse.contracts import load_contracts; from lakehouse.judging.suites import load_suites;"
        "contracts = load_contracts(); suites = load_suites(contracts);"
        "print(lakehouse.__file__, 'dim_channels' in contracts['gold'], 'dim_channels' in suites['gold'])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{copy}/lib", "PYTHONDONTWRITEBYTECODE": "1"}
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    assert loaded.stdout.split() == [f"{copy}/{PACKAGE}/__init__.py", "True", "True"]

    # What the tests say of the project's contracts, tables in Postgres, suites and code holds with the new table too.
    files = (
        "tests/test_house.py",
        "tests/test_contracts.py",
        "tests/warehouse/test_ddl.py",
        "tests/judging/test_suites.py",
    )
    others = ("new_files", "spark", "typo", "refused", "hang_together", "is_allowed", "is_not_allowed", "what_is_not")
    options = (
        "-q",
        "--noconftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:hypothesispytest",
        "-k",
        " and ".join(f"not {name}" for name in others),
    )
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files], cwd=copy, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert tested.returncode == 0, tested.stdout
    assert " passed" in tested.stdout


@pytest.mark.parametrize("path", NEW_TABLE)
def test_of_a_gold_tables_four_new_files_the_missing_one_is_named(copy: Path, path: str) -> None:
    write(copy, {name: text for name, text in NEW_TABLE.items() if name != path})
    assert missing_files(copy) == [path]


def test_a_source_table_is_six_new_files_and_the_missing_ones_are_named(copy: Path) -> None:
    assert len(NEW_SOURCE_TABLE) == 6
    write(copy, dict.fromkeys(NEW_SOURCE_TABLE, ""))
    assert missing_files(copy) == []
    for path in NEW_SOURCE_TABLE:
        (copy / path).rename(copy / "elsewhere")
        assert missing_files(copy) == [path]
        (copy / "elsewhere").rename(copy / path)
