"""Where a receiver may be: public addresses only, unless a network is allow-listed.

The name is resolved once and the address that was looked at is the one that is called, so a name that changes its
mind in between (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from driftline.react.notify.notification import Refused, TryLater
from driftline.react.notify.settings import Network

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
"""For translators inside (RFC 8215); Python takes it for public."""
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host. TryLater where the name cannot be resolved now."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TryLater(f"its host cannot be resolved ({type(error).__name__})") from None
    return [str(item[4][0]) for item in found]


def allowed(address: str, networks: Sequence[Network]) -> bool:
    """Whether an address may be called. An IPv4 address in IPv6's clothing is looked at as what it is."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or _translated(ip) or ip
    listed = any(ip.version == network.version and ip in network for network in networks)
    return listed or (ip.is_global and not ip.is_multicast and ip not in _NAT64_LOCAL)


def _translated(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a translator (RFC 6052) makes of it."""
    return ipaddress.IPv4Address(ip.packed[-4:]) if ip in _NAT64 else None


async def safe_addresses(
    host: str, port: int, networks: Sequence[Network], resolve: Resolve = resolve
) -> list[str]:
    """The addresses of the host, at least one. Refused if any of them is private: a name that has both is not what
    it seems."""
    found = list(dict.fromkeys(await resolve(host, port)))
    if not found:
        raise TryLater("its host has no address")
    if not all(allowed(address, networks) for address in found):
        raise Refused("its host is at a private address; allow its network in notify.allow_private")
    return found
