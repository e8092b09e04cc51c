"""What every channel makes of a receiver's troubles: again later, or never; and never a word of a secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import pytest

from driftline.clock import ManualClock
from driftline.react.notify.alertmanager import Alertmanager
from driftline.react.notify.http import Poster
from driftline.react.notify.notification import Channel, Refused, TryLater
from driftline.react.notify.pagerduty import PagerDuty
from driftline.react.notify.settings import (
    AlertmanagerSettings,
    PagerDutySettings,
    PostSettings,
    SlackSettings,
    WebhookSettings,
)
from driftline.react.notify.slack import slack
from driftline.react.notify.webhook import Webhook
from react.notify.making import LOCAL, T0, poster, told
from support.receivers import alertmanager, pagerduty
from support.receivers.http import Reply, Service, busy
from support.receivers.slack import CHANNEL, TOKEN, Slack

SECRETS: Final = (TOKEN, pagerduty.KEY, "canarycanarycanary", "canary-user", "canary-password", "canary-hook")
CLOCK: Final = ManualClock(T0)
KINDS: Final = ("slack hook", "slack bot", "pagerduty", "alertmanager", "webhook")


def service_of(kind: str) -> Service:
    match kind:
        case "slack hook" | "slack bot":
            return Slack()
        case "pagerduty":
            return pagerduty.PagerDuty()
        case "alertmanager":
            return alertmanager.Alertmanager(CLOCK)
    return Service()


def channel_of(kind: str, base: str, poster: Poster) -> Channel:
    match kind:
        case "slack hook":
            return slack(SlackSettings(url=base + "/services/T0/B0/canarycanarycanary"), poster, CLOCK)
        case "slack bot":
            bot = SlackSettings(token=TOKEN, channel=CHANNEL, api=base + "/api", pictures=False)
            return slack(bot, poster, CLOCK)
        case "pagerduty":
            return PagerDuty(PagerDutySettings(pagerduty.KEY, base), poster, CLOCK)
        case "alertmanager":
            known = AlertmanagerSettings(base, username="canary-user", password="canary-password")
            return Alertmanager(known, poster, CLOCK)
    return Webhook(WebhookSettings(base + "/canary-hook", b"canary-key"), poster, CLOCK)


@asynccontextmanager
async def pair(kind: str, timeout_s: float = 5.0) -> AsyncIterator[tuple[Service, Channel]]:
    async with service_of(kind) as service:
        channel = channel_of(kind, service.base, poster(timeout_s))
        yield service, channel
        await channel.close()


async def fails(channel: Channel, error: type[Exception]) -> Exception:
    with pytest.raises(error) as caught:
        await channel.send(told(), None)
    for secret in (*SECRETS, "127.0.0.1"):
        assert secret not in f"{caught.value!r} {caught.value.__cause__!r}"
    return caught.value


every_kind: Final = pytest.mark.parametrize("kind", KINDS)


@every_kind
async def test_what_is_well_is_taken(kind: str) -> None:
    async with pair(kind) as (service, channel):
        await channel.send(told(), None)
        assert len(service.requests) == 1
        assert service.requests[0].headers["user-agent"] == "driftline"


@every_kind
@pytest.mark.parametrize(
    ("trouble", "wait_s"),
    [
        (busy("7"), 7.0),
        (busy(), None),
        (busy("Mon, 01 Apr 2024 09:00:09 GMT", 503), 9.0),
        (busy("soon", 503), None),
        (busy("1e99", 500), 3_600.0),
        (Reply(502), None),
        (Reply(408), None),
    ],
)
async def test_row_42_what_may_pass_is_tried_again_when_asked(
    kind: str, trouble: Reply, wait_s: float | None
) -> None:
    """Mutation: do not look at Retry-After in `answers.expect_taken`; the wait is None."""
    async with pair(kind) as (service, channel):
        service.trouble.append(trouble)
        error = await fails(channel, TryLater)
        assert isinstance(error, TryLater)
        assert error.wait_s == (None if wait_s is None else pytest.approx(wait_s))
        await channel.send(told(), None)
        assert len(service.requests) == 2


@every_kind
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 302])
async def test_row_42_what_is_final(kind: str, status: int) -> None:
    """Mutation: raise TryLater for every status in `answers.expect_taken`; a 404 is posted for ever."""
    async with pair(kind) as (service, channel):
        service.down = Reply(status, b"no", {"location": "http://127.0.0.1:1/"})
        await fails(channel, Refused)
        assert len(service.requests) == 1


@every_kind
@pytest.mark.parametrize("trouble", ["hang", "drip", "cut"])
async def test_row_42_a_receiver_that_does_not_answer(kind: str, trouble: str) -> None:
    """Mutation: no `asyncio.timeout` in Poster.post; a server that drips holds us for ever."""
    async with pair(kind, timeout_s=0.05) as (service, channel):
        service.down = trouble  # type: ignore[assignment]
        async with asyncio.timeout(3):
            await fails(channel, TryLater)


@every_kind
async def test_row_44_no_redirect_leads_inside(kind: str) -> None:
    """Mutation: follow_redirects=True in Poster._client; the second server is called."""
    async with Service() as inside, pair(kind) as (service, channel):
        service.down = Reply(307, b"", {"location": inside.base + "/latest/meta-data"})
        await fails(channel, Refused)
        assert inside.requests == []


@every_kind
async def test_row_44_a_private_address_is_not_called(kind: str) -> None:
    """Mutation: allow every address in `address.allowed`; the server is called."""
    async with service_of(kind) as service:
        channel = channel_of(kind, service.base, Poster(PostSettings(5.0)))
        await fails(channel, Refused)
        await channel.close()
        assert service.requests == []


async def _nowhere(host: str, port: int) -> Sequence[str]:
    raise TryLater("the host cannot be resolved (gaierror)")


def _rebinding() -> Callable[[str, int], object]:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def resolve(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    return resolve


@every_kind
async def test_row_42_a_name_that_cannot_be_resolved_is_tried_again(kind: str) -> None:
    channel = channel_of(kind, "https://hooks.invalid", Poster(PostSettings(5.0), _nowhere))
    await fails(channel, TryLater)
    await channel.close()


@every_kind
async def test_row_44_a_name_that_turns_private_is_refused(kind: str) -> None:
    """Mutation: resolve once and keep the address for ever, or call by name: the second call goes somewhere else."""
    async with service_of(kind) as service:
        rebinding = Poster(PostSettings(5.0, LOCAL), _rebinding())  # type: ignore[arg-type]
        channel = channel_of(kind, f"http://hooks.invalid:{service.port}", rebinding)
        await channel.send(told(), None)
        await fails(channel, Refused)
        await channel.close()
        assert len(service.requests) == 1
