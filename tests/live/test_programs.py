"""What the broker and Connect are started with, and the jars on their class path."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakehouse.live.settings import LiveSettings
from tools.live import containers, setup
from tools.live.programs import Place, Shop
from tools.setup.jars import jars

pytestmark = pytest.mark.unit


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """The options of each program."""
    monkeypatch.setattr(Place, "_format", lambda _: None)
    monkeypatch.setenv("LAKEHOUSE_LIVE_SLOT", "another")
    place = Place(tmp_path / "live", 1, 2, 3)
    place.write(Shop("db", 5432, "shop", "lakehouse_live", tmp_path / "secrets", "password"))

    def options(name: str) -> dict[str, str]:
        lines = place.file(name).read_text(encoding="utf-8").splitlines()
        assert place.file(name).stat().st_mode & 0o777 == 0o600
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    return {name: options(name) for name in ("kafka", "connect", "source")}


def test_what_the_stream_looks_for_by_default_is_what_the_programs_make(written: dict[str, dict[str, str]]) -> None:
    names = {name: field.default for name, field in LiveSettings.model_fields.items()}
    source = written["source"]
    assert source["name"] == source["topic.prefix"] == names["topics"]
    assert (source["slot.name"], source["publication.name"]) == (names["slot"], names["publication"])


def test_connect_reads_one_folder_of_secrets_and_listens_on_this_machine(
    written: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    connect = written["connect"]
    assert connect["config.providers.directory.param.allowed.paths"] == str(tmp_path / "secrets")
    assert connect["listeners"] == "http://127.0.0.1:3"
    assert connect["rest.extension.classes"] == "lakehouse.ReadOnlyRest"
    assert connect["connector.client.config.override.policy"] == "None"
    assert written["source"]["database.password"] == f"${{directory:{tmp_path / 'secrets'}:password}}"


def test_no_connector_that_reads_or_writes_files_is_on_connects_class_path() -> None:
    assert [jar.file for jar in jars(setup.LISTS["kafka"]) if jar.name == "connect-file"] == []


def test_a_jar_that_left_the_list_leaves_the_class_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "install_compiled", lambda *_: True)
    listed = tmp_path / "list.txt"
    listed.write_text("a.b:kept:1.0 00 3\n", encoding="utf-8")
    monkeypatch.setattr(setup, "LISTS", {"kafka": listed})
    monkeypatch.setattr(setup, "install_jars", lambda *_: 0)
    (tmp_path / "live" / "kafka").mkdir(parents=True)
    for name in ("kept-1.0.jar", "kept-0.9.jar", "gone-1.0.jar", setup.READ_ONLY):
        (tmp_path / "live" / "kafka" / name).touch()
    assert setup.install(tmp_path / "live") == 0
    assert {f.name for f in (tmp_path / "live" / "kafka").iterdir()} == {"kept-1.0.jar", setup.READ_ONLY}


def test_a_container_becomes_connect_for_the_source_that_its_secrets_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "live_password").write_text("of the role\n", encoding="utf-8")
    monkeypatch.setattr(containers, "FOLDER", tmp_path / "kafka")
    monkeypatch.setattr(containers, "PASSWORD", tmp_path / "live_password")
    monkeypatch.setenv("LAKEHOUSE_SOURCE_DSN", "postgresql://pipeline:another@db.example.com:5433/shop")
    monkeypatch.setattr("sys.argv", ["containers", "connect"])
    became = list[list[str]]()
    monkeypatch.setattr("os.execv", lambda _, words: became.append(words))

    containers.main()

    text = (tmp_path / "kafka" / "source.properties").read_text(encoding="utf-8")
    options = dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))
    named = [options[f"database.{name}"] for name in ("hostname", "port", "dbname", "user")]
    assert named == ["db.example.com", "5433", "shop", "lakehouse_live"]
    assert (tmp_path / "kafka" / "secrets" / "password").read_text(encoding="utf-8") == "of the role"
    assert "another" not in text
    assert became[0][-1] == str(tmp_path / "kafka" / "source.properties")


def test_a_stream_is_well_once_it_has_brought_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["containers", "well"])
    with pytest.raises(SystemExit) as ill:
        containers.main()
    done = tmp_path / "live" / "checkpoint-1" / "commits" / "0"
    done.parent.mkdir(parents=True)
    done.touch()
    with pytest.raises(SystemExit) as well:
        containers.main()
    assert (bool(ill.value.code), bool(well.value.code)) == (True, False)
