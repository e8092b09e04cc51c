"""The webhook: the body is the record as it is on its topic, and it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

from driftline.clock import ManualClock
from driftline.contracts.cloudevents import decode_alert
from driftline.react.notify.settings import WebhookSettings
from driftline.react.notify.webhook import Webhook
from react.notify.making import poster, told
from support.receivers.http import Request, Service


async def posted(key: bytes | None) -> Request:
    async with Service() as server:
        hook = Webhook(WebhookSettings(f"{server.base}/hook?key=1", key), poster(), ManualClock(1_700_000_000_999))
        assert await hook.send(told(), None) is None
        await hook.close()
    (request,) = server.requests
    return request


async def test_the_post_is_the_alert_and_signed() -> None:
    """Mutation: sign without the id in webhook.sign; a receiver that knows Standard Webhooks refuses it."""
    request, notification = await posted(b"secret"), told()
    assert request.path == "/hook?key=1"
    assert decode_alert(request.body) == notification.alert
    assert request.headers["ce-type"] == "io.driftline.alert.v1"
    id = request.headers["webhook-id"]
    assert (id, request.headers["webhook-timestamp"]) == (notification.id, "1700000000")
    mac = hmac.new(b"secret", f"{id}.1700000000.".encode() + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


async def test_without_a_key_nothing_is_signed() -> None:
    assert "webhook-signature" not in (await posted(None)).headers
