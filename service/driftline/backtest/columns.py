"""Which column of a file is what: the file given by `--columns`, or our own names."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import yaml

from driftline.columns import EventColumns
from driftline.errors import Misconfigured

TimeUnit = Literal["s", "ms", "us", "ns"]
_NAMES: Final = ("time", "model", "version", "id", "prediction", "score", "outcome", "outcome_time", "latency_ms")
DEFAULT_MODEL: Final = "model"
DEFAULT_VERSION: Final = "1"


class Columns(EventColumns, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Columns by what they hold; a column that is not named here and not there is left out.

    `features`: names, or "*" for all columns that are nothing else. `segments` are told apart as text and are no
    features. `constants` are values of fields that no column holds. `time_unit` is the unit of numeric times.
    `given` are the fields that were named on purpose: their columns must exist."""

    time_unit: TimeUnit = "ms"
    model: str = "model"
    version: str = "version"
    features: list[str] | Literal["*"] = "*"
    segments: list[str] = msgspec.field(default_factory=list)
    ignore: list[str] = msgspec.field(default_factory=list)
    constants: dict[str, str | int | float | bool] = msgspec.field(default_factory=dict)
    given: tuple[str, ...] = ()

    def constant(self, field: str, default: str) -> str:
        return str(self.constants.get(field, default))

    def special(self) -> set[str]:
        """The columns that are no features."""
        named = {getattr(self, field) for field in _NAMES}
        return {*named, *self.segments, *self.ignore, "type"}

    def features_of(self, names: Collection[str]) -> list[str]:
        """The features among the columns of a file, in its order."""
        if self.features != "*":
            return list(self.features)
        special = self.special()
        return [name for name in names if name not in special]

    def check(self, names: Collection[str], file: str) -> None:
        """Misconfigured where a column that is needed, or was named, is not among those of `file`."""
        wanted: dict[str, str] = {
            str(field): getattr(self, field) for field in _NAMES if field in self.given or field == "time"
        }
        wanted |= {f"features[{i}]": name for i, name in enumerate(self.features) if self.features != "*"}
        wanted |= {f"segments[{i}]": name for i, name in enumerate(self.segments)}
        for field, name in wanted.items():
            if name not in names:
                raise Misconfigured(
                    f"{file}: there is no column {name!r}, which {field} is to be read from{_meant(name, names)}. "
                    f"Say in --columns MAP.yaml which column it is; there are {', '.join(names) or 'none'}"
                )


def read_columns(file: Path | None) -> Columns:
    """The map in a YAML file. Misconfigured, with what was probably meant, where it is none."""
    if file is None:
        return Columns()
    try:
        data = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise Misconfigured(f"{file}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Misconfigured(f"{file}{f':{mark.line + 1}' if mark else ''}: not YAML") from None
    if not isinstance(data, Mapping):
        raise Misconfigured(f"{file}: a mapping is wanted, such as `time: event_time`")
    known = [name for name in Columns.__struct_fields__ if name != "given"]
    for key in data:
        if key not in known:
            raise Misconfigured(
                f"{file}: there is no field {key!r}{_meant(str(key), known)}. Known: {', '.join(known)}"
            )
    return _converted(file, {str(key): value for key, value in data.items()})


def _converted(file: Path, data: dict[str, Any]) -> Columns:
    constants = data.get("constants") or {}
    for name in constants if isinstance(constants, Mapping) else ():
        if name not in ("model", "version"):
            raise Misconfigured(f"{file}: constants: only model and version can be constant, not {name!r}")
    try:
        return msgspec.convert({**data, "given": tuple(data)}, Columns)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{file}: {error}") from None


def _meant(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
