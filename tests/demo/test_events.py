"""The script: who says what when, and that poison is refused for the stated reason."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import orjson
import pytest

from demo.world import many
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.demo.events import COPY, OUTCOME, POISON, PREDICTION, Script, write_script
from driftline.demo.model import VERSION, Predictions
from driftline.demo.poison import KINDS, spoil
from driftline.errors import Poison

NOW = 1_700_000_000_000


@pytest.fixture(scope="module")
def script() -> Script:
    return write_script(*many(500), copies=40, spoilt=20)


def fates(script: Script) -> Counter[str]:
    """What a reader makes of every record of a script."""
    found: Counter[str] = Counter()
    seen = set()
    for record in script.records(0, script.n, "events", 4):
        try:
            event = Decoder().decode(record.value)
        except Poison as why:
            found[why.reason] += 1
            continue
        if event.time > NOW:
            found["future"] += 1
        elif isinstance(event, Prediction):
            found["copy" if event.id in seen else "prediction"] += 1
            seen.add(event.id)
        else:
            found["outcome"] += 1
    return found


def test_everything_is_said_once_but_copies(script: Script) -> None:
    assert script.count(PREDICTION, POISON) == 500
    assert script.count(OUTCOME) == 500 - 72
    assert (script.count(COPY), script.count(POISON)) == (40, 20)


def test_readers_find_what_the_script_says(script: Script) -> None:
    expected = {"prediction": 480, "outcome": 428, "copy": 40, **script.refusals()}
    assert fates(script) == expected
    assert sum(script.refusals().values()) == 20


def test_event_time_never_goes_back(script: Script) -> None:
    assert (np.diff(script.at) >= 0).all()


def test_a_flight_keeps_to_one_partition_and_copies_follow_their_original(script: Script) -> None:
    partitions = defaultdict(set)
    for record in script.records(0, script.n, "events", 4):
        partitions[record.key].add(record.partition)
    assert {len(of_flight) for of_flight in partitions.values()} == {1}
    first = {int(r): i for i, (k, r) in enumerate(zip(script.kind, script.row, strict=True)) if k == PREDICTION}
    copies = [(i, int(r)) for i, (k, r) in enumerate(zip(script.kind, script.row, strict=True)) if k == COPY]
    assert all(i > first[row] for i, row in copies)


def test_the_same_flights_give_the_same_script(script: Script) -> None:
    again = write_script(*many(500), copies=40, spoilt=20)
    assert again.records(0, again.n, "e", 4) == script.records(0, script.n, "e", 4)


def test_records_do_not_depend_on_how_they_are_cut(script: Script) -> None:
    whole = script.records(0, script.n, "e", 4)
    assert script.records(0, 33, "e", 4) + script.records(33, script.n, "e", 4) == whole


def test_outcomes_of_poison_are_lonely(script: Script) -> None:
    flights = script.flights
    assert script.lonely() == sum(flights.known_at[row] >= 0 for row in script.poison)


def test_missing_weather_is_null(script: Script) -> None:
    events = [orjson.loads(r.value or b"{}") for r in script.records(0, 1, "e", 4)]
    assert events[0]["features"]["temp"] is None


@pytest.mark.parametrize("number", range(len(KINDS)), ids=[kind.name for kind in KINDS])
def test_each_poison_is_refused_for_its_reason(number: int) -> None:
    event = {"type": "prediction", "id": "1", "model": "m", "version": "1", "time": 1_364_806_800_000}
    value = spoil(number, event | {"features": {"a": 1.5}, "prediction": True, "score": 0.5})
    if KINDS[number].reason == "future":
        assert Decoder().decode(value).time > NOW
        return
    with pytest.raises(Poison) as refused:
        Decoder().decode(value)
    assert refused.value.reason == KINDS[number].reason


def test_another_version_speaks_of_later_flights_only(script: Script) -> None:
    flights = script.flights
    since = int(flights.time[300])
    other = Predictions(np.full(flights.n, 0.75), np.ones(flights.n, np.bool_))
    switched = script.switched(since, "new", other)
    cut = int(np.searchsorted(script.at, since))
    assert switched.records(0, cut, "e", 4) == script.records(0, cut, "e", 4)
    for record in switched.records(0, switched.n, "e", 4):
        try:
            event = Decoder().decode(record.value)
        except Poison:
            continue
        if isinstance(event, Prediction) and event.time <= NOW:
            assert (event.version, event.prediction) == (("new", True) if event.time >= since else (VERSION, False))


def test_copies_are_of_the_version_that_spoke_first(script: Script) -> None:
    copied = script.row[script.kind == COPY]
    since = int(script.flights.time[copied[0]]) + 1  # between an original and its copy, perhaps
    switched = script.switched(since, "new", script.predictions)
    told = defaultdict(set)
    for record in switched.records(0, switched.n, "e", 4):
        if record.key in {script.flights.id[row].encode() for row in copied} and b"prediction" in (
            record.value or b""
        ):
            told[record.key].add(record.value)
    assert {len(values) for values in told.values()} == {1}
