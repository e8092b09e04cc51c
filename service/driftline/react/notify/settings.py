"""How each kind of receiver is called. All that is secret is left out of `repr`."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class PostSettings:
    """`timeout_s` is of each phase: connecting, sending, each part of the answer; a call as a whole may take four
    times that. `certificates` (PEM) are trusted beside the public ones."""

    timeout_s: float = 10.0
    allow_private: tuple[Network, ...] = ()
    certificates: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`url` is a secret as a whole: for many receivers it is the password. `key`: what bodies are signed with."""

    url: str = field(repr=False)
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """Either `url`, an incoming webhook, or `token` (a bot's) and `channel` (an id): then there is one thread for an
    incident and, if `pictures`, one picture in it. `api`: where the token is good."""

    url: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    channel: str | None = None
    api: str = "https://slack.com/api"
    pictures: bool = True


@dataclass(frozen=True, slots=True)
class PagerDutySettings:
    """`key`: the integration's routing key. `url`: where events go, without `/v2/enqueue`."""

    key: str = field(repr=False)
    url: str = "https://events.pagerduty.com"


@dataclass(frozen=True, slots=True)
class AlertmanagerSettings:
    """`url`: without `/api/v2/alerts`. With `username` and `password`, or with `token`, it is called with these.
    `valid_s`: how long an alert that is not repeated stays in force there."""

    url: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    valid_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class AppriseSettings:
    """`urls` in Apprise's own form (`mailto://…`, `msteams://…`); each holds its password."""

    urls: tuple[str, ...] = field(repr=False)
    timeout_s: float = 10.0


ChannelSettings = WebhookSettings | SlackSettings | PagerDutySettings | AlertmanagerSettings | AppriseSettings


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Allow-listed networks. ValueError for what is none."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)
