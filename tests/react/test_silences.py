"""Silences, maintenance and inhibition: nobody hears of what they hold, and nothing that they held is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftline.contracts.reactions import Command, Match
from driftline.react.causes import cause_of
from driftline.react.core import Message
from driftline.react.settings import Maintenance, ReactSettings, Timing
from driftline.react.silences import fits
from driftline.react.standing import standings
from driftline.react.subject import Subject
from react.hearing import AT_ONCE, PATIENTLY, Same, ack, expire, heard, resolve, silence, told
from react.making import DAY, HOUR, MINUTE, T0, Told, alerts, signal, tick

A = "features.a:distribution"
SUBJECT = Subject("fraud", "7", "data", "error", "risk", ["features.a:distribution", "features.ab:distribution"])


@pytest.mark.parametrize(
    ("match", "fit"),
    [
        (Match(), True),
        (Match(model="fraud"), True),
        (Match(model="fr*", version="7"), True),
        (Match(model="FRAUD"), False),
        (Match(version="8"), False),
        (Match(team="risk"), True),
        (Match(team="*"), True),
        (Match(cause="data"), True),
        (Match(cause="quality"), False),
        (Match(up_to="warning"), False),
        (Match(up_to="error"), True),
        (Match(monitor="features.a*"), True),
        (Match(monitor="features.a:*"), False),
        (Match(model="fraud", cause="quality"), False),
    ],
)
def test_everything_given_has_to_fit(match: Match, fit: bool) -> None:
    """Mutation: `any` for `all` in silences.fits; a silence of one column hides another's alarm."""
    assert fits(match, SUBJECT) is fit


def test_what_is_silenced_is_on_the_topic_and_told_when_the_silence_ends() -> None:
    """Mutation: forget that an incident was muted in cases._tell; nobody hears of it again."""
    run = Told(AT_ONCE)
    run.take(tick(0), silence("s1", Match(model="m"), lasts=2 * HOUR))
    (alert,) = alerts(run.take(signal(A, at=MINUTE)))
    assert alert.held == "silenced by ann: we know (silence s1)"
    assert heard(run.take(tick(HOUR))) == []
    assert heard(run.take(tick(2 * HOUR))) == ["m data:open"]
    run.take(silence("s2", Match(model="m"), lasts=HOUR), tick(2 * HOUR + MINUTE))
    assert heard(run.take(tick(4 * HOUR))) == ["m data:updated"]


def test_the_end_of_what_people_heard_is_told_after_the_silence() -> None:
    run = Told(AT_ONCE)
    run.take(signal(A), silence("s1", Match(cause="data")))
    assert heard(run.take(signal(A, 2, "resolved", at=HOUR), tick(20 * HOUR))) == []
    assert [one.held is not None for one in standings(run.state, run.settings)] == [True]
    (told_late,) = told(run.take(expire("c2", "s1"), tick(21 * HOUR)))
    assert (told_late.status, told_late.time, told_late.closed) == ("resolved", T0 + 21 * HOUR, T0 + HOUR)


def test_what_has_ended_and_was_told_is_not_said_to_be_held() -> None:
    """And what is open comes first, the gravest first."""
    run = Told(AT_ONCE)
    run.take(signal(A), signal(A, 2, "resolved", at=1), signal("error:rate", at=2), signal("score:mean", at=3))
    run.take(silence("s1", Match(model="m")))
    found = standings(run.state, run.settings)
    assert [one.cause for one in found] == ["performance", "prediction", "data"]
    assert [one.held is None for one in found] == [False, False, True]


def test_a_silence_that_cannot_be_is_refused_in_words() -> None:
    run = Told(AT_ONCE)
    run.take(tick(0), silence("s1", Match(model="m"), lasts=-HOUR))
    assert "which is 14 November 2023 22:13 UTC in event time" in run.state.policy.outcomes["s1"]


