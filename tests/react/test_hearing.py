"""When people hear of an incident, and how often."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.contracts.records import SignalState
from driftline.react.core import react
from driftline.react.settings import ReactSettings, Timing
from driftline.react.state import State
from react.hearing import AT_ONCE, PATIENTLY, Same, ack, heard, resolve, told
from react.making import DAY, HOUR, MINUTE, Told, alerts, signal, tick

A = "features.a:distribution"


def test_row_43_a_storm_of_five_thousand_features_in_a_minute_is_one_message() -> None:
    """Mutation: answer "open" without looking at group_wait_ms in due; there are two messages, of one feature and of
    all. Telling at once in telling.changed is another, and makes thousands."""
    run = Told(PATIENTLY)
    run.take(tick(0))
    for i in range(5_000):
        run.take(signal(f"features.f{i}:distribution", at=i * 10, severity="warning", n=1_000 + i))
        if i % 1_000 == 0:
            run.take(tick(i * 10))
    run.take(*(tick(MINUTE * minute) for minute in range(1, 11 * 60)))
    messages = told(run.said)
    assert [(a.status, a.count, len(a.monitors), len(a.evidence)) for a in messages][:1] == [("open", 5_000, 10, 5)]
    assert [a.status for a in messages] == ["open", "escalated"]
    assert "4,999 other monitors" in messages[0].sentence
    assert len(msgspec.json.encode(messages[0])) < 10_000


def test_a_storm_over_many_models_is_one_message_a_shared_feature() -> None:
    run = Told(PATIENTLY)
    run.take(tick(0))
    run.take(*(signal(A, at=i * 50, model=f"m{i}", severity="warning") for i in range(1_000)))
    run.take(tick(MINUTE), tick(2 * MINUTE), tick(3 * MINUTE), tick(10 * MINUTE))
    (message,) = told(run.said)
    assert (message.models, len(message.also), message.upstream) == (1_000, 10, "a")
    run.take(*(signal(A, 2, "resolved", at=11 * MINUTE + i, model=f"m{i}") for i in range(1_000)))
    run.take(tick(12 * MINUTE), tick(HOUR))
    assert heard(run.said) == ["m0 data:open", "m0 data:resolved"]


def test_what_ends_before_anybody_heard_is_told_to_nobody() -> None:
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A), signal(A, 2, "resolved", at=MINUTE // 2), tick(HOUR))
    assert heard(run.said) == []
    assert [(a.status, a.held is not None) for a in alerts(run.said)] == [("open", True), ("resolved", True)]


def test_what_lasted_and_ended_between_two_ticks_is_told() -> None:
    """React was away, say.

    Mutation: leave tell_late out of incidents._leaves; what is told has no monitor, no evidence."""
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A), signal(A, 2, "resolved", at=HOUR), tick(2 * HOUR))
    assert heard(run.said) == ["m data:open", "m data:resolved"]
    assert told(run.said)[0].monitors == [A]


def test_it_is_repeated_while_it_lasts_and_nobody_answers() -> None:
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A), *(tick(i * 10 * MINUTE) for i in range(1, 6 * 40)))
    assert [a.status for a in told(run.said)] == ["open", "escalated", "repeated", "repeated", "repeated"]
    incident = told(run.said)[0].incident
    said = run.take(ack("c1", incident), *(tick(2 * DAY + i * 10 * MINUTE) for i in range(6 * 40)))
    assert [(a.status, a.by) for a in told(said)] == [("acknowledged", "ann")]


def test_who_acknowledges_before_anybody_was_told_is_not_asked_again() -> None:
    """Mutation: forget `acked` at the first telling in due.heard; it escalates although somebody is on it."""
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A))
    (alert,) = alerts(run.said)
    run.take(ack("c1", alert.incident), *(tick(i * MINUTE) for i in range(1, 3 * 60)))
    assert [(a.status, a.by) for a in told(run.said)] == [("open", "ann")]
    run.take(signal(A, 2, "resolved", at=4 * HOUR), tick(5 * HOUR), signal(A, 3, at=6 * HOUR))
    run.take(ack("c2", alert.incident, by="bob"), *(tick(6 * HOUR + i * MINUTE) for i in range(1, 3 * 60)))
    assert [(a.status, a.by) for a in told(run.said)][1:] == [
        ("resolved", None),
        ("reopened", None),
        ("acknowledged", "bob"),
    ]


def test_a_graver_alarm_does_not_wait() -> None:
    """Mutation: leave `graver` out of due; it waits for the gap."""
    run = Told(AT_ONCE)
    run.take(signal(A, severity="warning"))
    said = run.take(signal("features.b:distribution", at=1_000, severity="critical"))
    assert [(a.status, a.severity, a.held) for a in alerts(said)] == [("updated", "critical", None)]


def test_reopened_it_keeps_its_id_and_forgets_who_acknowledged() -> None:
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A), tick(2 * MINUTE))
    incident = told(run.said)[0].incident
    run.take(ack("c1", incident), signal(A, 2, "resolved", at=HOUR), signal(A, 3, at=2 * HOUR), tick(4 * HOUR))
    assert [a.status for a in told(run.said)] == ["open", "acknowledged", "resolved", "reopened", "escalated"]
    assert {a.incident for a in alerts(run.said)} == {incident}
    assert run.state.models["m"].versions["1"].incidents["data"].reopened == 1


def test_after_its_time_it_is_another_incident() -> None:
    """Mutation: answer True in incidents.reopens; the id is the same for ever."""
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A), tick(2 * MINUTE), signal(A, 2, "resolved", at=HOUR))
    run.take(signal(A, 3, at=8 * HOUR), tick(9 * HOUR))
    first, _, other = told(run.said)[:3]
    assert other.status == "open"
    assert other.incident != first.incident


def test_what_has_ended_is_forgotten_and_that_is_said() -> None:
    run = Told(AT_ONCE)
    run.take(signal(A), signal(A, 2, "resolved", at=MINUTE))
    incident = told(run.said)[0].incident
    assert "data" in run.state.models["m"].versions["1"].closed
    reaction = react(run.state, tick(7 * HOUR), AT_ONCE)
    assert reaction.forgotten == [incident]
    assert reaction.state.models["m"].versions["1"].closed == {}


def test_resolved_by_hand_it_is_told_and_stays_so_until_it_alarms_anew() -> None:
    run = Told(AT_ONCE)
    run.take(signal(A))
    incident = told(run.said)[0].incident
    (alert,) = told(run.take(resolve("c1", incident), resolve("c1", incident)))
    assert (alert.status, alert.by, alert.note) == ("resolved", "ann", "a test run")
    assert run.take(signal(A, 2, "resolved", at=MINUTE), tick(2 * MINUTE)) == []
    assert heard(run.take(signal(A, 3, at=HOUR))) == ["m data:reopened"]


def bound(lasted: int, chosen: ReactSettings, when: Timing) -> float:
    """The formula of due.py."""
    u, q = chosen.update_every_ms, chosen.quietest_ms
    stepped = 1 + math.log2(1 + lasted / u) + lasted / q
    escalations = 1 + stepped if when.escalate_ms is not None else 0
    repeats = lasted / when.repeat_ms if when.repeat_ms else 0
    return 2 + 3 + stepped + escalations + repeats


@pytest.mark.parametrize("when", [Timing(), Timing(MINUTE, None, None), Timing(MINUTE, 12 * HOUR, HOUR)])
@pytest.mark.parametrize("period", [20_000, 2 * MINUTE, 20 * MINUTE, 3 * HOUR])
def test_row_43_a_flapping_monitor_is_told_at_a_growing_interval(period: int, when: Timing) -> None:
    """Mutation: return update_every_ms from due.gap whatever the steps; a flapping monitor is told every 5 min."""
    chosen, run, days = ReactSettings(retrain=False, routes=Same(when)), Told(), 3
    run.settings = chosen
    flaps = min(days * DAY // period, 4_000)
    for i in range(flaps):
        run.take(signal(A, i + 1, "resolved" if i % 2 else "alarm", at=i * period), tick(i * period))
    messages = told(run.said)
    assert len({a.incident for a in messages}) == 1
    assert 2 <= len(messages) <= bound(flaps * period, chosen, when)
    if period <= 2 * MINUTE and when.repeat_ms is None:
        assert len(messages) <= 15


@st.composite
def flapping(draw: st.DrawFn) -> list[tuple[int, int, bool, bool]]:
    """(ms since the last, which monitor, alarm, a tick follows)."""
    steps = st.tuples(st.integers(0, 30 * MINUTE), st.integers(0, 2), st.booleans(), st.booleans())
    return draw(st.lists(steps, min_size=1, max_size=120))


@given(flapping(), st.sampled_from([Timing(), Timing(MINUTE, 6 * HOUR, HOUR), Timing(5 * MINUTE, None, 2 * HOUR)]))
@settings(max_examples=60, deadline=None)
def test_however_it_flaps_messages_are_bounded_and_the_last_is_true(
    steps: list[tuple[int, int, bool, bool]], when: Timing
) -> None:
    """The last thing that people have heard is how it stands, once a quiet day has passed."""
    chosen = ReactSettings(retrain=False, routes=Same(when), reopen_ms=10 * DAY)
    run, now, numbers = Told(chosen), 0, [0, 0, 0]
    run.take(tick(0))
    for wait, which, alarm, ticks in steps:
        now += wait
        numbers[which] += 1
        state: SignalState = "alarm" if alarm else "resolved"
        run.take(signal(f"features.f{which}:distribution", numbers[which], state, at=now))
        if ticks:
            run.take(tick(now))
    assert len(told(run.said)) <= bound(max(now, 1), chosen, when)
    run.take(tick(now + 2 * DAY), tick(now + 4 * DAY))
    stands = run.state.models["m"].versions["1"].incidents if run.state.models else {}
    last = told(run.said)[-1:]
    assert (not last and not stands) or (last[0].status != "resolved") == bool(stands)


def test_the_same_messages_say_the_same() -> None:
    def once() -> tuple[list[str], State]:
        run = Told(PATIENTLY)
        for i in range(40):
            run.take(signal(A, i + 1, "resolved" if i % 2 else "alarm", at=i * HOUR, model=f"m{i % 3}"))
            run.take(tick(i * HOUR))
        return [a.id for a in alerts(run.said)], run.state

    (ids, state), (again, same) = once(), once()
    assert ids == again
    assert len(set(ids)) == len(ids)
    assert msgspec.msgpack.encode(state) == msgspec.msgpack.encode(same)
