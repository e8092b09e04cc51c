"""Health over real HTTP: progress, readiness, metrics, and a clean stop."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from driftline.clock import ManualClock
from driftline.errors import Misconfigured
from driftline.telemetry.health import HealthServer
from driftline.telemetry.metrics import Metrics
from driftline.telemetry.progress import Progress, Readiness


@dataclass
class Served:
    clock: ManualClock
    metrics: Metrics
    progress: Progress
    readiness: Readiness
    server: HealthServer
    port: int

    async def get(self, path: str, method: str = "GET") -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        head, _, body = answer.partition("\r\n\r\n")
        return int(head.split(" ")[1]), body

    async def json(self, path: str) -> tuple[int, dict[str, Any]]:
        status, body = await self.get(path)
        return status, json.loads(body)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    clock, metrics = ManualClock(), Metrics(process=False)
    progress, readiness = Progress(60, clock), Readiness()
    server = HealthServer("127.0.0.1", 0, metrics, progress, readiness)
    port = await server.start()
    yield Served(clock, metrics, progress, readiness, server, port)
    await server.stop()


async def test_metrics_are_served(served: Served) -> None:
    served.metrics.inc("driftline_panes_total")
    status, body = await served.get("/metrics")
    assert status == 200
    assert "driftline_panes_total 1.0" in body


async def test_row_11_health_is_progress_not_process(served: Served) -> None:
    """Mutation: let Progress.beat ignore `moved`; a loop that turns without getting on stays healthy."""
    assert (await served.json("/healthz"))[0] == 200
    served.progress.beat("ingest")
    served.progress.beat("judge")
    for _ in range(7):
        served.clock.advance(10)
        served.progress.beat("ingest", moved=False)
        served.progress.beat("judge")
    status, body = await served.json("/healthz")
    assert (status, body["healthy"], body["stalled"]) == (503, False, ["ingest"])
    assert body["seconds_since_progress"] == {"ingest": 70.0, "judge": 0.0}
    served.progress.beat("ingest")
    assert (await served.json("/healthz"))[0] == 200


async def test_a_hung_loop_is_unhealthy_and_a_stopped_one_is_not(served: Served) -> None:
    served.progress.beat("ingest")
    served.clock.advance(60)
    assert (await served.json("/healthz"))[0] == 200
    served.clock.advance(0.1)
    assert (await served.json("/healthz"))[0] == 503
    served.progress.leave("ingest")
    assert (await served.json("/healthz"))[0] == 200


async def test_ready_when_all_conditions_are_met(served: Served) -> None:
    status, body = await served.json("/readyz")
    assert (status, body["ready"]) == (503, False)
    for condition in ("started", "state", "store", "log"):
        served.readiness.met(condition)
    assert (await served.json("/readyz"))[0] == 200
    served.readiness.unmet("store", "does not answer")
    status, body = await served.json("/readyz")
    assert (status, body["conditions"]["store"]) == (503, "does not answer")
    with pytest.raises(LookupError):
        served.readiness.met("stroe")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/config", 404), ("POST", "/healthz", 405)]
)
async def test_nothing_else_is_served(served: Served, method: str, path: str, status: int) -> None:
    assert (await served.get(path, method))[0] == status


async def test_a_taken_port_is_a_clear_refusal(served: Served) -> None:
    other = HealthServer("127.0.0.1", served.port, served.metrics, served.progress, served.readiness)
    with pytest.raises(Misconfigured, match=r"runtime\.http"):
        await other.start()
    await other.stop()


async def test_it_stops_with_a_connection_held_open(served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    async with asyncio.timeout(5):
        await served.server.stop()
        await served.server.stop()
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", served.port)


async def test_signals_stay_with_whoever_runs_the_stages(served: Served) -> None:
    """Row 4. Mutation: remove `_Server.capture_signals`; uvicorn's own SIGTERM handler is installed."""
    await served.server.stop()
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    served.port = await served.server.start()
    await served.get("/healthz")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
