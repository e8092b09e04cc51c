"""One open incident for each model version and cause; late duplicates re-open nothing."""

from __future__ import annotations

import msgspec
import pytest

from driftline.react.causes import cause_of
from driftline.react.core import react
from driftline.react.settings import ReactSettings
from driftline.react.state import MAX_VERSIONS, State
from react.making import HOUR, MINUTE, Told, alerts, brief, service_signal, signal, tick

QUIET = ReactSettings(retrain=False)


@pytest.mark.parametrize(
    ("monitor", "cause"),
    [
        ("error:rate", "performance"),
        ("abs_error:distribution", "performance"),
        ("loss:distribution", "performance"),
        ("prediction:distribution", "prediction"),
        ("scores.a:b:distribution", "prediction"),
        ("segments.sex:positive_rate_ratio >= 0.8", "prediction"),
        ("features.age:distribution", "data"),
        ("features.error:distribution", "data"),
        ("features.age:schema", "quality"),
        ("prediction:cardinality", "quality"),
        ("system:state_lost:judge/3", "service"),
    ],
)
def test_causes(monitor: str, cause: str) -> None:
    assert cause_of(monitor) == cause


def test_an_incident_opens_is_updated_and_is_resolved() -> None:
    run = Told(ReactSettings(retrain=False, update_every_ms=0))
    said = alerts(
        run.take(
            signal("features.a:distribution", severity="warning"),
            signal("features.b:distribution", at=MINUTE, severity="error"),
            signal("features.a:distribution", 2, "resolved", at=2 * MINUTE),
            signal("features.b:distribution", 2, "resolved", at=3 * MINUTE),
        )
    )
    assert [(a.status, a.count, a.severity) for a in said] == [
        ("open", 1, "warning"),
        ("updated", 2, "error"),
        ("updated", 1, "error"),
        ("resolved", 0, "error"),
    ]
    assert len({a.incident for a in said}) == 1
    assert len({a.id for a in said}) == 4
    assert said[1].monitors[0] == "features.b:distribution"


def test_causes_and_versions_have_incidents_of_their_own() -> None:
    run = Told(QUIET)
    said = alerts(
        run.take(signal("features.a:distribution"), signal("error:rate"), signal("error:rate", version="2"))
    )
    assert len({a.incident for a in said}) == 3


def test_a_late_duplicate_reopens_nothing() -> None:
    """Mutation: do not compare with `last` in take_signal; the copy of the alarm opens an incident."""
    run = Told(QUIET)
    first, second = signal("error:rate", 1), signal("error:rate", 2, "resolved", at=MINUTE)
    run.take(first, second)
    before = msgspec.msgpack.encode(run.state)
    assert run.take(second, first, second) == []
    assert msgspec.msgpack.encode(run.state) == before
    assert brief(run.take(signal("error:rate", 3, at=2 * MINUTE))) == ["performance:reopened"]


def test_row_43_five_thousand_features_are_two_alerts() -> None:
    """Mutation: tell at once in incidents.changed; every feature is an alert."""
    run = Told(QUIET)
    said = run.take(*(signal(f"features.f{i}:distribution", at=i) for i in range(5_000)))
    said += run.take(tick(MINUTE), tick(5 * MINUTE), tick(10 * MINUTE))
    assert [(a.status, a.count, len(a.monitors), len(a.evidence)) for a in alerts(said)] == [
        ("open", 1, 1, 1),
        ("updated", 5_000, 10, 5),
    ]


def test_a_reference_learnt_anew_resolves_what_was_judged_by_the_old_one() -> None:
    run = Told(QUIET)
    run.take(signal("features.a:distribution"), signal("prediction:distribution"))
    pairs = signal("system:reference", 2, "info", stream="pairs")
    assert run.take(pairs) == []
    anew = signal("system:reference", 3, "info", stream="predictions", severity="info")
    assert sorted(brief(run.take(anew))) == ["data:resolved", "prediction:resolved"]


def test_that_too_many_are_refused_ends_when_that_is_said() -> None:
    """Mutation: leave out `and not lasts`."""
    run, monitor = Told(QUIET), "system:invalid_events:2"
    run.take(tick(0))
    assert brief(run.take(signal(monitor, 1, model="", version=""))) == ["service:open"]
    assert "service:resolved" not in brief(run.take(tick(2 * HOUR), tick(50 * HOUR)))
    assert brief(run.take(signal(monitor, 2, "resolved", model="", version=""))) == ["service:resolved"]


def test_the_service_has_one_incident_that_ends_by_itself() -> None:
    run = Told(QUIET)
    run.take(tick(0))
    assert brief(run.take(service_signal("0-5"), service_signal("0-5"))) == ["service:open"]
    assert run.take(service_signal("x", "system:admission:0")) == []
    assert brief(run.take(tick(10 * MINUTE), service_signal("7-9"))) == ["service:updated"]
    assert run.take(tick(HOUR)) == []
    assert brief(run.take(tick(2 * HOUR))) == ["service:resolved"]


def test_the_state_given_is_not_changed() -> None:
    """Mutation: return the former model itself from Draft.model; the state given has an incident."""
    run = Told()
    run.take(signal("features.a:distribution"))
    before = msgspec.msgpack.encode(run.state)
    for message in (signal("features.b:distribution"), signal("error:rate"), tick(HOUR)):
        react(run.state, message, run.settings)
        assert msgspec.msgpack.encode(run.state) == before


def test_versions_are_bounded_and_open_incidents_are_kept() -> None:
    run = Told(QUIET)
    run.take(signal("error:rate", version="first"))
    for i in range(3 * MAX_VERSIONS):
        run.take(signal("error:rate", 1, "resolved", version=f"v{i}", at=i + 1))
    versions = run.state.models["m"].versions
    assert len(versions) == MAX_VERSIONS
    assert "first" in versions


def test_time_never_goes_back() -> None:
    run = Told(QUIET)
    run.take(signal(at=HOUR), signal("loss:distribution", at=0), tick(0))
    assert run.state.now == signal(at=HOUR).time
    assert run.state is not State()
