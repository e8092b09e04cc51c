"""Row 46, with the real process: SIGHUP with a broken file, one that needs a restart, and a rotated secret."""

from __future__ import annotations

import asyncio
import json
import signal as signals
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from react.cluster import Cluster, connected
from react.making import MINUTE, signal
from support.receivers.http import Service
from support.servers import AnyServers

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


@pytest.fixture
async def cluster(servers: AnyServers, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with connected(servers, tmp_path) as made:
        yield made


def logged(cluster: Cluster) -> list[dict[str, Any]]:
    lines = (cluster.directory / "0.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


async def heard(cluster: Cluster, event: str, times: int = 1) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while len(found := [line for line in logged(cluster) if line["event"] == event]) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found[-1]


async def called(hook: Service, count: int) -> list[str]:
    async with asyncio.timeout(30):
        while len(hook.requests) < count:  # noqa: ASYNC110 - a process calls
            await asyncio.sleep(0.05)
    return [request.path for request in hook.requests]


async def succeeded(cluster: Cluster) -> str:
    address = (await heard(cluster, "http.listening"))["address"]
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{address}/metrics")).text
    return next(line for line in text.splitlines() if line.startswith("driftline_config_last_reload_successful "))


async def test_row_46_the_process_goes_by_all_of_a_sound_file_and_by_nothing_of_another(cluster: Cluster) -> None:
    """Mutations: leave out `asked` in Service (the process ends); apply before `prepare` in Reloader.reload."""
    async with Service() as hook:
        file, secret = cluster.directory / "driftline.yaml", cluster.directory / "hook"

        def write(**more: Any) -> None:
            notify = {
                "receivers": [{"name": "hook", "type": "webhook", "url_file": str(secret)}],
                "routes": [{"receivers": ["hook"], "group_wait_s": 0}],
                "allow_private": ["127.0.0.0/8"],
            }
            file.write_text(json.dumps({"notify": notify} | more))

        secret.write_text(f"{hook.base}/canary-former")
        write()
        process = cluster.start("driftline", "run", "--config", str(file))
        await cluster.tell(signal(model="a"))
        assert await called(hook, 1) == ["/canary-former"]

        secret.write_text(f"{hook.base}/canary-rotated")
        file.write_text("notify: {receivers: [")
        process.send_signal(signals.SIGHUP)
        assert "not YAML" in (await heard(cluster, "config.refused"))["mistakes"][0]
        write(ingest={"lateness_s": 7}, logging={"level": "DEBUG"})
        process.send_signal(signals.SIGHUP)
        refused = (await heard(cluster, "config.refused", 2))["mistakes"]
        assert [line.strip() for line in refused[1:]] == ["ingest.lateness_s"]
        assert (await succeeded(cluster)).endswith(" 0.0")
        await cluster.tell(signal(model="b", at=MINUTE))
        assert (await called(hook, 2))[1:] == ["/canary-former"]

        write(logging={"level": "WARNING"})
        process.send_signal(signals.SIGHUP)
        async with asyncio.timeout(30):
            while not (await succeeded(cluster)).endswith(" 1.0"):  # noqa: ASYNC110 - the process says it
                await asyncio.sleep(0.1)
        await cluster.tell(signal(model="c", at=2 * MINUTE))
        assert (await called(hook, 3))[2:] == ["/canary-rotated"]
        await cluster.tell(signal("error:rate", 2, "resolved", model="a", at=3 * MINUTE))
        assert (await called(hook, 4))[3:] == ["/canary-rotated"]

        process.terminate()
        assert await asyncio.to_thread(process.wait, 20) == 0
        text = (cluster.directory / "0.log").read_text()
        assert "canary" not in text
        assert "alert.published" in text and text.count("alert.published") == 2, "its level is reloaded, too"


async def test_row_46_a_storm_of_reloads_while_a_receiver_hangs_tells_nothing_twice(cluster: Cluster) -> None:
    """A hundred, each with another secret, while a call takes a second; the last secret is in force, none in the log.

    Mutation: let a new sender wait for the one before only in Senders._start; the first is told again and again."""
    calls: list[tuple[str, str]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        await reader.readexactly(int(headers["content-length"]))
        calls.append((lines[0].split()[1], headers["webhook-id"]))
        await asyncio.sleep(1)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def so_many(count: int) -> None:
        async with asyncio.timeout(30):
            while len(calls) < count:  # noqa: ASYNC110 - a process calls
                await asyncio.sleep(0.02)

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    file, secret = cluster.directory / "driftline.yaml", cluster.directory / "hook"
    notify = {
        "receivers": [{"name": "hook", "type": "webhook", "url_file": str(secret)}],
        "routes": [{"receivers": ["hook"], "group_wait_s": 0}],
        "allow_private": ["127.0.0.0/8"],
    }
    file.write_text(json.dumps({"notify": notify}))
    secret.write_text(f"{base}/canary-former")
    process = cluster.start("driftline", "run", "--stages", "react", "--config", str(file))
    await cluster.tell(signal(model="a"), signal(model="b", at=1))
    await so_many(1)
    for number in range(100):
        fresh = secret.with_suffix(".new")
        fresh.write_text(f"{base}/canary-{number}")
        fresh.rename(secret)
        process.send_signal(signals.SIGHUP)
        await asyncio.sleep(0.01)
    await so_many(2)
    await heard(cluster, "notification.sent", 2)
    assert len({id for _, id in calls}) == len(calls) == 2
    await cluster.tell(signal(model="c", at=MINUTE))
    await so_many(3)
    assert (calls[0][0], calls[2][0]) == ("/canary-former", "/canary-99")
    assert "config.refused" not in cluster.events(0)
    assert "canary" not in (cluster.directory / "0.log").read_text()
    process.terminate()
    assert await asyncio.to_thread(process.wait, 20) == 0
    server.close()
