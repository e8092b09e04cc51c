"""A cluster on real servers, and what a person can ask of it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from driftline.demo.memory_audit import StoreAudit
from driftline.demo.settings import clean_environment
from driftline.demo.signals import Spoken
from driftline.runtime.log import Outgoing
from kills.cluster import PARTITIONS, PATIENCE_S, Cluster, StageName, Worker

_COMMAND_S = 60.0
_ADDRESS = re.compile(r"http\.listening address=(\S+)")


class RealCluster(Cluster):
    async def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `driftline` to its end; what it says is in `stdout`."""
        return await asyncio.to_thread(
            subprocess.run,
            (sys.executable, "-m", "driftline", *arguments, "--config", str(self._file)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_S,
            env=clean_environment() | {"COLUMNS": "300"} | environment,
        )

    def reconfigure(self, **sections: Mapping[str, Any]) -> None:
        """More of the configuration, by section, for workers that are started from now on."""
        settings = orjson.loads(self._file.read_bytes())
        for section, values in sections.items():
            settings.setdefault(section, {}).update(values)
        self._file.write_bytes(orjson.dumps(settings))

    async def all_folded(self) -> None:
        """Until ingest stands at the end of every partition that was published to."""

        async def folded() -> bool:
            return await self.positions("ingest") == list(self.published.values())

        await self.until("ingest folds everything", folded)

    async def publish_keyed(self, records: Sequence[tuple[int, bytes, bytes | None]]) -> None:
        topic = self.config.topics.events[0]
        await self._writer.publish([Outgoing(topic, source, key, value) for source, key, value in records])
        for source, _, _ in records:
            self.published[source] += 1

    async def publish_anew(self, records: Sequence[tuple[int, bytes | None]]) -> None:
        """With a new producer, which knows the partitions that have been added."""
        await self._writer.close()
        for source, _ in records:
            self.published.setdefault(source, 0)
        await self.until("the new partition is known", partial(self._published, records))

    async def _published(self, records: Sequence[tuple[int, bytes | None]]) -> bool:
        await self.publish(records)
        return True

    async def ended(self, worker: Worker, within_s: float = PATIENCE_S) -> str:
        """Wait until a worker ends by itself, with the exit code that calls for the operator; its log."""
        code = await asyncio.to_thread(worker.process.wait, within_s)
        self.workers.remove(worker)
        log = worker.log.read_text()
        assert code == 2, f"exit code {code}\n{log}"
        return log

    async def stored(self, stage: StageName) -> list[int]:
        """Where the stage stands, asked on a new connection."""
        audit = StoreAudit(self.config.redis.url, self.config.redis.prefix)
        try:
            return [await audit.next_of(stage, p) for p in range(PARTITIONS[stage])]
        finally:
            await audit.close()


def incidents(spoken: Spoken) -> set[str]:
    """What the stages have said about themselves, without where: `state_lost`, `gap`. Onboarding is none."""
    kinds = {said.monitor.split(":")[1] for said in spoken.system}
    return kinds - {"reference"}


class Health:
    """What a worker answers to whoever watches over it. It needs `runtime.http.port: 0`."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def ready(self) -> bool:
        return await self._answer("readyz") == 200

    async def alive(self) -> bool:
        return await self._answer("healthz") == 200

    async def _answer(self, path: str) -> int | None:
        """The status; None while it does not listen yet."""
        address = _ADDRESS.search(self._worker.log.read_text())
        return None if address is None else await asyncio.to_thread(_status, f"{address[1]}/{path}")


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
