"""Senders and what they have to send, for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from driftline.react.notify.notification import Notification
from driftline.react.notify.sender import Sender, SenderSettings
from driftline.react.routes import Route, RouteTable
from driftline.react.settings import ReactSettings
from react.stand_in import StandIn
from react.world import Process, World

QUIET = ReactSettings(retrain=False, update_every_ms=0)
TO_CHAT = RouteTable(("chat",), (Route("all", ("chat",)),))
TO_BOTH = RouteTable(("chat", "pager"), (Route("all", ("chat", "pager")),))
STEADY = SenderSettings(attempts=3, first_wait_s=1.0, longest_wait_s=60.0, jitter_s=0.0)


def sender(process: Process, channel: StandIn, receiver: str = "chat", **more: Any) -> Sender:
    return Sender(
        process.worker, receiver, channel, settings=more.pop("settings", STEADY), observer=process.notes, **more
    )


async def holding(world: World, *messages: Any) -> Process:
    """A process that has taken these."""
    process = world.process()
    await process.worker.ensure()
    for message in messages:
        world.append(message)
    assert await world.drain(process)
    return process


def failing(*errors: Exception) -> Callable[[Notification], Exception | None]:
    waiting = list(errors)
    return lambda notification: waiting.pop(0) if waiting else None


async def holding_on(world: World, process: Process, *messages: Any) -> None:
    for message in messages:
        world.append(message)
    assert await world.drain(process)
