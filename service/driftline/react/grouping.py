"""Which incidents people hear of together: those of several models that show the same upstream column.

A *case* is what people see: the incident that leads it, and those told with it. It is open while one of them is, has
the leader's id as its key, and what people have heard of it is kept with the leader, even when that has ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from driftline.contracts.reactions import Cause
from driftline.react.causes import column_of
from driftline.react.incident import Incident
from driftline.react.state import Model

SHARED: Final[frozenset[Cause]] = frozenset({"data", "quality"})
FEATURES: Final = "features."


@dataclass(frozen=True, slots=True)
class Found:
    """An incident, and where it is."""

    model: str
    version: str
    incident: Incident

    @property
    def order(self) -> tuple[int, str, str]:
        return self.incident.opened, self.model, self.version

    @property
    def open(self) -> bool:
        return self.incident.closed is None


@dataclass(slots=True, eq=False)
class Case:
    leader: Found
    members: list[Found] = field(default_factory=list)

    @property
    def all(self) -> list[Found]:
        return [self.leader, *self.members]

    @property
    def lasts(self) -> bool:
        return any(found.open for found in self.all)


def upstreams(incident: Incident, names: Mapping[str, str]) -> frozenset[str]:
    """What fills the features of an incident: by the first pattern that fits a column, else the column itself."""
    if incident.cause not in SHARED:
        return frozenset()
    columns = {column_of(monitor) for monitor in incident.monitors}
    return frozenset(upstream(column, names) for column in columns if column.startswith(FEATURES))


def upstream(column: str, names: Mapping[str, str]) -> str:
    """Patterns are of columns as they are written in profiles (`age`) or in monitors (`features.age`)."""
    name = column.removeprefix(FEATURES)
    return next((up for pattern, up in names.items() if fnmatchcase(name, pattern) or column == pattern), name)


def found_in(models: Iterable[Model]) -> list[Found]:
    """All incidents that are remembered, the oldest first."""
    found = [
        Found(model.name, name, incident)
        for model in models
        for name, version in model.versions.items()
        for held in (version.incidents, version.closed)
        for incident in held.values()
    ]
    return sorted(found, key=lambda f: f.order)


def cases_of(found: Iterable[Found]) -> list[Case]:
    """One whose leader is forgotten stands for itself."""
    held = list(found)
    cases = {f.incident.id: Case(f) for f in held if f.incident.part_of is None}
    for one in held:
        lead = one.incident.part_of
        if lead is not None:
            if lead.incident in cases:
                cases[lead.incident].members.append(one)
            else:
                cases[one.incident.id] = Case(one)
    return list(cases.values())


class Leaders:
    """Cases that an incident of which nobody has heard may join, the oldest first."""

    def __init__(self, cases: Iterable[Case], names: Mapping[str, str], within_ms: int) -> None:
        self._names = names
        self._within = within_ms
        self._by: dict[tuple[Cause, str], list[Case]] = {}
        self._joined: dict[str, Case] = {}
        for case in cases:
            for one in case.all:
                for name in upstreams(one.incident, names):
                    self._by.setdefault((one.incident.cause, name), []).append(case)

    def of(self, case: Case) -> Case | None:
        """What `case` should join: one that shows the same and opened at about the same time. Versions of a model
        count as models."""
        own = case.leader
        for name in sorted(upstreams(own.incident, self._names)):
            for other in self._by.get((own.incident.cause, name), ()):
                lead = self._joined.get(other.leader.incident.id, other)
                first = lead.leader.incident.heard is not None or lead.leader.order < own.order
                near = abs(lead.leader.incident.opened - own.incident.opened) <= self._within
                if lead is not case and first and near:
                    return lead
        return None

    def join(self, case: Case, lead: Case) -> None:
        lead.members.append(case.leader)
        self._joined[case.leader.incident.id] = lead
