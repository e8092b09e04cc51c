"""What a backtest compares with: a profile that was built before, or the rows of a data file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from driftline.backtest.columns import Columns
from driftline.backtest.feed import Feed
from driftline.columns import EVENT_FIELDS
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.contracts.mapping import FieldMapping
from driftline.errors import Misconfigured, Poison, StateCorrupt
from driftline.reference_build import Columns as BuildColumns
from driftline.reference_build import build_profile
from driftline.registry import ModelKey
from driftline.stats.profile import Profile, decode_profile
from driftline.stats.settings import DetectionSettings

# Names that no column of a file has.
_OWN: Final = {name: f"\x00{name}" for name in EVENT_FIELDS}
_BUILD: Final = BuildColumns(
    time=_OWN["time"],
    id=_OWN["id"],
    prediction=_OWN["prediction"],
    score=_OWN["score"],
    outcome=_OWN["outcome"],
    outcome_time=_OWN["outcome_time"],
    latency_ms=_OWN["latency_ms"],
    ignored=(),
    segments="\x00segments",
)


@dataclass(frozen=True)
class Reference:
    """Profiles as they are, or tables by model version, of which profiles are built by any settings."""

    profiles: Sequence[Profile] = ()
    tables: Mapping[ModelKey, Mapping[str, Sequence[Any]]] | None = None

    def build(self, settings: DetectionSettings) -> list[Profile]:
        """Misconfigured where the rows are too few, or say nothing."""
        built = list(self.profiles)
        for (model, version), table in sorted((self.tables or {}).items()):
            try:
                built.append(
                    build_profile(table, model=model, version=version, columns=_BUILD, settings=settings, created=0)
                )
            except ValueError as error:
                raise Misconfigured(f"the reference of {model} {version} cannot be learnt: {error}") from None
        return built


def read_reference(
    path: Path, columns: Columns, mapping: FieldMapping | None, decoder: Decoder, *, columns_given: bool
) -> Reference:
    """The profile in a file ending in .json, else the rows of a data file. Misconfigured where there are none."""
    if path.suffix.lower() == ".json":
        try:
            return Reference([decode_profile(path.read_bytes())])
        except OSError as error:
            raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from None
        except StateCorrupt as error:
            raise Misconfigured(f"{path}: no profile as `driftline reference` writes it ({error})") from None
    feed = Feed([path], columns, mapping, columns_given=columns_given)
    rows: dict[ModelKey, dict[str, dict[str, Any]]] = {}
    outcomes: dict[tuple[str, str], tuple[Any, int]] = {}
    for entries in feed:
        for entry in entries:
            try:
                event = decoder.decode(entry.value)
            except Poison:
                continue
            if isinstance(event, Prediction):
                rows.setdefault((event.model, event.version), {}).setdefault(event.id, _row(event))
            else:
                outcomes.setdefault((event.model, event.id), (event.outcome, event.time))
    if not rows:
        raise Misconfigured(f"{path}: not one row can be read as a prediction; `driftline backtest` on it says why")
    return Reference(tables={key: _table(key[0], of_model, outcomes) for key, of_model in rows.items()})


def _row(event: Prediction) -> dict[str, Any]:
    own = {"time": event.time, "id": event.id, "prediction": event.prediction, "score": event.score}
    if event.latency_ms is not None:
        own["latency_ms"] = event.latency_ms
    if event.segments:
        own["segments"] = event.segments
    features: dict[str, Any] = orjson.loads(event.features)
    return {f"\x00{name}": value for name, value in own.items()} | features


def _table(
    model: str, rows: dict[str, dict[str, Any]], outcomes: Mapping[tuple[str, str], tuple[Any, int]]
) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows.values() for name in row)
    table = {name: [row.get(name) for row in rows.values()] for name in names}
    known = [outcomes.get((model, id_)) for id_ in rows]
    if any(known):
        table[_OWN["outcome"]] = [None if found is None else found[0] for found in known]
        table[_OWN["outcome_time"]] = [None if found is None else found[1] for found in known]
    return {name: column for name, column in table.items() if any(cell is not None for cell in column)}
