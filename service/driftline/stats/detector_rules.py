"""Detectors that people name in the configuration: `river.drift.KSWIN(alpha=0.001)`.

What is written there is parsed, never evaluated: one call of a class of a fixed list, with literal keyword
arguments of the names that it has. It is constructed, fed and kept once when the configuration is read, so that
whatever is wrong with it is said then.
"""

from __future__ import annotations

import ast
import inspect
from collections import deque
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal, get_args

import msgspec

from driftline.stats.hints import hint, rule_of

Role = Literal["annotate", "page"]

GENERAL: Final = ("ADWIN", "KSWIN", "PageHinkley", "DummyDriftDetector", "NoDrift")
BINARY: Final = ("DDM", "EDDM", "FHDDM", "HDDMA", "HDDMW")
"""For zeros and ones: monitors of rates."""
ALIASES: Final = {"HDDM_A": "HDDMA", "HDDM_W": "HDDMW", "FHDDMS": "FHDDM"}
PREFIXES: Final = ("", "drift", "river.drift", "drift.binary", "river.drift.binary")
NOT_OURS: Final = frozenset({"window"})
"""Parameters that are state."""
MAX_TEXT: Final = 200
MAX_WHOLE: Final = 10_000
"""Bound on every whole number but a seed: windows are memory."""


class Parsed(msgspec.Struct, frozen=True):
    """A class of the list and its arguments."""

    cls: str
    arguments: dict[str, Any]

    @property
    def binary(self) -> bool:
        return self.cls in BINARY

    def make(self) -> Any:
        module = import_module("river.drift.binary" if self.binary else "river.drift")
        return getattr(module, self.cls)(**self.arguments)


class DetectorRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One more detector for the monitors that match `monitor`, of the models that match `model`. `annotate`: its
    change points stand in the signals of others; `page`: it raises alarms too, which no budget bounds. Raises
    ValueError on what is not a detector."""

    monitor: str
    detector: str
    role: Role = "annotate"
    model: str = "*"

    def __post_init__(self) -> None:
        check(self.detector)
        if parse(self.detector).binary and not self.monitor.endswith(":rate"):
            raise ValueError(
                f"{parse(self.detector).cls} hears zeros and ones: its monitor must end in :rate, such as error:rate"
            )

    def applies(self, model: str) -> bool:
        return fnmatchcase(model, self.model)

    def hears(self, monitor: str) -> bool:
        return fnmatchcase(monitor, self.monitor)

    @property
    def name(self) -> str:
        """How it is named in signals: equal detectors have equal names, however they were written."""
        parsed = parse(self.detector)
        given = ", ".join(f"{name}={value!r}" for name, value in sorted(parsed.arguments.items()))
        return f"{'river.drift.binary' if parsed.binary else 'river.drift'}.{parsed.cls}({given})"


def detector_of(given: dict[str, Any]) -> DetectorRule:
    """A rule from plain data. ValueError with what is wrong and what was meant."""
    role = given.get("role", "annotate")
    if role not in get_args(Role):
        raise ValueError(f"a detector's role is annotate or page, not {str(role)[:40]!r}")
    return rule_of(given, DetectorRule, "detector")


@cache
def parse(text: str) -> Parsed:
    """`text` as a class and its arguments. ValueError, never anything run."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a detector is named in {MAX_TEXT} characters at the most")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ValueError(f"{text[:60]!r} is not of the form river.drift.KSWIN(alpha=0.001)") from None
    call = node if isinstance(node, ast.Call) else None
    prefix, _, name = _dotted(call.func if call is not None else node, text).rpartition(".")
    name = ALIASES.get(name, name)
    if prefix not in PREFIXES or name not in (*GENERAL, *BINARY):
        raise ValueError(f"there is no detector {text[:60]!r}; {hint(name, (*GENERAL, *BINARY, *ALIASES))}")
    if call is not None and call.args:
        raise ValueError(f"{name}: give its arguments by name")
    arguments = {}
    allowed = parameters(name)
    for keyword in call.keywords if call is not None else ():
        if keyword.arg not in allowed:
            raise ValueError(f"{name} has no parameter {keyword.arg!r}; {hint(keyword.arg or '', allowed)}")
        arguments[keyword.arg] = _literal(keyword.value, f"{name}({keyword.arg}=...)")
    if "seed" in allowed and arguments.get("seed") is None:
        arguments["seed"] = 0  # chance that is drawn anew in every process could not be judged twice
    return Parsed(name, arguments)


@cache
def check(text: str) -> None:
    """ValueError if what is named cannot be constructed, cannot be fed, or would grow large."""
    parsed = parse(text)
    for name, value in parsed.arguments.items():
        if isinstance(value, int) and name != "seed" and abs(value) > MAX_WHOLE:
            raise ValueError(f"{parsed.cls}: {name} is bounded by {MAX_WHOLE:,}; it is {value:,}")
    try:
        made = parsed.make()
        for i in range(64):
            made.update(i % 2)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ValueError(f"{text[:60]}: {error}") from None
    if any(
        isinstance(held, deque) and (held.maxlen is None or held.maxlen > MAX_WHOLE) for held in vars(made).values()
    ):
        raise ValueError(f"{text[:60]}: its window has no bound, or one above {MAX_WHOLE:,}")


@cache
def parameters(name: str) -> tuple[str, ...]:
    module = import_module("river.drift.binary" if name in BINARY else "river.drift")
    names = list(inspect.signature(getattr(module, name).__init__).parameters)
    return tuple(n for n in names[1:] if n not in NOT_OURS)


def _dotted(node: ast.expr, text: str) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise ValueError(f"{text[:60]!r} is not of the form river.drift.KSWIN(alpha=0.001)")
    return ".".join((node.id, *reversed(parts)))


def _literal(node: ast.expr, where: str) -> bool | int | float | str | None:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"{where}: a number, a text, True, False or None is wanted") from None
    if not isinstance(value, bool | int | float | str | None):
        raise ValueError(f"{where}: a number, a text, True, False or None is wanted")
    return value
