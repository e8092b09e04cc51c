"""One POST of an alert, a request or an event to the webhook: CloudEvents headers, signed as Standard Webhooks has it.

The body is the record as it is on the topic. `webhook-id` is the notification's id: a crash between POST and mark
repeats the POST with the same id, and the receiver drops it by that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from driftline.clock import Clock
from driftline.contracts.cloudevents import encode
from driftline.react.notify.answers import expect_taken
from driftline.react.notify.http import Poster
from driftline.react.notify.notification import Notification
from driftline.react.notify.settings import WebhookSettings


class Webhook:
    """A channel. `send` returns when the receiver has taken it."""

    def __init__(self, settings: WebhookSettings, poster: Poster, clock: Clock) -> None:
        self._settings = settings
        self._poster = poster
        self._clock = clock

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        said = notification.alert or notification.request or notification.event
        assert said is not None
        cloud, body = encode(said)
        headers = {name.replace("ce_", "ce-"): value.decode() for name, value in cloud}
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


def sign(key: bytes, id: str, seconds: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.seconds.body` (Standard Webhooks)."""
    mac = hmac.new(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()
