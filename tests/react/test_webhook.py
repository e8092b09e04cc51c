"""The webhook: what is posted, what is tried again, what is given up and said aloud; and where it may not lead."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Sequence

import pytest

from driftline.clock import ManualClock
from driftline.contracts.cloudevents import decode_alert, decode_retraining
from driftline.contracts.reactions import Alert
from driftline.errors import Transient
from driftline.react.notify.address import Refused, allowed, safe_address
from driftline.react.notify.sender import Sender, SenderSettings
from driftline.react.notify.settings import WebhookSettings, networks
from driftline.react.notify.webhook import TryLater, Webhook
from driftline.react.settings import ReactSettings
from react.making import HOUR, T0, brief, signal
from react.receiver import DRIP, HANG, Receiver
from react.world import Process, World

LOCAL = networks(("127.0.0.0/8",))
QUICK = SenderSettings(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, jitter_s=0.0)
NOTIFYING = ReactSettings(retrain=False, update_every_ms=0)


def alert(id: str = "a-1") -> Alert:
    return Alert(
        id=id,
        incident="i",
        model="m",
        version="1",
        cause="data",
        status="open",
        severity="error",
        sentence="s",
        opened=T0,
        time=T0,
    )


def webhook(receiver: Receiver, key: bytes | None = None, timeout_s: float = 5.0) -> Webhook:
    settings = WebhookSettings(receiver.url, key, timeout_s, LOCAL)
    return Webhook(settings, ManualClock(1_700_000_000_999))


async def test_the_post_is_the_alert_and_signed() -> None:
    async with Receiver() as receiver:
        hook = webhook(receiver, b"secret")
        await hook.send(alert())
        await hook.close()
    (posted,) = receiver.posted
    assert posted.path == "/hook?key=1"
    assert decode_alert(posted.body) == alert()
    assert posted.headers["ce-type"] == "io.driftline.alert.v1"
    assert posted.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (posted.headers["webhook-id"], posted.headers["webhook-timestamp"]) == ("a-1", "1700000000")
    mac = hmac.new(b"secret", b"a-1.1700000000." + posted.body, hashlib.sha256).digest()
    assert posted.headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        ("429 Too Many\r\nretry-after: 7", 7.0),
        ("429 Too Many", None),
        ("503 Away\r\nretry-after: Tue, 14 Nov 2023 22:13:30 GMT", 9.001),
        ("503 Away\r\nretry-after: soon", None),
        ("500 Broken\r\nretry-after: 1e99", 3_600.0),
        ("500 Broken\r\nretry-after: -5", 0.0),
        ("408 Slow", None),
    ],
)
async def test_row_42_what_may_be_tried_again_and_when(answer: str, wait_s: float | None) -> None:
    """Mutation: do not look at Retry-After in Webhook._post; the first wait is None."""
    async with Receiver([answer]) as receiver:
        hook = webhook(receiver)
        with pytest.raises(TryLater) as caught:
            await hook.send(alert())
        await hook.close()
    assert caught.value.wait_s == (None if wait_s is None else pytest.approx(wait_s))


@pytest.mark.parametrize("answer", ["400 Bad", "404 Gone", "410 Gone", "401 Who", "302 Found\r\nlocation: /x"])
async def test_row_42_what_is_final(answer: str) -> None:
    """Mutation: raise TryLater for every status in Webhook.send; a 404 is posted for ever."""
    async with Receiver([answer]) as receiver:
        hook = webhook(receiver)
        with pytest.raises(Refused) as caught:
            await hook.send(alert())
        await hook.close()
    assert "127.0.0.1" not in str(caught.value)
    assert len(receiver.posted) == 1


@pytest.mark.parametrize("how", [HANG, DRIP])
async def test_row_42_a_server_that_never_answers_is_given_up(how: str) -> None:
    """Mutation: no `asyncio.timeout` in Webhook.send; a server that drips holds us for ever."""
    async with Receiver([how]) as receiver:
        hook = webhook(receiver, timeout_s=0.05)
        async with asyncio.timeout(3):
            with pytest.raises(TryLater):
                await hook.send(alert())
        await hook.close()


async def test_row_44_no_redirect_is_followed_inside() -> None:
    """Mutation: follow_redirects=True in Webhook._post; the second receiver is called."""
    async with Receiver() as inside, Receiver([f"307 Go\r\nlocation: {inside.url}"]) as receiver:
        hook = webhook(receiver)
        with pytest.raises(Refused, match="redirect"):
            await hook.send(alert())
        await hook.close()
    assert inside.posted == []


PRIVATE = [
    *(
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
    ),
    *("::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "2002:7f00:1::", "ff02::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_row_44_private_addresses_are_refused(address: str) -> None:
    """Mutation: do not unwrap IPv4 in IPv6 in address.allowed; 2002:7f00:1:: passes."""
    assert not allowed(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_not(address: str) -> None:
    assert allowed(address, ())


def test_a_listed_network_is_allowed_and_no_other() -> None:
    assert allowed("10.1.2.3", (ipaddress.ip_network("10.1.0.0/16"),))
    assert not allowed("10.2.2.3", (ipaddress.ip_network("10.1.0.0/16"),))


async def test_row_44_the_address_that_was_looked_at_is_the_one_called() -> None:
    """DNS rebinding: the second answer is never asked for.

    Mutation: send to the URL instead of to the address in Webhook._post; the name is resolved again, in vain."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async with Receiver() as receiver:
        settings = WebhookSettings(f"http://hooks.invalid:{receiver.port}/x", None, 5.0, LOCAL)
        hook = Webhook(settings, ManualClock(0), rebinding)
        await hook.send(alert())
        await hook.close()
    assert asked == ["hooks.invalid"]
    assert receiver.posted[0].headers["host"] == f"hooks.invalid:{receiver.port}"


