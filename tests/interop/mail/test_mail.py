"""Mails through a real SMTP server (aiosmtpd): TLS, STARTTLS, AUTH, refusals, delays, cut connections, a full mailbox, outages.
Python's own parser reads the mails. Each test starts a service and an SMTP server; the service is the binary MINTMARK_BINARY.
"""

import email
import email.policy
import json
import os
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Callable, Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import world  # noqa: E402
from service import Service, running  # noqa: E402

USER, PASSWORD = "mint/mark@example.com", "p@ss:w/o#rd?"
QUOTED = "mint%2Fmark%40example.com:p%40ss%3Aw%2Fo%23rd%3F"
# How long a test waits for mails and their state. It includes a second attempt, which comes 5 to 6 seconds after the first.
PATIENCE_SECONDS = 60


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> dict[str, Path]:
    """A certificate authority, and a certificate for this machine that it issued."""
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.now(timezone.utc)

    def certificate(name: str, key, issuer: str, issuer_key, *extensions):
        builder = x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256())

    named = lambda name: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])  # noqa: E731
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = certificate("Test authority", authority_key, "Test authority", authority_key, (x509.BasicConstraints(True, 0), True))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    server = certificate("mail.test", server_key, "Test authority", authority_key, (names, False))
    files = {"authority": folder / "ca.pem", "server": folder / "server.pem", "key": folder / "key.pem"}
    pem = serialization.Encoding.PEM
    files["authority"].write_bytes(authority.public_bytes(pem))
    files["server"].write_bytes(server.public_bytes(pem))
    files["key"].write_bytes(server_key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return files


def context(certificates: dict[str, Path]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificates["server"], certificates["key"])
    return made


class Mailbox:
    """The mails that the server received, and how it replies: `None` means to accept, `CLOSE` to cut the connection.

    `recipient` replies to an address, given how often it was named so far, and `data` to a mail, given how many came so far.
    """

    CLOSE = object()

    def __init__(self, recipient: Callable[[str, int], str | None] = lambda address, times: None, data: Callable[[int], object] = lambda times: None):
        self.mails: list[tuple[str, EmailMessage, bytes]] = []
        self.signed_in: list[tuple[bytes, bytes]] = []
        self.encrypted: list[bool] = []
        self.recipient, self.data = recipient, data
        self.times: defaultdict[str, int] = defaultdict(int)
        self.came = threading.Condition()

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.times[address] += 1
        reply = self.recipient(address, self.times[address])
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        with self.came:
            self.encrypted.append(session.ssl is not None)
            parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.mails.append((envelope.rcpt_tos[0], parsed, envelope.content))
            times = len(self.mails)
            self.came.notify_all()
        reply = self.data(times)
        if reply is self.CLOSE:
            server.transport.abort()
            return "421 4.3.2 cut"
        return reply or "250 2.0.0 taken"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.signed_in.append((data.login, data.password))
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    def wait(self, mails: int) -> list[tuple[str, EmailMessage, bytes]]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.mails) >= mails, PATIENCE_SECONDS), f"{len(self.mails)} of {mails} mails have come"
            return list(self.mails)


@contextmanager
def server(mailbox: Mailbox, port: int = 0, **options) -> Iterator[int]:
    """Runs the SMTP server on a port."""
    port = port or free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def service(url: str, **more: str) -> Iterator[tuple[Service, world.Manager]]:
    """A service that sends its mails to the SMTP server at this URL, with products and a workspace."""
    settings = {"SMTP__URL": url, "SMTP__FROM": "Tokens of Bücher <tokens@example.com>", "SMTP__REPLY_TO": "help@example.com", **more}
    with running(None, **settings) as started:
        manager = world.Manager(started)
        world.create_products(manager)
        world.create_workspace(manager, world.WORKSPACE)
        yield started, manager


def create(manager: world.Manager, label: str, *contacts: str) -> str:
    """Creates a client with these notification addresses, which get a mail about it."""
    body = {"label": label, "products": ["gst"], "notification_emails": list(contacts)}
    return manager.post(f"/v1/workspaces/{world.WORKSPACE}/api-clients", body)["client_id"]


def rows(started: Service) -> list[dict]:
    with sqlite3.connect(started.folder / "data" / "mintmark.db") as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM deliveries ORDER BY recipient")]


