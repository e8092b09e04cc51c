"""Changes of verdict become signals, with a sequence number per monitor."""

from __future__ import annotations

from collections import Counter

import msgspec

from driftline.contracts.blocks import NO_WATERMARK
from driftline.contracts.records import Signal, SignalState, signal_id
from driftline.judge.model import REFERENCE_MONITOR, ModelState
from driftline.outgoing import signal_record
from driftline.registry import ModelKey
from driftline.runtime.log import Outgoing
from driftline.stats.monitors import Change
from driftline.stats.profile import Profile

ADMISSION_MONITOR = "system:admission"
ROLLING_MONITOR = "system:rolling"


class Speaker:
    """Numbers signals and keeps them for the outbox. `said`: numbers given out before the state was lost."""

    def __init__(self, topic: str, said: dict[str, int]) -> None:
        self._topic = topic
        self._said = said
        self._records: list[Outgoing] = []
        self.states: Counter[SignalState] = Counter()
        self.size = 0

    def drain(self) -> list[Outgoing]:
        records, self._records = self._records, []
        return records

    def say(self, model: ModelState, change: Change) -> None:
        """The signal of a monitor whose verdict changed."""
        sequence = self._number(model, change.monitor)
        evidence = change.evidence
        if evidence is not None:
            evidence = msgspec.structs.replace(evidence, unit=model.settings.unit)
        self.add(
            Signal(
                id=signal_id(model.model, model.version, change.monitor, sequence),
                model=model.model,
                version=model.version,
                monitor=change.monitor,
                sequence=sequence,
                state=change.state,
                severity=change.severity,
                time=change.time,
                sentence=change.sentence,
                onset=change.onset,
                effect=change.effect,
                evidence=evidence,
                distances=change.distances,
                profile=model.profile.id_at(change.time) if model.profile else None,
            )
        )

    def learnt(self, model: ModelState, profile: Profile, stream: str) -> None:
        """A reference of a stream was learnt."""
        section = profile.section(stream)
        assert section is not None
        name = f"{model.model} {model.version}"
        match profile.source:
            case "rolling":
                sentence = f"The reference of {name} was learnt anew from its last {section.n:,} {stream}."
            case "previous_version":
                sentence = f"Until {name} has a reference of its own, it is judged by what its predecessor showed."
            case _:
                what = "joined pairs" if profile.pairs else "predictions"
                sentence = f"Learnt the reference of {name} from its first {section.n:,} {what}."
        if section.why_not:
            sentence += f" Its monitors do not page: {section.why_not}."
        # Numbered by revision, so that a judge that found the first reference published goes on with the second.
        sequence = max(self._number(model, REFERENCE_MONITOR), profile.revision)
        model.sequences[REFERENCE_MONITOR] = sequence
        details: dict[str, str | int | float | bool | None] = {"stream": stream, "revision": profile.revision}
        self._inform(model, REFERENCE_MONITOR, sequence, section.end, sentence, profile.id, details)

    def kept(self, model: ModelState, stream: str, why: str, time: int) -> None:
        """A rolling reference was left as it was."""
        sentence = f"Kept the reference of {model.model} {model.version} for its {stream}: {why}."
        sequence = self._number(model, ROLLING_MONITOR)
        profile = model.profile.id_at(time) if model.profile else None
        self._inform(model, ROLLING_MONITOR, sequence, time, sentence, profile, {"stream": stream})

    def _inform(
        self,
        model: ModelState,
        monitor: str,
        sequence: int,
        time: int,
        sentence: str,
        profile: str | None,
        details: dict[str, str | int | float | bool | None],
    ) -> None:
        self.add(
            Signal(
                id=signal_id(model.model, model.version, monitor, sequence),
                model=model.model,
                version=model.version,
                monitor=monitor,
                sequence=sequence,
                state="info",
                severity="info",
                time=time,
                sentence=sentence,
                profile=profile,
                details=details,
            )
        )

    def not_admitted(self, partition: int, key: ModelKey, budget: int, closed: int) -> None:
        """Said once a partition: the budget of model versions is spent."""
        name = f"{ADMISSION_MONITOR}:{partition}"
        if self._said.get(name):
            return
        self._said[name] = 1
        self.add(
            Signal(
                id=signal_id("", "", name, 1),
                model="",
                version="",
                monitor=name,
                sequence=1,
                state="info",
                severity="warning",
                time=max(closed, 0) if closed > NO_WATERMARK else 0,
                sentence=(
                    f"Blocks partition {partition} holds {budget} model versions, its budget: further ones are "
                    f"counted and not watched, first {key[0]!r} {key[1]!r}. Raise judge.max_models_per_partition, "
                    f"or find the producer that invents names."
                ),
            )
        )

    def _number(self, model: ModelState, monitor: str) -> int:
        before = self._said.get("\x1f".join((model.model, model.version, monitor)), 0)
        number = model.sequences[monitor] = max(model.sequences.get(monitor, 0), before) + 1
        model.touched = True
        return number

    def add(self, signal: Signal) -> None:
        record = signal_record(self._topic, signal)
        self._records.append(record)
        self.states[signal.state] += 1
        self.size += len(record.value or b"")
