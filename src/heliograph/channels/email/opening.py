"""From a host's name to a session that takes mail: connection, greeting, TLS, login.

Law: what fails here concerns the server or a setting, never a message. Every failure says in one line what
the operator can look at, and whether it is a setting (`misconfigured`) or the other side (`unreachable`).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import aiosmtplib

from heliograph import errors, guard
from heliograph.channels.email import session

SETTING = "HELIOGRAPH_SMTP_URL"
_PORTS = {"none": 25, "starttls": 587, "tls": 465}
_NUMBERS = ("connections", "messages")
_PLACE = re.compile(r"^Error connecting to \S+ on port \S+: | to \S+ on port \S+$")
"""Where the library tells a connection to lead, which of one that it was given it does not know."""


class Server(NamedTuple):
    """Where e-mail goes, and how."""

    host: str
    port: int
    security: str = "none"  # "none" | "starttls" | "tls" from the first byte
    username: str | None = None
    password: str = ""
    ca_file: str | None = None  # certificates to trust instead of the system's
    hello: str | None = None  # our name in EHLO; None = this machine's
    connections: int = 8  # how many at once
    messages: int = 100  # how many one connection carries
    waits: session.Waits = session.Waits()  # opening a connection waits as long as for a reply
    setting: str = SETTING  # where an operator finds all this

    def __repr__(self) -> str:
        return f"Server({self.host!r}, {self.port}, {self.security!r})"  # no password in a log


class Failed(NamedTuple):
    """Why there is no session."""

    code: str  # "misconfigured" | "unreachable"
    text: str


def server(url: str) -> Server:
    """Reads `smtp://user:password@host:587?security=starttls&ca_file=/etc/ca.pem&connections=8`.

    Query names: security, ca_file, hello, connections, messages; in seconds reply, verdict, idle.
    Raises errors.BadSetting, naming what is wrong.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as fault:
        raise errors.BadSetting(f"{SETTING}: {fault}") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    security = options.pop("security", "none")
    fields: dict[str, Any] = {name: options.pop(name) for name in ("ca_file", "hello") if name in options}
    fields |= {name: _number(name, options.pop(name)) for name in _NUMBERS if name in options}
    waits = {name: _number(name, options.pop(name)) for name in session.Waits._fields if name in options}
    fields["waits"] = session.Waits(**waits)
    if parts.scheme != "smtp" or not host or parts.path.strip("/") or security not in _PORTS:
        raise errors.BadSetting(f"{SETTING} takes smtp://user:password@host:port?security=none|starttls|tls")
    if options:
        known = ", ".join(("security", "ca_file", "hello", *_NUMBERS, *session.Waits._fields))
        raise errors.BadSetting(f"{SETTING}: unknown option {min(options)!r}; there are {known}")
    if parts.username is not None:
        fields |= {"username": unquote(parts.username), "password": unquote(parts.password or "")}
    return Server(host, port or _PORTS[security], security, **fields)


def _number(name: str, written: str) -> int:
    if written.isdecimal() and 0 < int(written) <= 100_000:
        return int(written)
    raise errors.BadSetting(f"{SETTING}: {name}={written!r} is not a number from 1 to 100000")


def trust(to: Server) -> ssl.SSLContext | None:
    """The certificates to check the server's with. Raises errors.BadSetting where ca_file cannot be read."""
    if to.security == "none":
        return None
    try:
        return ssl.create_default_context(cafile=to.ca_file)
    except OSError as fault:  # ssl.SSLError is one
        raise errors.BadSetting(f"{to.setting}: ca_file={to.ca_file!r} cannot be used: {fault}") from None


async def opened(
    to: Server, trusted: ssl.SSLContext | None, guarded: guard.Guard | None = None
) -> session.Session | Failed:
    """A new session, or why there is none; with a guard, to an address that it lets through."""
    try:
        connected = None if guarded is None else await guarded.connected(to.host, to.port, to.waits.reply)
    except guard.Forbidden as refused:
        return Failed("misconfigured", str(refused))
    except OSError as fault:
        return _explained(fault, to)
    client = aiosmtplib.SMTP(
        hostname=to.host,
        port=None if connected else to.port,
        sock=connected,
        use_tls=to.security == "tls",
        start_tls=False,
        tls_context=trusted,
        local_hostname=to.hello,
        timeout=to.waits.reply,
    )
    try:
        failed = await _prepared(client, to, trusted)
    except (aiosmtplib.SMTPException, OSError, ValueError) as fault:
        failed = _explained(fault, to)
    except BaseException:
        client.close()
        raise
    if failed is not None:
        client.close()
        return failed
    return _taken_over(client, to)


def _taken_over(client: aiosmtplib.SMTP, to: Server) -> session.Session:
    """The session goes on with the client's connection, and nothing of the client stays in memory.

    Client, protocol and transport hold each other. A process that has its collector look rarely would keep all that
    it ever opened for minutes.
    """
    transport, extensions, protocol = client.transport, client.esmtp_extensions, client.protocol
    client.transport = None
    client.close()
    if protocol is not None:
        protocol.transport = None
    return session.Session(cast("asyncio.Transport", transport), extensions, to.waits)


async def _prepared(client: aiosmtplib.SMTP, to: Server, trusted: ssl.SSLContext | None) -> Failed | None:
    await client.connect()
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()
    if to.security == "starttls":
        if not client.supports_extension("starttls"):
            words = f"{to.host} offers no STARTTLS: set security=tls or security=none in {to.setting}"
            return Failed("misconfigured", words)
        await client.starttls(tls_context=trusted, server_hostname=to.host)
        await client.ehlo()
    return None if to.username is None else await _logged_in(client, to, to.username)


async def _logged_in(client: aiosmtplib.SMTP, to: Server, username: str) -> Failed | None:
    if not client.supported_auth_methods:
        words = (
            f"{to.host} offers no login that we know: change security, or leave the user out of {to.setting}"
        )
        return Failed("misconfigured", words)
    try:
        await client.login(username, to.password)
    except aiosmtplib.SMTPAuthenticationError as refused:
        said = f"{to.host} refused the login ({refused.code} {refused.message})"
        code = "misconfigured" if refused.code >= 500 else "unreachable"
        return Failed(code, f"{said}: check the user and the password in {to.setting}")
    return None


def _explained(fault: Exception, to: Server) -> Failed:
    if isinstance(fault, ssl.SSLError) or isinstance(fault.__cause__, ssl.SSLError):
        why = fault if isinstance(fault, ssl.SSLError) else fault.__cause__
        # A workspace's provider trusts whom the system trusts.
        looked_at = "security and ca_file" if to.setting == SETTING else "security"
        return Failed(
            "misconfigured",
            f"no trusted TLS with {to.host}:{to.port} ({why}): check {looked_at} in {to.setting}",
        )
    if isinstance(fault, aiosmtplib.SMTPResponseException):
        return Failed("unreachable", f"{to.host}:{to.port} does not take us: {fault.code} {fault.message}")
    # Nobody has words for a server that hangs up while the connection is made secure.
    said = _PLACE.sub("", str(fault)) or "the server hung up"
    return Failed("unreachable", f"no connection to {to.host}:{to.port}: {said}")
