"""Foreign JSON: where the fields of an event are found in somebody else's records.

A path is dotted (`payload.user.id`); at each level a key that equals the whole rest of the path wins, so keys
that contain dots are reachable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from driftline.contracts.reasons import Reason, poison

Kind = Literal["prediction", "outcome"]
Constant = str | bool | int | float

_SCALARS: Final = ("id", "model", "version", "time", "prediction", "score", "outcome", "latency_ms")
_PER_MS: Final = {"us": 1_000, "ns": 1_000_000}


class KindAt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kind stands in the record: the value at `path` (numbers and booleans as JSON writes them) names it."""

    path: str
    values: dict[str, Kind]


class FieldMapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read records that carry no native `type`. Fields without a path are absent.

    `features` is the path of an object, a list of paths (each is the feature's name), or "*": every top-level
    field that no other path begins with. `constants` are values of fields that no path leads to; a field found
    by its path goes before its constant. `time_unit` is of numeric times. ValueError if a needed field has
    neither path nor constant.
    """

    kind: Kind | KindAt
    id: str
    time: str
    model: str | None = None
    version: str | None = None
    features: str | tuple[str, ...] | None = None
    prediction: str | None = None
    score: str | None = None
    outcome: str | None = None
    latency_ms: str | None = None
    time_unit: Literal["s", "ms", "us", "ns"] = "ms"
    constants: dict[str, Constant] = {}

    def __post_init__(self) -> None:
        unknown = sorted(set(self.constants) - set(_SCALARS))
        if unknown:
            raise ValueError(f"constants: {unknown[0]!r} is no field of an event")
        kinds = {self.kind} if isinstance(self.kind, str) else set(self.kind.values.values())
        needed = ["model"]
        needed += ["version"] if "prediction" in kinds else []
        needed += ["outcome"] if "outcome" in kinds else []
        for field in needed:
            if getattr(self, field) is None and field not in self.constants:
                raise ValueError(f"{field}: neither a path nor a constant is given")


def map_record(mapping: FieldMapping, record: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """Kind and native form of a foreign record. Poison `mapping` if its kind or a mapped id is not there."""
    kind = _kind(mapping, record)
    native: dict[str, Any] = dict(mapping.constants)
    for field in _SCALARS:
        path = getattr(mapping, field)
        value = None if path is None else find(record, path)
        if value is not None:
            native[field] = value
    for field in ("id", "time"):
        if field not in native:
            raise poison(Reason.MAPPING, f"{field}: nothing at {getattr(mapping, field)}")
    time = native["time"]
    if mapping.time_unit != "ms" and isinstance(time, int | float) and not isinstance(time, bool):
        native["time"] = _to_ms(time, mapping.time_unit)
    if kind == "prediction" and mapping.features is not None:
        native["features"] = _features(mapping, record)
    return kind, native


def find(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None if there is none."""
    here: Any = record
    rest = path
    while isinstance(here, Mapping):
        if rest in here:
            return here[rest]
        key, dot, rest = rest.partition(".")
        if not dot:
            return None
        here = here.get(key)
    return None


def _kind(mapping: FieldMapping, record: Mapping[str, Any]) -> Kind:
    if isinstance(mapping.kind, str):
        return mapping.kind
    value = find(record, mapping.kind.path)
    if not isinstance(value, str) and isinstance(value, bool | int | float):
        value = msgspec.json.encode(value).decode()
    kind = mapping.kind.values.get(value) if isinstance(value, str) else None
    if kind is None:
        raise poison(Reason.MAPPING, f"kind: no known value at {mapping.kind.path}")
    return kind


def _to_ms(time: int | float, unit: str) -> int | float:
    if unit == "s":
        return round(time * 1000) if abs(time) < 1e15 else time
    return int(time // _PER_MS[unit])


def _features(mapping: FieldMapping, record: Mapping[str, Any]) -> Any:
    wanted = mapping.features
    if isinstance(wanted, tuple):
        return {path: find(record, path) for path in wanted}
    if wanted != "*":
        return find(record, wanted) if wanted is not None else None
    paths = [getattr(mapping, field) for field in _SCALARS]
    if isinstance(mapping.kind, KindAt):
        paths.append(mapping.kind.path)
    taken = {path if path in record else path.partition(".")[0] for path in paths if path is not None}
    return {name: value for name, value in record.items() if name not in taken}