def test_a_silence_may_begin_later() -> None:
    run = Told(AT_ONCE)
    run.take(tick(0), silence("s1", Match(model="m"), since=HOUR, lasts=HOUR))
    assert heard(run.take(signal(A, at=MINUTE))) == ["m data:open"]
    assert heard(run.take(tick(61 * MINUTE), signal("error:rate", at=90 * MINUTE))) == []
    assert heard(run.take(tick(3 * HOUR))) == ["m data:updated", "m performance:open"]
    assert run.state.policy.silences == {}


def test_a_maintenance_window_comes_again() -> None:
    window = Maintenance(Match(model="m"), "0 2 * * *", 2 * HOUR, "nightly load", "ops")
    chosen = ReactSettings(retrain=False, maintenance=(window,))
    two = 2 * HOUR - T0 % DAY + DAY
    run = Told(chosen)
    run.take(tick(0))
    assert heard(run.take(signal(A, at=two + MINUTE), tick(two + 2 * HOUR - 1))) == []
    assert heard(run.take(tick(two + 2 * HOUR))) == ["m data:open"]
    assert heard(run.take(signal("error:rate", at=two + DAY))) == []
    assert heard(run.take(signal("error:rate", version="2", at=two + DAY - 1))) == []
    assert "m performance:open" in heard(run.take(tick(two + DAY + 2 * HOUR)))


def test_what_explains_it_is_told_instead_and_the_drift_when_it_lasts() -> None:
    """Mutation: leave _inhibited out of holding.held; people hear of both."""
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A), signal("features.a:quality", at=20_000), tick(2 * MINUTE), tick(3 * MINUTE))
    assert heard(run.said) == ["m quality:open"]
    run.take(signal("features.a:quality", 2, "resolved", at=HOUR))
    assert heard(run.said) == ["m quality:open", "m quality:resolved"]
    assert heard(run.take(tick(HOUR + MINUTE))) == ["m data:open"]


@pytest.mark.parametrize(
    ("quality", "drift", "holds"),
    [
        ("features.a:quality", ["features.a:distribution"], True),
        ("features.a:schema", ["features.b:distribution"], False),
        ("features.a:quality", ["features.a:distribution", "features.b:distribution"], False),
        ("features.a:quality", ["features:joint"], True),
        ("predictions:silence", ["features.b:distribution", "features.a:distribution"], True),
        ("predictions:silence", ["prediction:distribution"], True),
        ("pairs:freshness", ["prediction:distribution"], True),
        ("prediction:quality", ["prediction:distribution"], True),
        ("features.a:quality", ["prediction:distribution"], False),
        ("predictions:silence", ["error:rate"], False),
    ],
)
def test_what_explains_what(quality: str, drift: list[str], holds: bool) -> None:
    run = Told(AT_ONCE)
    run.take(signal(quality))
    said = alerts(run.take(*(signal(monitor, at=1 + i) for i, monitor in enumerate(drift))))
    assert (said[-1].held is not None and "explained" in said[-1].held) == holds
    assert cause_of(drift[0]) in {a.cause for a in said}


def test_what_was_heard_and_is_now_explained_is_told_of_its_end() -> None:
    run = Told(AT_ONCE)
    run.take(signal(A), signal("features.a:quality", at=MINUTE), signal(A, 2, "resolved", at=HOUR))
    assert heard(run.said) == ["m data:open", "m quality:open", "m data:resolved"]


MODELS = ("m", "n", "risk")
MONITORS = (A, "features.a:quality", "features.b:distribution", "error:rate", "predictions:silence")
MATCHES = (
    Match(model="m"),
    Match(cause="data"),
    Match(team="risk"),
    Match(monitor="features.a:*"),
    Match(up_to="error"),
    Match(model="*"),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int, int]]:
    kinds = st.sampled_from(["alarm", "alarm", "resolved", "silence", "expire", "ack", "resolve", "tick", "tick"])
    step = st.tuples(kinds, st.integers(0, 40 * MINUTE), st.integers(0, 5), st.integers(0, 5))
    return draw(st.lists(step, min_size=3, max_size=60))


