"""What to train on when a window is advised, and what to hold out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from driftline.client import Window
from driftline.demo.flights import NEVER, Flights, Floats, Ints

Rows = npt.NDArray[np.bool_]


def training_rows(flights: Flights, window: Window, now: int) -> Rows:
    """Flights of the window whose outcome was known at event time `now`. Without a begin it is all there is."""
    start = window.start if window.start is not None else int(flights.time[0])
    inside = (flights.time >= start) & (flights.time < window.to)
    rows: Rows = inside & (flights.known_at != NEVER) & (flights.known_at <= now)
    return rows


def weights(times: Ints, window: Window) -> Floats | None:
    """How much each flight counts in training; None: all the same."""
    if window.mix is None:
        return None
    recent: Floats = np.where(times >= window.mix.since, window.mix.weight, 1.0)
    return recent


def held_out(flights: Flights, since: int, until: int) -> Flights:
    """Flights with since <= time < until, as they are known at `until`: outcomes that come later are not."""
    held = flights.take((flights.time >= since) & (flights.time < until))
    return held.known_until(until)
