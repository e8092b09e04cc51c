"""One reaction in the making: models are copied when they are first touched, so the state given stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from driftline.contracts.reactions import Alert, RetrainingRequested
from driftline.errors import origin
from driftline.react.forgetting import MAX_MODELS, ROOM, forgettable, unsettled
from driftline.react.settings import ReactSettings
from driftline.react.state import Model, State, Version, copied

Said = Alert | RetrainingRequested
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the log: a declared event and its fields."""

    event: str
    fields: dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Digest:
    """What a digest route tells at `due` (ms of event time): how things stand, the gravest first; `more` beyond those.
    The alerts in it are on no topic."""

    name: str
    due: int
    alerts: list[Alert]
    more: int = 0


@dataclass(frozen=True, slots=True)
class Reaction:
    """The new state, what to publish, which models changed or were forgotten, and what to log. Of the alerts in the
    outbox, people are told of those that are not `held`. `forgotten`: keys (ids of incidents) of which nothing will be
    said any more."""

    state: State
    outbox: list[Said]
    dirty: frozenset[str]
    notes: list[Note]
    digests: list[Digest] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


class Draft:
    """Mutable while a message is taken. `now` is event time. `policy` is replaced, never changed."""

    def __init__(self, state: State, settings: ReactSettings, time: int = 0) -> None:
        self.settings = settings
        self.now = max(state.now, time)
        self.scheduled = state.scheduled
        self.policy = state.policy
        self.said: list[Said] = []
        self.notes: list[Note] = []
        self.digests: list[Digest] = []
        self.forgotten: list[str] = []
        self._former = state
        self._models: dict[str, Model] = {}
        self._gone: set[str] = set()

    def names(self) -> list[str]:
        return sorted((self._former.models.keys() | self._models.keys()) - self._gone)

    def look(self, name: str) -> Model | None:
        """A model as it stands, not to be changed."""
        return None if name in self._gone else self._models.get(name) or self._former.models.get(name)

    def model(self, name: str) -> Model:
        """A model to be changed; made if it is new, and another one forgotten if there are too many."""
        if name not in self._models:
            former = None if name in self._gone else self._former.models.get(name)
            self._gone.discard(name)
            self._models[name] = Model(name) if former is None else copied(former)
            if former is None:
                self._make_room()
        return self._models[name]

    def has_room(self) -> bool:
        """Whether one more model is within the bound, or one could go for it."""
        names = self.names()
        return len(names) < MAX_MODELS or any(not unsettled(m) for n in names if (m := self.look(n)) is not None)

    def _make_room(self) -> None:
        """None that this message has touched goes."""
        known = self._former.models
        surplus = len(known) + len(self._models.keys() - known.keys()) - len(self._gone) - MAX_MODELS
        if surplus <= 0:
            return
        others = (model for name, model in known.items() if name not in self._models and name not in self._gone)
        gone = forgettable(others, surplus + ROOM)
        for model in gone:
            self._gone.add(model.name)
            closed = (i for version in model.versions.values() for i in version.closed.values())
            self.forgotten += [incident.id for incident in closed if incident.part_of is None]
        if gone:
            self.note("model.forgotten", models=len(gone))

    def version(self, model: str, name: str) -> Version:
        """A version to be changed; made if it is new."""
        known = self.model(model)
        if name not in known.versions:
            known.versions[name] = Version(seen=self.now)
            known.make_room()
        return known.versions.setdefault(name, Version(seen=self.now))

    def note(self, event: str, **fields: str | int) -> None:
        self.notes.append(Note(event, fields))

    def attempt(self, stage: str, call: Callable[[], T], otherwise: T) -> T:
        """Fail open: a stage of the policy that raises holds nothing back, and that is said."""
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - a defect in a stage must not keep an alarm from people
            self.note("policy.failed", stage=stage, error=origin(error))
            return otherwise

    def done(self) -> Reaction:
        changed = {n: m for n, m in self._models.items() if m != self._former.models.get(n)}
        models = {**self._former.models, **changed}
        for name in self._gone:
            del models[name]
        state = msgspec.structs.replace(
            self._former,
            now=self.now,
            scheduled=self.scheduled,
            models=models,
            policy=self.policy,
        )
        dirty = (
            frozenset(changed) | self._gone | ({""} if self.policy is not self._former.policy else frozenset[str]())
        )
        return Reaction(state, self.said, dirty, self.notes, self.digests, self.forgotten)
