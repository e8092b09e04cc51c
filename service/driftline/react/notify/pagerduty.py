"""PagerDuty, Events API v2: alerts trigger, acknowledge and resolve an incident; everything else is a change event,
which pages nobody.

`dedup_key` is the notification's key, so whatever is sent twice, and whoever sends it, is one incident there. An
event of more than 512 kB loses its details, and says so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from driftline.clock import Clock
from driftline.react.causes import compared
from driftline.react.notify.answers import expect_taken
from driftline.react.notify.http import Poster
from driftline.react.notify.message import CAUSES, Message, message_of, who
from driftline.react.notify.notification import Notification
from driftline.react.notify.settings import PagerDutySettings
from driftline.react.notify.text import cut, line

SUMMARY: Final = 1_024
DEDUP_KEY: Final = 255
FIELD: Final = 255
MOST_BYTES: Final = 500_000
"""Of an event; PagerDuty takes 512 kB."""
NO_DETAILS: Final = "Left out: with them the event was larger than PagerDuty takes."
_LATEST_MS: Final = 253_402_300_799_000

Action = Literal["trigger", "acknowledge", "resolve"]
Event = dict[str, Any]


class PagerDuty:
    """Taken when PagerDuty answers 2xx (it says 202)."""

    def __init__(self, settings: PagerDutySettings, poster: Poster, clock: Clock) -> None:
        self._settings = settings
        self._poster = poster
        self._clock = clock

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        """A test triggers an incident and resolves it at once."""
        key = self._settings.key
        if notification.test:
            actions: tuple[Action, ...] = ("trigger", "resolve")
            for action in actions:
                await self._post("enqueue", event_of(notification, action, key))
        elif notification.alert is not None and not compared(notification.alert):
            await self._post("enqueue", event_of(notification, action_of(notification), key))
        else:
            await self._post("change/enqueue", change_of(notification, key, self._clock.now_ms()))
        return None

    async def close(self) -> None:
        await self._poster.close()

    async def _post(self, path: str, event: Event) -> None:
        headers = {"content-type": "application/json"}
        answer = await self._poster.post(f"{self._settings.url.rstrip('/')}/v2/{path}", bounded(event), headers)
        expect_taken(answer, "PagerDuty", self._clock.now_ms())


def action_of(notification: Notification) -> Action:
    status = notification.alert.status if notification.alert is not None else None
    return "resolve" if status == "resolved" else "acknowledge" if status == "acknowledged" else "trigger"


def event_of(notification: Notification, action: Action, routing_key: str) -> Event:
    """An alert event."""
    message, alert = message_of(notification), notification.alert
    payload: Event = {
        "summary": _summary(message),
        "severity": message.severity,
        "source": _field(who(alert.model, alert.version) if alert is not None else "Driftline"),
        "custom_details": details_of(message),
    }
    if alert is not None:
        payload |= {"timestamp": timestamp(alert.time), "class": CAUSES[alert.cause]}
        if alert.model:
            payload |= {"component": _field(alert.model), "group": _field(alert.team or alert.model)}
    return {
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": cut(notification.key, DEDUP_KEY),
        "client": "Driftline",
        "payload": payload,
    }


def change_of(notification: Notification, routing_key: str, now_ms: int) -> Event:
    """A change event, for what has happened and needs nobody."""
    message = message_of(notification)
    told = notification.event or notification.request or notification.alert
    payload = {
        "summary": _summary(message),
        "source": _field(who(told.model, told.version) if told is not None else "Driftline"),
        "timestamp": timestamp(told.time if told is not None else now_ms),
        "custom_details": details_of(message),
    }
    return {"routing_key": routing_key, "payload": payload}


def details_of(message: Message) -> dict[str, Any]:
    details: dict[str, Any] = {"what": message.sentence} | dict(message.facts)
    if message.more:
        details[message.more_title] = list(message.more)
    if message.bars is not None:
        details["Then"], details["Now"] = message.bars
    if message.advice:
        details["What to do"] = message.advice
    return details


def bounded(event: Event) -> bytes:
    """The event as JSON, without its details where it would be too large."""
    body = orjson.dumps(event)
    if len(body) <= MOST_BYTES:
        return body
    return orjson.dumps(event | {"payload": event["payload"] | {"custom_details": {"details": NO_DETAILS}}})


def timestamp(ms: int) -> str:
    """RFC 3339; years beyond 1 to 9999 are cut to these."""
    moment = datetime.fromtimestamp(min(max(ms, 0), _LATEST_MS) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _summary(message: Message) -> str:
    return cut(f"{message.title}. {message.sentence}", SUMMARY)


def _field(text: str) -> str:
    return line(text, FIELD) or "-"
