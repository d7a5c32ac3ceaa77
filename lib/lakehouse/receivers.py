"""Who is told of an alert: a webhook, an e-mail, both or nobody, as the settings say.

A receiver that does not answer is an error in words that may be logged: neither its address, which often holds a token,
nor its answer.
"""

from __future__ import annotations

import html
import smtplib
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from lakehouse.secret_files import unproxied
from lakehouse.settings import Settings

Send = Callable[[str, str, Mapping[str, Any]], None]
TIMEOUT_SECONDS = 10


class NotSentError(Exception):
    """A receiver that was not given the alert, in words that may be logged."""


def receivers(settings: Settings) -> dict[str, Send]:
    """Those that are set, by name: how each is given title, text and facts. They raise NotSentError."""
    found: dict[str, Send] = {}
    if settings.alert_webhook is not None:
        found["webhook"] = partial(_post, settings.alert_webhook.get_secret_value())
    if settings.smtp_url is not None:
        found["mail server"] = partial(_mail, settings, settings.smtp_url.get_secret_value())
    return found


def _post(url: str, title: str, text: str, facts: Mapping[str, Any]) -> None:
    # `text` is what chat programs show, and where `<!channel>` would call everybody.
    body = {"text": html.escape(text, quote=False), "title": title, **facts}
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, mounts=unproxied(url)) as client:
            answer = client.post(url, json=body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as e:
        # Other words than ours may hold the address, and with it a token.
        raise NotSentError(type(e).__name__) from None
    if not answer.is_success:  # a redirect too has delivered nothing
        raise NotSentError(f"it answered {answer.status_code}")


def mail_page(settings: Settings, to: Sequence[str], title: str, text: str, page: str, name: str) -> None:
    """Sends a page of HTML, as an attachment of that name, by the mail server of the alerts. Raises NotSentError."""
    if settings.smtp_url is None:
        raise NotSentError("LAKEHOUSE_SMTP_URL and LAKEHOUSE_ALERT_EMAIL_FROM are not set")
    letter = _letter(settings, ", ".join(to), title, text)
    # Programs for mail strip what makes a page readable, so it is a file to open.
    letter.add_attachment(page, subtype="html", filename=name)
    _deliver(letter, settings.smtp_url.get_secret_value())


def _mail(settings: Settings, address: str, title: str, text: str, _: Mapping[str, Any]) -> None:
    _deliver(_letter(settings, settings.alert_email_to, title, text), address)


def _letter(settings: Settings, to: str, title: str, text: str) -> EmailMessage:
    letter = EmailMessage()
    try:
        letter["Subject"], letter["From"], letter["To"] = title, settings.alert_email_from, to
    except ValueError:
        raise NotSentError("its title or an address has a character that none may have") from None
    letter.set_content(text)
    return letter


def _deliver(letter: EmailMessage, address: str) -> None:
    try:
        url = urlsplit(address)
        with _connected(url.scheme, url.hostname or "", url.port) as server:
            if url.username:
                if not isinstance(server.sock, ssl.SSLSocket):
                    raise NotSentError("it offers no TLS, without which no password is sent")
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(letter)
    except (smtplib.SMTPException, OSError, ValueError) as e:
        raise NotSentError(type(e).__name__) from None


def printable(word: str) -> str:
    """A text with a space for each character that is none to read: escapes, line breaks, turns of direction."""
    return "".join(c if c.isprintable() else " " for c in word)


def _connected(scheme: str, host: str, port: int | None) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if scheme == "smtps":
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, port or 25, timeout=TIMEOUT_SECONDS)
    server.ehlo()
    if server.has_extn("starttls"):
        server.starttls(context=context)
        server.ehlo()
    return server
