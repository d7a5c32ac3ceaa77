"""Alerts on real receivers: who gets which words, once a failure, and that a dead receiver hides nothing."""

from __future__ import annotations

import datetime
import json
import socket
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunResponse
from airflow.api_fastapi.execution_api.datamodels.taskinstance import DagRun as DagRunData
from airflow.api_fastapi.execution_api.datamodels.taskinstance import TaskInstance as TaskInstanceData
from airflow.api_fastapi.execution_api.datamodels.taskinstance import TIRunContext
from airflow.callbacks.callback_requests import TaskCallbackRequest
from airflow.dag_processing.dagbag import DagBag
from airflow.dag_processing.processor import _execute_task_callbacks
from airflow.models.dagrun import DagRun
from airflow.sdk import DagRunState, TaskInstanceState
from airflow.sdk.execution_time.callback_supervisor import execute_callback
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from conftest import ROOT, SECRET
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog import get_logger

from lakehouse_dags.alerts import Alert
from lakehouse_dags.jobs import JobRefused
from lakehouse_dags.sensors import UpstreamFailed
from tests.web_server import Handler, serving

LOGICAL_DATE = datetime.datetime(2026, 2, 1, 1, tzinfo=datetime.UTC)
# What a job does whose gate refuses the day: it leaves its findings in the ledger and ends with 6.
REFUSED = """
from datetime import date
from lakehouse.errors import GateError, StoreError
from lakehouse.ledger import Ledger
from lakehouse.database import Database
from lakehouse.records import Finding
ledger = Ledger(Database(os.environ["LAKEHOUSE_GOLD_DSN"], "gold", StoreError))
with ledger.alone("bronze") as lease:
    ledger.prepare("UTC")
    with lease.transaction() as cursor:
        run = ledger.open(cursor, "bronze", date(2026, 1, 31))
    rules = [("orders", "row_count_matches_source", "critical", False, 1203, 40000),
             ("orders", "key_not_null", "critical", True, 0, 40000),
             ("customers", "key_unique", "warning", False, 1, 10)]
    ledger.record_findings(run, [Finding("bronze", *rule) for rule in rules])
    ledger.fail(run.run_id, GateError("the gate refused, nothing was published: bronze.orders"))
sys.exit(6)
"""


class Receiver:
    """A web server that keeps what is posted to it, and a mail server that keeps what is sent."""

    def __init__(self) -> None:
        self.posted: list[dict[str, object]] = []
        self.mails: list[object] = []
        self.status = 200

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(SimpleNamespace(to=envelope.rcpt_tos, sender=envelope.mail_from, mail=mail, session=session))
        return "250 OK"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture
