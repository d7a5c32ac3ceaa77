"""Set-up compiles the fence when it must, and only then."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tools.setup import fence
from tools.setup.fence import JAR, install_fence
from tools.setup.jars import spark_jars
from tools.setup.machine import VENV, SetupError, java

pytestmark = pytest.mark.unit

SPARK = spark_jars(VENV)


@pytest.fixture
def jars(tmp_path: Path) -> Path:
    """A folder with the jars that the fence is compiled against."""
    folder = tmp_path / "jars"
    folder.mkdir()
    for pattern in fence.AGAINST:
        for jar in SPARK.glob(pattern):
            (folder / jar.name).symlink_to(jar)
    return folder


def test_the_environment_has_the_fence_of_today_s_source() -> None:
    assert install_fence(SPARK) is False


def test_it_is_compiled_once_to_the_same_bytes(jars: Path) -> None:
    assert install_fence(jars) is True
    assert install_fence(jars) is False
    first = (jars / JAR).read_bytes()
    (jars / JAR).unlink()
    assert install_fence(jars) is True
    assert (jars / JAR).read_bytes() == first
    assert sorted(p.name for p in jars.iterdir() if "fence" in p.name) == [JAR]
    # Java 17, which is class file version 61, runs it whatever compiled it.
    with zipfile.ZipFile(jars / JAR) as archive:
        assert archive.read("lakehouse/ConditionalCreateLogStore.class")[6:8] == bytes([0, 61])


def test_a_changed_source_and_a_damaged_jar_are_compiled_again(
    jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = shutil.copytree(fence.SOURCES, tmp_path / "java")
    monkeypatch.setattr(fence, "SOURCES", sources)
    install_fence(jars)
    file = next(sources.rglob("*.java"))
    file.write_text(file.read_text() + "// one line more\n")
    assert install_fence(jars) is True
    held = bytearray((jars / JAR).read_bytes())
    held[len(held) // 2] ^= 1
    (jars / JAR).write_bytes(held)
    assert install_fence(jars) is True
    assert install_fence(jars) is False


def test_a_java_without_a_compiler_is_told_in_a_sentence(
    jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "jre" / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {java()} --limit-modules java.base "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jre"))
    with pytest.raises(SetupError, match=r"has no compiler.*install a JDK.*openjdk-17-jdk-headless"):
        install_fence(jars)
    assert not (jars / JAR).exists()


def test_a_source_that_does_not_compile_names_the_log(
    jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "java").mkdir()
    (tmp_path / "java" / "Broken.java").write_text("class Broken {")
    monkeypatch.setattr(fence, "SOURCES", tmp_path / "java")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SetupError, match=r"Compiling lib/java with .* failed; what it said is in .*setup\.log"):
        install_fence(jars)
    assert "Broken.java" in (tmp_path / "cache" / "lakehouse" / "setup.log").read_text()
