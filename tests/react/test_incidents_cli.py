"""`driftline incidents` against a react that runs as a process, over a real broker and store."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from react.cluster import Cluster
from react.making import HOUR, MINUTE, T0, signal
from react.test_connected import cluster

__all__ = ["cluster"]
pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


async def driftline(cluster: Cluster, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "driftline", "incidents", *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, env=cluster.environ, capture_output=True, text=True, check=False, timeout=60
    )


async def rows(cluster: Cluster, *arguments: str) -> list[dict[str, Any]]:
    done = await driftline(cluster, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


async def test_people_list_acknowledge_silence_and_resolve(cluster: Cluster) -> None:
    """Mutation: do not wait for the outcome in cli.incidents._ask; what is listed next is as before."""
    cluster.react()
    await cluster.tell(signal("error:rate"), signal("features.a:distribution", at=MINUTE, model="n"))
    await cluster.until(2)
    found = await rows(cluster, "list")
    assert {(one["model"], one["cause"], one["status"]) for one in found} == {
        ("m", "performance", "open"),
        ("n", "data", "open"),
    }
    errors = next(one for one in found if one["model"] == "m")
    acked = await rows(cluster, "ack", errors["id"][:8], "--by", "ann", "--reason", "on it")
    assert acked[0]["outcome"] == f"ok: acknowledged {errors['id']}"
    (shown,) = await rows(cluster, "show", errors["id"][:8])
    assert (shown["status"], shown["acknowledged_by"]) == ("acknowledged", "ann")
    assert shown["advice"].startswith("Retrain on data since")

    until = f"{2023}-11-16T00:00Z"
    (made,) = await rows(cluster, "silence", "--model", "n", "--until", until, "--reason", "known", "--by", "ann")
    (silence,) = await rows(cluster, "silences")
    assert made["outcome"] == f"ok: silence {silence['id']}"
    assert silence["until"] > T0
    await cluster.tell(signal("prediction:distribution", at=HOUR, model="n"))
    alerts = await cluster.wait(lambda alerts: any(a.cause == "prediction" for a in alerts))
    assert [a.held for a in alerts if a.cause == "prediction"] == [
        f"silenced by ann: known (silence {silence['id']})"
    ]
    (held,) = [one for one in await rows(cluster, "list", "--model", "n") if one["cause"] == "prediction"]
    assert "silenced by ann" in held["held"]
    await rows(cluster, "expire", silence["id"][:8])
    assert await rows(cluster, "silences") == []

    await rows(cluster, "resolve", errors["id"], "--reason", "a test")
    assert "performance" not in {one["cause"] for one in await rows(cluster, "list")}
    assert "performance" in {one["cause"] for one in await rows(cluster, "list", "--all")}
    table = await driftline(cluster, "list")
    assert "prediction" in table.stdout
    again = await driftline(cluster, "ack", errors["id"], "--by", "ann")
    assert (again.returncode, "no open incident" in again.stderr) == (2, True)
    told = [a.status for a in await cluster.alerts() if a.incident == errors["id"]]
    assert told == ["open", "acknowledged", "resolved"]


async def test_a_react_that_is_away_is_said_to_be(cluster: Cluster) -> None:
    done = await driftline(cluster, "silence", "--model", "m", "--for", "1h", "--reason", "x", "--wait", "0.3")
    assert done.returncode == 2
    assert "has not taken the command" in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["silence", "--reason", "x", "--for", "1h"], "say what is to be silenced"),
        (["silence", "--reason", "x", "--model", "m"], "either --for or --until"),
        (["silence", "--reason", "x", "--model", "m", "--for", "soon"], "is no length of time"),
        (["silence", "--reason", "x", "--cause", "weather", "--for", "1h"], "--cause is one of performance"),
        (["ack", "abc"], "the ids of no incident begin with 'abc'"),
    ],
)
async def test_what_cannot_be_done_is_said(cluster: Cluster, arguments: list[str], message: str) -> None:
    done = await driftline(cluster, *arguments)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.split())
