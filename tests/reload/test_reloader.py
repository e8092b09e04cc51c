"""Row 46: the configuration is read again, and all of it is in force, or nothing has changed."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from driftline import reloading
from driftline.config import Config, load
from driftline.config.tree import changed, is_live
from driftline.config.tree import settings as declared
from driftline.react.observe import ReactObserver
from driftline.reacting import ReactPart
from driftline.reloading import SUCCEEDED_AT, SUCCESSFUL, LogPart, Part, Reloader
from driftline.routing import route_table
from driftline.telemetry import Metrics
from driftline.telemetry.logs import log
from driftline.wiring import worker_settings
from react.making import signal
from react.sending import holding_on
from react.world import Process, World
from support.receivers.http import Service

FORMER = "canary-former"
ROTATED = "canary-rotated"


@dataclass
class Site:
    """A process of react in memory that goes by a file, and by a file with a secret."""

    file: Path
    secret: Path
    hook: Service
    world: World
    process: Process
    part: ReactPart
    reloader: Reloader
    metrics: Metrics
    heard: io.StringIO

    def write(self, **sections: Any) -> None:
        self.file.write_text(json.dumps(settings(self.hook, self.secret) | sections))

    def rotate(self, secret: str) -> None:
        self.secret.write_text(f"{self.hook.base}/{secret}\n")

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.heard.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]

    async def tell(self, *messages: Any) -> list[str]:
        """The paths that are called for what these come to."""
        await self.process.worker.ensure()
        await holding_on(self.world, self.process, *messages)
        before = len(self.hook.requests)
        sending = asyncio.create_task(self.part.senders.run())
        async with asyncio.timeout(10):
            while len(self.process.worker.outbox):  # noqa: ASYNC110 - senders of its own tasks empty it
                await asyncio.sleep(0.01)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        return [request.path for request in self.hook.requests[before:]]


def settings(hook: Service, secret: Path) -> dict[str, Any]:
    return {
        "notify": {
            "receivers": [{"name": "chat", "type": "webhook", "url_file": str(secret)}],
            "routes": [{"receivers": ["chat"], "group_wait_s": 0}],
            "allow_private": ["127.0.0.0/8"],
        },
        "react": {"update_every_s": 0, "retraining": {"enabled": False}},
    }


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    """The log; put back as it was."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), logging.getLogger("driftline").level
    yield stream
    root.handlers[:] = handlers
    logging.getLogger("driftline").setLevel(level)


@pytest.fixture
async def site(tmp_path: Path, heard: io.StringIO) -> AsyncIterator[Site]:
    async with Service() as hook:
        file, secret = tmp_path / "driftline.yaml", tmp_path / "hook"
        secret.write_text(f"{hook.base}/{FORMER}\n")
        file.write_text(json.dumps(settings(hook, secret)))

        def read() -> Config:
            return load(file, {}).config

        config = read()
        world = World(worker_settings(config).policy, route_table(config))
        process, metrics = world.process(), Metrics(process=False)
        part = ReactPart(config, process.worker, world.clock, ReactObserver())
        parts: list[Part] = [LogPart(config, receivers=True, stream=heard), part]
        reloader = Reloader(config, read, metrics, world.clock, parts, process.worker.between)
        yield Site(file, secret, hook, world, process, part, reloader, metrics, heard)