def message(run: Told, step: tuple[str, int, int, int], now: int, i: int, numbers: dict[str, int]) -> Message:
    kind, _, one, other = step
    model, monitor = MODELS[one % len(MODELS)], MONITORS[other % len(MONITORS)]
    incidents = sorted({a.incident for a in alerts(run.said)}) or ["none"]
    silences: list[str] = sorted(run.state.policy.silences) or ["none"]
    match kind:
        case "alarm" | "resolved":
            number = numbers[model + monitor] = numbers.get(model + monitor, 0) + 1
            return signal(monitor, number, "alarm" if kind == "alarm" else "resolved", at=now, model=model)
        case "silence":
            return silence(f"s{i}", MATCHES[one % len(MATCHES)], lasts=(other + 1) * HOUR)
        case "expire":
            return expire(f"c{i}", silences[one % len(silences)])
        case "ack":
            return ack(f"c{i}", incidents[one % len(incidents)])
        case "resolve":
            return resolve(f"c{i}", incidents[other % len(incidents)])
        case _:
            return tick(now)


@given(histories(), st.sampled_from([Timing(), Timing(MINUTE, 6 * HOUR, HOUR)]))
@settings(max_examples=150, deadline=None)
def test_no_silenced_one_is_told_and_nothing_open_is_lost(
    steps: list[tuple[str, int, int, int]], when: Timing
) -> None:
    """In whatever order alarms, silences and other commands come. Once all silences are over, people have heard of
    each incident as it stands, but for what an open one of quality explains.

    Mutation: leave holding.held out of cases._tell, or out of telling._why_not; a silenced one is told."""
    chosen = ReactSettings(retrain=False, routes=Same(when))
    run, now, numbers = Told(chosen), 0, dict[str, int]()
    run.take(tick(0))
    for i, step in enumerate(steps):
        now += step[1]
        said = run.take(message(run, step, now, i, numbers))
        for alert in told(said):
            team = "risk" if alert.model.startswith("risk") else None
            for quiet in run.state.policy.silences.values():
                models = {(alert.model, alert.version), *((also.model, also.version) for also in alert.also)}
                silent = Match(model=quiet.match.model, cause=quiet.match.cause, team=quiet.match.team)
                if silent == Match():  # those by monitor and severity are of the whole incident
                    continue
                subjects = [
                    Subject(model, version, alert.cause, "info", team, ["x"]) for model, version in sorted(models)
                ]
                if quiet.active(run.state.now) and quiet.match.monitor is None and quiet.match.up_to is None:
                    assert not any(fits(silent, subject) for subject in subjects)
    run.take(tick(now + 2 * DAY), tick(now + 4 * DAY))
    versions = [model.versions["1"] for model in run.state.models.values() if "1" in model.versions]
    stands = {i.id: (i, version) for version in versions for i in version.incidents.values()}
    heard_of = {one for a in told(run.said) for one in (a.incident, *(also.incident for also in a.also))}
    last = {a.part_of or a.incident: a for a in told(run.said)}
    for id, (incident, version) in stands.items():
        if not (incident.cause in ("data", "prediction") and "quality" in version.incidents):
            assert id in heard_of
            assert last[incident.part_of.incident if incident.part_of else id].status != "resolved"
    for lead, alert in last.items():
        lasts = any(lead in (i.id, i.part_of.incident if i.part_of else "") for i, _ in stands.values())
        assert lasts or alert.status == "resolved"


def test_a_command_acts_once() -> None:
    """Mutation: do not look at the outcomes in take_command; the second acknowledgement is an alert."""
    run = Told(AT_ONCE)
    run.take(signal(A))
    incident = told(run.said)[0].incident
    command: Command = ack("c1", incident)
    assert [a.status for a in told(run.take(command, command))] == ["acknowledged"]
    assert run.state.policy.outcomes == {"c1": f"ok: acknowledged {incident}"}
