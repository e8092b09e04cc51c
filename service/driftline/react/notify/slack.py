"""Slack: an incoming webhook, or a bot that keeps one thread an incident.

Slack knows no idempotency key: a time-out after it took a message, or a crash before that is marked, says it twice.
Formatting and its limits: `slack_blocks.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from driftline.clock import Clock
from driftline.react.notify.answers import expect_taken, retry_after
from driftline.react.notify.http import Answer, Poster
from driftline.react.notify.message import Message, message_of
from driftline.react.notify.notification import Channel, Notification, Refused, TryLater
from driftline.react.notify.picture import Draw, drawn
from driftline.react.notify.settings import SlackSettings
from driftline.react.notify.slack_blocks import payload_of

_JSON: Final = {"content-type": "application/json; charset=utf-8"}
_AGAIN: Final = frozenset(
    {
        "ratelimited",
        "rate_limited",
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
    }
)
"""Errors of the Web API, which come as HTTP 200, that pass by themselves."""
_GONE: Final = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
"""The thread's first message is not what it was; what is new can be said all the same."""


def slack(
    settings: SlackSettings, poster: Poster, clock: Clock, lost: Callable[[str], None] = lambda why: None
) -> Channel:
    """The webhook where there is one, else the bot. ValueError where there is neither."""
    if settings.url is not None:
        return SlackHook(settings.url, poster, clock)
    if settings.token is None or settings.channel is None:
        raise ValueError("Slack needs a webhook's url, or a bot's token and a channel")
    draw = drawn if settings.pictures else None
    return SlackBot(settings.token, settings.channel, settings.api, poster, clock, draw, lost)


class SlackHook:
    """Taken when Slack answers 200 and `ok`."""

    def __init__(self, url: str, poster: Poster, clock: Clock) -> None:
        self._url = url
        self._poster = poster
        self._clock = clock

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        body = orjson.dumps(payload_of(message_of(notification)))
        answer = await self._poster.post(self._url, body, _JSON)
        expect_taken(answer, "Slack", self._clock.now_ms())
        if answer.body.strip() != b"ok":
            raise TryLater("Slack answers HTTP 200 without its ok")
        return None

    async def close(self) -> None:
        await self._poster.close()


class SlackBot:
    """The first message of an incident is its thread; its channel and `ts` are the receipt. What comes later is said
    in the thread, escalations and what opens again in the channel too. The first message is brought up to date
    each time, so the channel shows what is over.

    `draw`: draws a picture, None where there is nothing to draw. One that cannot be drawn or uploaded is left out
    (`lost` is told why): the message is worth more."""

    def __init__(
        self,
        token: str,
        channel: str,
        api: str,
        poster: Poster,
        clock: Clock,
        draw: Draw | None = None,
        lost: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._token, self._channel, self._api = token, channel, api
        self._poster = poster
        self._clock = clock
        self._draw = draw
        self._lost = lost

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        """1. bring the first message up to date, which can be repeated; 2. say what is new, which cannot, so nothing
        that may fail for good comes after it but 3. the picture, which may be lost."""
        message = message_of(notification)
        payload: dict[str, Any] = payload_of(message) | {"unfurl_links": False, "unfurl_media": False}
        channel, _, first = (receipt or f"{self._channel}:").partition(":")
        threaded = first and notification.alert is not None
        if threaded:
            await self._call("chat.update", payload | {"channel": channel, "ts": first}, forgive=_GONE)
            loud = message.status in ("escalated", "reopened")
            payload |= {"thread_ts": first, "reply_broadcast": loud}
        answer = await self._call("chat.postMessage", payload | {"channel": channel})
        said = f"{answer.get('channel') or channel}:{answer.get('ts') or ''}"
        if message.effect is not None and message.status in ("open", "reopened"):
            await self._illustrate(message, *(receipt if threaded and receipt else said).split(":", 1))
        return receipt or said

    async def close(self) -> None:
        await self._poster.close()

    async def _illustrate(self, message: Message, channel: str, thread: str) -> None:
        if self._draw is None:
            return
        try:
            picture = await self._draw(message)
            if picture is None:
                return
            asked = {"filename": "then-and-now.png", "length": str(len(picture)), "alt_txt": message.title}
            place = await self._call("files.getUploadURLExternal", asked)
            answer = await self._poster.post(
                str(place.get("upload_url", "")), picture, {"content-type": "image/png"}
            )
            expect_taken(answer, "Slack's file store", self._clock.now_ms())
            await self._call(
                "files.completeUploadExternal",
                {
                    "files": [{"id": place.get("file_id"), "title": message.title}],
                    "channel_id": channel,
                    "thread_ts": thread,
                },
            )
        except (Refused, TryLater) as error:
            self._lost(str(error))

    async def _call(
        self, method: str, arguments: dict[str, Any], forgive: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._token}"}
        if method == "files.getUploadURLExternal":  # takes forms, and some of its versions nothing else
            body = urlencode(arguments).encode()
            headers["content-type"] = "application/x-www-form-urlencoded"
        else:
            body, headers = orjson.dumps(arguments), headers | _JSON
        answer = await self._poster.post(f"{self._api}/{method}", body, headers)
        return self._understood(answer, method, forgive)

    def _understood(self, answer: Answer, method: str, forgive: frozenset[str]) -> dict[str, Any]:
        expect_taken(answer, "Slack", self._clock.now_ms())
        try:
            said = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            said = None
        if not isinstance(said, dict):
            raise TryLater(f"Slack answers {method} with HTTP 200 and no JSON object")
        error = said.get("error")
        if said.get("ok") is True or (isinstance(error, str) and error in forgive):
            return said
        if not isinstance(error, str) or error in _AGAIN:
            wait_s = retry_after(answer.headers, self._clock.now_ms())
            raise TryLater(f"Slack answers {method} with an error that may pass", wait_s)
        # Of the answer's words only those of Slack's own alphabet: it might repeat what it was sent.
        known = error if error.isascii() and error.replace("_", "").isalnum() and len(error) <= 40 else "an error"
        raise Refused(f"Slack refuses {method}: {known}")