BROKEN: dict[str, tuple[str, str]] = {
    "syntax": ("react: [", "not YAML"),
    "not text": ("\x00", "not YAML"),
    "unknown key": ('{"notify": {"receiverz": []}}', "did you mean notify.receivers"),
    "NaN": ('{"detection": {"arl0_days": .nan}}', "detection.arl0_days"),
    "infinite": ('{"react": {"update_every_s": .inf}}', "react.update_every_s"),
    "a secret's file that is not there": (
        '{"notify": {"receivers": [{"name": "x", "type": "slack", "url_file": "/there/is/none"}]}}',
        "cannot be read",
    ),
    "a receiver that there is not": ('{"notify": {"routes": [{"receivers": ["x"]}]}}', "no receiver is called 'x'"),
    "what Apprise does not know": (
        '{"notify": {"receivers": [{"name": "x", "type": "apprise", "urls": ["nothing://x"]}]}}',
        "x: Apprise does not understand",
    ),
    "certificates that are none": ("CERTIFICATES", "holds no certificates"),
    "what needs a restart": (
        '{"kafka": {"bootstrap": "elsewhere:9092"}, "detection": {"arl0_days": 9}, "logging": {"level": "DEBUG"}}',
        "kafka.bootstrap",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_row_46_a_mistake_changes_nothing(site: Site, how: str) -> None:
    """Beside the mistake, the file asks for what could be done: another level of the log, a rotated secret.

    Mutations: apply each part right after its `prepare` in Reloader.reload; leave out `_refuse_restart`."""
    given, said = BROKEN[how]
    if given == "CERTIFICATES":
        given = json.dumps({"logging": {"level": "DEBUG"}, "notify": {"ca_file": str(site.file)}})
    site.file.write_text(given)
    site.rotate(ROTATED)
    outbox, level = site.process.worker.outbox, logging.getLogger("driftline").level
    assert not await site.reloader.reload()
    assert site.process.worker.outbox is outbox
    assert logging.getLogger("driftline").level == level
    (refused,) = site.events("config.refused")
    assert said in " ".join(refused["mistakes"])
    assert "canary" not in site.heard.getvalue()
    assert site.metrics.value(SUCCESSFUL) == 0
    assert await site.tell(signal()) == [f"/{FORMER}"]
    site.write()
    assert await site.reloader.reload()
    assert site.metrics.value(SUCCESSFUL) == 1
    assert await site.tell(signal(model="n")) == [f"/{ROTATED}"]


async def test_mistakes_that_are_too_many_for_a_line_are_counted(site: Site) -> None:
    """Mutation: leave the count out of Reloader._refused; nobody knows that there are more."""
    site.write(react={f"k{number}": 1 for number in range(50)})
    assert not await site.reloader.reload()
    (refused,) = site.events("config.refused")
    assert "50 mistakes" in refused["mistakes"][0]
    assert refused["mistakes"][-1] == "  and 32 more, which `driftline config check` lists"


@pytest.mark.parametrize("more", ["\nhttps://second/line", " x", "\x01"])
async def test_an_address_that_cannot_be_called_is_refused(site: Site, more: str) -> None:
    """Mutation: leave out `isprintable` in `http_url`; it is found when the first alarm cannot be told."""
    site.rotate(f"{ROTATED}{more}/")
    assert not await site.reloader.reload()
    assert "without spaces" in site.events("config.refused")[0]["mistakes"][0]
    assert "canary" not in site.heard.getvalue()


async def test_what_needs_a_restart_is_named_and_nothing_else(site: Site) -> None:
    site.file.write_text(BROKEN["what needs a restart"][0])
    assert not await site.reloader.reload()
    (refused,) = site.events("config.refused")
    assert [line.strip() for line in refused["mistakes"][1:]] == ["kafka.bootstrap", "detection.arl0_days"]


async def test_row_46_a_rotated_secret_is_used_by_what_waits_already(site: Site) -> None:
    """The former one is called no more and both stay out of the log.

    Mutations: keep the sender of a name in ReactPart._make; leave the new secrets out of LogPart.prepare."""
    await site.process.worker.ensure()
    await holding_on(site.world, site.process, signal())
    assert site.process.worker.outbox.counts() == {"chat": 1}
    site.rotate(ROTATED)
    site.world.clock.advance(60)
    assert await site.reloader.reload()
    assert site.metrics.value(SUCCEEDED_AT) == site.world.clock.now_ms() / 1000
    assert await site.tell() == [f"/{ROTATED}"]
    log("notification.refused", detail=f"{site.hook.base}/{FORMER}", error=f"{site.hook.base}/{ROTATED}")
    assert "canary" not in site.heard.getvalue()


async def test_row_46_routes_and_policy_change_between_two_messages(site: Site) -> None:
    """While a message is taken, nothing is applied. Mutation: no `between` in Reloader.reload."""
    worker = site.process.worker
    assert await site.tell(signal()) == [f"/{FORMER}"]
    notify = settings(site.hook, site.secret)["notify"]
    notify["routes"][0]["match"] = {"model": ["elsewhere"]}
    site.write(notify=notify)
    async with worker.between:
        reloading = asyncio.create_task(site.reloader.reload())
        await asyncio.sleep(0.2)
        assert worker.active and not reloading.done()
    assert await reloading
    (reloaded,) = site.events("config.reloaded")
    assert reloaded["settings"] == ["notify.routes"]
    assert await site.tell(signal(model="n")) == []
    assert await site.tell(signal(model="elsewhere")) == [f"/{FORMER}"]
    assert len(worker.state.models if worker.state else ()) == 3


async def test_a_defect_in_reading_is_answered_too(site: Site) -> None:
    """Mutation: let it through in Reloader.reload; the next reload is never heard of."""
    asked = asyncio.Event()
    read: Iterator[Exception | Config] = iter([RecursionError("canary"), site.reloader._config])

    def reading() -> Config:
        found = next(read)
        if isinstance(found, Exception):
            raise found
        return found

    site.reloader._read = reading
    running = asyncio.create_task(site.reloader.run(asked))
    for event in ("config.refused", "config.reloaded"):
        asked.set()
        async with asyncio.timeout(10):
            while not site.events(event):  # noqa: ASYNC110 - a task of its own says it
                await asyncio.sleep(0.01)
    running.cancel()
    assert site.events("config.refused")[0]["mistakes"] == ["RecursionError while reading it"]


async def test_row_46_a_file_that_does_not_come_holds_up_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to. Messages are taken meanwhile, and whoever asked is answered.

    Mutations: prepare outside the thread in Reloader._prepared (the test hangs); no look at `_reading`."""
    monkeypatch.setattr(reloading, "READ_S", 0.2)
    site.secret.unlink()
    os.mkfifo(site.secret)
    assert not await site.reloader.reload()
    assert not await site.reloader.reload()
    pipe = os.open(site.secret, os.O_RDWR)
    site.secret.unlink()
    site.rotate(ROTATED)
    os.write(pipe, f"{site.hook.base}/late".encode())
    os.close(pipe)
    await asyncio.gather(site.reloader._reading or asyncio.sleep(0), return_exceptions=True)
    mistakes = [event["mistakes"] for event in site.events("config.refused")]
    assert mistakes[0] == ["its files could not be read within 0.2 s"]
    assert "still being read" in mistakes[1][0]
    assert await site.tell(signal()) == [f"/{FORMER}"]
    assert await site.reloader.reload()
    assert await site.tell(signal(model="n")) == [f"/{ROTATED}"]


async def test_a_reload_that_waits_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: no `call_later` in Reloader.reload."""
    monkeypatch.setattr(reloading, "WAITS_S", 0.05)
    async with site.process.worker.between:
        waiting = asyncio.create_task(site.reloader.reload())
        async with asyncio.timeout(10):
            while not site.events("config.waiting"):  # noqa: ASYNC110 - a timer says it
                await asyncio.sleep(0.01)
        assert not site.events("config.reloaded")
    assert await waiting
    assert [len(site.events(name)) for name in ("config.waiting", "config.reloaded")] == [1, 1]


async def test_what_is_asked_for_while_reloading_is_not_missed(site: Site) -> None:
    """Mutation: clear `asked` after the reload in Reloader.run; the second is lost."""
    asked = asyncio.Event()
    running = asyncio.create_task(site.reloader.run(asked))
    async with site.process.worker.between:
        asked.set()
        await asyncio.sleep(0.2)
        site.write(react={"update_every_s": 5})
        asked.set()
    async with asyncio.timeout(10):
        while len(site.events("config.reloaded")) < 2:  # noqa: ASYNC110 - a task of its own says it
            await asyncio.sleep(0.01)
    running.cancel()
    assert [event["settings"] for event in site.events("config.reloaded")] == [
        [],
        ["react.update_every_s", "react.retraining.enabled"],
    ]


def test_a_hangup_before_there_is_a_loop_is_answered_when_there_is_one() -> None:
    """While the embedded servers start, or a broker is waited for. Mutation: no `signal.signal` in Hangups."""
    code = (
        "import asyncio, os, signal\n"
        "from driftline.reloading import Hangups\n"
        "hangups = Hangups()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "async def main():\n"
        "    asked = hangups.asked()\n"
        "    assert asked.is_set()\n"
        "    asked.clear()\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    await asyncio.wait_for(asked.wait(), 10)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_setting_that_says_nothing_needs_a_restart() -> None:
    """Mutation: `True` at the end of `is_live`."""
    live = {path[0] for path in declared() if is_live(path)}
    assert live == {"react", "notify", "logging"}
    assert not is_live(("react", "tick_s"))
    assert is_live(("notify", "receivers")) and is_live(("react", "incidents", "maintenance"))


def test_a_section_that_is_new_is_one_change() -> None:
    mapping = {"id": "i", "time": "t", "model": "m", "version": "v", "prediction": "p", "features": "*"}
    former = load(None, {}).config
    now = load(None, {}, {"ingest.mapping": mapping | {"kind": "prediction"}}).config
    assert changed(former, now) == changed(now, former) == [("ingest", "mapping")]
    assert changed(now, now) == []