def receiver(monkeypatch) -> Iterator[Receiver]:
    """Both receivers, and the settings that lead there."""
    found = Receiver()

    class Hook(Handler):
        def post(self, body: bytes) -> None:
            found.posted.append(json.loads(body))
            self.answer(found.status)

    mail = Controller(found, hostname="127.0.0.1", port=free_port())
    mail.start()
    settings = {
        "LAKEHOUSE_ALERT_EMAIL_TO": "ada@example.com, bob@example.com",
        "LAKEHOUSE_ALERT_EMAIL_FROM": "lakehouse@example.com",
        "LAKEHOUSE_SMTP_URL": f"smtp://127.0.0.1:{mail.port}",
        "LAKEHOUSE_DOCS_URL": "http://docs.example.com/",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with serving(Hook) as url:
        monkeypatch.setenv("LAKEHOUSE_ALERT_WEBHOOK", f"{url}/hook/{SECRET}")
        yield found
    mail.stop()


def failed(error: object = None, layer: str = "bronze") -> dict[str, object]:
    """What Airflow hands to the callback of a task that failed for good."""
    ti = SimpleNamespace(
        dag_id="daily_bronze_ingestion", run_id="scheduled__2026-02-01", task_id="ingest_to_bronze",
        start_date=LOGICAL_DATE, log_url="http://airflow.example.com/log",
    )  # fmt: skip
    return {"ti": ti, "task": SimpleNamespace(layer=layer), "logical_date": LOGICAL_DATE, "exception": error}


@pytest.mark.fault("F24")
def test_a_refused_day_reaches_both_receivers_once_with_table_rule_counts_and_link(
    dags, complete, checkout, receiver, postgres, metadata
):
    complete(LAKEHOUSE_GOLD_DSN=postgres)
    checkout.ends(REFUSED)
    run = dags()["daily_bronze_ingestion"].test(logical_date=LOGICAL_DATE)
    assert run.state == DagRunState.FAILED
    [posted] = receiver.posted
    assert posted["title"] == "The gate of bronze refused 2026-01-31"
    assert posted["event"] == "gate_refused"
    assert (posted["dag"], posted["task"]) == ("daily_bronze_ingestion", "ingest_to_bronze")
    assert posted["run"] == run.run_id
    assert posted["business_date"] == "2026-01-31"
    assert posted["lakehouse_run"].startswith("bronze-2026-01-31-")
    assert posted["reason"] == "the gate refused, nothing was published: bronze.orders"
    assert posted["rules"] == [
        {"table": "bronze.orders", "rule": "row_count_matches_source", "unexpected": 1203, "rows": 40000}
    ]
    assert posted["docs"] == f"http://docs.example.com/runs/{posted['lakehouse_run']}/index.html"
    assert "/dags/daily_bronze_ingestion/runs/" in posted["log"]

    [sent] = receiver.mails
    assert sent.to == ["ada@example.com", "bob@example.com"]
    assert sent.sender == "lakehouse@example.com"
    assert sent.mail["Subject"] == posted["title"]
    text = sent.mail.get_content()
    assert "Rules broken: bronze.orders row_count_matches_source: 1,203 of 40,000 rows" in text
    assert posted["docs"] in text
    assert text.splitlines() == posted["text"].splitlines()


@pytest.mark.fault("F13", "F14")
def test_a_task_that_is_tried_again_alerts_once_when_it_has_failed_for_good(
    dags, complete, checkout, receiver, metadata
):
    complete()
    checkout.ends(f"open({str(checkout.root / 'tries')!r}, 'a').write('x'); sys.exit(4)")
    dag = dags()["daily_bronze_ingestion"]
    task = dag.get_task("ingest_to_bronze")
    task.retries, task.retry_delay = 1, datetime.timedelta(0)
    assert dag.test(logical_date=LOGICAL_DATE + datetime.timedelta(days=1)).state == DagRunState.FAILED
    assert (checkout.root / "tries").read_text() == "xx"
    [posted] = receiver.posted
    assert posted["title"] == "daily_bronze_ingestion failed for 2026-02-01"
    assert posted["event"] == "failed"
    assert "exit code 4: The source cannot be read" in posted["reason"]
    assert posted["rules"] == []
    assert posted["docs"] == "http://docs.example.com/"
    assert len(receiver.mails) == 1


def test_a_run_of_an_earlier_try_is_not_taken_for_this_one(complete, receiver, postgres):
    """The ledger may hold a failed run of the day from before: the task that is told of began later."""
    complete(LAKEHOUSE_GOLD_DSN=postgres)
    context = failed("the worker was lost")
    context["ti"].start_date = datetime.datetime.now(datetime.UTC)
    Alert()(context)
    assert receiver.posted[0]["lakehouse_run"] == ""
    assert receiver.posted[0]["reason"] == "the worker was lost"


def test_a_task_that_was_lost_with_its_worker_is_told_by_the_dag_processor(complete, checkout, receiver, metadata):
    complete()
    bag = DagBag(ROOT / "dags")
    run = bag.dags["daily_bronze_ingestion"].test(
        logical_date=LOGICAL_DATE + datetime.timedelta(days=7), mark_success_pattern=".*"
    )
    with create_session() as session:
        run = session.get(DagRun, run.id)
        [ti] = run.task_instances
        request = TaskCallbackRequest(
            filepath="daily_bronze_ingestion.py",
            bundle_name="dags-folder",
            bundle_version=None,
            ti=TaskInstanceData.model_validate(ti, from_attributes=True),
            msg="heartbeat timeout",
            task_callback_type=TaskInstanceState.FAILED,
            context_from_server=TIRunContext(dag_run=DagRunData.model_validate(run, from_attributes=True), max_tries=3),
        )
    _execute_task_callbacks(bag, request, get_logger())
    [posted] = receiver.posted
    assert posted["title"] == "daily_bronze_ingestion failed for 2026-02-07"
    assert posted["reason"] == "the task was lost with its worker"
    assert posted["log"].endswith("/tasks/ingest_to_bronze?try_number=1")


def test_a_wait_that_fails_with_its_upstream_says_nothing_more(complete, receiver):
    complete()
    Alert()(failed(UpstreamFailed("daily_bronze_ingestion failed")))
    assert (receiver.posted, receiver.mails) == ([], [])


def test_words_of_others_are_left_out_as_they_may_quote_a_row(complete, receiver):
    complete()
    Alert()(failed(ValueError("ada@private.example")))
    assert receiver.posted[0]["reason"] == "ValueError"
    assert "private" not in str(receiver.posted) + str(receiver.mails[0].mail)


def test_a_chat_and_a_terminal_obey_no_name_of_the_source(complete, receiver):
    complete()
    Alert()(failed(JobRefused("orders has <!channel> & \x1b[31mred\r\nBcc: eve@example.com \u202ethgir")))
    [posted], [sent] = receiver.posted, receiver.mails
    assert "orders has &lt;!channel&gt; &amp;  [31mred  Bcc: eve@example.com  thgir" in posted["text"].splitlines()[5]
    assert posted["reason"] == "orders has <!channel> &  [31mred  Bcc: eve@example.com  thgir"
    told = json.dumps(posted, ensure_ascii=False) + " ".join(sent.mail.get_content().splitlines())
    assert [c for c in told if not c.isprintable()] == []


def test_a_name_with_a_line_break_does_not_keep_a_mail_from_being_sent(complete, receiver):
    complete()
    context = failed()
    context["ti"].dag_id = "daily\nBcc: eve@example.com"
    Alert()(context)
    [sent] = receiver.mails
    assert sent.mail["Subject"] == "daily Bcc: eve@example.com failed for 2026-01-31"
    assert sent.to == ["ada@example.com", "bob@example.com"]


def test_no_secret_is_in_an_alert(complete, receiver):
    complete()
    Alert()(failed(JobRefused("bronze of 2026-01-31 ended with exit code 3")))
    assert SECRET not in json.dumps(receiver.posted) + receiver.mails[0].mail.as_string()


@pytest.mark.parametrize("kept", ["webhook", "mail"])
def test_a_receiver_that_is_not_set_gets_nothing(complete, receiver, monkeypatch, kept):
    complete()
    gone = {
        "webhook": ["LAKEHOUSE_SMTP_URL", "LAKEHOUSE_ALERT_EMAIL_TO", "LAKEHOUSE_ALERT_EMAIL_FROM"],
        "mail": ["LAKEHOUSE_ALERT_WEBHOOK"],
    }
    for name in gone[kept]:
        monkeypatch.delenv(name)
    Alert()(failed())
    assert (len(receiver.posted), len(receiver.mails)) == ((1, 0) if kept == "webhook" else (0, 1))


def test_a_dead_receiver_is_logged_without_its_address_and_the_other_is_told(complete, receiver, monkeypatch, capsys):
    complete()
    monkeypatch.setenv("LAKEHOUSE_ALERT_WEBHOOK", f"http://127.0.0.1:{free_port()}/hook/{SECRET}")
    Alert()(failed())
    said = capsys.readouterr().out
    assert "the alert did not reach the webhook: ConnectError" in said
    assert SECRET not in said
    assert len(receiver.mails) == 1


@pytest.mark.parametrize("status", [302, 503])
def test_a_webhook_that_answers_with_an_error_or_leads_elsewhere_is_logged(complete, receiver, capsys, status):
    complete()
    receiver.status = status
    Alert()(failed())
    assert f"the alert did not reach the webhook: it answered {status}" in capsys.readouterr().out
    assert len(receiver.mails) == 1


def test_a_dead_mail_server_is_logged_and_the_webhook_is_told(complete, receiver, monkeypatch, capsys):
    complete()
    monkeypatch.setenv("LAKEHOUSE_SMTP_URL", f"smtp://127.0.0.1:{free_port()}")
    Alert()(failed())
    assert "the alert did not reach the mail server: ConnectionRefusedError" in capsys.readouterr().out
    assert len(receiver.posted) == 1


@pytest.fixture
def tls(tmp_path: Path, monkeypatch) -> ssl.SSLContext:
    """A server's certificate for 127.0.0.1 that this process trusts."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(encoding))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    return context


@pytest.fixture
def mail_server(receiver, monkeypatch):
    """Starts a mail server that asks for a password, and points the settings at it."""
    running = []

    def start(scheme: str, **options: object) -> None:
        def authenticated(server, session, envelope, mechanism, data):
            return AuthResult(success=(data.login, data.password) == (b"shop", SECRET.encode()))

        server = Controller(
            receiver, hostname="127.0.0.1", port=free_port(), authenticator=authenticated, auth_required=True, **options
        )
        server.start()
        running.append(server)
        monkeypatch.setenv("LAKEHOUSE_SMTP_URL", f"{scheme}://shop:{SECRET}@127.0.0.1:{server.port}")

    yield start
    for server in running:
        server.stop()


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_password_goes_over_tls_begun_at_once_or_on_request(complete, receiver, mail_server, tls, scheme):
    complete()
    if scheme == "smtps":
        mail_server(scheme, ssl_context=tls, auth_require_tls=False)
    else:
        mail_server(scheme, tls_context=tls)
    Alert()(failed())
    [sent] = receiver.mails
    assert sent.session.authenticated


def test_a_password_is_not_sent_in_the_clear(complete, receiver, mail_server, capsys):
    complete()
    mail_server("smtp", auth_require_tls=False)
    Alert()(failed())
    assert "the alert did not reach the mail server: it offers no TLS" in capsys.readouterr().out
    assert receiver.mails == []
    assert len(receiver.posted) == 1


def test_a_mail_server_with_a_certificate_of_strangers_gets_nothing(
    complete, receiver, mail_server, tls, monkeypatch, capsys
):
    complete()
    mail_server("smtp", tls_context=tls)
    monkeypatch.delenv("SSL_CERT_FILE")
    Alert()(failed())
    assert "the alert did not reach the mail server: SSLCertVerificationError" in capsys.readouterr().out
    assert receiver.mails == []


def late(run_type: DagRunType, logical_date: datetime.datetime | None = LOGICAL_DATE) -> None:
    """Gold's deadline passes, and Airflow runs the callback as its executors do."""
    with create_session() as session:
        session.query(DagRun).delete()
        run = DagRun(
            dag_id="daily_gold_aggregation", run_id="a_run", logical_date=logical_date, run_after=LOGICAL_DATE,
            run_type=run_type, state="running", queued_at=LOGICAL_DATE,
        )  # fmt: skip
        session.add(run)
        session.flush()
        told = DAGRunResponse.model_validate(run).model_dump(mode="json")
    context = {"dag_run": told, "deadline": {"id": "1", "deadline_time": LOGICAL_DATE}}
    assert execute_callback("lakehouse_dags.alerts.Alert", {"context": context}, "", None, get_logger()) == (True, None)


@pytest.mark.parametrize("run_type", [DagRunType.SCHEDULED, DagRunType.ASSET_TRIGGERED])
def test_gold_that_is_late_is_told(complete, receiver, metadata, dags, run_type):
    complete()
    dags()
    late(run_type)
    [posted] = receiver.posted
    assert posted["title"] == "Gold of 2026-01-31 is late"
    assert posted["event"] == "late"
    assert posted["dag"] == "daily_gold_aggregation"
    assert posted["reason"] == "the run is running and was due at 03:00 (UTC)"
    assert posted["docs"] == "http://docs.example.com/"


def test_gold_that_assets_started_is_told_without_its_day(complete, receiver, metadata):
    complete()
    late(DagRunType.ASSET_TRIGGERED, None)
    assert receiver.posted[0]["title"] == "Gold of the last day is late"


@pytest.mark.parametrize("run_type", [DagRunType.MANUAL, DagRunType.BACKFILL_JOB])
def test_a_run_for_the_past_is_late_by_nature_and_not_told(complete, receiver, metadata, run_type):
    complete()
    late(run_type)
    assert receiver.posted == []
