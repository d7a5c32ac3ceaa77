"""What a newcomer sees after `make up`: Airflow with a green day, the Data Docs, MinIO's buckets and a notebook.

In a real, headless Chromium; with LAKEHOUSE_PICTURES=folder each page is also kept as a picture.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from lakehouse.airflow import DAGS
from tests.conftest import passable_folder
from tests.e2e.stack import HOURS, StackForTests, running_stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]
# The pages are ours and local: nothing is looked up, and a page that asks the internet for something lacks it.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # fmt: skip
SLOW = 120_000  # milliseconds; a page of Airflow's first visit is compiled on a busy machine


@pytest.fixture(scope="module")
def stack() -> Iterator[StackForTests]:
    """A stack on which a day was triggered and has become green."""
    with passable_folder() as folder, running_stack(folder, AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE="False") as stack:
        airflow = stack.airflow()
        airflow.unpause()
        airflow.ends(
            {layer: airflow.trigger(layer, datetime(1998, 12, 30, HOURS[layer], tzinfo=UTC)) for layer in DAGS}
        )
        yield stack


@pytest.fixture
def page() -> Iterator[Page]:
    chromium = next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if chromium is None:
        pytest.fail(
            "There is no Chromium: install one (Debian, Ubuntu: `apt install chromium`), then `make browser` again."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1440, "height": 900})
        opened.set_default_timeout(SLOW)
        yield opened
        browser.close()


def kept(page: Page, name: str) -> None:
    """Keeps the page as a picture, where a folder is given for them."""
    if folder := os.environ.get("LAKEHOUSE_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1500)  # fonts and animations
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_airflow_asks_who_one_is_and_shows_the_day_green(stack: StackForTests, page: Page) -> None:
    page.goto(stack.url("AIRFLOW"))
    page.wait_for_selector("input[name=username]")
    kept(page, "airflow-login")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", stack.secret("airflow_password"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"^[^?]*:\d+/(?!auth)"))

    page.goto(f"{stack.url('AIRFLOW')}/dags")
    for dag in DAGS.values():
        expect(page.get_by_text(dag).first).to_be_visible(timeout=SLOW)
    kept(page, "airflow-dags")

    page.goto(f"{stack.url('AIRFLOW')}/dags/{DAGS['silver']}")
    for task in ("wait_for_bronze_ingestion", "transform_to_silver"):
        expect(page.get_by_text(task).first).to_be_visible(timeout=SLOW)
    kept(page, "airflow-grid")

    for dag in DAGS.values():
        [run] = stack.airflow().call("GET", f"/dags/{dag}/dagRuns")["dag_runs"]
        page.goto(f"{stack.url('AIRFLOW')}/dags/{dag}/runs/{run['dag_run_id']}/details")
        expect(page.get_by_test_id("dag-run-state")).to_contain_text("Success", timeout=SLOW)


def test_data_docs_list_the_three_runs_and_lead_to_their_rules(stack: StackForTests, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(stack.url("DOCS"))
    for layer in DAGS:
        expect(page.get_by_role("link", name=re.compile(f"^{layer}-1998-12-29")).first).to_be_visible()
    kept(page, "data-docs")
    page.get_by_role("link", name=re.compile("^silver-1998-12-29")).first.click()
    expect(page.get_by_text("order_items").first).to_be_visible()
    kept(page, "data-docs-run")
    assert {url for url in asked if not url.startswith((stack.url("DOCS"), "data:"))} == set()


def test_minio_shows_the_buckets(stack: StackForTests, page: Page) -> None:
    page.goto(stack.url("MINIO_CONSOLE"))
    page.fill("#accessKey", stack.secret("minio_root_user"))
    page.fill("#secretKey", stack.secret("minio_root_password"))
    page.keyboard.press("Enter")
    for bucket in ("bronze", "silver", "quarantine", "data-docs"):
        expect(page.get_by_text(bucket, exact=True).first).to_be_visible(timeout=SLOW)
    page.get_by_role("button", name="Acknowledge").click()  # the licence, once a browser
    kept(page, "minio")


def test_a_notebook_runs_in_jupyter(stack: StackForTests, page: Page) -> None:
    page.goto(f"{stack.url('JUPYTER')}/lab/tree/stock_status.ipynb?token={stack.secret('jupyter_token')}")
    page.add_locator_handler(
        page.get_by_text("Would you like to get notified"),
        lambda: page.get_by_role("button", name="No", exact=True).click(),
    )
    # A menu that is opened before the kernel is there closes again.
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=SLOW)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    expect(page.locator(".jp-OutputArea-output img").first).to_be_visible(timeout=2 * SLOW)
    expect(page.locator(".jp-OutputArea-output [data-mime-type*=error]")).to_have_count(0)
    page.locator(".jp-OutputArea-output img").first.scroll_into_view_if_needed()
    kept(page, "notebook")