async def test_row_44_a_name_with_one_private_address_is_refused() -> None:
    """Mutation: ask `any` instead of `all` in address.safe_address; the public one is called."""

    async def both(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(Refused):
        await safe_address("h", 443, (), both)


async def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    with pytest.raises(Transient):
        await safe_address("does-not-exist.invalid", 443, ())


# The sender


async def notifying(world: World, receiver: Receiver, settings: SenderSettings = QUICK) -> tuple[Process, Sender]:
    process = world.process()
    await process.worker.ensure()
    return process, Sender(process.worker, webhook(receiver), settings)


async def test_what_is_said_is_posted_once_in_order() -> None:
    world = World(NOTIFYING, notify=True)
    async with Receiver() as receiver:
        process, sender = await notifying(world, receiver)
        running = asyncio.create_task(sender.run())
        world.append(signal())
        world.append(signal("error:rate", 2, "resolved", at=HOUR))
        assert await world.drain(process)
        await receiver.got(2)
        for _ in range(200):
            await asyncio.sleep(0.005 if len(process.worker.pending) else 0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert receiver.ids == [a.id for a in world.alerts()]
        _, again = await notifying(world, receiver)
        assert not await again.round()
    assert len(receiver.posted) == 2


async def test_row_42_five_hundreds_are_tried_until_it_is_taken() -> None:
    """Mutation: settle after a Transient too in Sender.round; the alert is never taken."""
    world = World(NOTIFYING, notify=True)
    async with Receiver([*["500 Broken"] * 7, "204 No Content"]) as receiver:
        process, sender = await notifying(world, receiver)
        world.append(signal())
        assert await world.drain(process)
        for _ in range(3):
            await sender.round()
    assert len(receiver.posted) == 8
    assert len(set(receiver.ids)) == 1
    assert not len(process.worker.pending)


async def test_row_42_retry_after_is_honoured_by_all_alerts() -> None:
    """Mutation: go on at once after a Transient in Sender.round; the other alert comes 0.3 s too early."""
    world = World(NOTIFYING, notify=True)
    times: list[float] = []
    async with Receiver(["429 Too Many\r\nretry-after: 0.3", "200 OK"]) as receiver:
        process, sender = await notifying(world, receiver, SenderSettings(1, 0.01, 0.02, 0.0))
        for model in ("a", "b"):
            world.append(signal(model=model))
        assert await world.drain(process)
        loop = asyncio.get_running_loop()
        times.append(loop.time())
        await sender.round()
        times.append(loop.time())
    assert len(receiver.posted) == 2
    assert times[1] - times[0] >= 0.3


async def test_row_42_a_refusal_is_an_alert_by_the_other_route_and_ends() -> None:
    """Mutation: `notify=True` in ReactWorker.settle; the alert about the refusal is posted, and refused too."""
    world = World(NOTIFYING, notify=True)
    async with Receiver(["404 Gone", "404 Gone", "200 OK"]) as receiver:
        process, sender = await notifying(world, receiver)
        for model in ("a", "b"):
            world.append(signal(model=model))
        assert await world.drain(process)
        await sender.round()
        assert brief(world.alerts())[2:] == ["notification:open"]
        world.append(signal(model="c"))
        assert await world.drain(process)
        await sender.round()
        assert not await sender.round()
    assert brief(world.alerts())[2:] == ["notification:open", "performance:open", "notification:resolved"]
    assert len(receiver.posted) == 3


async def test_row_3_killed_between_post_and_mark_the_post_is_repeated_with_its_id() -> None:
    """Mutation: mark before sending in Sender.round; the alert whose post fails is lost."""
    world = World(NOTIFYING, notify=True)
    async with Receiver() as receiver:
        first, dying = await notifying(world, receiver)
        world.append(signal())
        assert await world.drain(first)

        class Gone(BaseException):
            pass

        async def die() -> None:
            raise Gone

        first.traps.set("before_commit", die)
        with pytest.raises(Gone):
            await dying.round()
        _, sender = await notifying(world, receiver)
        assert await sender.round() == 1
        assert not await sender.round()
    assert len(receiver.posted) == 2
    assert len(set(receiver.ids)) == 1


async def test_requests_are_posted_where_that_is_asked_for_and_survive_a_kill() -> None:
    """Mutation: read every notification as an alert in Pending._hold; the request is set aside as broken."""
    world = World(ReactSettings(update_every_ms=0), notify=True, notify_requests=True)
    process = world.process()
    await process.worker.ensure()
    world.append(signal(severity="info"))
    assert await world.drain(process)
    async with Receiver() as receiver:
        _, sender = await notifying(world, receiver)
        assert await sender.round() == 1
        assert not await sender.round()
    (posted,) = receiver.posted
    assert posted.headers["ce-type"] == "io.driftline.retraining.requested.v1"
    assert decode_retraining(posted.body) == world.requests()[0]
    quiet = World(ReactSettings(update_every_ms=0), notify=True)
    quiet.append(signal())
    held = quiet.process()
    assert await quiet.drain(held)
    assert len(quiet.requests()) == 1
    assert len(held.worker.pending) == 1


async def test_a_stream_goes_on_while_the_webhook_hangs() -> None:
    """Mutation: hold the worker's lock while sending; the second message waits for the receiver."""
    world = World(NOTIFYING, notify=True)
    async with Receiver([HANG]) as receiver:
        process, sender = await notifying(world, receiver)
        running = asyncio.create_task(sender.run())
        world.append(signal())
        assert await world.drain(process)
        await receiver.got(1)
        async with asyncio.timeout(2):
            world.append(signal("error:rate", 2, "resolved", at=HOUR))
            assert await world.drain(process)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(world.alerts()) == 2


async def test_what_waits_is_bounded_and_updates_give_way() -> None:
    world = World(NOTIFYING, notify=True)
    process = world.process()
    await process.worker.ensure()
    for i in range(5):
        world.append(signal(f"features.f{i}:distribution", at=i))
    assert await world.drain(process)
    assert [a.status for _, a in process.worker.pending.oldest() if isinstance(a, Alert)] == ["open", "updated"]
    for i in range(1_200):
        world.append(signal(model=f"m{i}", at=i))
    assert await world.drain(process)
    assert len(process.worker.pending) == 1_000
    assert len(process.notes.of("dropped")) == 202
    fresh = world.process()
    await fresh.worker.ensure()
    assert fresh.worker.pending.oldest() == process.worker.pending.oldest()


async def test_what_is_not_grave_enough_is_not_posted() -> None:
    world = World(NOTIFYING, notify=True)
    process = world.process()
    await process.worker.ensure()
    world.append(signal(severity="info"))
    assert await world.drain(process)
    assert len(world.alerts()) == 1
    assert not len(process.worker.pending)


async def test_an_old_alert_is_not_posted_again_when_a_lost_store_is_rebuilt() -> None:
    """Mutation: notify whatever is rebuilt in ReactWorker._take; a year of alerts is posted at once."""
    world = World(NOTIFYING, notify=True)
    async with Receiver() as receiver:
        process, sender = await notifying(world, receiver)
        world.append(signal(model="old"))
        assert await world.drain(process)
        await sender.round()
        world.clock.advance(7_200)
        world.append(signal(model="young"))
        assert await world.drain(process)
        world.server.wipe()
        rebuilt, again = await notifying(world, receiver)
        assert [a.model for _, a in rebuilt.worker.pending.oldest()] == ["young"]
        await again.round()
    assert [decode_alert(p.body).model for p in receiver.posted] == ["old", "young"]
