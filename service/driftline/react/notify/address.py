"""Where a webhook may lead: public addresses only, unless a network is allow-listed.

The name is resolved once and the address that was looked at is the one that is called, so a name that changes its
mind in between (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from driftline.errors import DriftlineError, Transient
from driftline.react.notify.settings import Network

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Refused(DriftlineError):
    """The receiver will never take this notification, or must not be called at all."""


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host. Transient where the name cannot be resolved now."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Transient(f"the webhook's host cannot be resolved ({type(error).__name__})") from error
    return [str(item[4][0]) for item in found]


def allowed(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address may be called. An IPv4 address in IPv6's clothing is looked at as what it is."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    listed = any(ip.version == network.version and ip in network for network in networks)
    return listed or (ip.is_global and not ip.is_multicast)


async def safe_address(host: str, port: int, networks: Sequence[Network], resolve: Resolve = resolve) -> str:
    """An address of the host to be called. Refused if any of its addresses is private: a name that has both is not
    what it seems."""
    found = list(dict.fromkeys(await resolve(host, port)))
    if not found:
        raise Transient("the webhook's host has no address")
    if not all(allowed(address, networks) for address in found):
        raise Refused("the webhook's host is at a private address; allow its network in notify.allow_private")
    return found[0]
