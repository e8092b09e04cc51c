"""The examples of docs/clients.md are the files of docs/examples, and these do what they say."""

from __future__ import annotations

import asyncio
import json
import os
import re
import runpy
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from client.making import EVENTS, LIFECYCLE, RETRAINING, request
from client.test_connected import Topics
from driftline.client import KafkaSettings
from driftline.contracts.cloudevents import decode_lifecycle
from driftline.contracts.decode import Decoder
from driftline.contracts.records import Lifecycle
from support.servers import AnyServers, kafka_settings, unique

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("*.py"))


RUN = """
import json, runpy, sys
from driftline.client import KafkaSettings
runpy.run_path(sys.argv[1])["main"](KafkaSettings(**json.loads(sys.argv[2])))
"""


def main_of(name: str) -> Callable[..., Any]:
    main: Callable[..., Any] = runpy.run_path(str(DOCS / "examples" / f"{name}.py"))["main"]
    return main


def test_the_page_shows_the_files() -> None:
    page = (DOCS / "clients.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    in_order = sorted(EXAMPLES, key=lambda path: page.index(path.name))
    assert blocks == [path.read_text(encoding="utf-8") for path in in_order]
    assert len(blocks) == 5


@pytest.fixture
async def topics(servers: AnyServers) -> Topics:
    made = Topics(kafka_settings(servers), EVENTS, RETRAINING, LIFECYCLE)
    await made.create()
    return made


async def events(topics: Topics) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for record in await topics.read(EVENTS):
        event = Decoder().decode(record.value)
        found.setdefault(event.id, set()).add(type(event).__name__)
    return found


async def answers(topics: Topics, id: str, what: str) -> list[Lifecycle]:
    """What was told of a request, once `what` is among it."""
    async with asyncio.timeout(20):
        while True:
            told = [decode_lifecycle(r.value, r.headers) for r in await topics.read(LIFECYCLE)]
            told = [event for event in told if event.request == id]
            if what in {event.what for event in told}:
                return told
            await asyncio.sleep(0.05)


@pytest.mark.connected
async def test_serving(topics: Topics) -> None:
    await asyncio.to_thread(main_of("serve"), topics.settings)
    await main_of("serve_async")(topics.settings)
    found = await events(topics)
    assert found["order-1"] == {"Prediction", "Outcome"}
    assert found["order-2"] == {"Prediction"}


@pytest.mark.connected
async def test_training(topics: Topics) -> None:
    id, now = unique("request"), time.time_ns() // 1_000_000
    await topics.ask(request(id, time=now))
    job = asyncio.create_task(main_of("train")(topics.settings))
    try:
        told = await answers(topics, id, "deployed")
    finally:
        job.cancel()
        await asyncio.wait({job})
    assert [event.what for event in told] == ["retraining.started", "retraining.succeeded", "deployed"]
    assert [event.version for event in told] == ["7", f"trained-to-{now}", f"trained-to-{now}"]
    assert told[1].details["error"] == 0.12


@pytest.mark.connected
async def test_training_without_asyncio(topics: Topics) -> None:
    id, now = unique("request"), time.time_ns() // 1_000_000
    await topics.ask(request(id, time=now))
    job = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, str(DOCS / "examples" / "train_plain.py")),
        json.dumps(asdict(topics.settings)),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        told = await answers(topics, id, "retraining.succeeded")
    finally:
        job.kill()  # it runs for ever
        await job.wait()
    assert told[-1].version == f"plain-to-{now}"


@pytest.mark.connected
async def test_deploying(topics: Topics) -> None:
    id = unique("request")
    await asyncio.to_thread(main_of("deploy"), topics.settings, id)
    assert [event.version for event in await answers(topics, id, "deployed")] == ["8"]


def test_the_examples_need_no_more_than_the_client() -> None:
    for path in EXAMPLES:
        assert re.findall(r"from (driftline\S*) import", path.read_text(encoding="utf-8")) == ["driftline.client"]
    assert KafkaSettings("kafka:9092").bootstrap == "kafka:9092"
