"""Every detector and sketch is held to every check of `checks`."""

from __future__ import annotations

import gc
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from types import FunctionType, ModuleType

import pytest

import driftline.stats
from driftline.stats.detector_rules import ALIASES, BINARY, GENERAL, parse
from stats.checks import CHECKS, Subject
from stats.subjects import subjects

SUBJECTS = list(subjects())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_holds(subject: Subject, check: Callable[[Subject], None]) -> None:
    check(subject)


def test_no_detector_and_no_sketch_is_left_out() -> None:
    """Mutation: no `_joint()` in `part_subjects`."""
    covered = {cls for subject in SUBJECTS for cls in subject.of}
    found = set(_stateful())
    assert len(found) >= 16
    assert {cls.__qualname__ for cls in found - covered} == set()


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_subject_holds_what_it_says(subject: Subject) -> None:
    """A class that a subject claims is one that its checks run through. Mutation: `Windows` in the `of` of traffic."""
    assert set(subject.of) <= set(_classes_in(subject.fresh()))


def test_no_detector_that_may_be_named_is_left_out() -> None:
    """Mutation: no HDDM_W in `_opinions`."""
    opinions = [subject.name for subject in SUBJECTS if subject.name.endswith(")")]
    assert {parse(name).cls for name in opinions} == {*GENERAL, *BINARY}
    assert set(ALIASES.values()) <= {*GENERAL, *BINARY}


def _stateful() -> Iterator[type]:
    """What hears data and keeps state, or adds itself up."""
    for info in pkgutil.iter_modules(driftline.stats.__path__, "driftline.stats."):
        for cls in vars(import_module(info.name)).values():
            if not inspect.isclass(cls) or cls.__module__ != info.name:
                continue
            hears = any(hasattr(cls, verb) for verb in ("update", "hear", "take"))
            keeps = any(hasattr(cls, verb) for verb in ("to_bytes", "to_state"))
            if (hears and keeps) or hasattr(cls, "merge"):
                yield cls


def _classes_in(it: object) -> Iterator[type]:
    """Its class and bases, and those of everything it holds."""
    seen: set[int] = set()
    ahead = [it]
    while ahead:
        one = ahead.pop()
        if id(one) in seen or isinstance(one, (type, ModuleType, FunctionType)):
            continue
        seen.add(id(one))
        yield from type(one).__mro__
        ahead += gc.get_referents(one)
