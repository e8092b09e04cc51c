"""Alarms against the changes that are known to have happened.

Of each change: the first alarm at or after it and before the next one, with its delay in time and in predictions; a
change without one is missed. Alarms before the first change are false. Beside them stand two detectors that need no
data: one that fires on every pane, and one that never does. No figure is worth more than its distance to both.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from driftline.backtest.cells import time_of
from driftline.backtest.result import Alarm, Result
from driftline.errors import Misconfigured

COLUMNS: Final = ("time", "model", "monitor", "label")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What happened: at `time` (ms); `model` and `monitor` empty: to any. A monitor may be named by its beginning."""

    time: int
    model: str = ""
    monitor: str = ""
    label: str = ""

    def concerns(self, alarm: Alarm) -> bool:
        return (not self.model or alarm.model == self.model) and alarm.monitor.startswith(self.monitor)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A change and what was made of it. Null: missed. `delay_events` counts predictions."""

    change: Change
    alarm: str | None = None
    time: int | None = None
    delay_ms: int | None = None
    delay_events: int | None = None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Of one detector. `days`: event time without a change, in which an alarm is false."""

    found: list[Found]
    false_alarms: int
    days: float

    @property
    def missed(self) -> int:
        return sum(found.time is None for found in self.found)


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    ours: Score
    always_fire: Score
    never_fire: Score


def read_changes(path: Path) -> list[Change]:
    """In order of time. Misconfigured, with the line, where it cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: cannot be read ({error})") from None
    header = [name.strip() for name in rows[0]] if rows else []
    for name in header:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise Misconfigured(f"{path}:1: unknown column {name!r}{hint}. Known: {', '.join(COLUMNS)}")
    if "time" not in header:
        raise Misconfigured(f"{path}:1: a column `time` is wanted, and may be followed by model, monitor, label")
    changes = []
    for line, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        time = time_of(cells.get("time", ""), "ms")
        if not isinstance(time, int):
            raise Misconfigured(f"{path}:{line}: {time!r} is no time; RFC 3339, a date, or ms since 1970 is wanted")
        named = {name: cell for name, cell in cells.items() if name != "time"}
        changes.append(Change(time=time, **named))
    if not changes:
        raise Misconfigured(f"{path}: no change in it")
    return sorted(changes, key=lambda change: change.time)


def judge_alarms(result: Result, changes: Sequence[Change]) -> Truth:
    """Our alarms, and what the two baselines come to on the same panes."""
    first = min(change.time for change in changes)
    begins = [profile.judged_from for profile in result.profiles.values()]
    begin = max(result.first, min(begins, default=result.first))
    days = max(0.0, (first - begin) / 86_400_000)
    alarms = result.alarms()
    ours = Score(
        found=[_found(result, change, changes, alarms) for change in changes],
        false_alarms=sum(alarm.time < first for alarm in alarms),
        days=days,
    )
    panes = _panes(result, begin)
    length = min((profile.pane_ms for profile in result.profiles.values()), default=0)
    always = Score(
        found=[_always(result, change, panes, length) for change in changes],
        false_alarms=int(np.count_nonzero(panes + length < first)),
        days=days,
    )
    never = Score(found=[Found(change=change) for change in changes], false_alarms=0, days=days)
    return Truth(ours=ours, always_fire=always, never_fire=never)


def _found(result: Result, change: Change, changes: Sequence[Change], alarms: Sequence[Alarm]) -> Found:
    until = min((c.time for c in changes if c.time > change.time and _overlap(c, change)), default=None)
    for alarm in alarms:
        if alarm.time >= change.time and (until is None or alarm.time < until) and change.concerns(alarm):
            return _found_at(result, change, alarm.time, alarm.monitor)
    return Found(change=change)


def _overlap(one: Change, other: Change) -> bool:
    """Whether an alarm could be of either."""
    models = not one.model or not other.model or one.model == other.model
    return models and (one.monitor.startswith(other.monitor) or other.monitor.startswith(one.monitor))


def _found_at(result: Result, change: Change, time: int, alarm: str) -> Found:
    at, since = result.index_of(time), result.index_of(change.time)
    return Found(
        change=change,
        alarm=alarm,
        time=time,
        delay_ms=time - change.time,
        delay_events=None if at is None or since is None else at - since,
    )


def _panes(result: Result, begin: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Starts of the panes that held a prediction and were judged."""
    length = min((profile.pane_ms for profile in result.profiles.values()), default=0)
    if not length:
        return np.empty(0, np.int64)
    if not len(result.times):
        return np.arange(begin // length * length, result.last, length, dtype=np.int64)
    return np.unique(result.times[result.times >= begin] // length * length)


def _always(
    result: Result, change: Change, panes: np.ndarray[tuple[int], np.dtype[np.int64]], length: int
) -> Found:
    after = panes[panes + length >= change.time]
    return _found_at(result, change, int(after[0]) + length, "") if len(after) else Found(change=change)
