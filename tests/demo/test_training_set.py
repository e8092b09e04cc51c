"""What a window advises is what is trained on, and nothing that was not known by then."""

from __future__ import annotations

import numpy as np

from demo.world import many
from driftline.client import Window
from driftline.contracts.reactions import Mix
from driftline.demo.flights import NEVER
from driftline.demo.training_set import held_out, training_rows, weights

FLIGHTS, _ = many(300)
TIME = FLIGHTS.time.tolist()
HOUR = 3_600_000
"""Every outcome of `many` comes an hour after its flight; every seventh never."""


def test_only_the_window_and_only_what_is_known() -> None:
    window = Window(start=TIME[20], to=TIME[200], why="")
    now = TIME[200]
    rows = training_rows(FLIGHTS, window, now)
    expected = [i for i in range(20, 200) if i % 7 and TIME[i] + HOUR <= now]
    assert np.flatnonzero(rows).tolist() == expected
    assert max(expected) == 139
    assert (FLIGHTS.known_at[rows] != NEVER).all()


def test_a_window_without_a_begin_is_all_there_is() -> None:
    window = Window(start=None, to=TIME[50], why="")
    assert np.flatnonzero(training_rows(FLIGHTS, window, TIME[-1]))[0] == 1


def test_a_mix_weights_what_came_since_the_change() -> None:
    mixed = Window(start=TIME[0], to=TIME[9], mix=Mix(since=TIME[3], weight=2.5), why="")
    found = weights(FLIGHTS.time[1:6], mixed)
    assert found is not None
    assert found.tolist() == [1.0, 1.0, 2.5, 2.5, 2.5]
    assert weights(FLIGHTS.time, Window(start=TIME[0], to=TIME[9], why="")) is None


def test_what_is_held_out_is_known_as_it_was_then() -> None:
    held = held_out(FLIGHTS, TIME[100], TIME[200])
    assert held.time.tolist() == TIME[100:200]
    came = held.known_at != NEVER
    assert came.tolist() == [i % 7 != 0 and TIME[i] + HOUR <= TIME[200] for i in range(100, 200)]
    assert not held.late[~came].any()
