"""The webhook: the body is the record as it is on its topic, and it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest

from driftline.clock import ManualClock
from driftline.contracts.cloudevents import decode_alert
from driftline.contracts.reactions import Alert
from driftline.react.notify.notification import Notification
from driftline.react.notify.settings import WebhookSettings
from driftline.react.notify.webhook import Webhook
from react.notify.making import EVERY_KIND, poster, told
from support.receivers.http import Request, Service


async def posted(key: bytes | None, one: Notification | None = None) -> Request:
    async with Service() as server:
        hook = Webhook(WebhookSettings(f"{server.base}/hook?key=1", key), poster(), ManualClock(1_700_000_000_999))
        assert await hook.send(one or told(), None) is None
        await hook.close()
    requests: list[Request] = server.requests
    assert len(requests) == 1
    return requests[0]


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


async def test_a_digest_is_a_batch_of_its_alerts() -> None:
    """CloudEvents' batch mode. Mutation: `data` as text in `webhook.cloud_of`; it decodes as no alert."""
    request = await posted(b"secret", EVERY_KIND[4])
    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    assert [one["id"] for one in request.json] == ["a-1", "a-2"]
    assert {(one["type"], one["specversion"]) for one in request.json} == {("io.driftline.alert.v1", "1.0")}
    assert [msgspec.convert(one["data"], Alert) for one in request.json] == EVERY_KIND[4].digest
    assert request.headers["webhook-id"] == "n-4"


@pytest.mark.parametrize(("place", "kind"), [(2, "retraining.requested"), (3, "lifecycle"), (5, "test")])
async def test_every_kind_has_its_type(place: int, kind: str) -> None:
    request = await posted(None, EVERY_KIND[place])
    assert request.headers["ce-type"] == f"io.driftline.{kind}.v1"
    assert request.headers["ce-specversion"] == "1.0"
    assert request.headers["ce-id"]
    assert isinstance(request.json, dict)
