"""Messages to people: an HTTP POST or an e-mail, sent by a thread of its own. Knows no training.

Nothing here may hold up or end a run: a message has `TIMEOUT` seconds, a failure is put down for whoever asks, and when
the run ends at most `PATIENCE` seconds are spent on what is still on its way. Secrets stay out of studies: the server
for mail is `CRUCIS_SMTP` (`smtp://user:password@host:587`, with STARTTLS where the server offers it, or `smtps://...`),
the sender `CRUCIS_MAIL_FROM`, and the address of a webhook without one `CRUCIS_WEBHOOK`.
"""

from __future__ import annotations

import json
import os
import queue
import smtplib
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any
from urllib.parse import unquote, urlsplit

TIMEOUT, PATIENCE, WAITING = 5.0, 5.0, 100

Letter = tuple[str, str, str, Mapping[str, Any]]  # webhook or mail, address, subject, facts


class Sender:
    """Sends in the background. `failed` are messages that did not arrive: (address, why); drained by the run."""

    def __init__(self) -> None:
        self._letters: queue.Queue[Letter | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        self._failed: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()

    def send(self, kind: str, address: str | None, subject: str, facts: Mapping[str, Any]) -> None:
        """Queue a message; returns at once.

        Args:
            kind: `webhook` or `mail`.
            address: an URL, an e-mail address, or None for the webhook of the environment.
            subject: one line.
            facts: JSON values.
        """
        address = address or os.environ.get("CRUCIS_WEBHOOK", "")
        if not address:
            self._failed.put((kind, "no address: write webhook: https://..., or set CRUCIS_WEBHOOK"))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, daemon=True, name="alerts")
            self._thread.start()
        try:
            self._letters.put_nowait((kind, address, subject, dict(facts)))
        except queue.Full:
            self._failed.put((_public(address), f"more than {WAITING} messages are waiting; this one was dropped"))

    def failures(self) -> list[tuple[str, str]]:
        """What did not arrive since the last call, as (address without secrets, why)."""
        out = []
        while not self._failed.empty():
            out.append(self._failed.get())
        return out

    def close(self, patience: float = PATIENCE) -> None:
        """Wait for what is on its way, `patience` seconds at most."""
        if self._thread is None:
            return
        until = time.monotonic() + patience
        while self._letters.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)
        if left := self._letters.unfinished_tasks:
            self._failed.put(("alerts", f"{left} messages had not arrived when the run ended"))
        else:
            self._letters.put(None)
        self._thread = None

    def _work(self) -> None:
        while (letter := self._letters.get()) is not None:
            kind, address, subject, facts = letter
            try:
                (_post if kind == "webhook" else _mail)(address, subject, facts)
            except Exception as error:
                self._failed.put((_public(address), f"{type(error).__name__}: {error}"[:300]))
            self._letters.task_done()


def _post(address: str, subject: str, facts: Mapping[str, Any]) -> None:
    """`{"text": subject, ...facts}` as JSON; `text` is what chat services show."""
    if not address.startswith(("http://", "https://")):
        raise ValueError("a webhook's address begins with https:// or http://")
    body = json.dumps({"text": subject, **facts}).encode()
    asked = urllib.request.Request(address, body, {"Content-Type": "application/json", "User-Agent": "crucis"})
    with urllib.request.urlopen(asked, timeout=TIMEOUT) as answer:
        answer.read(1024)


def _mail(address: str, subject: str, facts: Mapping[str, Any]) -> None:
    server = urlsplit(os.environ.get("CRUCIS_SMTP", ""))
    if server.scheme not in ("smtp", "smtps") or not server.hostname:
        raise ValueError("no mail server: set CRUCIS_SMTP=smtp://user:password@host:587")
    letter = EmailMessage()
    letter["Subject"], letter["To"] = " ".join(subject.split()), address
    letter["From"] = os.environ.get("CRUCIS_MAIL_FROM", "") or f"crucis@{socket.gethostname()}"
    letter.set_content("\n".join([subject, "", *(f"{name}: {value}" for name, value in facts.items())]) + "\n")
    safe = ssl.create_default_context()
    if server.scheme == "smtps":
        client: smtplib.SMTP = smtplib.SMTP_SSL(server.hostname, server.port or 465, timeout=TIMEOUT, context=safe)
    else:
        client = smtplib.SMTP(server.hostname, server.port or 25, timeout=TIMEOUT)
    with client:
        client.ehlo()
        if server.scheme == "smtp" and client.has_extn("starttls"):
            client.starttls(context=safe)
            client.ehlo()
        if server.username:
            client.login(unquote(server.username), unquote(server.password or ""))
        client.send_message(letter)


def _public(address: str) -> str:
    """An address without what may be secret in it: user, path and query of an URL."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else address
