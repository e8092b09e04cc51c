"""Recent windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.errors import StateCorrupt, StateTooNew
from driftline.stats.codec import pack, pack_arrays
from driftline.stats.windows import Windows

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SHAPE = (2, 3)


def counts(pane: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.arange(6, dtype=np.int64).reshape(SHAPE) + pane // MINUTE % 1_000


def filled(panes: list[int]) -> Windows:
    windows = Windows(SHAPE)
    for pane in panes:
        windows.update(pane, counts(pane))
    return windows


lists = st.lists(st.integers(-3 * DAY, 3 * DAY).map(lambda at: at // MINUTE * MINUTE), max_size=40, unique=True)


@given(panes=lists, since=st.integers(-3 * DAY, 3 * DAY))
def test_the_window_holds_exactly_its_panes(panes: list[int], since: int) -> None:
    window = filled(panes).covering(since)
    if window is None:
        assert not panes
        return
    inside = [pane for pane in panes if window.first <= pane <= window.last]
    assert window.last == max(panes)
    assert window.first in panes
    np.testing.assert_array_equal(window.counts, sum(counts(pane) for pane in inside))


@given(panes=lists, data=st.data())
def test_order_does_not_matter(panes: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(panes))
    assert filled(shuffled).to_bytes() == filled(panes).to_bytes()


@given(panes=lists, more=lists)
def test_serialise_then_continue(panes: list[int], more: list[int]) -> None:
    windows = filled(panes)
    restored = Windows.from_bytes(SHAPE, windows.to_bytes())
    for pane in more:
        windows.update(pane, counts(pane))
        restored.update(pane, counts(pane))
    assert restored.to_bytes() == windows.to_bytes()


def test_the_longest_window_since_an_onset() -> None:
    windows = filled(list(range(10 * DAY, 12 * DAY + 3 * HOUR + 7 * MINUTE, MINUTE)))
    now = 12 * DAY + 3 * HOUR + 6 * MINUTE

    def first(since: int) -> int:
        window = windows.covering(since)
        assert window is not None and window.last == now
        return window.first

    assert first(0) == 11 * DAY
    assert first(11 * DAY + 1) == 12 * DAY
    assert first(12 * DAY + 1) == 12 * DAY + 2 * HOUR
    assert first(now - 2 * MINUTE) == 12 * DAY + 3 * HOUR + 5 * MINUTE
    assert first(now) == 12 * DAY + 3 * HOUR + 5 * MINUTE, "nothing is so short: the shortest there is"


def test_memory_does_not_grow() -> None:
    panes = list(range(0, 3 * DAY, MINUTE))
    assert len(filled(panes).to_bytes()) < 2 * len(filled(panes[:2_000]).to_bytes())


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Windows(SHAPE).update(0, np.zeros((3, 2), np.int64))
    with pytest.raises(StateCorrupt):
        Windows.from_bytes((3, 2), filled([0]).to_bytes())


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"lengths": [1, 2, 3], "levels": []},
        {"lengths": [300_000, 3_600_000, 86_400_000], "levels": 3},
        {"lengths": [300_000, 3_600_000, 86_400_000], "levels": [[None, None]] * 2},
        {"lengths": [300_000, 3_600_000, 86_400_000], "levels": [[None, 1]] * 3},
        {"lengths": [300_000, 3_600_000, 86_400_000], "levels": [[None, [1, 2, 3, [4]]]] * 3},
        {"lengths": [300_000, 3_600_000, 86_400_000], "levels": [[[0, 0, 0, np.zeros(SHAPE)], None]] * 3},
        {
            "lengths": [300_000, 3_600_000, 86_400_000],
            "levels": [[[0, 0, 0, np.full(SHAPE, -1)], None]] * 3,
        },
    ],
)
def test_faults_c28_windows_that_cannot_be_are_corrupt(state: dict[str, object]) -> None:
    """C28: a body of another shape than ours is StateCorrupt.

    Mutation: in `windows._from_list`, drop the test of the counts' shape and type.
    """
    with pytest.raises(StateCorrupt):
        Windows.from_bytes(SHAPE, pack("windows", 1, pack_arrays(state)))


def test_faults_c28_windows_cut_or_newer() -> None:
    """C28: cut bytes are corrupt, newer ones refused.

    Mutation: in `Windows.from_bytes`, unpack up to VERSION + 1.
    """
    data = filled([0, HOUR]).to_bytes()
    with pytest.raises(StateCorrupt):
        Windows.from_bytes(SHAPE, data[:-1])
    with pytest.raises(StateTooNew):
        Windows.from_bytes(SHAPE, pack("windows", 2, b""))
