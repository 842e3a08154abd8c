"""Alerts by HTTP and by mail: they arrive, they never hold up or end a run, they keep secrets."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from train_cases import contents, job, mlp, run, vectors

from crucis.train import sending
from crucis.train.sending import Sender


@pytest.fixture
def web():
    """A web server; `.got` are the bodies posted to it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((self.path, json.loads(body)))
            self.send_response(500 if self.path == "/broken" else 200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.got = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Post(threading.Thread):
    """As much of a mail server as one letter needs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.said, self.letter = self.socket.getsockname()[1], [], ""

    def run(self):
        connection, _ = self.socket.accept()
        with connection, connection.makefile("rwb") as line:

            def say(text):
                line.write(f"{text}\r\n".encode())
                line.flush()

            say("220 here")
            while text := line.readline().decode().strip():
                self.said.append(text)
                word = text.split()[0].upper()
                if word == "EHLO":
                    say("250-here")
                    say("250 AUTH PLAIN")
                elif word == "AUTH":
                    say("235 welcome")
                elif word == "DATA":
                    say("354 go on")
                    while (part := line.readline().decode()) != ".\r\n":
                        self.letter += part
                    say("250 taken")
                elif word == "QUIT":
                    say("221 bye")
                    return
                else:
                    say("250 fine")


def test_a_webhook_gets_the_rule_and_the_values(tmp_path, web):
    url = f"http://127.0.0.1:{web.server_port}/hook"
    found, ctx = run(tmp_path, job(vectors(), mlp(), watch={"train_loss > 0": {"webhook": url}}))
    ((path, body),) = web.got
    assert path == "/hook" and body["rule"] == "train_loss > 0.0" and body["step"] == 4
    assert body["train_loss"] == pytest.approx(found.curve["train_loss"][0])
    assert body["text"] == f"train_loss > 0.0 (train_loss = {body['train_loss']:.6g}) at step 4"
    assert not [fields for event, fields in ctx.notes if event == "warn"]


def test_the_address_of_a_webhook_may_come_from_the_environment(tmp_path, web, monkeypatch):
    monkeypatch.setenv("CRUCIS_WEBHOOK", f"http://127.0.0.1:{web.server_port}/secret")
    run(tmp_path, job(vectors(), mlp(), watch={"train_loss > 0": "webhook"}))
    assert [path for path, _ in web.got] == ["/secret"]
    monkeypatch.delenv("CRUCIS_WEBHOOK")
    _, ctx = run(tmp_path / "none", job(vectors(), mlp(), watch={"train_loss > 0": "webhook"}))
    assert any("set CRUCIS_WEBHOOK" in fields.get("text", "") for _, fields in ctx.notes)


def test_a_mail_is_written_and_signed_in_for(tmp_path, monkeypatch):
    post = Post()
    post.start()
    monkeypatch.setenv("CRUCIS_SMTP", f"smtp://me:p%40ss@127.0.0.1:{post.port}")
    monkeypatch.setenv("CRUCIS_MAIL_FROM", "lab@example.org")
    _, ctx = run(tmp_path, job(vectors(), mlp(), watch={"train_loss > 0": {"mail": "you@example.org"}}))
    post.join(5)
    assert any(line.startswith("AUTH PLAIN") for line in post.said)
    assert any("you@example.org" in line for line in post.said if line.upper().startswith("RCPT"))
    assert "To: you@example.org" in post.letter and "From: lab@example.org" in post.letter
    assert "rule: train_loss > 0.0" in post.letter and "p@ss" not in post.letter
    assert not [fields for event, fields in ctx.notes if event == "warn"]


@pytest.mark.parametrize("path", ["broken", "closed", "no mail server"])
def test_what_does_not_arrive_is_said_and_changes_nothing(tmp_path, web, monkeypatch, request, path):
    monkeypatch.delenv("CRUCIS_SMTP", raising=False)
    closed = socket.socket()
    request.addfinalizer(closed.close)  # bound until then, so that nobody else listens there
    closed.bind(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    action = {
        "broken": {"webhook": f"http://127.0.0.1:{web.server_port}/broken"},
        "closed": {"webhook": f"http://user:word@127.0.0.1:{port}/token"},
        "no mail server": {"mail": "you@example.org"},
    }[path]
    plain = run(tmp_path / "a", job(vectors(), mlp()))
    told = run(tmp_path / "b", job(vectors(), mlp(), watch={"train_loss > 0": action}))
    warned = [fields["text"] for event, fields in told[1].notes if event == "warn"]
    assert len(warned) == 1 and "did not reach" in warned[0]
    assert "user:word" not in warned[0] and "token" not in warned[0]
    assert contents(plain[1]) == contents(told[1])


def test_a_server_that_never_answers_holds_nobody_up(tmp_path, monkeypatch):
    monkeypatch.setattr(sending, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sender = Sender()
        before = time.monotonic()
        for _ in range(150):
            sender.send("webhook", f"http://127.0.0.1:{mute.getsockname()[1]}/", "x", {})
        assert time.monotonic() - before < sending.TIMEOUT - 2  # not even the first was waited for
        sender.close(0.2)
        assert time.monotonic() - before < sending.TIMEOUT - 1
        texts = [why for _, why in sender.failures()]
        assert any("was dropped" in text for text in texts) and any("had not arrived" in text for text in texts)
