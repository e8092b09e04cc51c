"""Alertmanager: what fires there is what is open here, in the stand-in and in the real one where it is installed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from driftline.clock import ManualClock, SystemClock
from driftline.react.notify.alertmanager import Alertmanager, alerts_of
from driftline.react.notify.notification import Notification
from driftline.react.notify.settings import AlertmanagerSettings
from react.notify.making import EVERY_KIND, NASTY, T0, alert, poster, told, verdict
from support.own import free_port
from support.prometheus import tool
from support.receivers import alertmanager


async def test_an_incident_fires_until_it_is_over() -> None:
    """Mutation: send only the present severity in `alertmanager._of_alert`; warning and critical both fire."""
    clock = ManualClock(T0)
    async with alertmanager.Alertmanager(clock) as service:
        channel = Alertmanager(AlertmanagerSettings(service.base), poster(), clock)
        await channel.send(told("open", "warning"), None)
        assert [one["severity"] for one in service.firing()] == ["warning"]
        clock.advance(60.0)
        await channel.send(told("updated", "critical"), None)
        assert [one["severity"] for one in service.firing()] == ["critical"]
        clock.advance(60.0)
        await channel.send(told("resolved", "critical"), None)
        clock.advance(0.001)
        assert service.firing() == []
        assert service.refused == []
        await channel.close()


async def test_what_has_become_of_a_deployment_is_shown_for_a_while() -> None:
    clock = ManualClock(T0)
    async with alertmanager.Alertmanager(clock) as service:
        channel = Alertmanager(AlertmanagerSettings(service.base), poster(), clock)
        await channel.send(verdict(), None)
        assert [one["severity"] for one in service.firing()] == ["error"]
        clock.advance(3_601.0)
        assert service.firing() == []
        await channel.close()


async def test_what_is_repeated_outlives_a_restart_and_what_is_not_ends() -> None:
    """Mutation: `endsAt` of now in `alertmanager._of_alert`; nothing ever fires."""
    clock = ManualClock(T0)
    async with alertmanager.Alertmanager(clock) as service:
        channel = Alertmanager(AlertmanagerSettings(service.base, valid_s=7_200.0), poster(), clock)
        await channel.send(told("open"), None)
        service.restart()
        assert service.firing() == []
        clock.advance(3_600.0)
        await channel.send(told("repeated"), None)
        assert len(service.firing()) == 1
        clock.advance(7_200.0)
        assert service.firing() == []
        await channel.close()


async def test_credentials_are_sent_as_asked() -> None:
    clock = ManualClock(T0)
    async with alertmanager.Alertmanager(clock) as service:
        for settings, sent in (
            (AlertmanagerSettings(service.base, token="t"), "Bearer t"),
            (AlertmanagerSettings(service.base, username="u", password="p"), "Basic dTpw"),
        ):
            channel = Alertmanager(settings, poster(), clock)
            await channel.send(told(), None)
            await channel.close()
            assert service.requests[-1].headers["authorization"] == sent


@pytest.fixture
def real(tmp_path: Path) -> Iterator[str]:
    binary = shutil.which("alertmanager") or tool("prometheus-alertmanager")
    (tmp_path / "am.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    port = free_port()
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [
            binary,
            f"--config.file={tmp_path / 'am.yml'}",
            f"--storage.path={tmp_path}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=log,
        stderr=log,
    )
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
    log.close()


async def test_the_real_one_takes_it_and_agrees(real: str) -> None:
    """Payloads, identity and ends as Alertmanager itself understands them, nasty names too."""
    clock = SystemClock()
    channel = Alertmanager(AlertmanagerSettings(real), poster(), clock)
    async with httpx.AsyncClient(trust_env=False) as client:
        for _ in range(100):
            try:
                await client.get(f"{real}/-/ready")
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.05)

        async def firing() -> list[dict[str, Any]]:
            found = (await client.get(f"{real}/api/v2/alerts")).json()
            return [one for one in found if one["labels"].get("incident") == "i-1"]

        await channel.send(told("open", "warning"), None)
        assert [one["labels"]["severity"] for one in await firing()] == ["warning"]
        await channel.send(told("updated", "critical"), None)
        assert [one["labels"]["severity"] for one in await firing()] == ["critical"]
        await channel.send(told("resolved", "critical"), None)
        assert await firing() == []
        await channel.send(told("reopened", "critical"), None)
        assert [one["labels"]["model"] for one in await firing()] == ["fraud"]
        from msgspec.structs import replace

        for n, name in enumerate(NASTY):
            nasty = replace(alert(), model=name, team=name, sentence=name)
            await channel.send(Notification(id="n", receiver="r", key=f"k-{n}", alert=nasty), None)
        for one in EVERY_KIND:
            await channel.send(one, None)
    await channel.close()


def test_what_is_about_driftline_itself_has_a_name_that_reads_well() -> None:
    about = replace(told(), alert=replace(alert(), model="", version="", cause="service"))
    assert {one["labels"]["alertname"] for one in alerts_of(about, T0, 1_000)} == {"DriftlineItself"}
