"""PagerDuty: one incident a key whatever is sent how often, and nobody paged by what is no alert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from driftline.clock import ManualClock
from driftline.contracts.reactions import AlertStatus
from driftline.react.notify.notification import TryLater
from driftline.react.notify.pagerduty import PagerDuty, timestamp
from driftline.react.notify.settings import PagerDutySettings
from react.notify.making import EVERY_KIND, T0, poster, told, verdict
from support.receivers import pagerduty


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[pagerduty.PagerDuty, PagerDuty]]:
    async with pagerduty.PagerDuty() as service:
        channel = PagerDuty(PagerDutySettings(pagerduty.KEY, service.base), poster(), ManualClock(T0))
        yield service, channel
        await channel.close()


async def test_an_incident_from_its_trigger_to_its_resolve() -> None:
    """Mutation: `dedup_key` of the notification's id; PagerDuty sees five incidents."""
    async with pair() as (service, channel):
        life: list[tuple[AlertStatus, str]] = [
            ("open", "triggered"),
            ("updated", "triggered"),
            ("acknowledged", "acknowledged"),
            ("repeated", "acknowledged"),
            ("resolved", "resolved"),
        ]
        for n, (status, state) in enumerate(life):
            await channel.send(told(status, id=f"n-{n}"), None)
            assert [one.state for one in service.incidents] == [state]
        assert service.incidents[0].events == len(life)
        await channel.send(told("reopened"), None)
        assert [one.state for one in service.incidents] == ["resolved", "triggered"]


async def test_an_ambiguous_time_out_is_still_one_incident() -> None:
    async with pair() as (service, channel):
        service.trouble.append("cut")
        with pytest.raises(TryLater):
            await channel.send(told(), None)
        await channel.send(told(), None)
        assert len(service.incidents) == 1
        assert service.incidents[0].events == 2


async def test_what_is_no_alert_pages_nobody() -> None:
    """Mutation: `compared` is False in `message.py`; PagerDuty is sent the end of an incident that it never saw."""
    async with pair() as (service, channel):
        for one in (*EVERY_KIND[2:5], verdict()):
            await channel.send(one, None)
        assert service.incidents == []
        assert [one["payload"]["summary"].partition(":")[0] for one in service.changes] == [
            "Retraining requested",
            "Deployed",
            "Digest",
            "Compared with its predecessor",
        ]
        assert service.changes[3]["payload"]["custom_details"]["What to do"] == "Roll back to fraud 7."
        assert service.changes[1]["payload"]["timestamp"] == "2024-04-01T09:00:00.000Z"


async def test_a_test_is_over_at_once() -> None:
    async with pair() as (service, channel):
        await channel.send(EVERY_KIND[5], None)
        assert [one.state for one in service.incidents] == ["resolved"]


async def test_severity_is_the_alerts() -> None:
    async with pair() as (service, channel):
        await channel.send(told("open", "warning"), None)
        await channel.send(told("updated", "critical"), None)
        assert service.incidents[0].severity == "critical"


@pytest.mark.parametrize("ms", [-(2**62), 0, T0, 2**62])
def test_every_time_is_one(ms: int) -> None:
    assert timestamp(ms).endswith("Z")
