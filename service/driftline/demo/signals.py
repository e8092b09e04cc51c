"""The audit of `signals`: who said what, once, and how long after it happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from driftline.runtime.log import LogReader, Record

SYSTEM: Final = "system:"
LOG_APPEND_TIME: Final = 1


@dataclass(frozen=True)
class Said:
    """One signal: its record's content, and the wall time (ms) at which the log took it."""

    content: dict[str, Any]
    at: int

    @property
    def time(self) -> int:
        """Event time, ms."""
        return int(self.content["time"])

    @property
    def monitor(self) -> str:
        return str(self.content["monitor"])

    @property
    def source(self) -> tuple[str, str, str]:
        """Model, version and monitor."""
        return self.content["model"], self.content["version"], self.monitor

    @property
    def state(self) -> str:
        return str(self.content["state"])

    @property
    def onset(self) -> int | None:
        onset = self.content.get("onset")
        return None if onset is None else int(onset)

    @property
    def sentence(self) -> str:
        return str(self.content["sentence"])


@dataclass
class Spoken:
    """All signals in the order of the log. `verdicts` are those about models, `system` those about the service;
    exact re-deliveries are dropped and counted, an id with two contents is a problem."""

    verdicts: list[Said] = field(default_factory=list)
    system: list[Said] = field(default_factory=list)
    redelivered: int = 0
    problems: list[str] = field(default_factory=list)


async def audit_signals(reader: LogReader, topic: str) -> Spoken:
    bounds = (await reader.bounds(topic))[0]
    return listen(await reader.read(topic, 0, bounds.begin, bounds.end))


def listen(records: Iterable[Record]) -> Spoken:
    found = distinct(records)
    spoken = Spoken(redelivered=found.redelivered, problems=found.problems)
    for content, at in found.contents:
        said = Said(content, at)
        (spoken.system if said.monitor.startswith(SYSTEM) else spoken.verdicts).append(said)
    return spoken


@dataclass
class Distinct:
    """(content, wall time in ms at which the log took it) of each id once; how many exact repetitions there were;
    and a problem for every id that stands for two contents."""

    contents: list[tuple[dict[str, Any], int]] = field(default_factory=list)
    redelivered: int = 0
    problems: list[str] = field(default_factory=list)


def distinct(records: Iterable[Record]) -> Distinct:
    """Records of JSON objects with an `id`, in the order of the log."""
    found = Distinct()
    known: dict[str, bytes] = {}
    for record in records:
        value = record.value or b""
        content: dict[str, Any] = msgspec.json.decode(value)
        if content["id"] in known:
            found.redelivered += 1
            if known[content["id"]] != value:
                found.problems.append(f"the id {content['id']} stands for two contents")
            continue
        known[content["id"]] = value
        found.contents.append((content, record.timestamp))
    return found


def storms(verdicts: Iterable[Said]) -> list[str]:
    """Every second notification for one cause: an alarm of a monitor whose former alarm is not resolved, or whose
    onset lies before that resolution."""
    found = []
    by_monitor: dict[tuple[str, str, str], list[Said]] = defaultdict(list)
    for said in verdicts:
        by_monitor[said.source].append(said)
    for (_, _, monitor), history in by_monitor.items():
        in_alarm, resolved = False, 0
        for said in sorted(history, key=lambda s: int(s.content["sequence"])):
            if said.state == "alarm":
                if in_alarm:
                    found.append(f"{monitor} alarms twice without a resolution")
                elif said.onset is not None and said.onset < resolved:
                    found.append(f"{monitor} alarms again over what was resolved")
                in_alarm = True
            elif said.state == "resolved":
                in_alarm, resolved = False, said.time
    return found


def latencies(verdicts: Iterable[Said], sent_before: Callable[[int], int | None]) -> list[float]:
    """Seconds of wall time from the publishing of the last event of a verdict's last pane to its signal."""
    found = []
    for said in verdicts:
        sent = sent_before(said.time)
        if sent is not None:
            found.append((said.at - sent) / 1000)
    return found


def quantiles(seconds: Iterable[float]) -> dict[str, float | None]:
    """p50 and p99; None where there is nothing."""
    values = list(seconds)
    if not values:
        return {"p50": None, "p99": None}
    p50, p99 = np.quantile(values, (0.5, 0.99))
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3)}
