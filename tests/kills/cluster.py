"""Stages as processes of their own over a broker and a store, to be killed; and the audit afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

import orjson
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from driftline.config import load
from driftline.demo.audit import LedgerFigures, audit_blocks
from driftline.demo.memory_audit import JoinFigures, StoreAudit
from driftline.demo.settings import clean_environment
from driftline.demo.signals import Spoken, audit_signals
from driftline.errors import Transient
from driftline.runtime.embedded import die_with_parent
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing
from driftline.stopping import GRACE_S, LAST_S
from driftline.wiring import kafka_settings, topic_specs
from kills.wire import Wire
from kills.workload import BLOCKS, REFERENCE_EVENTS, REFERENCE_PAIRS, SOURCES
from support.servers import AnyServer, AnyServers, connection, unique

StageName = Literal["ingest", "judge"]

SESSION_S: Final = 2.0
"""Short, because this broker makes a join wait for the session of the member that was killed. Below two seconds
its joins become slower again."""
PARTITIONS: Final[Mapping[StageName, int]] = {"ingest": SOURCES, "judge": BLOCKS}
STAGES: Final = tuple(PARTITIONS)
_OWNERSHIP: Final = re.compile(r"partition\.(owned|released) .*?stage=(\w+) partition=(\d+)")
_TAIL_LINES: Final = 25
_STOP_S: Final = LAST_S + 10
PATIENCE_S: Final = 60.0
"""How long a condition is waited for: only a loaded machine needs so much."""


def slots(stage: StageName) -> set[str]:
    """Names of the slots of a stage: `judge/0`, ..."""
    return {f"{stage}/{partition}" for partition in range(PARTITIONS[stage])}


class Worker:
    """`driftline run --stages STAGES`. Its log survives in `log`."""

    def __init__(self, stages: str, number: int, config: Path, store_url: str) -> None:
        self.log = config.with_name(f"worker-{number}-{stages}.log")
        with self.log.open("wb") as log:
            # On Linux it ends with the thread that calls this, so that it cannot outlive a killed test run.
            self.process = subprocess.Popen(
                (sys.executable, "-m", "driftline", "run", "--stages", stages, "--config", str(config)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(),
                env=clean_environment() | {"DRIFTLINE_REDIS__URL": store_url},
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"--- {self.log.name}, exit code {self.process.poll()}, ends:", *lines])

    def kill(self) -> None:
        """SIGKILL to a process that must still be running."""
        self.process.kill()
        assert self.process.wait(_STOP_S) == -signal.SIGKILL, self.tail

    async def terminate(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds it took."""
        started = time.monotonic()
        self.process.terminate()
        try:
            code = await asyncio.to_thread(self.process.wait, _STOP_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"SIGTERM is not obeyed within {_STOP_S:g} s\n{self.tail}") from None
        return code, time.monotonic() - started

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def held(self) -> set[str]:
        """The slots it owns, by its own log."""
        held: set[str] = set()
        for event, stage, partition in _OWNERSHIP.findall(self.log.read_text(errors="replace")):
            (held.add if event == "owned" else held.discard)(f"{stage}/{partition}")
        return held

    def holds(self, slots: Set[str]) -> bool:
        return self.held() == slots


