"""Apprise: what it makes of a receiver's answer, that it cannot hang us, and that its log says no address."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from driftline.errors import Misconfigured
from driftline.react.notify.apprise_channel import AppriseChannel, defanged, text_of
from driftline.react.notify.message import Message, message_of
from driftline.react.notify.notification import Refused, TryLater
from driftline.react.notify.settings import AppriseSettings
from driftline.telemetry.logs import setup
from react.notify.making import EVERY_KIND, told
from support.receivers.http import Reply, Service, Trouble, busy

pytest.importorskip("apprise")


async def _none(message: Message) -> bytes | None:
    return None


@contextmanager
def as_a_stage_logs() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("driftline")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    setup("INFO", "json", stream=io.StringIO())
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


@asynccontextmanager
async def pair(services: int = 1, timeout_s: float = 5.0) -> AsyncIterator[tuple[list[Service], AppriseChannel]]:
    running = [Service() for _ in range(services)]
    for one in running:
        await one.__aenter__()
    urls = tuple(f"json://user:canary-password@127.0.0.1:{one.port}/canary-path?rto=1" for one in running)
    channel = AppriseChannel(AppriseSettings(urls, timeout_s), _none)
    try:
        yield running, channel
    finally:
        await channel.close()
        for one in running:
            await one.__aexit__(None, None, None)


async def test_every_kind_is_told() -> None:
    async with pair() as ((service,), channel):
        for one in EVERY_KIND:
            await channel.send(one, None)
        assert [one.json["type"] for one in service.requests] == [
            *("failure", "success", "info", "info", "failure", "info", "failure")
        ]
        said = service.requests[0].json
        assert said["title"] == "Critical: input data of fraud 7"
        assert "from 41.2 to 57.9" in said["message"]
        assert "What to do: Look at" in said["message"]


@pytest.mark.parametrize("trouble", [busy("7"), Reply(500), Reply(503), Reply(408)])
async def test_row_42_what_may_pass_is_tried_again(trouble: Reply) -> None:
    async with pair() as ((service,), channel):
        service.trouble.append(trouble)
        with pytest.raises(TryLater):
            await channel.send(told(), None)
        await channel.send(told(), None)


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_row_42_what_is_final(status: int) -> None:
    """As a stage runs: with its logs set up. Mutations: never Refused in `AppriseChannel._call`; the level of Apprise's
    log is CRITICAL in `logs.setup`. A wrong password is tried for ever."""
    with as_a_stage_logs():
        async with pair() as ((service,), channel):
            service.down = Reply(status)
            with pytest.raises(Refused, match=str(status)):
                await channel.send(told(), None)


async def test_row_44_no_redirect_is_followed() -> None:
    async with pair(2) as ((service, inside), channel):
        service.down = Reply(307, b"", {"location": inside.base})
        with pytest.raises(TryLater):
            await channel.send(told(), None)
        assert len(inside.requests) == 1  # its own


async def test_one_that_is_away_does_not_cost_the_others_a_second_message() -> None:
    """Mutation: do not remember who has taken it in `AppriseChannel._call`; the first is told three times."""
    async with pair(2) as ((first, second), channel):
        second.trouble += [Reply(503), Reply(503)]
        for _ in range(2):
            with pytest.raises(TryLater):
                await channel.send(told(), None)
        await channel.send(told(), None)
        assert (len(first.requests), len(second.requests)) == (1, 3)
        await channel.send(told(id="n-2"), None)
        assert len(first.requests) == 2


@pytest.mark.parametrize("trouble", ["hang", "cut"])
async def test_row_42_a_receiver_that_does_not_answer(trouble: Trouble) -> None:
    """Nobody is called while the last call still hangs."""
    async with pair(timeout_s=0.1) as ((service,), channel):
        service.down = trouble
        async with asyncio.timeout(3):
            with pytest.raises(TryLater):
                await channel.send(told(), None)
            with pytest.raises(TryLater):
                await channel.send(told(), None)


class Ear(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record)


async def test_row_45_its_log_goes_nowhere() -> None:
    """Mutation: let the logger `apprise` propagate; its debug log has the URL, the message and the answer."""
    ear, root = Ear(), logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        async with pair() as ((service,), channel):
            service.trouble.append(Reply(500, b"canary-answer"))
            with pytest.raises(TryLater) as caught:
                await channel.send(told(), None)
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert not [record.getMessage() for record in ear.heard if record.name.startswith("apprise")]


@pytest.mark.parametrize("url", ["nonsense", "no-such-scheme://x", "", "json://"])
def test_a_url_that_is_none_is_refused_at_the_start_and_not_repeated(url: str) -> None:
    with pytest.raises(Misconfigured, match="number 1") as caught:
        AppriseChannel(AppriseSettings((url,)))
    assert not url or url not in str(caught.value)


@pytest.mark.parametrize("name", ["@everyone", "<!channel>", "<@U1>", "a@b"])
def test_nobody_is_mentioned(name: str) -> None:
    assert name not in defanged(name)
    assert defanged(name).replace("\u200b", "") == name


def test_text_says_all_of_it() -> None:
    text = text_of(message_of(told()))
    for words in ("by chance once in 1,000 years at most", "Also in alarm:", "then ", "Team: payments"):
        assert words in text
