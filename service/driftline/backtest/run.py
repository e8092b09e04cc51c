"""One backtest from its files to its result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np

from driftline.backtest.blockfile import BlockFile, BlockWriter
from driftline.backtest.columns import Columns
from driftline.backtest.entries import OUTCOME, Entry
from driftline.backtest.feed import Feed
from driftline.backtest.reference import Reference
from driftline.backtest.replay import Heard, Replay
from driftline.backtest.result import Result
from driftline.backtest.watched import look_at
from driftline.config import Config
from driftline.contracts.blocks import PREDICTIONS, WindowTally
from driftline.contracts.cloudevents import decode_dead_letter
from driftline.errors import Misconfigured
from driftline.outputs import Output
from driftline.registry import ModelKey
from driftline.runtime.memory_log import MemoryRecord
from driftline.stats.profile import Profile
from driftline.wiring import detection_settings

SLICE: Final = 10_000
"""Records taken through the stages at once: enough to fold them fast."""
LEAST: Final = 500
DAY_MS: Final = 86_400_000
BUNDLES: Final = 64
SHOWN: Final = 20
OUR_NAMES: Final = Columns()
NO_REFERENCE: Final = Reference()

Advanced = Callable[[int, int], None]
"""Told how many bytes of the files have been read, and how many events taken."""


class Watcher(Protocol):
    """Follows the blocks: the series of a plot, a file of blocks."""

    def blocks(self, records: Sequence[MemoryRecord], profiles: dict[ModelKey, Profile]) -> None: ...


@dataclass(frozen=True)
class Task:
    """What to run through the stages, and what to keep of it besides the result."""

    files: Sequence[Path]
    config: Config
    columns: Columns = OUR_NAMES
    columns_given: bool = False
    reference: Reference = NO_REFERENCE
    deadletters: Path | None = None
    blocks: Path | None = None
    watchers: Sequence[Watcher] = ()


def backtest(task: Task, advanced: Advanced = lambda read, events: None) -> Result:
    """Misconfigured where a file cannot be read, or nothing of it can be taken."""
    return asyncio.run(_events(task, advanced))


def rejudge(
    file: BlockFile,
    config: Config,
    reference: Reference = NO_REFERENCE,
    watchers: Sequence[Watcher] = (),
    advanced: Advanced = lambda read, events: None,
) -> Result:
    """The blocks of a file through judge and react, by these settings."""
    return asyncio.run(_blocks(file, config, reference, watchers, advanced))


class _Run:
    """What both have in common: a replay, its result so far, who watches."""

    def __init__(self, config: Config, replay: Replay, watchers: Sequence[Watcher]) -> None:
        self.config, self.replay, self.watchers = config, replay, watchers
        self.result = Result()
        self.started = time.perf_counter()

    async def hear(self, heard: Heard) -> None:
        result = self.result
        result.signals += heard.signals
        result.alerts += heard.alerts
        result.requests += heard.requests
        if self.watchers:
            await self.replay.refresh()
            profiles = self.replay.profiles()
            for watcher in self.watchers:
                watcher.blocks(heard.blocks, profiles)

    async def done(self) -> Result:
        result, replay = self.result, self.replay
        await replay.refresh()
        result.profiles = replay.profiles()
        look_at(result, await replay.fields(), detection_settings(self.config))
        result.summary.seconds = round(time.perf_counter() - self.started, 3)
        for (model, version), profile in sorted(result.profiles.items()):
            for section in (profile.predictions, profile.pairs):
                if section is not None and section.why_not:
                    result.notes.append(f"{model} {version}: {section.stream} never page: {section.why_not}")
        return result


async def _events(task: Task, advanced: Advanced) -> Result:
    config, columns = task.config, task.columns
    mapping = config.ingest.mapping.compiled() if config.ingest.mapping else None
    taken, read = 0, 0

    def moved(position: int) -> None:
        nonlocal read
        read = position
        advanced(read, taken)

    feed = Feed(task.files, columns, mapping, columns_given=task.columns_given, advanced=moved)
    with ExitStack() as stack:
        watchers = list(task.watchers)
        if task.blocks is not None:
            watchers.append(_Kept(stack.enter_context(BlockWriter(task.blocks, 1, complete=True))))
        letters = stack.enter_context(Output(task.deadletters)) if task.deadletters else None
        run = _Run(config, Replay(config), watchers)
        result = run.result
        await run.replay.start(task.reference.build(detection_settings(config)))
        offset = 0
        for slice_ in slices(feed, min(config.ingest.max_batch, SLICE, 2 * config.judge.reference_events)):
            heard = await run.replay.advance([(entry.value, entry.time) for entry in slice_])
            outcomes = sum(entry.sequence & OUTCOME for entry in slice_)
            result.summary.outcomes += outcomes
            result.summary.events += len(slice_) - outcomes
            _refused(result, heard.letters, slice_, offset, feed, letters)
            await run.hear(heard)
            offset += len(slice_)
            taken = offset
            advanced(read, taken)
        await run.hear(await run.replay.finish(feed.last + 1))
        result.times = feed.prediction_times()
        result.first, result.last = (int(result.times[0]) if len(result.times) else 0), feed.last
        await run.done()
        if task.blocks is not None:
            for profile in result.profiles.values():
                watchers[-1].profile(profile)  # type: ignore[attr-defined]
    _say_what_is_odd(result, feed, config)
    return result


async def _blocks(
    file: BlockFile, config: Config, reference: Reference, watchers: Sequence[Watcher], advanced: Advanced
) -> Result:
    run = _Run(config, Replay(config, partitions=file.head.partitions), watchers)
    result = run.result
    built = {(p.model, p.version): p for p in reference.build(detection_settings(config))}
    for key, profile in file.profiles.items():
        ours = built.get(key)
        if ours is not None and ours.predictions.grid.id != profile.predictions.grid.id:
            raise Misconfigured(
                f"the reference of {key[0]} {key[1]} is not the one that these blocks were binned by: give the file "
                f"that profile {profile.id} was built from, or none"
            )
        if ours is None and not (file.head.complete and profile.source == "first_events"):
            built[key] = profile
    await run.replay.start(list(built.values()))
    tally = _Tally()
    done = 0
    for some in _some(file.bundles(), BUNDLES):
        for _, value in some:
            tally.take(value)
        await run.hear(await run.replay.judge(some))
        done += len(some)
        advanced(done, tally.events)
    await run.hear(await run.replay.finish(tally.last))
    result.summary.events, result.summary.outcomes = tally.events, tally.outcomes
    result.summary.refused = tally.refused
    await run.done()
    for key, profile in file.profiles.items():
        if key not in built and not _same_bins(profile, result.profiles.get(key)):
            raise Misconfigured(
                f"these settings make another reference of {key[0]} {key[1]} than its blocks were binned by, from "
                f"{profile.predictions.n:,} first events: give the judge.reference_events (--reference-events) and the "
                f"values of detection.limits that the file was made with, or make it anew with these"
            )
    begins = [profile.judged_from or profile.predictions.end for profile in result.profiles.values()]
    result.first, result.last = min(begins, default=tally.last), tally.last
    return result


def _same_bins(one: Profile, other: Profile | None) -> bool:
    """Whether what was counted by `one` can be judged by `other`."""
    if other is None or one.predictions.grid.id != other.predictions.grid.id:
        return False
    return one.pairs is None or other.pairs is None or one.pairs.grid.id == other.pairs.grid.id


class _Kept:
    """The blocks as they come, into a file."""

    def __init__(self, writer: BlockWriter) -> None:
        self._writer = writer

    def blocks(self, records: Sequence[MemoryRecord], profiles: dict[ModelKey, Profile]) -> None:
        for record in records:
            self._writer.bundle(record.partition, record.value or b"")

    def profile(self, profile: Profile) -> None:
        self._writer.profile(profile)


class _Head(msgspec.Struct):
    watermark: int
    tallies: list[tuple[str, str, int, int, int, int, int, int, dict[int, int]]] = []
    windows: dict[int, WindowTally] = {}


class _Tally:
    """Counts of bundles. Outcomes are those that found their prediction: blocks know no others."""

    def __init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(_Head).decode
        self.events = self.outcomes = self.refused = self.last = 0

    def take(self, value: bytes) -> None:
        head = self._decode(value)
        self.last = max(self.last, head.watermark)
        self.refused += sum(sum(window.refused.values()) for window in head.windows.values())
        for _, _, predictions, joined, *_ in head.tallies:
            self.events += predictions
            self.outcomes += joined


def slices(feed: Feed, most: int) -> Iterator[list[Entry]]:
    """The feed in slices of at most `most` records, cut at midnight (UTC) where there are enough: react's ticks then
    come at the same event times whatever the file's batches."""
    held: list[Entry] = []
    for entries in feed:
        days = np.fromiter((entry.time // DAY_MS for entry in entries), np.int64, len(entries))
        cuts = [*(np.flatnonzero(np.diff(days)) + 1).tolist(), len(entries)]
        begin = 0
        for cut in cuts:
            held += entries[begin:cut]
            begin = cut
            while len(held) >= most:
                yield held[:most]
                del held[:most]
            if len(held) >= LEAST and cut < len(entries):
                yield held
                held = []
    if held:
        yield held


def _some(bundles: Iterator[tuple[int, bytes]], most: int) -> Iterator[list[tuple[int, bytes]]]:
    held: list[tuple[int, bytes]] = []
    for bundle in bundles:
        held.append(bundle)
        if len(held) == most:
            yield held
            held = []
    if held:
        yield held


def _refused(
    result: Result,
    letters: Sequence[MemoryRecord],
    slice_: Sequence[Entry],
    first: int,
    feed: Feed,
    out: Output | None,
) -> None:
    """Count what the door refused, with the file and line that it came from."""
    for record in letters:
        letter = decode_dead_letter(record.value, record.headers)
        entry = slice_[letter.origin.offset - first]
        where = feed.where(entry.sequence)
        result.summary.refused += 1
        if entry.sequence & OUTCOME:
            result.summary.outcomes -= 1
        else:
            result.summary.events -= 1
        result.refusals.by_reason[letter.reason] += 1
        if len(result.refusals.first) < SHOWN:
            result.refusals.first.append((where, letter))
        if out is not None:
            body = {"from": where, **msgspec.to_builtins(letter)}
            out.write(msgspec.json.encode(body) + b"\n")


def _say_what_is_odd(result: Result, feed: Feed, config: Config) -> None:
    """What makes a run worth little, and what to do about it."""
    summary = result.summary
    if not summary.events:
        raise Misconfigured(_nothing_left(result))
    duplicates = result.tallies["duplicate_predictions"]
    if duplicates > summary.events / 100:
        result.notes.append(
            f"{duplicates:,} predictions repeat an id and are counted once: is the column of the id right? Without "
            f"one (`id: none`), every row is an event of its own"
        )
    if feed.disordered > feed.entries / 100:
        result.notes.append(
            f"{feed.disordered:,} rows are far out of order, and late for their pane: sort the files by time"
        )
    ended = sum(
        alarm.monitor == f"{PREDICTIONS}:silence" and alarm.time > result.times[-1] for alarm in result.alarms()
    )
    if ended:
        result.notes.append(
            f"{ended:,} of the alarms: no predictions after the last one of the files, while outcomes still come: that "
            f"is where the history ends"
        )
    if not result.profiles:
        result.notes.append(
            f"nothing was judged: a reference is learnt from {config.judge.reference_events:,} predictions, there "
            f"are {summary.events:,}. Give --reference FILE, or a smaller --reference-events"
        )


def _nothing_left(result: Result) -> str:
    if not result.refusals.first:
        return "the files hold no prediction"
    lines = [f"  {where}: {letter.reason}: {letter.detail}" for where, letter in result.refusals.first[:3]]
    return "\n".join(
        [
            f"every record was refused ({result.summary.refused:,}), first:",
            *lines,
            "Say in --columns MAP.yaml which column is what, or mend the file",
        ]
    )
