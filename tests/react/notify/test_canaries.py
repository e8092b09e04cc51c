"""Row 45: secrets of receivers are planted, everything that can fail is made to, and every output is searched."""

from __future__ import annotations

import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from typer.testing import CliRunner

from driftline.cli import app
from driftline.clock import ManualClock
from driftline.config import load
from driftline.errors import Misconfigured
from driftline.react.metrics import ReactMetrics
from driftline.react.notify.sender import Sender, SenderSettings
from driftline.receivers import file_secrets, lines
from driftline.routing import route_table
from driftline.telemetry import Metrics, Progress
from driftline.telemetry.logs import setup
from react.making import T0, signal
from react.world import World
from support.receivers import pagerduty
from support.receivers.http import Reply, Service, Trouble

CANARY: Final = "canary"
QUICK: Final = SenderSettings(attempts=2, first_wait_s=0.0, longest_wait_s=0.0, jitter_s=0.0)
TROUBLES: Final[list[Trouble]] = [
    Reply(500, b"canary-answer"),
    Reply(403, b"canary-answer"),
    Reply(302, b"", {"location": "http://127.0.0.1/canary"}),
    Reply(200, b'{"ok": false, "error": "canary leaked"}'),
    "cut",
]


def receivers_at(base: str, directory: Path) -> list[dict[str, Any]]:
    """One of each type; half of the secrets are in files."""
    (directory / "token").write_text("xoxb-canary-token\n")
    (directory / "hook").write_text(f"{base}/services/T0/B0/canary-hook\n")
    (directory / "urls").write_text(f"json://canary-user:canary-password@{base.removeprefix('http://')}/canary\n")
    return [
        {"name": "hook", "type": "slack", "url_file": str(directory / "hook")},
        {
            "name": "bot",
            "type": "slack",
            "token_file": str(directory / "token"),
            "channel": "C1",
            "api": f"{base}/api",
        },
        {"name": "pager", "type": "pagerduty", "key": pagerduty.KEY, "url": base},
        {"name": "am", "type": "alertmanager", "url": base, "username": "u", "password": "canary-password"},
        {"name": "web", "type": "webhook", "url": f"{base}/x?key=canary-url", "secret": "canary-secret"},
        {"name": "rest", "type": "apprise", "urls_file": str(directory / "urls")},
    ]


@pytest.fixture
def heard() -> Iterator[io.StringIO]:
    """The log at DEBUG; put back as it was."""
    stream, root = io.StringIO(), logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in ("", "driftline", "httpx", "httpcore", "urllib3")}
    handlers = list(root.handlers)
    yield stream
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@asynccontextmanager
async def sending(
    given: list[dict[str, Any]], heard: io.StringIO
) -> AsyncIterator[tuple[World, list[Sender], Metrics]]:
    notify: dict[str, Any] = {"receivers": given, "allow_private": ["127.0.0.0/8"], "timeout_s": 2.0}
    notify["routes"] = [{"receivers": [one["name"] for one in given], "group_wait_s": 0}]
    config = load(None, environ={}, overrides={"notify": notify}).config
    setup("DEBUG", "json", config.secrets() | file_secrets(config), heard)
    metrics, clock = Metrics(process=False), ManualClock(T0)
    observer = ReactMetrics("react", metrics, Progress(60, clock), clock)
    world = World(routes=route_table(config))
    process = world.process()
    await process.worker.ensure()
    async with AsyncExitStack() as stack:
        senders = []
        for line in lines(config):
            channel = line.channel(clock)
            stack.push_async_callback(channel.close)
            senders.append(Sender(process.worker, line.name, channel, None, QUICK, observer, world.sleep))
        world.append(signal())
        await world.drain(process)
        yield world, senders, metrics


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_row_45_no_secret_is_in_any_output(trouble: Trouble, tmp_path: Path, heard: io.StringIO) -> None:
    """Mutations: repeat the answer in the errors of `answers.expect_taken`; leave `_TALKATIVE` out of `logs.setup`."""
    async with Service() as service:
        service.down = trouble
        async with sending(receivers_at(service.base, tmp_path), heard) as (world, senders, metrics):
            for sender in senders:
                assert await sender.round() >= 1
            outputs = {
                "log": heard.getvalue(),
                "metrics": metrics.render().decode(),
                "topics": repr(
                    [world.log.records(t, 0) for t in ("alerts", "retraining", "deadletter", "commands")]
                ),
                "store": repr(vars(world.server)),
            }
    assert len(service.requests) >= 6
    assert "notification" in outputs["log"]
    for name, output in outputs.items():
        assert CANARY not in output, name
        assert pagerduty.KEY not in output, name


@pytest.mark.parametrize("json", [True, False])
def test_row_45_no_secret_is_in_the_configuration_shown(json: bool, tmp_path: Path) -> None:
    file = tmp_path / "driftline.yaml"
    file.write_bytes(orjson.dumps({"notify": {"receivers": receivers_at("http://127.0.0.1:1", tmp_path)}}))
    shown = CliRunner().invoke(app, ["config", "check", "--config", str(file), *(["--json"] if json else [])])
    assert shown.exit_code == 0
    assert CANARY not in shown.output.replace(str(tmp_path), "")
    config = load(file, environ={}).config
    assert CANARY not in repr(config).replace(str(tmp_path), "")
    assert CANARY not in str(config.redacted()).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x", "type": "webhook", "url": "canary://secret"},
        {"name": "x", "type": "webhook", "url": "https://h/canary", "surprise": "canary"},
        {"name": "x", "type": "slack", "url": "https://h/canary", "token": "xoxb-canary"},
        {"name": "x", "type": "pagerduty", "key": ["canary"]},
        {"name": "x", "type": "apprise", "urls": "canary://x"},
        {"name": "canary name", "type": "webhook", "url": "https://h/canary"},
        {"name": "x", "type": "canary"},
    ],
)
def test_row_45_no_mistake_repeats_a_secret(wrong: dict[str, Any]) -> None:
    try:
        config = load(None, environ={}, overrides={"notify": {"receivers": [wrong]}}).config
        [line.channel(ManualClock(T0)) for line in lines(config)]
    except Misconfigured as error:
        said = str(error)
    else:
        pytest.fail("it is taken")
    assert "canary://" not in said
    assert "/canary" not in said
    assert "xoxb" not in said
