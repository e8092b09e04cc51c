"""Connections of short commands: patient for a while, closed at the end, stopped by Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import stamina

from driftline.config import Config
from driftline.errors import PublishRefused, Transient
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import LogReader, LogWriter
from driftline.wiring import kafka_settings

T = TypeVar("T")

PATIENCE_S: Final = 15.0
"""How long a command goes on trying while the broker is away."""

GRACE_S: Final = 3.0


@asynccontextmanager
async def reading(config: Config) -> AsyncIterator[LogReader]:
    reader = KafkaReader(kafka_settings(config))
    try:
        yield reader
    finally:
        await reader.close()


@asynccontextmanager
async def writing(config: Config) -> AsyncIterator[LogWriter]:
    writer = KafkaWriter(kafka_settings(config))
    try:
        yield writer
    finally:
        await writer.close()


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat `call` while it is Transient, for at most PATIENCE_S; then its last error. A refusal is final."""
    async for attempt in stamina.retry_context(
        on=_worth_repeating, attempts=None, timeout=PATIENCE_S, wait_initial=0.1, wait_max=2.0
    ):
        with attempt:
            return await call()
    raise AssertionError  # the last attempt either returns or raises


def _worth_repeating(error: Exception) -> bool:
    return isinstance(error, Transient) and not isinstance(error, PublishRefused)


def run(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T | None:
    """Run `work`; Ctrl-C and SIGTERM set the event it is given. If it does not end within GRACE_S of that, it is
    cut off and the result is None."""

    async def main() -> T | None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        task = asyncio.create_task(work(stop))
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        await asyncio.wait({task}, timeout=GRACE_S)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        return None

    return asyncio.run(main())


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until asked to stop."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