def until(started: Service, condition: Callable[[list[dict]], bool]) -> list[dict]:
    """Waits until the condition holds for the deliveries, and returns them."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition(found := rows(started)):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def all_sent(found: list[dict]) -> bool:
    return bool(found) and all(row["sent_at"] for row in found)


def checked(started: Service) -> tuple[int, dict]:
    """The exit code of `mintmark check --connect`, and what it says about the mail server."""
    done = subprocess.run(
        [os.environ["MINTMARK_BINARY"], "check", "--connect", "--json"], cwd=started.folder, env=started.environment, text=True, capture_output=True,
    )
    assert PASSWORD not in done.stdout + done.stderr
    return done.returncode, next(found for found in json.loads(done.stdout)["connected"] if found["check"] == "smtp")


@pytest.mark.parametrize("way", ["tls", "starttls", "plain"])
def test_a_mail_arrives_in_every_way_of_encryption(way, certificates):
    mailbox = Mailbox()
    signs_in = {"authenticator": mailbox.authenticate, "auth_required": True, "auth_require_tls": way != "plain"}
    options = {
        "tls": {"ssl_context": context(certificates), "auth_require_tls": False},
        "starttls": {"tls_context": context(certificates), "require_starttls": True},
        "plain": {},
    }[way]
    with server(mailbox, **{**signs_in, **options}) as port:
        url = {"tls": f"smtps://{QUOTED}@localhost:{port}", "starttls": f"smtp://{QUOTED}@127.0.0.1:{port}?tls=required", "plain": f"smtp://{QUOTED}@127.0.0.1:{port}?tls=none"}
        with service(url[way], SMTP__CA_FILE=str(certificates["authority"])) as (started, manager):
            client_id = create(manager, "SAP ✓ production", "fin@acme.example")
            [(recipient, mail, raw)] = mailbox.wait(1)
            [row] = until(started, all_sent)
            code, found = checked(started)
    assert (code, found["ok"]) == (0, True), found
    assert recipient == "fin@acme.example"
    assert set(mailbox.signed_in) == {(USER.encode(), PASSWORD.encode())}
    # aiosmtpd sets `session.ssl` only after STARTTLS.
    assert mailbox.encrypted == [way != "plain"] or way == "tls"
    assert raw.isascii()
    assert mail["Subject"] and "SAP" in mail["Subject"]
    assert (mail["From"], mail["Reply-To"], mail["To"]) == ("Tokens of Bücher <tokens@example.com>", "help@example.com", "fin@acme.example")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"] == f"<{row['delivery_id']}@127.0.0.1>"
    assert mail["References"] == f"<{client_id}@127.0.0.1>"
    assert abs(mail["Date"].datetime - datetime.now(timezone.utc)) < timedelta(minutes=5)
    assert mail.get_content_type() == "multipart/alternative" and not mail.defects
    for kind in ["plain", "html"]:
        part = mail.get_body((kind,))
        assert part and "SAP" in part.get_content() and not part.defects
    assert (row["last_status"], row["attempts"]) == (250, 1)


def test_a_server_that_cannot_be_trusted_gets_no_mail_and_no_password(certificates):
    # The service does not know the authority: smtp.ca_file is not set.
    for url_of, options, says in [
        (lambda port: f"smtps://{QUOTED}@127.0.0.1:{port}", {"ssl_context": context(certificates)}, "certificate"),
        (lambda port: f"smtp://{QUOTED}@127.0.0.1:{port}?tls=required", {"tls_context": context(certificates)}, "certificate"),
        # This server offers no STARTTLS.
        (lambda port: f"smtp://{QUOTED}@127.0.0.1:{port}?tls=required", {}, "cannot be encrypted"),
    ]:
        mailbox = Mailbox()
        with server(mailbox, authenticator=mailbox.authenticate, auth_require_tls=False, **options) as port:
            with service(url_of(port)) as (started, manager):
                create(manager, "SAP", "fin@acme.example")
                [row] = until(started, lambda found: bool(found) and found[0]["last_error"] is not None)
                code, found = checked(started)
        assert says in row["last_error"] and says in found["detail"], (row["last_error"], found)
        assert row["dead_at"] is None and row["sent_at"] is None
        assert (code, found["ok"]) == (1, False)
        assert (mailbox.mails, mailbox.signed_in) == ([], [])


def test_no_mail_is_given_up_because_of_a_wrong_password():
    mailbox = Mailbox()
    with server(mailbox, authenticator=mailbox.authenticate, auth_required=True, auth_require_tls=False) as port:
        with service(f"smtp://me:wrong@127.0.0.1:{port}?tls=none") as (started, manager):
            create(manager, "SAP", "fin@acme.example")
            [row] = until(started, lambda found: bool(found) and found[0]["last_error"] is not None)
            code, found = checked(started)
    assert row["last_status"] == 535 and "does not accept user name and password" in row["last_error"]
    assert row["dead_at"] is None and "wrong" not in row["last_error"]
    assert (code, found["ok"]) == (1, False)


def test_a_greylisted_mail_comes_with_the_second_attempt():
    mailbox = Mailbox(recipient=lambda address, times: "451 4.7.1 greylisted" if times == 1 else None)
    with server(mailbox) as port, service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        create(manager, "SAP", "fin@acme.example")
        mailbox.wait(1)
        [row] = until(started, all_sent)
    assert row["attempts"] == 2 and len(mailbox.mails) == 1


def test_an_unknown_recipient_and_a_full_mailbox_do_not_affect_other_recipients():
    replies = {"gone@acme.example": "550 5.1.1 no such user", "full@acme.example": "452 4.2.2 mailbox full"}
    mailbox = Mailbox(recipient=lambda address, times: replies.get(address))
    with server(mailbox) as port, service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        create(manager, "SAP", "fin@acme.example", "gone@acme.example", "it@acme.example", "full@acme.example")
        mailbox.wait(2)
        fin, full, gone, it = until(started, lambda found: len(found) == 4 and all(row["last_status"] for row in found))
        events = manager.get("/v1/audit-events?action=delivery.failed")["items"]
    assert fin["sent_at"] and it["sent_at"]
    assert gone["dead_at"] and gone["last_status"] == 550 and "no such user" in gone["last_error"]
    assert not full["dead_at"] and not full["sent_at"] and full["last_status"] == 452
    assert [event["detail"]["recipient"] for event in events] == ["gone@acme.example"]
    assert sorted(recipient for recipient, *_ in mailbox.mails) == ["fin@acme.example", "it@acme.example"]


def test_a_refused_mail_is_given_up_at_once_and_a_busy_server_is_asked_again():
    answers = iter(["554 5.6.0 refused", "451 4.3.0 busy"])
    mailbox = Mailbox(data=lambda times: next(answers, None))
    with server(mailbox) as port, service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        create(manager, "First", "a@acme.example")
        [first] = until(started, lambda found: bool(found) and bool(found[0]["dead_at"]))
        create(manager, "Second", "b@acme.example")
        _, second = until(started, lambda found: len(found) == 2 and bool(found[1]["sent_at"]))
    assert first["last_status"] == 554 and second["attempts"] == 2


def test_a_slow_server_gets_the_mail_once():
    def slowly(times: int) -> None:
        time.sleep(3)

    mailbox = Mailbox(data=slowly)
    with server(mailbox) as port, service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        create(manager, "SAP", "fin@acme.example")
        [row] = until(started, all_sent)
    assert (row["attempts"], len(mailbox.mails)) == (1, 1)


def test_a_connection_cut_before_the_reply_makes_one_duplicate_with_the_same_id():
    mailbox = Mailbox(data=lambda times: Mailbox.CLOSE if times == 1 else None)
    with server(mailbox) as port, service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        create(manager, "SAP", "fin@acme.example")
        mailbox.wait(2)
        [row] = until(started, all_sent)
    assert len(mailbox.mails) == 2 and row["attempts"] == 2
    assert mailbox.mails[0][2] == mailbox.mails[1][2], "the same bytes"


def test_a_server_that_comes_back_gets_the_waiting_mails():
    mailbox = Mailbox()
    port = free_port()
    with service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        for number in range(10):
            create(manager, f"SAP {number}", f"{number}@acme.example")
        until(started, lambda found: len(found) == 10 and all(row["last_error"] for row in found))
        assert all("cannot connect to the mail server" in row["last_error"] for row in rows(started))
        with server(mailbox, port):
            until(started, all_sent)
    assert sorted(recipient for recipient, *_ in mailbox.mails) == sorted(f"{number}@acme.example" for number in range(10))


def test_labels_cannot_change_a_mail():
    labels = ["=?utf-8?q?=0d=0aBcc:_evil@example.com?=", "<script>alert(1)</script> & “more”", ". .. Bcc: evil@example.com", "संगठन 🧑‍💻 Ä"]
    mailbox = Mailbox()
    with server(mailbox) as port, service(f"smtp://127.0.0.1:{port}?tls=none") as (started, manager):
        for number, label in enumerate(labels):
            create(manager, label, f"{number}@acme.example")
        mailbox.wait(len(labels))
        until(started, all_sent)
    for recipient, mail, raw in mailbox.mails:
        assert mail["Bcc"] is None and mail["Cc"] is None and not mail.defects
        assert mail["To"] == recipient
        html = mail.get_body(("html",)).get_content()
        assert "<script>alert" not in html
        assert raw.count(b"\r\nTo:") == 1
