"""One POST to the webhook: CloudEvents, signed as Standard Webhooks has it.

An alert, a request or an event in binary mode: the body is the record as it is on its topic. A digest is a batch of
alerts; a test is an event of its own type. `webhook-id` is the notification's id: a crash between POST and mark
repeats the POST with the same id, and the receiver drops it by that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

import orjson

from driftline.clock import Clock
from driftline.contracts.cloudevents import SOURCE, encode, type_of
from driftline.contracts.times import rfc3339
from driftline.react.notify.answers import expect_taken
from driftline.react.notify.http import Poster
from driftline.react.notify.notification import Notification
from driftline.react.notify.settings import WebhookSettings

BATCH: Final = "application/cloudevents-batch+json"

Cloud = tuple[dict[str, str], bytes]


class Webhook:
    """A channel. `send` returns when the receiver has taken it."""

    def __init__(self, settings: WebhookSettings, poster: Poster, clock: Clock) -> None:
        self._settings = settings
        self._poster = poster
        self._clock = clock

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        headers, body = cloud_of(notification, self._clock.now_ms())
        answer = await self._poster.post(self._settings.url, body, headers | self._signature(notification.id, body))
        expect_taken(answer, "the webhook", self._clock.now_ms())
        return None

    async def close(self) -> None:
        await self._poster.close()

    def _signature(self, id: str, body: bytes) -> dict[str, str]:
        seconds = str(self._clock.now_ms() // 1000)
        headers = {"webhook-id": id, "webhook-timestamp": seconds}
        if self._settings.key is not None:
            headers["webhook-signature"] = sign(self._settings.key, id, seconds, body)
        return headers


def cloud_of(notification: Notification, now_ms: int) -> Cloud:
    """Headers and body. `now_ms`: the time of a test."""
    said = notification.alert or notification.request or notification.event
    if said is not None:
        attributes, body = encode(said)
        return {name.replace("ce_", "ce-"): value.decode() for name, value in attributes}, body
    if notification.digest:
        events = []
        for alert in notification.digest:
            attributes, body = encode(alert)
            event = {n.removeprefix("ce_"): v.decode() for n, v in attributes if n.startswith("ce_")}
            events.append(event | {"datacontenttype": "application/json", "data": orjson.Fragment(body)})
        return {"content-type": BATCH}, orjson.dumps(events)
    headers = {
        "ce-specversion": "1.0",
        "ce-id": notification.id,
        "ce-source": SOURCE,
        "ce-type": type_of("test"),
        "ce-time": rfc3339(now_ms),
        "content-type": "application/json",
    }
    return headers, orjson.dumps({"test": True, "receiver": notification.receiver})


def sign(key: bytes, id: str, seconds: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.seconds.body` (Standard Webhooks)."""
    mac = hmac.new(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()
