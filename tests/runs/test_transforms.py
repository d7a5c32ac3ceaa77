"""The digest of a layer's meaning: what moves it, and what does not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lakehouse.frame import transforms
from lakehouse.frame.transforms import digest
from tests.fakes import fake_lakehouse

pytestmark = pytest.mark.unit
CODE = '''"""What it is."""


def transform(orders):
    """One row per order."""
    return orders.where("status = 'paid # not a comment'")
'''


def module(folder: Path, code: str) -> ModuleType:
    file = folder / f"m{len(list(folder.iterdir()))}.py"
    file.write_text(code)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize(
    "code",
    [
        CODE.replace("What it is", "Other words"),
        CODE.replace("One row per order", "Other\n    words\n    "),
        CODE.replace("return", "# why\n    return"),
        CODE.replace("')\n", "')  # why\n").replace("    return", "\n\n    return"),
    ],
)
def test_words_about_the_code_do_not_count(tmp_path: Path, code: str) -> None:
    assert transforms._code(module(tmp_path, code)) == transforms._code(module(tmp_path, CODE))


@pytest.mark.parametrize("code", [CODE.replace("paid", "shipped"), CODE.replace("# not", "# nor"), CODE + "\nX = 1\n"])
def test_what_is_computed_does(tmp_path: Path, code: str) -> None:
    assert transforms._code(module(tmp_path, code)) != transforms._code(module(tmp_path, CODE))


@pytest.mark.parametrize("layer", ["silver", "gold"])
@pytest.mark.parametrize("word", ["lakehouse.columns", "lakehouse.conform", "lakehouse.contracts.types"])
def test_a_layer_means_something_else_when_a_word_of_its_transforms_does(
    tmp_path: Path, layer: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse = fake_lakehouse(tmp_path)
    before, code = digest(lakehouse, layer), transforms._code
    monkeypatch.setattr(transforms, "_code", lambda m: code(m) + ("x = 1" if m.__name__ == word else ""))
    assert digest(lakehouse, layer) != before
