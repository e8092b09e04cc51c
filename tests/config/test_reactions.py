"""React's settings: crontabs are looked at when the process starts."""

from __future__ import annotations

import pytest

from driftline.config import load
from driftline.errors import Misconfigured


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("react.retraining.schedule", "at night"),
        ("react.retraining.schedule", "0 3 * * * *"),
    ],
)
def test_mistakes_are_refused(name: str, value: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(None, overrides={name: value})
    assert name in str(caught.value)
