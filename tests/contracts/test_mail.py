"""Mail leaves, or it is known that it did not."""

from __future__ import annotations

import ssl

import pytest
import trustme

from statekeep.domain.names import EmailAddress
from statekeep.mail.smtp import SmtpMailer
from statekeep.ports.mail import Mail, MailNotSent, MailServer
from tests.support.smtp import mail_sink

SENDER = EmailAddress("keep@example.com")
MAIL = Mail(
    EmailAddress("ada@example.com"), "Grüße", "a line with ü\n\n.\n  https://x.example/?a=b\n"
)


def mailer(port, *, is_tls=False, user=None, password=None, host="127.0.0.1", **options):
    server = MailServer(host, port, is_tls, user, password)
    return SmtpMailer(server, SENDER, **options)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority):
    """A server's side of TLS, with a certificate for this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority):
    """A client's side, which knows the authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_mail_arrives_as_it_was_written():
    """With what a mail needs so that other servers take it."""
    async with mail_sink() as sink:
        await mailer(sink.port).send(MAIL)
    (message,) = sink.messages
    assert message.get_content().replace("\r\n", "\n") == MAIL.text
    assert (message["to"], message["subject"]) == (MAIL.to, MAIL.subject)
    assert message["from"] == f"Statekeep <{SENDER}>"
    assert message["date"].datetime is not None
    assert message["message-id"].endswith("@example.com>")
    assert message["auto-submitted"] == "auto-generated"
    assert sink.logins == []


async def test_a_password_goes_over_tls(tls, trusting):
    """Where the server is who it should be."""
    async with mail_sink(tls=tls) as sink:
        sending = mailer(sink.port, is_tls=True, user="us@er", password="se cret", tls=trusting)
        await sending.send(MAIL)
    assert sink.logins == ["\0us@er\0se cret"]
    assert len(sink.messages) == 1


async def test_nothing_goes_to_a_server_that_is_somebody_else(tls):
    """Its certificate is nobody's that we know."""
    async with mail_sink(tls=tls) as sink:
        with pytest.raises(MailNotSent, match="certificate"):
            await mailer(sink.port, is_tls=True, user="user", password="secret").send(MAIL)
    assert (sink.logins, sink.messages) == ([], [])


async def test_nothing_goes_over_the_network_without_tls(monkeypatch):
    """A server elsewhere that does not begin TLS gets neither password nor mail."""
    # A name of this machine that does not look like one.
    monkeypatch.setattr("statekeep.mail.smtp._LOOPBACK", frozenset())
    async with mail_sink() as sink:
        with pytest.raises(MailNotSent, match="STARTTLS"):
            await mailer(sink.port, user="user", password="secret").send(MAIL)
    assert (sink.logins, sink.messages) == ([], [])


async def test_a_refusal_is_told_without_the_address():
    """It goes into a log."""
    async with mail_sink(refuses="550 no ada@example.com here") as sink:
        with pytest.raises(MailNotSent) as raised:
            await mailer(sink.port).send(MAIL)
    assert "550" in str(raised.value)
    assert "ada" not in str(raised.value)


async def test_a_silent_server_is_given_up():
    """Soon."""
    async with mail_sink(is_silent=True) as sink:
        with pytest.raises(MailNotSent, match=r"too long|timed out"):
            await mailer(sink.port, timeout_seconds=0.2).send(MAIL)


async def test_no_server_is_told(unused_tcp_port):
    """Nobody listens there."""
    with pytest.raises(MailNotSent, match="refused"):
        await mailer(unused_tcp_port).send(MAIL)
