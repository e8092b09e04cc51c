"""Did retraining help: the arithmetic, and an error bar that is not fooled by whole days."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from demo.world import many
from driftline.demo.answers import Answers
from driftline.demo.events import write_script
from driftline.demo.flights import NEVER, Flights
from driftline.demo.helped import by_month, compare, error_rate
from driftline.demo.model import VERSION, Predictions
from driftline.demo.pace import DAY_MS
from driftline.demo.retraining_rows import retraining_rows

DAYS, A_DAY = 40, 50


def days() -> Flights:
    """50 flights a day for 40 days, none late."""
    flights, _ = many(DAYS * A_DAY)
    time = flights.time[0] // DAY_MS * DAY_MS + np.repeat(np.arange(DAYS), A_DAY) * DAY_MS
    return replace(flights, time=time, known_at=time + 1, late=np.zeros(len(time), np.bool_))


def wrong(rows: Any) -> Predictions:
    late = np.zeros(DAYS * A_DAY, np.bool_)
    late[rows] = True
    return Predictions(late.astype(float), late)


FLIGHTS = days()
ALL = np.ones(FLIGHTS.n, np.bool_)
EVERY_DAY = np.arange(FLIGHTS.n) % A_DAY < 10
SOMETIMES = np.arange(FLIGHTS.n) % A_DAY < 5


@pytest.mark.parametrize(
    ("new", "old", "answer"),
    [
        (SOMETIMES, EVERY_DAY, "helped"),
        (EVERY_DAY, SOMETIMES, "made it worse"),
        (EVERY_DAY, EVERY_DAY, "made no difference"),
    ],
)
def test_a_difference_of_every_day_is_one(new: Any, old: Any, answer: str) -> None:
    found = compare(FLIGHTS, wrong(new), wrong(old), ALL)
    assert found is not None
    assert found.answer == answer
    assert found.difference == pytest.approx(found.new - found.old)
    assert found.bar == pytest.approx(0.0, abs=1e-12)


def test_one_bad_day_is_no_difference_however_many_flights_it_has() -> None:
    one_day = np.arange(FLIGHTS.n) < A_DAY
    found = compare(FLIGHTS, wrong(one_day), wrong([]), ALL)
    assert found is not None
    assert found.answer == "made no difference"
    # 50 of 2,000 flights: an error bar that took flights for independent would be 0.007, and see a difference.
    assert found.difference == pytest.approx(0.025)
    assert found.bar == pytest.approx(2 * np.sqrt((50 - 1.25) ** 2 + 39 * 1.25**2) / 2_000)


def test_only_known_outcomes_of_the_rows_count() -> None:
    unknown = replace(FLIGHTS, known_at=np.where(EVERY_DAY, NEVER, FLIGHTS.known_at))
    assert error_rate(unknown, wrong(EVERY_DAY), ALL) == 0.0
    assert error_rate(unknown, wrong(EVERY_DAY), EVERY_DAY) is None
    assert compare(unknown, wrong([]), wrong([]), EVERY_DAY) is None
    assert by_month(unknown, wrong([]), wrong([]), EVERY_DAY) == []
    (month,) = by_month(FLIGHTS, wrong(SOMETIMES), wrong(EVERY_DAY), ALL)
    assert (month["month"], month["error_after"], month["error_without"]) == (4, 0.1, 0.2)


def test_a_row_scores_both_versions_on_the_same_later_flights() -> None:
    """20 days of the old version, which is wrong of 10 flights in 50 a day, and then a new one, wrong of 5."""
    script = write_script(FLIGHTS, wrong(EVERY_DAY), copies=1, spoilt=10)
    since = int(FLIGHTS.time[20 * A_DAY])
    played = script.switched(since, "new", wrong(SOMETIMES))
    asked = since - 5 * DAY_MS
    onset = asked - 2 * DAY_MS
    request = {
        "id": "r",
        "version": VERSION,
        "time": asked,
        "rule": "error_alarm",
        "reason": "It rose.",
        "window": {"from": onset, "to": asked, "why": "Enough."},
    }
    told = [{"request": "r", "what": "deployed", "version": "new", "time": since}]
    (row,) = retraining_rows(Answers(requests=[request], lifecycle=told), script, played)
    clean = script.clean
    after = clean & (FLIGHTS.time >= since)
    evidence = clean & (FLIGHTS.known_at >= onset) & (FLIGHTS.known_at < asked)
    assert row["flights"] == after.sum()
    assert row["error_after"] == pytest.approx(SOMETIMES[after].mean(), abs=1e-4)
    assert row["error_without"] == pytest.approx(EVERY_DAY[after].mean(), abs=1e-4)
    assert row["error_before"] == pytest.approx(EVERY_DAY[evidence].mean(), abs=1e-4)
    assert (row["answer"], row["version"]) == ("helped", "new")


def test_a_request_that_nobody_deployed_has_no_answer() -> None:
    script = write_script(FLIGHTS, wrong(EVERY_DAY), copies=1, spoilt=10)
    window = {"from": None, "to": 5, "why": ""}
    request = {"id": "r", "version": VERSION, "time": 5, "rule": "manual", "reason": "", "window": window}
    (row,) = retraining_rows(Answers(requests=[request]), script, script)
    assert (row["deployed"], row["error_before"], row["error_after"], row["answer"]) == (None, None, None, None)