class Cluster:
    """For `async with`: topics and keys of its own on servers that run. Whatever it started is dead afterwards."""

    def __init__(
        self,
        servers: AnyServers,
        directory: Path,
        settings: Mapping[str, Any] | None = None,
        store: AnyServer | None = None,
    ) -> None:
        """`settings` are more of the configuration, by section; `store` is another one than that of `servers`."""
        url = servers.redis_url if store is None else f"redis://{store.address}/0"
        self.name = unique("kills")
        self._store_port = (store or servers.redis).port
        self._file = directory / "driftline.yaml"
        kafka = connection(servers)["kafka"]
        self._file.write_bytes(orjson.dumps(_settings(self.name, kafka, url, settings or {})))
        self.config = load(self._file, environ={}).config
        self._kafka = kafka_settings(self.config)
        self._reader, self._writer = KafkaReader(self._kafka), KafkaWriter(self._kafka)
        self._store = StoreAudit(self.config.redis.url, self.config.redis.prefix)
        self._redis: Any = Redis.from_url(self.config.redis.url)
        self._numbers = itertools.count(1)
        self.workers: list[Worker] = []
        self._wires = contextlib.AsyncExitStack()
        self.published = dict.fromkeys(range(SOURCES), 0)

    async def __aenter__(self) -> Self:
        async with KafkaTopics(self._kafka) as topics:
            await topics.create(topic_specs(self.config))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.wait(_STOP_S)
        await self._wires.aclose()
        await self._reader.close()
        await self._writer.close()
        await self._store.close()
        await self._redis.aclose()

    # Processes

    def start(self, *stages: StageName, wire: Wire | None = None) -> Worker:
        """A further worker, that goes to the store by `wire` if there is one."""
        url = wire.url if wire is not None else self.config.redis.url
        worker = Worker(",".join(stages), next(self._numbers), self._file, url)
        self.workers.append(worker)
        return worker

    async def wire(self) -> Wire:
        return await self._wires.enter_async_context(Wire(self._store_port))

    async def stop(self) -> None:
        """SIGTERM to every worker that runs; each has to leave in order, within its grace."""
        running = [w for w in self.workers if w.running]
        for worker, (code, seconds) in zip(
            running, await asyncio.gather(*(w.terminate() for w in running)), strict=True
        ):
            assert code == 0, f"exit code {code} after SIGTERM\n{worker.tail}"
            assert seconds < GRACE_S, f"{seconds:.1f} s after SIGTERM\n{worker.tail}"

    async def none_owned_by(self, stage: StageName, former: Sequence[bytes | None]) -> bool:
        """Whether every partition of a stage has another owner than in `former`."""
        return all(now != before for now, before in zip(await self.owners(stage), former, strict=True))

    async def owners(self, stage: StageName) -> list[bytes | None]:
        """The token of the owner of each partition of a stage."""
        return [await self._redis.hget(self._meta(stage, p), "owner") for p in range(PARTITIONS[stage])]

    def _meta(self, stage: StageName, partition: int) -> str:
        return f"{{{self.config.redis.prefix}:{stage}:{partition}}}:meta"

    # Progress

    async def publish(self, records: Sequence[tuple[int, bytes | None]]) -> None:
        topic = self.config.topics.events[0]
        await self._writer.publish([Outgoing(topic, source, None, value) for source, value in records])
        for source, _ in records:
            self.published[source] += 1

    async def publish_slowly(self, records: Sequence[tuple[int, bytes | None]], seconds: float) -> None:
        """In fifty steps over so many seconds."""
        size = -(-len(records) // 50)
        for first in range(0, len(records), size):
            await self.publish(records[first : first + size])
            await asyncio.sleep(seconds / 50)

    async def beyond(self, stage: StageName, records: int) -> bool:
        """Whether a stage has more input records behind it than so many."""
        return await self.progress(stage) > records

    async def progress(self, stage: StageName) -> int:
        """Input records behind a stage, of all partitions."""
        return sum([await self._store.next_of(stage, p) for p in range(PARTITIONS[stage])])

    async def until(
        self,
        what: str,
        holds: Callable[[], Awaitable[bool] | bool],
        within_s: float = PATIENCE_S,
        every_s: float = 0.02,
    ) -> float:
        """Poll until `holds`; the seconds it took. Fails with the ends of all logs after `within_s`, or at once
        if a worker has ended by itself."""
        started = time.monotonic()
        while True:
            with contextlib.suppress(RedisConnectionError, Transient):  # a store that was away
                if await answer if inspect.isawaitable(answer := holds()) else answer:
                    return time.monotonic() - started
            late = time.monotonic() - started > within_s
            ended = [w.log.name for w in self.workers if w.process.poll() not in (None, 0, -signal.SIGKILL)]
            if late or ended:
                why = f"{', '.join(ended)} ended by itself" if ended else f"not within {within_s:g} s"
                positions = {stage: await self.positions(stage) for stage in PARTITIONS}
                logs = "\n".join(w.tail for w in self.workers)
                raise AssertionError(f"{what}: {why}. Published {self.published}, stages at {positions}\n{logs}")
            await asyncio.sleep(every_s)

    async def positions(self, stage: StageName) -> list[int]:
        return [await self._store.next_of(stage, p) for p in range(PARTITIONS[stage])]

    async def all_counted(self) -> None:
        """Until all that was published stands in the ledger, and judge has read the ledger to its end."""
        blocks = self.config.topics.blocks

        async def folded() -> bool:
            return await self.positions("ingest") == list(self.published.values())

        async def judged() -> bool:
            # A range's write comes before its bundles, so the end of `blocks` alone says nothing.
            figures = await audit_blocks(self._reader, blocks)
            ends = await self._reader.bounds(blocks)
            everywhere = not any("ends at" in problem for problem in figures.problems)
            if not everywhere or figures.ends != self.published:
                return False
            positions = await self.positions("judge")
            return all(positions[partition] >= bounds.end for partition, bounds in ends.items())

        await self.until("ingest folds everything", folded)
        await self.until("judge reads everything", judged, every_s=0.1)

    # Audit

    async def ledger(self) -> LedgerFigures:
        return await audit_blocks(self._reader, self.config.topics.blocks)

    async def memory(self) -> JoinFigures:
        return await self._store.join()

    async def spoken(self) -> Spoken:
        return await audit_signals(self._reader, self.config.topics.signals)

    async def dead_letters(self) -> Counter[str]:
        """Refused records by reason; a letter that was delivered twice counts once."""
        topic = self.config.topics.deadletter
        bounds = (await self._reader.bounds(topic))[0]
        records = await self._reader.read(topic, 0, bounds.begin, bounds.end)
        letters = [orjson.loads(record.value or b"") for record in records]
        reasons = {
            (letter["origin"]["partition"], letter["origin"]["offset"]): letter["reason"] for letter in letters
        }
        return Counter(reasons.values())


def _settings(name: str, kafka: Mapping[str, Any], store_url: str, more: Mapping[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "kafka": {
            **kafka,
            "group": name,
            "session_timeout_ms": round(1000 * SESSION_S),
            "rebalance_timeout_ms": round(1000 * SESSION_S),
        },
        "redis": {"url": store_url, "prefix": name},
        "topics": {"prefix": f"{name}.", "partitions": {"events": SOURCES, "blocks": BLOCKS}},
        # Many small ranges: a kill meets one of them in the middle.
        "ingest": {"max_batch": 40, "poll_ms": 50, "idle_after_s": 3_600},
        "judge": {"reference_events": REFERENCE_EVENTS, "reference_pairs": REFERENCE_PAIRS},
        "runtime": {"revoke_deadline_s": 0.8, "http": {"enabled": False}},
        "logging": {"format": "text"},
    }
    return {section: values | more.get(section, {}) for section, values in settings.items()}
