"""React as a Faust application: one agent a topic, one message at a time, no web, no tables.

Of the group's members one is active: the three topics have one partition each, and Faust's assignor gives the
partitions of topics with the same number of partitions to the same member (its `copartitioned` groups; with
`table_standby_replicas=0` it would use an assignor that does not). The others stand by. Who has `signals` is
active; were the topics spread all the same, it would read the others without Faust, and say so.

Faust acknowledges a message whose handler raised, and may acknowledge ahead of one that is unfinished: so handlers
raise nothing, and nothing rests on acknowledgements (`worker.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP, EventT, StreamT
from mode.threads import ServiceThread, WorkerThread

from driftline.contracts.reactions import Fact
from driftline.errors import Transient
from driftline.react.core import Question
from driftline.react.observe import ReactObserver
from driftline.react.reading import bounds_of
from driftline.react.topics import ROLES, Role, Topics
from driftline.react.worker import NAME, ReactWorker
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.log import LogReader

KEEP_S: Final = 0.2
STOP_S: Final = 3.0
LOOK_S: Final = 2.0
"""How often the topics' ends are looked at: what they hold beyond our positions is work."""


class Judged(Protocol):
    """What judge knows. Raises Transient."""

    async def closed(self) -> int | None: ...

    async def facts(self, asked: Sequence[Question]) -> list[Fact]: ...


class Sender(Protocol):
    """Sends notifications while it runs."""

    async def run(self) -> None: ...


@dataclass(frozen=True, slots=True)
class AppSettings:
    """`group`: the consumer group, and Faust's name for the application. `stalled_s`: messages that are there for
    so long and are not brought are read without Faust. Times in seconds."""

    group: str
    tick_s: float = 10.0
    stalled_s: float = 10.0


