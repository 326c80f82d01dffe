"""Which addresses of a host may be connected to, for every connection that a workspace's admin can cause.

Law: judged is the address (core/destinations), never the name. A name is resolved here, once, and exactly a judged
address is connected to, so that a name that changes between a look and a connection gains nothing. Hosts that the
operator allows are not judged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from heliograph.core import destinations

SETTING = "HELIOGRAPH_ALLOWED_HOSTS"

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses, in digits, of a host and port; an OSError where there are none."""


class Forbidden(Exception):
    """Why a connection is refused, in words that name what would allow it."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver gives."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


class Guard:
    """Judges addresses, but those of the hosts that the operator allows."""

    def __init__(self, allowed_hosts: Iterable[str] = (), resolver: Resolver = resolve):
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._resolve = resolver

    def is_allowed(self, host: str, port: int) -> bool:
        """Whether the operator allows it, whatever it leads to."""
        return destinations.is_allowed(host, port, self._allowed)

    def judge(self, host: str, port: int, addresses: Iterable[str]) -> None:
        """Raises Forbidden where one of a host's addresses is not to be reached."""
        if self.is_allowed(host, port):
            return
        for kind in filter(None, map(destinations.refusal, addresses)):
            entry = destinations.entry(host, port)
            raise Forbidden(
                f"{host} leads to an address that is {kind}: to allow it, name {entry} in {SETTING}"
            )

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The judged addresses of a host; raises Forbidden, or an OSError where it cannot be resolved."""
        if destinations.is_odd_literal(host):
            raise Forbidden(f"{host} is an address in disguise: write it in the usual form")
        addresses = [host] if is_literal(host) else await self._resolved(host, port)
        self.judge(host, port, addresses)
        return addresses

    async def connected(self, host: str, port: int, patience: float) -> socket.socket:
        """A connection to the first of a host's addresses that takes one, all within `patience` seconds.

        Raises Forbidden, or an OSError where nobody takes it.
        """
        addresses, fault = await self.addresses(host, port), OSError(f"{host} has no address")
        for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = patience / left
            try:
                return await asyncio.wait_for(_to(address, port), share)
            except TimeoutError as late:
                # What the system itself calls late has words of its own.
                fault = late if str(late) else TimeoutError(f"no answer within {share:g} s")
            except OSError as failed:
                fault = failed
        raise fault

    async def _resolved(self, host: str, port: int) -> Sequence[str]:
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError) as fault:
            raise OSError(f"{host} cannot be resolved: {fault}") from None


async def _to(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, (address, port))
    except BaseException:
        made.close()
        raise
    return made


def is_literal(host: str) -> bool:
    """Whether a host is an address in digits."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
