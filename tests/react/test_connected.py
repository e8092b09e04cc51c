"""React as processes, with Faust, over a real broker and store: killed for good, standing by, asked by hand."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from driftline.contracts.cloudevents import encode
from driftline.contracts.records import Lifecycle
from driftline.runtime.log import Outgoing
from react.cluster import Cluster, connected
from react.dying import POINTS, SENDING
from react.making import HOUR, MINUTE, signal, told
from support.receivers.http import Reply, Service, busy
from support.receivers.pagerduty import KEY as PAGER_KEY
from support.receivers.pagerduty import PagerDuty
from support.servers import AnyServers

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


@pytest.fixture
async def cluster(servers: AnyServers, tmp_path: Path) -> AsyncIterator[Cluster]:
    async with connected(servers, tmp_path) as made:
        yield made


def lifecycle_record(topic: str, event: Lifecycle) -> Outgoing:
    headers, value = encode(event)
    return Outgoing(topic, 0, event.model.encode(), value, headers)


STORY = (
    signal("error:rate", 1),
    signal("features.a:distribution", 1, at=MINUTE),
    signal("error:rate", 2, "resolved", at=HOUR),
)


@pytest.mark.parametrize("point", POINTS)
async def test_rows_1_and_2_killed_for_good_between_state_publish_and_acknowledge(
    cluster: Cluster, point: str
) -> None:
    """Mutation: do not publish the snapshot's outbox in ReactWorker._owned; at before_publish the first alert and
    the request are missing."""
    await cluster.tell(STORY[0])
    dying = cluster.start("react.dying", point)
    assert await asyncio.to_thread(dying.wait, 60) == -9
    await cluster.tell(*STORY[1:])
    cluster.react()
    alerts = await cluster.until(3)
    assert [a.status for a in {a.id: a for a in alerts}.values()] == ["open", "open", "resolved"]
    assert len({r.id for r in await cluster.requests()}) == 1
    copies = len(alerts) - len({a.id for a in alerts})
    assert copies == (0 if point in ("before_commit", "before_publish") else 1)
    await cluster.tell(*STORY, signal("error:rate", 3, at=2 * HOUR))
    after = await cluster.until(4)
    assert [a.status for a in after[len(alerts) :]] == ["reopened"], "a late duplicate has said something"


@pytest.mark.parametrize("point", SENDING)
async def test_row_3_killed_for_good_between_state_send_and_mark(cluster: Cluster, point: str) -> None:
    """PagerDuty sees one incident that ends, and what it is told twice has one dedup key.

    Mutation: settle before `_send` in Sender.round; killed before it sends, the incident is never opened."""
    async with PagerDuty() as pager:
        receiver = {"name": "pager", "type": "pagerduty", "key": PAGER_KEY, "url": pager.base}
        cluster.environ |= {
            "DRIFTLINE_NOTIFY__RECEIVERS": json.dumps([receiver]),
            "DRIFTLINE_NOTIFY__ROUTES": json.dumps([{"receivers": "pager", "group_wait_s": 0}]),
            "DRIFTLINE_NOTIFY__ALLOW_PRIVATE": "127.0.0.0/8",
        }
        await cluster.tell(STORY[0])
        dying = cluster.start("react.dying", point)
        assert await asyncio.to_thread(dying.wait, 60) == -9
        sent = len(pager.events)
        assert sent == (0 if point == "before_send" else 1)
        cluster.react()
        await cluster.tell(STORY[2])
        async with asyncio.timeout(60):
            while not pager.incidents or pager.incidents[-1].state != "resolved":  # noqa: ASYNC110 - a process says it
                await asyncio.sleep(0.1)
        (incident,) = pager.incidents
        actions = [event["event_action"] for event in pager.events]
        again = ["trigger"] if point == "before_mark" else []
        assert actions == ["trigger", *again, "resolve"]
        assert {event["dedup_key"] for event in pager.events} == {incident.key}
        assert pager.refused == []


async def test_row_42_away_for_a_while_and_refused_by_another(cluster: Cluster) -> None:
    """What opened and ended while PagerDuty was away is told when it is back; that the webhook is gone, too.

    Mutation: take a 503 for final in answers.expect_taken; PagerDuty never hears of the first incident."""
    async with PagerDuty() as pager, Service() as hook:
        pager.down, hook.down = busy("1", 503), Reply(404)
        receivers = [
            {"name": "pager", "type": "pagerduty", "key": PAGER_KEY, "url": pager.base},
            {"name": "hook", "type": "webhook", "url": hook.base},
        ]
        cluster.environ |= {
            "DRIFTLINE_NOTIFY__RECEIVERS": json.dumps(receivers),
            "DRIFTLINE_NOTIFY__ROUTES": json.dumps([{"receivers": ["pager", "hook"], "group_wait_s": 0}]),
            "DRIFTLINE_NOTIFY__ALLOW_PRIVATE": "127.0.0.0/8",
        }
        cluster.react()
        await cluster.tell(STORY[0], STORY[2])
        alerts = await cluster.wait(lambda alerts: any(a.cause == "notification" for a in alerts))
        (refused,) = [a for a in alerts if a.cause == "notification"]
        assert (refused.version, refused.status) == ("hook", "open")
        await pager.got(2)
        assert pager.incidents == []
        pager.down = None
        async with asyncio.timeout(60):
            while len(pager.events) < 3:  # noqa: ASYNC110 - a process says it
                await asyncio.sleep(0.1)
        told: dict[str, list[str]] = {}
        for event in pager.events:
            told.setdefault(event["dedup_key"], []).append(event["event_action"])
        assert told.pop(refused.incident) == ["trigger"]
        assert list(told.values()) == [["trigger", "resolve"]]
        assert len(pager.incidents) == 2
        await hook.got(2)
        assert len(hook.requests) == 2, "what it refuses is not sent again, nor is that told to itself"


async def test_one_is_active_and_the_other_takes_over(cluster: Cluster) -> None:
    """Mutation: `table_standby_replicas=0` in ReactApp; `lifecycle` goes to the other, and stalls."""
    first, second = cluster.react(), cluster.react()
    await cluster.tell(STORY[0])
    await cluster.until(1)
    async with asyncio.timeout(30):
        while "partition.owned" not in cluster.events(0) + cluster.events(1):  # noqa: ASYNC110 - a file says it
            await asyncio.sleep(0.1)
    await asyncio.sleep(3)
    owners = [i for i in (0, 1) if "partition.owned" in cluster.events(i)[-3:]]
    active = owners[-1]
    await cluster.writer.publish([lifecycle_record(cluster.config.topics.lifecycle, told("deployed"))])
    await cluster.until(2)
    assert "partition.stalled" not in cluster.events(active)
    (first, second)[active].kill()
    await cluster.tell(signal("loss:distribution", at=HOUR))
    await cluster.until(3)
    heir = 1 - active
    assert "partition.owned" in cluster.events(heir)
    process = (first, second)[heir]
    process.terminate()
    assert await asyncio.to_thread(process.wait, 20) == 0


async def test_a_request_by_hand(cluster: Cluster) -> None:
    """Of a model that there is; of another none is asked for. Mutation: no `there.check` in `cli.retrain`."""
    cluster.react()
    await cluster.tell(signal("features.a:distribution", model="fraud", version="7"))
    await cluster.until(1)
    wrong = [sys.executable, "-m", "driftline", "retrain", "fruad", "--reason", "a slip"]
    done = await asyncio.to_thread(
        subprocess.run, wrong, env=cluster.environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "is called 'fruad'; did you mean fraud?" in " ".join(done.stderr.split())
    command = ("driftline", "retrain", "fraud", "--version", "7", "--reason", "because")
    assert await asyncio.to_thread(cluster.start(*command).wait, 30) == 0
    async with asyncio.timeout(60):
        while not (requests := await cluster.requests()):  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(0.1)
    assert [(r.model, r.version, r.rule, r.reason) for r in requests] == [("fraud", "7", "manual", "because")]