@dataclass(frozen=True, slots=True)
class _Read:
    """A Faust message as a record of ours."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class _ConsumerThread(WorkerThread):
    """The thread that Faust's consumer lives in. One that still waits to join its group keeps no process alive."""

    def __init__(self, service: ServiceThread, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


AIOKafkaConsumerThread.Worker = _ConsumerThread


class ReactApp:
    """Runs until stopped. `waiting` while the topics are ours and the state is not loaded."""

    def __init__(
        self,
        settings: AppSettings,
        kafka: KafkaSettings,
        topics: Topics,
        worker: ReactWorker,
        judged: Judged,
        reader: LogReader,
        senders: Sequence[Sender] = (),
        observer: ReactObserver | None = None,
    ) -> None:
        self._settings = settings
        self._kafka = kafka
        self._topics = topics
        self._worker = worker
        self._judged = judged
        self._reader = reader
        self._senders = senders
        self._observer = observer or ReactObserver()
        self._stopping = asyncio.Event()
        self._leaving: asyncio.Task[None] | None = None
        self._assigned = False
        self._missed = 0
        self._closed: int | None = None

    @property
    def waiting(self) -> frozenset[int]:
        return frozenset({0}) if self._assigned and not self._worker.active else frozenset()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`. Raises whatever ends a part of it."""
        with tempfile.TemporaryDirectory(prefix="driftline-react-", ignore_cleanup_errors=True) as directory:
            app = self._application(directory)
            stopping = asyncio.create_task(self._stopping.wait())
            tasks = [asyncio.create_task(app.start())]
            try:
                await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if tasks[0].done() and tasks[0].exception() is None:
                    tasks = [asyncio.create_task(part) for part in self._parts()]
                    await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*tasks, stopping):
                    task.cancel()
                await asyncio.wait({*tasks, stopping}, timeout=STOP_S)
                self._worker.revoked()
                await self._end(app)
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _end(self, app: faust.App) -> None:
        """Leave the group. A member that is joining leaves only when the broker has let it join, which is when all
        others have come: that is not waited for longer than STOP_S. What is left ends with the process, and for the
        group it is a member that was killed."""
        self._leaving = asyncio.create_task(app.stop())
        await asyncio.wait({self._leaving}, timeout=STOP_S)

    def _parts(self) -> list[Coroutine[Any, Any, None]]:
        return [self._keep(), *(sender.run() for sender in self._senders)]

    # Faust

    def _application(self, directory: str) -> faust.App:
        kafka = self._kafka
        seconds = kafka.session_timeout_ms / 1000
        app = faust.App(
            self._settings.group,
            broker=[f"aiokafka://{host.strip()}" for host in kafka.bootstrap.split(",")],
            broker_client_id=kafka.client_id,
            broker_credentials=_credentials(kafka),
            broker_session_timeout=seconds,
            broker_heartbeat_interval=min(3.0, seconds / 4),
            broker_rebalance_timeout=kafka.rebalance_timeout_ms / 1000,
            broker_request_timeout=max(kafka.request_timeout_ms / 1000, seconds + 1),
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="earliest",
            stream_wait_empty=False,
            store="memory://",
            table_standby_replicas=1,
            datadir=directory,
            topic_allow_declare=False,
            topic_disable_leader=True,
            autodiscover=False,
            web_enabled=False,
        )
        for role in ROLES:
            topic = app.topic(
                self._topics.read(role),
                key_type=bytes,
                value_type=bytes,
                key_serializer="raw",
                value_serializer="raw",
            )
            app.agent(topic, name=f"{self._settings.group}.{role}", concurrency=1)(self._agent(role))
        app.timer(self._settings.tick_s, name="tick")(self._tick)
        revoked: Any = app.on_partitions_revoked
        assigned: Any = app.on_partitions_assigned
        revoked.connect(self._on_revoked)
        assigned.connect(self._on_assigned)
        return app

    def _agent(self, role: Role) -> Callable[[StreamT[bytes]], Coroutine[Any, Any, None]]:
        async def take(stream: StreamT[bytes]) -> None:
            async for event in stream.events():
                await self._worker.handle(role, _record(event))

        return take

    async def _on_revoked(self, sender: object, revoked: set[TP], **_: object) -> None:
        """Said at the beginning of every rebalance, also when the topics will come back."""
        self._assigned = False
        self._worker.revoked()

    async def _on_assigned(self, sender: object, assigned: set[TP], **_: object) -> None:
        self._assigned = any(tp.topic == self._topics.signals for tp in assigned)
        if self._assigned:
            self._worker.assigned()

    async def _tick(self) -> None:
        """Append a tick. What fails now is made up for by the next one.

        It says how far event time had come at the tick before: the signals of that time have been read meanwhile. So
        an alarm is dated by its signal, and not by a tick that overtook it."""
        if not self._worker.active:
            self._closed = None
            return
        try:
            closed, self._closed = self._closed, await self._judged.closed()
            if closed is not None:
                await self._worker.tick(closed, await self._judged.facts(self._worker.questions()))
            self._missed = 0
        except Transient as error:
            self._missed += 1
            self._observer.retrying(NAME, "tick", self._missed, str(error))

    # Watching

    async def _keep(self) -> None:
        """Take over as soon as the topics are ours, not only when a message comes. And where messages are there
        that Faust does not bring (it is known to stall), read them ourselves, and say so."""
        loop = asyncio.get_running_loop()
        looked, since = loop.time(), 0.0
        while True:
            if self._assigned and not self._worker.active:
                await self._worker.ensure()
            self._observer.beat()
            if loop.time() - looked >= LOOK_S and (state := self._worker.state) is not None:
                looked = loop.time()
                with contextlib.suppress(Transient):
                    ends = {role: (await bounds_of(self._reader, self._topics.read(role))).end for role in ROLES}
                    behind = self._behind(state.positions, ends)
                    since = (since or loop.time()) if behind else 0.0
                    if behind and loop.time() - since >= self._settings.stalled_s:
                        role = behind[0]
                        self._observer.stalled(NAME, ROLES.index(role), state.positions.get(role, 0), ends[role])
                        await self._worker.catch_up(ends)
                        since = 0.0
            await asyncio.sleep(KEEP_S)

    def _behind(self, positions: dict[str, int], ends: dict[Role, int]) -> list[Role]:
        """The topics of which the log holds more than we have taken."""
        for role in ROLES:
            self._observer.position(NAME, ROLES.index(role), positions.get(role, 0), ends[role])
        return [role for role in ROLES if ends[role] > positions.get(role, 0)]


def _record(event: EventT[bytes]) -> _Read:
    message = event.message
    headers: Any = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    return _Read(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp=round(message.timestamp * 1000),
        timestamp_type=message.timestamp_type,
        key=message.key,
        value=message.value,
        headers=tuple((str(name), bytes(value)) for name, value in pairs),
    )


def _credentials(kafka: KafkaSettings) -> Any:
    """Faust's form of what every other client of ours is given."""
    options = kafka.client_options()
    context = options.get("ssl_context")
    if kafka.security_protocol.startswith("SASL_"):
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None
