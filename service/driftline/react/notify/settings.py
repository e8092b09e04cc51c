"""How the webhook is called."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`url` is a secret as a whole: for many receivers it is the password. `key`: what bodies are signed with.
    `timeout_s` is of each phase: connecting, sending, each part of the answer."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    timeout_s: float = 10.0
    allow_private: tuple[Network, ...] = ()


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Allow-listed networks. ValueError for what is none."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
