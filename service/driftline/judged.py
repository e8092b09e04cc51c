"""What judge knows, read from the store without taking anything over: event time, and facts for react's policy."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
import numpy as np

from driftline.contracts.blocks import NO_WATERMARK, PAIRS
from driftline.contracts.reactions import Fact
from driftline.errors import StateCorrupt
from driftline.judge.ledger import Ledger
from driftline.judge.model import ModelState
from driftline.judge.stage import LEDGER, LEDGER_VERSION
from driftline.judge.stored import load_models
from driftline.runtime.store import Slot, Snapshot
from driftline.stats.codec import unpack
from driftline.stats.section import ColumnReference
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import MISSING_BIN

ERRORS: Final = ("error", "loss", "abs_error")
"""Columns of pairs that say how wrong the model is, the plainest first."""


class Readable(Protocol):
    """The part of a store that is needed here."""

    async def read(self, slot: Slot) -> Snapshot: ...

    async def peek(self, slot: Slot, names: Sequence[str]) -> Mapping[str, bytes]: ...


class Asked(Protocol):
    """A question about a model version (`react.core.Question`)."""

    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def since(self) -> int: ...


class Judged:
    """`partitions`: of the topic `blocks`. Every method raises Transient while the store is away."""

    def __init__(self, store: Readable, partitions: int, detection: DetectionSettings) -> None:
        self._store = store
        self._partitions = partitions
        self._detection = detection

    async def closed(self) -> int | None:
        """Event time (ms) up to which every judge has judged; None before the first has."""
        found = []
        for partition in range(self._partitions):
            held = await self._store.peek(Slot("judge", partition), (LEDGER,))
            if LEDGER not in held:
                continue
            try:
                _, body = unpack("ledger", LEDGER_VERSION, held[LEDGER])
                found.append(msgspec.msgpack.decode(body, type=Ledger).closed)
            except (StateCorrupt, msgspec.DecodeError):
                continue
        known = [closed for closed in found if closed != NO_WATERMARK]
        return min(known) if known and len(known) == len(found) else None

    async def facts(self, asked: Iterable[Asked]) -> list[Fact]:
        """The answers, in the order of the questions; model versions that judge does not know are left out."""
        by_partition: dict[int, list[Asked]] = {}
        for one in asked:
            by_partition.setdefault(zlib.crc32(one.model.encode()) % self._partitions, []).append(one)
        found: list[Fact] = []
        for partition, questions in sorted(by_partition.items()):
            fields = (await self._store.read(Slot("judge", partition))).fields
            for question in questions:
                digest = ModelState(question.model, question.version, self._detection).hash
                mine = {name: data for name, data in fields.items() if name.split(":")[1:2] == [digest]}
                models, _ = load_models(mine, self._detection)
                if (model := models.get((question.model, question.version))) is not None:
                    found.append(fact_of(model, question.since))
        return found


def fact_of(model: ModelState, since: int) -> Fact:
    """The mean error of the pairs since `since`, as far as the model's windows go back; and of those it has been
    learning from, where `since` is 0."""
    labelled = model.tallies.get("outcomes_joined", 0) > 0
    best: tuple[int, float] | None = None
    for column in ERRORS:
        n, total = _waiting(model, column)
        monitors = model.monitors.streams.get(PAIRS) if model.monitors is not None else None
        if monitors is not None and model.profile is not None:
            window = monitors.windows.covering(max(since, model.profile.since(PAIRS)))
            for j, reference in enumerate(monitors.columns):
                if reference.name != column:
                    continue
                counts = window.counts[j] if window is not None else np.zeros_like(reference.coarse_counts)
                if not since and model.profile.source == "first_events":
                    counts = counts + reference.coarse_counts
                more, mean = _mean(reference, counts)
                n, total = n + more, total + more * mean
        if n:
            best = n, total / n
            break
    if best is None:
        return Fact(model=model.model, version=model.version, labelled=labelled)
    return Fact(
        model=model.model, version=model.version, labelled=labelled, column=column, n=best[0], error=best[1]
    )


def _mean(reference: ColumnReference, counts: Any) -> tuple[int, float]:
    """(values, their mean) of one column's coarse counts."""
    values = counts.astype(np.float64)
    values[MISSING_BIN] = 0.0
    n = int(values.sum())
    if not n:
        return 0, 0.0
    if reference.kind == "rate":
        return n, float(values[1] / n)
    scores = np.zeros_like(values)
    scores[: len(reference.scores)] = reference.scores
    return n, reference.mean + reference.sd * float(values @ scores / n)


def _waiting(model: ModelState, column: str) -> tuple[int, float]:
    """(values, their sum) of raw pairs that wait for a reference to be learnt from them."""
    n, total = 0, 0.0
    for rows in model.raw[PAIRS]:
        if column in rows.columns:
            numbers = rows.columns[column].numbers
            held = numbers[~np.isnan(numbers)]
            n, total = n + len(held), total + float(held.sum())
    return n, total
