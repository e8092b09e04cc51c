"""State of river's detectors as plain data, without pickle.

A detector's attributes are walked: numbers, texts, lists and bounded windows, generators of chance, and the few
classes of river that detectors are made of, each named in a table here. Bound methods belong to the constructor and
stay. Whatever else turns up is refused when it is written, with TypeError, not when it is read: the detectors that
the configuration may name are all tested (`tests/stats`). Nothing that is read names a class outside the table.
"""

from __future__ import annotations

import random
from collections import deque
from functools import cache
from importlib import import_module
from inspect import ismethod
from typing import Any, Final

import numpy as np

_PYTHON: Final = {
    "Mean": "river.stats",
    "Var": "river.stats",
    "EWMean": "river.stats",
    "SampleInfo": "river.drift.binary.hddm_w",
}
_COMPILED: Final = {"AdaptiveWindowing": "river._river_rust", "RsEWMean": "river._river_rust"}
_HOMES: Final = {"AdaptiveWindowing": "drift", "RsEWMean": "stats"}


@cache
def _class(name: str) -> Any:
    if name in _COMPILED:
        return getattr(getattr(import_module(_COMPILED[name]), _HOMES[name]), name)
    return getattr(import_module(_PYTHON[name]), name)


def freeze(detector: Any) -> list[Any]:
    """The attributes of a detector in the order of their names. TypeError for what is not plain."""
    return [_freeze(value) for _, value in _attributes(detector)]


def thaw(detector: Any, frozen: list[Any]) -> None:
    """Gives a fresh detector of the same class and arguments the attributes of `freeze`. ValueError or TypeError
    where they are not of such a detector."""
    for (name, _), value in zip(_attributes(detector), frozen, strict=True):
        setattr(detector, name, _thaw(value))


def _attributes(held: Any) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in vars(held).items() if not ismethod(value))


def _freeze(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    name = type(value).__name__
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, deque):
        return ["window", value.maxlen, [_freeze(x) for x in value]]
    if isinstance(value, random.Random):
        kind, words, gauss = value.getstate()
        return ["chance", kind, np.array(words, np.uint32), gauss]
    if name in _COMPILED and type(value) is _class(name):
        return ["compiled", name, list(value.__getnewargs__()), value.__getstate__()]
    if name in _PYTHON and type(value) is _class(name):
        return ["object", name, {key: _freeze(inner) for key, inner in _attributes(value)}]
    raise TypeError(f"a {name} cannot be kept without pickle")


def _thaw(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case ["window", int(most), list(held)]:
            return deque((_thaw(x) for x in held), maxlen=most)
        case ["chance", int(kind), words, gauss]:
            made = random.Random()
            made.setstate((kind, tuple(words.tolist()), gauss))
            return made
        case ["compiled", str(name), list(arguments), bytes(state)] if name in _COMPILED:
            compiled = _class(name)(*arguments)
            compiled.__setstate__(state)
            return compiled
        case ["object", str(name), dict(held)] if name in _PYTHON:
            cls = _class(name)
            found = cls.__new__(cls)
            for key, inner in held.items():
                setattr(found, key, _thaw(inner))
            return found
    raise ValueError("state of a detector that is not plain")
