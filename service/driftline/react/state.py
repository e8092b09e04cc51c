"""What react remembers: one small record for the whole, and one for each model. Bytes: versioned, checksummed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from driftline.contracts.reactions import Cause, Rule
from driftline.errors import StateCorrupt
from driftline.react.incident import Incident
from driftline.react.silences import Silence
from driftline.stats.codec import pack, unpack

CORE: Final = "core"
POLICY: Final = "policy"
MODEL_PREFIX: Final = "m:"
KIND: Final = "react"
VERSION: Final = 1
MAX_VERSIONS: Final = 16
"""Versions of a model that are remembered; the one that has been silent longest goes first."""
MAX_IDS: Final = 64
"""Ids of lifecycle events, commands and notices of the service that are remembered, each model for itself."""

T = TypeVar("T", bound=msgspec.Struct)


class Version(msgspec.Struct):
    """One version of a model. `last`: sequence number of the last signal taken, by monitor. `incidents`: those that
    are open; `closed`: the last of each cause that is not, for as long as it may be reopened or people have to hear of
    its end. `superseded`: the version deployed in its place."""

    last: dict[str, int] = {}
    incidents: dict[Cause, Incident] = {}
    closed: dict[Cause, Incident] = {}
    seen: int = 0
    labelled: bool | None = None
    profile: str | None = None
    superseded: str | None = None
    retired: bool = False

    @property
    def in_use(self) -> bool:
        return not self.retired and self.superseded is None

    @property
    def awaited(self) -> bool:
        """Whether something of it is still to be told."""
        return bool(self.incidents) or any(incident.owed for incident in self.closed.values())

    def incident(self, cause: Cause) -> Incident | None:
        """Open or not."""
        return self.incidents.get(cause) or self.closed.get(cause)


class Occasion(msgspec.Struct, frozen=True):
    """What the last request was made of: its id, event time, and the onset of the change where one is dated."""

    request: str
    time: int
    onset: int | None


class Request(msgspec.Struct):
    """The retraining request in flight."""

    id: str
    version: str
    rule: Rule
    time: int
    expires: int
    started: bool = False
    escalated: bool = False


class Deferral(msgspec.Struct, frozen=True):
    """What a model would learn from is broken, by the incident of `quality`, or was less than a cool-down ago. `since`:
    onset of what is broken; `ended`: when nothing was any more. `incident` of a `version`: the one that would have
    asked for a retraining; empty where none has yet."""

    version: str
    incident: str
    quality: str
    since: int
    ended: int | None = None


class Comparison(msgspec.Struct):
    """A version deployed at `since`, whose error is awaited, to be compared with that of `old`. `asked`: when the
    retraining was asked for; `onset` of the change that was alarmed of; None: nobody asked, nothing alarmed."""

    old: str | None
    new: str
    request: str | None
    since: int
    asked: int | None = None
    onset: int | None = None


class Model(msgspec.Struct):
    """All that is known of a model. `deployed`: versions in the order of their deployment, the last is in use.
    `occasion`: of the last request, until a deployment answers it. `deferral`: of the next one. `asked`: event times of
    requests, for the budget; `asked_for`: how often, by what triggered them. `quiet_until`: end of the cool-down. The
    service itself is the model with the empty name."""

    name: str
    versions: dict[str, Version] = {}
    deployed: list[str] = []
    request: Request | None = None
    occasion: Occasion | None = None
    comparison: Comparison | None = None
    deferral: Deferral | None = None
    asked: list[int] = []
    asked_for: dict[str, int] = {}
    quiet_until: int = 0
    heard: list[str] = []

    def hear(self, id: str) -> bool:
        """Whether `id` is new; it is remembered."""
        if id in self.heard:
            return False
        self.heard = [*self.heard, id][-MAX_IDS:]
        return True

    def current(self, but: str | None = None) -> str | None:
        """The version in use (other than `but`): the one deployed last, else the one heard of last."""
        used = {name: v for name, v in self.versions.items() if v.in_use and name != but}
        last = next((name for name in reversed(self.deployed) if name in used), None)
        return last or max(((v.seen, name) for name, v in used.items()), default=(0, None))[1]

    def make_room(self) -> None:
        """Forget versions beyond the bound, never one with an open incident before one without."""
        while len(self.versions) > MAX_VERSIONS:
            ranked = sorted(
                (v.awaited, name in self.deployed[-1:], v.seen, name) for name, v in self.versions.items()
            )
            del self.versions[ranked[0][-1]]


class Policy(msgspec.Struct, frozen=True):
    """What people have asked for. `outcomes`: what became of the last commands, by id, as their sender is told.
    `digested`: the last time of its schedule that each digest has honoured. Replaced, never changed."""

    silences: dict[str, Silence] = {}
    outcomes: dict[str, str] = {}
    digested: dict[str, int] = {}


class State(msgspec.Struct):
    """`now`: event time, which never goes back; 0 before the first. `positions`: next offset to take, by role of
    the topic. `scheduled`: the last time of the schedule that was honoured. `rebuilding`: the state was lost, and
    is being made from the log again."""

    now: int = 0
    positions: dict[str, int] = {}
    scheduled: int | None = None
    models: dict[str, Model] = {}
    rebuilding: bool = False
    policy: Policy = Policy()


class _Core(msgspec.Struct):
    now: int
    positions: dict[str, int]
    scheduled: int | None
    rebuilding: bool = False


def field_of(model: str) -> str:
    """The name of a model's field; names are chosen by others, so it is hashed."""
    return MODEL_PREFIX + hashlib.blake2b(model.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def to_fields(state: State, models: Iterable[str]) -> dict[str, bytes]:
    """The fields to write: the core, and those of the given models that are remembered; with the service's (the empty
    name) the policy."""
    fields = {CORE: _pack(_Core(state.now, state.positions, state.scheduled, state.rebuilding))}
    for name in models:
        if name in state.models:
            fields[field_of(name)] = _pack(state.models[name])
        if not name:
            fields[POLICY] = _pack(state.policy)
    return fields


def gone_fields(state: State, models: Iterable[str]) -> list[str]:
    """The fields to delete: those of the given models that are not remembered."""
    return sorted(field_of(name) for name in models if name not in state.models)


def from_fields(fields: Mapping[str, bytes]) -> tuple[State | None, list[str]]:
    """The state, None where there is none to go on from, and the names of fields that cannot be read. A broken
    model starts cold; without the core nothing is known, because nobody can say where to read on."""
    broken: list[str] = []
    state: State | None = None
    if CORE in fields:
        try:
            core = _unpack(_Core, fields[CORE])
            state = State(core.now, core.positions, core.scheduled, rebuilding=core.rebuilding)
        except StateCorrupt:
            broken.append(CORE)
    if state is not None and POLICY in fields:
        try:
            state.policy = _unpack(Policy, fields[POLICY])
        except StateCorrupt:
            broken.append(POLICY)
    for name in sorted(n for n in fields if n.startswith(MODEL_PREFIX)):
        try:
            model = _unpack(Model, fields[name])
        except StateCorrupt:
            broken.append(name)
            continue
        if state is not None:
            state.models[model.name] = model
    return state, broken


def copied(model: Model) -> Model:
    """A model that can be changed without changing this one. Copies no more than is ever changed in place."""
    return msgspec.structs.replace(
        model,
        versions={name: _copied_version(version) for name, version in model.versions.items()},
        request=None if model.request is None else msgspec.structs.replace(model.request),
    )


def _copied_version(version: Version) -> Version:
    return msgspec.structs.replace(
        version,
        last=dict(version.last),
        incidents={cause: incident.copied() for cause, incident in version.incidents.items()},
        closed={cause: incident.copied() for cause, incident in version.closed.items()},
    )


def _pack(value: msgspec.Struct) -> bytes:
    return pack(KIND, VERSION, msgspec.msgpack.encode(value))


def _unpack(kind: type[T], data: bytes) -> T:
    _, body = unpack(KIND, VERSION, data)
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateCorrupt(f"react: {error}") from None
