"""The jobs by plain spark-submit, as a cluster runs them: the zip, the options file, s3a, and executors on their own."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

pytestmark = pytest.mark.e2e
ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
# Exactly 999 other orders would say nothing more: these go through every layer, one of them into quarantine.
SHOP = """
insert into customers (customer_id, first_name, created_at, updated_at)
    values ('c1', 'Ada', '2020-01-01', '2020-01-01'), ('c2', 'Bob', '2020-01-01', '2020-01-01');
insert into products (product_id, product_name, price, cost, is_active, created_at, updated_at)
    values ('p1', 'Tea', 4, 1, true, '2020-01-01', '2020-01-01');
insert into orders (order_id, customer_id, status, ordered_at, created_at, updated_at)
    select 'o' || n, 'c' || 1 + n % 2, 'complete', '2020-01-01', '2020-01-01', '2020-01-01' from generate_series(1, 40) n;
insert into order_items (order_item_id, order_id, product_id, quantity, unit_price, unit_cost, created_at, updated_at)
    select 'i' || n, 'o' || n, case n when 7 then 'unheard of' else 'p1' end, n, 4, 1, '2020-01-01', '2020-01-01'
    from generate_series(1, 40) n;
"""


@pytest.fixture(scope="module")
def zipped() -> Path:
    subprocess.run([sys.executable, "-m", "tools.setup.zip"], check=True, cwd=ROOT)
    return ROOT / "dist" / "lakehouse.zip"


def submit(
    zipped: Path, environment: dict[str, str], job: str, date: str, *options: str,
    properties: Path = ROOT / "spark-defaults.conf", limit: float = 400,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    # Nothing of the checkout is importable but the zip: -S would lose pyspark, so the editable package is outranked.
    command = [BIN / "spark-submit", "--properties-file", properties, *options, "--py-files", zipped]
    kept = {k: v for k, v in os.environ.items() if k in ("HOME", "LANG", "JAVA_HOME", "PATH")}
    return subprocess.run(
        [*command, ROOT / "jobs" / f"{job}.py", "--date", date],
        env={**kept, "PATH": f"{BIN}:{kept['PATH']}", "PYSPARK_PYTHON": sys.executable, **environment},
        text=True, capture_output=True, timeout=limit,
    )  # fmt: skip


def environment(postgres: Any, minio: Any, home: Path, name: str) -> dict[str, str]:
    source = postgres.create_database(f"submit_source_{name}")
    with closing(psycopg2.connect(source)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute((ROOT / "samples" / "schema.sql").read_text())
        cursor.execute(SHOP)
    minio.make_bucket("bronze", "silver", "quarantine", f"lake-{name}")
    return {
        "LAKEHOUSE_HOME": str(home),
        "LAKEHOUSE_SOURCE_DSN": source,
        "LAKEHOUSE_GOLD_DSN": postgres.create_database(f"submit_gold_{name}"),
        "AWS_ACCESS_KEY_ID": minio.access_key,
        "AWS_SECRET_ACCESS_KEY": minio.secret_key,
        "AWS_ENDPOINT_URL": minio.endpoint,
    }


def assert_gold(settings: dict[str, str]) -> None:
    with closing(psycopg2.connect(settings["LAKEHOUSE_GOLD_DSN"])) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select order_count, customer_count, units_sold, net_sales, gross_profit from gold.fact_daily_sales"
        )
        assert [tuple(map(int, r)) for r in cursor.fetchall()] == [(39, 2, 813, 3252, 2439)]
        cursor.execute("select table_name, reason, rows from ops.quarantine_counts")
        assert cursor.fetchall() == [("order_items", "product_missing", 1)]


def test_three_jobs_on_s3a_with_a_bucket_a_layer(zipped: Path, postgres: Any, minio: Any, tmp_path: Path) -> None:
    settings = {**environment(postgres, minio, tmp_path, "buckets"), "LAKEHOUSE_LAKE": "s3a://"}
    early = submit(zipped, settings, "gold", "2020-01-01")
    assert early.returncode == 12, early.stderr[-3000:]
    assert "silver has not published 2020-01-01" in early.stdout + early.stderr
    for job in ("bronze", "silver", "gold"):
        done = submit(zipped, settings, job, "2020-01-01")
        assert done.returncode == 0, done.stderr[-3000:]
        assert minio.secret_key not in done.stderr + done.stdout
    assert_gold(settings)


@pytest.mark.slow
def test_a_day_on_executors_that_share_nothing_with_the_driver(
    zipped: Path, postgres: Any, minio: Any, tmp_path: Path
) -> None:
    settings = {**environment(postgres, minio, tmp_path, "cluster"), "LAKEHOUSE_LAKE": "s3a://lake-cluster/a/shop"}
    done = submit(zipped, settings, "day", "2020-01-01", "--master", "local-cluster[2,1,1024]")
    assert done.returncode == 0, done.stderr[-3000:]
    assert minio.secret_key not in done.stderr + done.stdout
    assert_gold(settings)


@pytest.mark.slow
def test_a_day_on_executors_with_the_options_of_a_cluster(
    zipped: Path, postgres: Any, minio: Any, tmp_path: Path
) -> None:
    both = tmp_path / "cluster.conf"
    both.write_text("\n".join((ROOT / file).read_text() for file in ("spark-defaults.conf", "conf/spark-cluster.conf")))
    settings = {**environment(postgres, minio, tmp_path, "options"), "LAKEHOUSE_LAKE": "s3a://lake-options/a/shop"}
    master = ("--master", "local-cluster[2,1,1024]")
    done = submit(zipped, settings, "day", "2020-01-01", *master, properties=both, limit=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    assert_gold(settings)
