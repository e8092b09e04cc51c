"""A deployed version closes the loop: its predecessor's incidents end, and its error is compared."""

from __future__ import annotations

import pytest

from driftline.contracts.reactions import Fact
from driftline.react.core import questions
from driftline.react.settings import ReactSettings
from react.making import HOUR, MINUTE, T0, Told, alerts, brief, requests, signal, tick, told

SETTINGS = ReactSettings(compare_pairs=500)


def error(value: float, n: int = 1_000, version: str = "2", column: str = "error") -> Fact:
    return Fact(model="m", version=version, labelled=True, column=column, n=n, error=value)


def deployed() -> Told:
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate"), signal("features.a:distribution")))
    run.take(told("retraining.started", request=request.id), told("retraining.succeeded", request=request.id))
    said = run.take(told("deployed", request=request.id))
    assert sorted(brief(said)) == ["data:resolved", "performance:resolved"]
    return run


def test_deployment_supersedes_and_is_compared() -> None:
    run = deployed()
    assert questions(run.state) == [("m", "1", T0 - HOUR), ("m", "2", 0)]
    assert run.take(tick(HOUR, error(0.1, n=499))) == []
    (alert,) = alerts(run.take(tick(2 * HOUR, error(0.1))))
    assert (alert.cause, alert.status, alert.severity, alert.version) == ("retraining", "resolved", "info", "2")
    assert alert.details["error_before"] == 0.25
    assert alert.details["error_after"] == 0.1
    assert "Retraining helped" in alert.sentence
    assert questions(run.state) == []
    assert run.take(tick(3 * HOUR, error(0.1))) == []


@pytest.mark.parametrize(
    ("after", "words"), [(0.1, "helped"), (0.24, "not clearly"), (0.26, "not clearly"), (0.4, "worse")]
)
def test_the_verdict_minds_the_error_bars(after: float, words: str) -> None:
    (alert,) = alerts(deployed().take(tick(HOUR, error(after))))
    assert words in alert.sentence


def test_where_the_alarm_says_no_mean_judge_is_asked_for_the_old_version() -> None:
    run = Told(SETTINGS)
    run.take(signal("loss:distribution"), told("deployed"))
    facts = (error(0.1, column="loss"), error(0.3, version="1", column="loss"))
    (alert,) = alerts(run.take(tick(HOUR, *facts)))
    assert alert.details["error_before"] == 0.3


def test_without_any_error_before_it_says_so() -> None:
    run = Told(SETTINGS)
    run.take(told("deployed"))
    (alert,) = alerts(run.take(tick(HOUR, error(0.1))))
    assert "Nothing is known to compare" in alert.sentence


def test_a_superseded_version_alarms_and_asks_for_nothing() -> None:
    run = deployed()
    said = run.take(signal("error:rate", 2, at=48 * HOUR), tick(49 * HOUR))
    assert brief(said) == ["performance:open"]


def test_the_new_version_asks_after_the_cool_down() -> None:
    run = deployed()
    said = run.take(signal("error:rate", version="2", at=MINUTE), tick(5 * HOUR), tick(7 * HOUR))
    assert [r.version for r in requests(said)] == ["2"]


def test_a_roll_back_brings_the_former_version_back() -> None:
    run = deployed()
    run.take(signal("error:rate", version="2", at=MINUTE))
    assert brief(run.take(told("rolled_back"))) == ["performance:resolved"]
    model = run.state.models["m"]
    assert model.current() == "1"
    assert model.comparison is None
    said = run.take(signal("error:rate", 2, at=12 * HOUR))
    assert [r.version for r in requests(said)] == ["1"]


def test_an_event_told_twice_is_one() -> None:
    run = deployed()
    before = run.state
    (request,) = requests(run.said)
    assert run.take(told("deployed", request=request.id)) == []
    assert run.state == before


def test_a_failure_is_told_and_success_later_ends_it() -> None:
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate")))
    (alert,) = alerts(run.take(told("retraining.failed", version="1", request=request.id)))
    assert (alert.cause, alert.status, alert.severity) == ("retraining", "open", "error")
    assert "retraining:resolved" in brief(run.take(told("deployed")))
