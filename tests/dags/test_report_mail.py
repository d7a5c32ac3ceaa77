"""The sales report by mail, to a real mail server: here, because Airflow's environment has one."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from types import SimpleNamespace

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from lakehouse.receivers import NotSentError, mail_page
from lakehouse.settings import Settings
from tests.dags.test_alerts import free_port

PAGE = "<!DOCTYPE html><p>Umsätze: 12,50 €</p>"


class Kept:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.mails: list[SimpleNamespace] = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        letter = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(SimpleNamespace(to=envelope.rcpt_tos, letter=letter))
        return "250 OK"


@pytest.fixture
def kept() -> Iterator[Kept]:
    found = Kept()
    server = Controller(found, hostname="127.0.0.1", port=free_port())
    server.start()
    found.port = server.port
    yield found
    server.stop()


def settings(port: int) -> Settings:
    return Settings(
        smtp_url=SecretStr(f"smtp://127.0.0.1:{port}"),
        alert_email_from="shop@example.com",
        alert_email_to="ops@example.com",
    )


def test_the_page_is_an_attachment_that_is_the_page(kept: Kept) -> None:
    mail_page(
        settings(kept.port), ["a@example.com", "b@example.com"], "Sales report", "Attached.\n", PAGE, "report.html"
    )
    [mail] = kept.mails
    assert mail.to == ["a@example.com", "b@example.com"]
    assert mail.letter["Subject"] == "Sales report"
    assert mail.letter["From"] == "shop@example.com"
    [attachment] = mail.letter.iter_attachments()
    assert attachment.get_filename() == "report.html"
    assert attachment.get_content_type() == "text/html"
    assert attachment.get_content().strip() == PAGE


def test_without_a_mail_server_it_says_what_to_set() -> None:
    with pytest.raises(NotSentError, match="LAKEHOUSE_SMTP_URL"):
        mail_page(Settings(), ["a@example.com"], "Sales report", "Attached.\n", PAGE, "report.html")


def test_an_address_that_would_be_another_header_is_refused(kept: Kept) -> None:
    with pytest.raises(NotSentError, match="an address has a character that none may have"):
        mail_page(
            settings(kept.port),
            ["a@example.com\nBcc: b@example.com"],
            "Sales report",
            "Attached.\n",
            PAGE,
            "report.html",
        )
    assert kept.mails == []


def test_a_mail_server_that_is_away_is_an_error_without_its_address() -> None:
    with pytest.raises(NotSentError) as error:
        mail_page(settings(free_port()), ["a@example.com"], "Sales report", "Attached.\n", PAGE, "report.html")
    assert str(error.value) == "ConnectionRefusedError"
