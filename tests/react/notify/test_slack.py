"""Slack: what the webhook's ok means, and the bot's one thread an incident."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from driftline.clock import ManualClock
from driftline.react.notify.message import Message
from driftline.react.notify.notification import Channel, Refused, TryLater
from driftline.react.notify.picture import available
from driftline.react.notify.registry import open_channel
from driftline.react.notify.settings import PostSettings, SlackSettings
from driftline.react.notify.slack import SlackBot, slack
from react.notify.making import EVERY_KIND, LOCAL, T0, poster, told
from support.receivers.http import Reply
from support.receivers.slack import CHANNEL, TOKEN, Slack, texts

PNG = b"\x89PNG of a small picture"


@asynccontextmanager
async def hook() -> AsyncIterator[tuple[Slack, Channel]]:
    async with Slack() as service:
        channel = slack(SlackSettings(url=service.hook), poster(), ManualClock(T0))
        yield service, channel
        await channel.close()


async def _draw(message: Message) -> bytes | None:
    return PNG


@asynccontextmanager
async def bot(token: str = TOKEN) -> AsyncIterator[tuple[Slack, SlackBot, list[str]]]:
    lost: list[str] = []
    async with Slack() as service:
        channel = SlackBot(token, CHANNEL, service.api, poster(), ManualClock(T0), _draw, lost.append)
        yield service, channel, lost
        await channel.close()


@pytest.mark.parametrize("body", [b"no_text", b"", b"<html>captive portal</html>"])
async def test_row_42_200_without_ok_is_not_taken(body: bytes) -> None:
    """Mutation: do not look at the body in SlackHook.send; what Slack has not taken is marked as sent."""
    async with hook() as (service, channel):
        service.trouble.append(Reply(200, body))
        with pytest.raises(TryLater):
            await channel.send(told(), None)
        await channel.send(told(), None)
        assert len(service.said) == 1


async def test_the_webhook_is_told_everything_in_turn() -> None:
    async with hook() as (service, channel):
        for one in EVERY_KIND:
            assert await channel.send(one, None) is None
        assert service.refused == []
        assert len(service.said) == len(EVERY_KIND)


async def test_an_incident_is_one_thread() -> None:
    """The first message is the thread, what comes later is said in it, and at the end the first one says that it is
    over. Mutation: no `thread_ts` in SlackBot.send; five messages stand in the channel."""
    async with bot() as (service, channel, lost):
        receipt = await channel.send(told("open"), None)
        assert receipt == f"{CHANNEL}:{service.said[0].ts}"
        for status in ("updated", "acknowledged", "escalated", "resolved"):
            assert await channel.send(told(status), receipt) == receipt
        first, *later = service.said
        assert first.thread is None
        assert {one.thread for one in later} == {first.ts}
        assert len(later) == 4
        assert first.edits == 4
        assert texts(first.payload)[0].startswith("✅ Resolved")
        assert [one.payload["reply_broadcast"] for one in later] == [False, False, True, False]
        assert first.files == [PNG]
        assert lost == service.refused == []


async def test_two_incidents_are_two_threads() -> None:
    async with bot() as (service, channel, _):
        one = await channel.send(told(key="i-1"), None)
        other = await channel.send(told(key="i-2"), None)
        assert one != other
        await channel.send(told("resolved", key="i-1"), one)
        assert service.said[2].thread == service.said[0].ts


async def test_a_thread_whose_first_message_is_gone_is_gone_on_with() -> None:
    """Somebody deleted the first message's update window: what is new is said all the same."""
    async with bot() as (service, channel, _):
        await channel.send(told(), None)
        service.trouble.append(Reply(200, orjson.dumps({"ok": False, "error": "edit_window_closed"})))
        await channel.send(told("resolved"), f"{CHANNEL}:{service.said[0].ts}")
        assert len(service.said) == 2


async def test_what_is_no_alert_has_no_thread() -> None:
    async with bot() as (service, channel, lost):
        for one in EVERY_KIND[2:]:
            await channel.send(one, None)
        assert {one.thread for one in service.said} == {None}
        assert service.refused == lost == []


@pytest.mark.parametrize("error", ["ratelimited", "internal_error", "fatal_error", "service_unavailable"])
async def test_row_42_an_error_of_slack_that_passes(error: str) -> None:
    async with bot() as (service, channel, _):
        service.error = error
        with pytest.raises(TryLater):
            await channel.send(told(), None)
        service.error = None
        await channel.send(told(), None)
        assert len(service.said) == 1


@pytest.mark.parametrize("error", ["channel_not_found", "is_archived", "not_in_channel", "account_inactive"])
async def test_row_42_an_error_of_slack_that_stays(error: str) -> None:
    """It comes as HTTP 200. Mutation: take every answer in SlackBot._understood; nobody is told, and nobody knows."""
    async with bot() as (service, channel, _):
        service.error = error
        with pytest.raises(Refused, match=error):
            await channel.send(told(), None)


async def test_a_wrong_token_is_final() -> None:
    async with bot("xoxb-another") as (_, channel, _):
        with pytest.raises(Refused, match="invalid_auth"):
            await channel.send(told(), None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"ok"', b'{"ok": 1}'])
async def test_200_that_is_no_answer_of_slack_is_tried_again(body: bytes) -> None:
    async with bot() as (service, channel, _):
        service.trouble.append(Reply(200, body))
        with pytest.raises(TryLater):
            await channel.send(told(), None)


@pytest.mark.parametrize("trouble", [Reply(500), Reply(200, b'{"ok": false, "error": "missing_scope"}')])
async def test_a_picture_that_is_not_taken_does_not_cost_the_message(trouble: Reply) -> None:
    """Mutation: let errors of `SlackBot._illustrate` pass; the message is said twice."""
    async with bot() as (service, channel, lost):
        service.down_at["/files."] = trouble
        await channel.send(told(), None)
        assert len(service.said) == 1
        assert len(lost) == 1


async def test_a_lost_picture_is_told_to_whoever_opened_the_channel() -> None:
    """Mutation: leave `lost` out in `registry._channel`; nobody hears that a scope is missing."""
    lost: list[str] = []
    async with Slack() as service:
        service.down_at["/files."] = Reply(200, b'{"ok": false, "error": "missing_scope"}')
        settings = SlackSettings(token=TOKEN, channel=CHANNEL, api=service.api)
        post = PostSettings(5.0, LOCAL)
        channel = open_channel(settings, post, ManualClock(T0), values=True, lost=lost.append)
        await channel.send(told(), None)
        await channel.close()
        assert len(service.said) == 1
    assert lost == (["Slack refuses files.getUploadURLExternal: missing_scope"] if available() else [])


async def test_settings_with_neither_are_refused() -> None:
    with pytest.raises(ValueError, match="url"):
        slack(SlackSettings(), poster(), ManualClock(T0))
