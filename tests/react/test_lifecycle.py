"""A deployed version closes the loop: its predecessor's incidents end, and its error is compared."""

from __future__ import annotations

from msgspec.structs import replace

from driftline.contracts.reactions import Day, Fact
from driftline.react.core import questions
from driftline.react.settings import ReactSettings
from react.making import DAY, HOUR, MINUTE, T0, Told, alerts, brief, requests, signal, tick, told

SETTINGS = ReactSettings(compare_pairs=500)


def deployed() -> Told:
    """Asked for at T0, deployed there."""
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate"), signal("features.a:distribution")))
    run.take(told("retraining.started", request=request.id), told("retraining.succeeded", request=request.id))
    said = run.take(told("deployed", request=request.id))
    assert sorted(brief(said)) == ["data:resolved", "performance:resolved"]
    return run


def test_deployment_supersedes_and_is_compared_once() -> None:
    run = deployed()
    assert questions(run.state) == [("m", "1", T0 - 28 * DAY), ("m", "2", T0)]
    fact = Fact(model="m", version="2", labelled=True, column="error", days=[Day(start=T0, n=9, total=1.0)])
    assert run.take(tick(2 * DAY, fact)) == []
    days = [Day(start=(T0 // DAY + 1 + i) * DAY, n=100, total=10.0) for i in range(7)]
    (alert,) = alerts(run.take(tick(9 * DAY, replace(fact, days=days))))
    assert (alert.cause, alert.status, alert.severity, alert.version) == ("retraining", "resolved", "info", "2")
    assert "Nothing is known to compare" in alert.sentence
    assert questions(run.state) == []
    assert run.take(tick(10 * DAY, fact)) == []


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
    assert brief(run.take(told("rolled_back"))) == ["retraining:resolved", "performance:resolved"]
    assert "stays open: it was rolled back" in alerts(run.said)[-2].sentence
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
