"""What judge knows, read from the store without taking anything over: event time, and facts for react's policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from driftline.contracts.blocks import NO_WATERMARK, PAIRS, blocks_partition
from driftline.contracts.reactions import Fact
from driftline.errors import StateCorrupt
from driftline.judge.ledger import Ledger
from driftline.judge.model import ModelState
from driftline.judge.stage import LEDGER, LEDGER_VERSION
from driftline.judge.stored import load_models
from driftline.runtime.store import Slot, Snapshot
from driftline.stats.codec import unpack
from driftline.stats.reference import LABEL_DELAY
from driftline.stats.rows import Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings


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
            by_partition.setdefault(blocks_partition(one.model, self._partitions), []).append(one)
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

    async def versions(self, model: str) -> list[ModelState]:
        """All versions of a model that are watched, by name."""
        fields = (await self._store.read(Slot("judge", blocks_partition(model, self._partitions)))).fields
        states, _ = load_models(fields, self._detection)
        return [state for _, state in sorted(states.items()) if state.model == model]


def fact_of(model: ModelState, since: int) -> Fact:
    """What its diary says of the days that end after `since`, and what its reference says."""
    column, days = model.diary.read(model.raw[PAIRS], since)
    section = model.section(PAIRS)
    return Fact(
        model=model.model,
        version=model.version,
        labelled=model.tallies.get("outcomes_joined", 0) > 0,
        column=column,
        days=days,
        reference=None if section is None else _reference(section, column),
        label_delay_ms=_label_delay_ms(model.raw[PAIRS]) if section is None else section.label_delay_p99_ms,
    )


def _reference(section: Section, column: str | None) -> float | None:
    """The mean of the error in the reference."""
    known = next((one for one in section.columns if one.name == column), None)
    if known is None:
        return None
    return known.mean if known.kind != "rate" else float(known.shares[1])


def _label_delay_ms(waiting: list[Rows]) -> int | None:
    parts = [rows.columns[LABEL_DELAY].numbers for rows in waiting if LABEL_DELAY in rows.columns]
    seconds = np.concatenate(parts) if parts else np.empty(0)
    seconds = seconds[~np.isnan(seconds)]
    return max(0, round(1000 * float(np.quantile(seconds, 0.99)))) if len(seconds) else None
