"""E-mail to a real server (aiosmtpd) over TLS and STARTTLS, with a login, and what is said when they fail."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiosmtpd import smtp

from heliograph import channels, guard
from heliograph.channels import email
from tests.channels import certificates

# The server warns of a login without TLS, which is what some of these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:.*AUTH.*:UserWarning")

CONTENT = b"Subject: Hello\r\n\r\n.Hello Anna\r\n"
ACCEPTED, TEMPORARY = channels.Outcome.ACCEPTED, channels.Outcome.TEMPORARY


class Inbox:
    """What the server took, and over what."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self.is_secure: list[bool] = []
        self.logins: list[bool] = []

    async def handle_DATA(self, server: smtp.SMTP, session: smtp.Session, envelope: smtp.Envelope) -> str:  # noqa: N802 - aiosmtpd calls it so
        assert isinstance(envelope.content, bytes)
        self.mails.append((envelope.mail_from or "", envelope.rcpt_tos, envelope.content))
        assert server.transport is not None
        self.is_secure.append(server.transport.get_extra_info("sslcontext") is not None)
        self.logins.append(bool(session.authenticated))
        return "250 2.0.0 Ok: queued as ABC"


def authenticate(
    server: smtp.SMTP,
    session: smtp.Session,
    envelope: smtp.Envelope,
    mechanism: str,
    login: smtp.LoginPassword,
) -> smtp.AuthResult:
    return smtp.AuthResult(success=login == smtp.LoginPassword(b"shop", b"s3cret:/"), handled=False)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's context for 127.0.0.1 and the file that trusts it."""
    return certificates.make(tmp_path_factory.mktemp("tls"), "127.0.0.1")


def send(
    query: str,
    *,
    login: str = "",
    times: int = 1,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    guarded: Callable[[int], guard.Guard] | None = None,
    **server: Any,
) -> tuple[channels.Answer, Inbox]:
    """Sends so many messages to an aiosmtpd made so; gives the last answer and what arrived.

    `guarded` gives the guard of the channel from the server's port.
    """
    inbox = Inbox()

    async def play() -> channels.Answer:
        loop = asyncio.get_running_loop()
        made = lambda: smtp.SMTP(inbox, loop=loop, **server)  # noqa: E731 - a factory, not a name
        listening = await loop.create_server(made, "127.0.0.1", 0, ssl=tls)
        port = listening.sockets[0].getsockname()[1]
        to = email.server(f"smtp://{login}{host}:{port}{query}")
        channel = email.SmtpChannel(to, lambda: 0, guarded=guarded and guarded(port))
        outgoing = channels.Outgoing("id", "email", "anna@example.org", CONTENT, "shop@example.com", 1)
        answers = [await channel.send(outgoing) for _ in range(times)]
        await channel.close()
        listening.close()
        return answers[-1]

    return asyncio.run(play()), inbox


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
@pytest.mark.parametrize("login", ["", "shop:s3cret%3A%2F@"])
def test_a_real_server_takes_mail(security: str, login: str, secrets: tuple[ssl.SSLContext, str]) -> None:
    """Over plain SMTP, STARTTLS and TLS, with and without a login, messages arrive over a secured connection."""
    context, ca_file = secrets
    answer, inbox = send(
        f"?security={security}&ca_file={ca_file}",
        login=login,
        times=3,
        tls=context if security == "tls" else None,
        tls_context=context if security == "starttls" else None,
        require_starttls=security == "starttls",
        authenticator=authenticate,
        auth_required=bool(login),
        auth_require_tls=False,
    )
    assert answer.outcome is ACCEPTED, answer.text
    assert answer.reference == "ABC"
    assert inbox.mails == [("shop@example.com", ["anna@example.org"], CONTENT)] * 3
    assert inbox.is_secure == [security != "none"] * 3
    assert inbox.logins == [bool(login)] * 3


def test_a_refused_login_names_the_setting() -> None:
    """A wrong password is the operator's fault: later, with the server's words and the setting, in the log once."""
    with structlog.testing.capture_logs() as log:
        answer, inbox = send(
            "", login="shop:wr0ng@", times=3, authenticator=authenticate, auth_require_tls=False
        )
    (line,) = log
    assert (line["log_level"], line["event"]) == ("warning", "mail_server_rests")
    assert "refused the login (535" in line["error"]
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "refused the login (535" in answer.text
    assert "HELIOGRAPH_SMTP_URL" in answer.text
    assert "wr0ng" not in answer.text
    assert answer.retry_after == 1
    assert inbox.mails == []


def test_a_login_that_is_not_offered_names_the_setting() -> None:
    """A user for a server without login is said to be one, and the message waits."""
    answer, _ = send("", login="shop:pw@")
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "offers no login" in answer.text


