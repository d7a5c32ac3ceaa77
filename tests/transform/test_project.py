"""What dbt is told and where its project stands, and what is said of a build: names and counts, no value and no secret."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.contracts import load_contracts
from lakehouse.errors import ConfigError, GateError, StoreError
from lakehouse.warehouse import grants
from tests.conftest import ROOT
from tools.dbt import project
from tools.dbt.environment import DBT

pytestmark = pytest.mark.unit
PROJECT = ROOT / "transform"
GOLD = load_contracts()["gold"]
PASSWORD = "p@ss/w?rd"
DSN = "postgresql://shop:p%40ss%2Fw%3Frd@db.example.com:5433/gold?sslmode=verify-full&sslrootcert=/ca.pem"


def read(file: str) -> Any:
    return yaml.safe_load((PROJECT / file).read_text(encoding="utf-8"))


def test_the_environment_is_made_from_a_lock_with_hashes_and_has_no_network_of_packages() -> None:
    lock = DBT.lock.read_text(encoding="utf-8")
    assert "dbt-core==1.11.16" in lock
    assert "dbt-postgres==1.11.0" in lock
    pins = [line for line in lock.splitlines() if re.match(r"[a-z0-9-]+==", line)]
    assert len(pins) > 40
    assert lock.count("--hash=sha256:") >= len(pins)
    assert (DBT.folder.name, DBT.mark.name) == (".venv-dbt", "made-by-make-dbt")
    assert not (PROJECT / "packages.yml").exists()
    assert read("dbt_project.yml")["flags"]["send_anonymous_usage_stats"] is False


def test_the_profile_is_dbts_role_in_dbts_schema_and_holds_no_secret() -> None:
    gold = read("profiles.yml")["lakehouse"]["outputs"]["gold"]
    assert (gold["role"].partition(";")[0], gold["schema"]) == (grants.DBT, grants.ANALYTICS)
    assert gold["password"] == "{{ env_var('DBT_ENV_SECRET_GOLD') }}"
    set_for_dbt = set(project.environment(DSN, Path("/home")))
    named = re.findall(r"env_var\('(\w+)'\)", (PROJECT / "profiles.yml").read_text(encoding="utf-8"))
    assert set(named) <= set_for_dbt


def test_the_password_is_in_one_variable_that_dbt_hides_and_no_other_secret_is_handed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "LAKEHOUSE_SOURCE_DSN",
        "LAKEHOUSE_GOLD_DSN",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
        "DBT_ENV_SECRET_X",
    ):
        monkeypatch.setenv(name, "of-somebody-else")
    given = project.environment(DSN, Path("/home"))
    assert [name for name, value in given.items() if PASSWORD in value] == ["DBT_ENV_SECRET_GOLD"]
    assert "of-somebody-else" not in given.values()
    assert (given["LAKEHOUSE_DBT_HOST"], given["LAKEHOUSE_DBT_PORT"], given["PGSSLMODE"]) == (
        "db.example.com",
        "5433",
        "verify-full",
    )
    assert (given["DO_NOT_TRACK"], given["DBT_SEND_ANONYMOUS_USAGE_STATS"]) == ("1", "false")


def test_limits_are_set_once_a_session_is_there_as_a_pooler_refuses_options_at_its_start() -> None:
    assert "PGOPTIONS" not in project.environment(DSN, Path("/home"))
    assert project.environment(f"{DSN}&options=-cwork_mem%3D8MB", Path("/home"))["PGOPTIONS"] == "-cwork_mem=8MB"
    _, *limits = read("profiles.yml")["lakehouse"]["outputs"]["gold"]["role"].split(";")
    assert [limit.split()[1] for limit in limits] == [
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
    ]


def test_a_password_that_is_not_in_the_url_is_handed_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "elsewhere")
    given = project.environment("postgresql://shop@db/gold", Path("/home"))
    assert given["DBT_ENV_SECRET_GOLD"] == "elsewhere"
    assert "PGPASSWORD" not in given


def test_what_dbt_would_not_keep_to_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"cannot be handed to dbt: sslcrl$"):
        project.environment(f"{DSN}&sslcrl=/secret/place", Path("/home"))


def test_sources_are_the_tables_of_gold() -> None:
    gold = next(s for s in read("models/sources.yml")["sources"] if s["name"] == "gold")
    assert {t["name"] for t in gold["tables"]} == set(GOLD)


def test_no_model_names_a_personal_column() -> None:
    personal = {column for contract in GOLD.values() for column in grants.personal(contract)}
    assert personal
    named = {f.name: personal & set(re.findall(r"\w+", f.read_text(encoding="utf-8"))) for f in PROJECT.rglob("*.sql")}
    assert {name: columns for name, columns in named.items() if columns} == {}


def test_every_model_is_described_and_every_mart_has_a_test_and_somebody_who_uses_it() -> None:
    described = {
        m["name"]: m for f in PROJECT.glob("models/*/*.yml") for m in read(str(f.relative_to(PROJECT)))["models"]
    }
    assert {f.stem for f in PROJECT.glob("models/*/*.sql")} == set(described)
    assert all(m["description"] for m in described.values())
    marts = {f.stem for f in PROJECT.glob("models/marts/*.sql")}
    assert {name for name in marts if not described[name].get("data_tests")} == set()
    used = " ".join(word for e in read("models/exposures.yml")["exposures"] for word in e["depends_on"])
    assert {name for name in marts if f"ref('{name}')" not in used} == set()


def results(tmp_path: Path, *nodes: tuple[str, str, int | None]) -> project.Built:
    file = tmp_path / "run_results.json"
    file.write_text(json.dumps({
        "results": [{"unique_id": i, "status": s, "failures": n, "message": "Key (email)=(ann@x) is there"} for i, s, n in nodes]
    }))  # fmt: skip
    return project.read_results(file)


GOOD = ("model.lakehouse.monthly_sales", "success", None)
FAILED = ("test.lakehouse.amounts_add_up.1a2b", "fail", 3)


def test_a_good_build_is_let_through(tmp_path: Path) -> None:
    built = results(
        tmp_path, GOOD, ("test.lakehouse.not_null_month.12", "pass", 0), ("test.lakehouse.old.1", "warn", 2)
    )
    built.check(tmp_path)


def test_a_test_is_called_by_its_own_name(tmp_path: Path) -> None:
    built = results(
        tmp_path,
        FAILED,
        ("unit_test.lakehouse.customer_rfm.who_is_alike", "pass", 0),
        ("test.lakehouse.by_hand", "pass", 0),
    )
    assert [n.name for n in built.nodes] == ["amounts_add_up", "who_is_alike", "by_hand"]


def test_a_failed_test_is_named_with_its_rows_and_what_was_not_built_but_no_value(tmp_path: Path) -> None:
    built = results(
        tmp_path, FAILED, ("model.lakehouse.customer_rfm", "skipped", None), ("test.lakehouse.x.1", "skipped", None)
    )
    with pytest.raises(GateError) as e:
        built.check(tmp_path / "dbt.log")
    words = "1 of dbt's tests failed: amounts_add_up (3 rows); left as they were: customer_rfm; "
    assert str(e.value) == f"{words}{tmp_path / 'dbt.log'} has their SQL"


def test_what_could_not_be_built_goes_before_what_failed(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="dbt could not build monthly_sales; "):
        results(tmp_path, (GOOD[0], "error", None), FAILED).check(tmp_path)
