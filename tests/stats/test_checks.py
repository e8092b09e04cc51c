"""Every detector and sketch is held to every check of `checks`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stats.checks import CHECKS, Subject
from stats.subjects import subjects


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("subject", list(subjects()), ids=lambda subject: subject.name)
def test_holds(subject: Subject, check: Callable[[Subject], None]) -> None:
    check(subject)