def test_missing_starttls_sends_nothing_in_the_clear() -> None:
    """Where STARTTLS was asked for and is not offered, neither password nor message leaves the house."""
    answer, inbox = send(
        "?security=starttls", login="shop:pw@", authenticator=authenticate, auth_require_tls=False
    )
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "offers no STARTTLS" in answer.text
    assert inbox.mails == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_untrusted_certificate_is_refused(security: str, secrets: tuple[ssl.SSLContext, str]) -> None:
    """A certificate that nobody vouches for ends the connection before login and message."""
    context, _ = secrets
    server: dict[str, Any] = {"tls": context} if security == "tls" else {"tls_context": context}
    answer, inbox = send(f"?security={security}", **server)
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "certificate" in answer.text.lower()
    assert "ca_file" in answer.text
    assert inbox.mails == []


def test_what_a_provider_has_no_setting_for_is_not_named(secrets: tuple[ssl.SSLContext, str]) -> None:
    """A workspace's provider has no certificates of its own to trust: where TLS fails, no `ca_file` is named."""

    async def play() -> channels.Answer:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=secrets[0])
        port = server.sockets[0].getsockname()[1]
        to = email.server(f"smtp://127.0.0.1:{port}?security=tls")._replace(setting="the provider ours")
        channel = email.SmtpChannel(to, lambda: 0)
        outgoing = channels.Outgoing("id", "email", "anna@example.org", CONTENT, "shop@example.com", 1)
        answer = await channel.send(outgoing)
        await channel.close()
        server.close()
        return answer

    answer = asyncio.run(play())
    assert answer.code == "misconfigured"
    assert answer.text.endswith(": check security in the provider ours")


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    """A certificate that is trusted, but for another name, is none."""
    context, ca_file = certificates.make(tmp_path, "mail.example")
    answer, _ = send(f"?security=tls&ca_file={ca_file}", tls=context)
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")


def test_tls_with_a_plain_server_says_so() -> None:
    """A server that speaks no TLS at all is named as a matter of the security setting."""
    answer, _ = send("?security=tls")
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "security" in answer.text


@pytest.mark.parametrize("ends", ["close", "abort"])
@pytest.mark.parametrize("is_guarded", [False, True])
def test_a_server_that_hangs_up_while_tls_begins_is_named(ends: str, is_guarded: bool) -> None:
    """The message waits for it, and the attempt says what happened."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        getattr(writer.transport, ends)()

    async def play() -> tuple[channels.Answer, int]:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        guarded = guard.Guard([f"127.0.0.1:{port}"]) if is_guarded else None
        to = email.server(f"smtp://127.0.0.1:{port}?security=tls")
        channel = email.SmtpChannel(to, lambda: 0, guarded=guarded)
        outgoing = channels.Outgoing("id", "email", "anna@example.org", CONTENT, "shop@example.com", 1)
        answer = await channel.send(outgoing)
        await channel.close()
        server.close()
        return answer, port

    answer, port = asyncio.run(play())
    assert (answer.outcome, answer.code) == (TEMPORARY, "unreachable")
    assert answer.text == f"no connection to 127.0.0.1:{port}: the server hung up"


# ── what a workspace's provider may reach ───────────────────────────────────────────────────────────


def leading(*addresses: str) -> guard.Resolver:
    """A resolver that leads every name to these."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_a_server_that_the_operator_names_is_reached(
    security: str, secrets: tuple[ssl.SSLContext, str]
) -> None:
    """Over plain SMTP, STARTTLS and TLS, whose certificate is still that of the name."""
    context, ca_file = secrets
    answer, inbox = send(
        f"?security={security}&ca_file={ca_file}",
        times=2,
        tls=context if security == "tls" else None,
        guarded=lambda port: guard.Guard([f"127.0.0.1:{port}"]),
        tls_context=context if security == "starttls" else None,
    )
    assert answer.outcome is ACCEPTED, answer.text
    assert inbox.is_secure == [security != "none"] * 2


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", ()),
        ("mail.example", ("127.0.0.1",)),
        ("mail.example", ("2d00::1", "::ffff:127.0.0.1")),
        ("2130706433", ("127.0.0.1",)),
    ],
)
def test_a_server_behind_our_own_walls_is_not_reached(host: str, addresses: tuple[str, ...]) -> None:
    """However its address is given; the message waits, as for every setting that only an operator can mend."""
    answer, inbox = send("", host=host, guarded=lambda _: guard.Guard((), leading(*addresses)))
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "loopback" in answer.text or "in disguise" in answer.text
    assert answer.blames_provider
    assert inbox.mails == []


def test_the_addresses_of_a_server_are_tried_one_after_the_other() -> None:
    """One that does not answer is passed by; where none does, that is said."""
    guarded = lambda port: guard.Guard([f"mail.example:{port}"], leading("127.0.0.9", "127.0.0.1"))  # noqa: E731
    answer, inbox = send("", host="mail.example", guarded=guarded)
    assert answer.outcome is ACCEPTED, answer.text
    assert len(inbox.mails) == 1
    nowhere = lambda port: guard.Guard([f"mail.example:{port}"], leading("127.0.0.9"))  # noqa: E731
    answer, _ = send("", host="mail.example", guarded=nowhere)
    assert (answer.outcome, answer.code) == (TEMPORARY, "unreachable")
    assert "no connection to mail.example" in answer.text
