"""One measurement: what the bench asks of a process, and what the process answers."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from driftline.config import Config, load

Way = Literal["consume", "decode", "bare", "ingest", "faust"]


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """At least `warm` events are taken first and not counted, then `events` or more, as polls come, or all that are
    left of the `held` that the topic holds. `name` is used by no other job: the consumer group, the ledger and the
    store's keys are this job's own. `broker`, `store`: their process ids."""

    name: str
    way: Way
    settings: dict[str, Any]
    warm: int
    events: int
    held: int
    features: int
    broker: int
    store: int

    def config(self) -> Config:
        return load(None, {}, overrides=self.settings).config


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds of each process for `events` events. Memory in MB: what the client holds, at the end."""

    events: int
    client_s: float
    broker_s: float
    store_s: float
    wall_s: float
    block_bytes: int
    resident_mb: float
    peak_mb: float

    @property
    def cpu(self) -> float:
        """CPU seconds of the client per million events."""
        return self.client_s / self.events * 1e6


class Meter:
    """Counts from `start` to `stop`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._from: tuple[float, ...] = ()

    def start(self) -> None:
        self._from = self._now()

    @property
    def started(self) -> bool:
        return bool(self._from)

    def stop(self, events: int, block_bytes: int = 0) -> Cost:
        client, broker, store, wall = (b - a for a, b in zip(self._from, self._now(), strict=True))
        return Cost(
            events=events,
            client_s=client,
            broker_s=broker,
            store_s=store,
            wall_s=wall,
            block_bytes=block_bytes,
            resident_mb=memory_mb(os.getpid(), "VmRSS"),
            peak_mb=memory_mb(os.getpid(), "VmHWM"),
        )

    def _now(self) -> tuple[float, ...]:
        return time.process_time(), cpu_s(self._job.broker), cpu_s(self._job.store), time.monotonic()


def cpu_s(pid: int) -> float:
    """User and system seconds of a process so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, which: Literal["VmRSS", "VmHWM"]) -> float:
    """What a process holds now, or held at most (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))
