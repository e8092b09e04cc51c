"""When a retraining is asked for, and when not."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from driftline.contracts.reactions import Fact
from driftline.react.core import Message, questions
from driftline.react.schedule import latest
from driftline.react.settings import ReactSettings
from react.making import DAY, HOUR, MINUTE, T0, Told, alerts, brief, by_hand, requests, signal, tick, told

SETTINGS = ReactSettings(cooldown_ms=6 * HOUR, escalate_ms=HOUR, expire_ms=2 * DAY)


def unlabelled(version: str = "1") -> Fact:
    return Fact(model="m", version=version, labelled=False)


def test_an_error_alarm_asks_at_once() -> None:
    (alert, request) = Told(SETTINGS).take(signal("error:rate"))
    assert brief([alert, request]) == ["performance:open", "error_alarm"]
    (request,) = requests([request])
    assert (request.model, request.version, request.priority) == ("m", "1", "high")
    assert request.expires == request.time + 2 * DAY
    assert request.evidence[0].monitor == "error:rate"
    assert (request.estimates.error_now, request.estimates.error_reference) == (0.25, 0.1)
    assert request.budget is not None
    assert request.budget.used == 1


def test_one_in_flight_whatever_alarms() -> None:
    """Mutation: leave the request in flight out of retraining._forbidden; there are two requests."""
    run = Told(replace(SETTINGS, cooldown_ms=0))
    said = run.take(
        signal("error:rate"), signal("loss:distribution"), signal("error:rate", version="2"), tick(HOUR // 2)
    )
    assert len(requests(said)) == 1


def test_a_prediction_alarm_asks_only_without_labels() -> None:
    run = Told(SETTINGS)
    assert brief(run.take(signal("prediction:distribution"))) == ["prediction:open"]
    assert questions(run.state) == [("m", "1", 0)]
    assert run.take(tick(MINUTE)) == []
    assert run.take(tick(2 * MINUTE, Fact(model="m", version="1", labelled=True))) == []
    assert questions(run.state) == []
    other = Told(SETTINGS)
    other.take(signal("prediction:distribution"))
    assert brief(other.take(tick(MINUTE, unlabelled()))) == ["prediction_alarm"]


def test_the_data_alone_ask_for_nothing() -> None:
    run = Told(SETTINGS)
    said = run.take(signal("features.a:distribution"), signal("features.a:schema"), tick(HOUR, unlabelled()))
    assert not requests(said)


def test_cool_down_begins_when_the_request_has_ended() -> None:
    """Mutation: leave quiet_until out of retraining._forbidden; the tick after the failure asks again."""
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate")))
    run.take(tick(5 * HOUR))
    run.take(told("retraining.failed", version="1", request=request.id))
    assert not requests(run.take(tick(7 * HOUR), tick(11 * HOUR - 1)))
    (again,) = requests(run.take(tick(11 * HOUR)))
    assert again.id != request.id
    assert again.rule == "error_alarm"


def test_a_request_nobody_starts_escalates_and_expires() -> None:
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate")))
    assert run.take(tick(HOUR - 1)) == []
    (alert,) = alerts(run.take(tick(HOUR)))
    assert (alert.cause, alert.status, alert.severity, alert.request) == (
        "retraining",
        "open",
        "critical",
        request.id,
    )
    assert run.take(tick(2 * HOUR)) == []
    assert brief(run.take(tick(2 * DAY))) == ["retraining:updated"]
    assert brief(run.take(tick(2 * DAY + 6 * HOUR))) == ["error_alarm"]


def test_starting_it_ends_the_escalation() -> None:
    run = Told(SETTINGS)
    (request,) = requests(run.take(signal("error:rate")))
    run.take(tick(HOUR))
    started = told("retraining.started", version="1", request=request.id)
    assert brief(run.take(started)) == ["retraining:resolved"]
    assert run.take(started, tick(3 * HOUR)) == []


def test_an_answer_to_another_request_ends_nothing() -> None:
    run = Told(SETTINGS)
    run.take(signal("error:rate"))
    run.take(told("retraining.succeeded", request="another"))
    assert run.state.models["m"].request is not None


def test_the_window_is_the_data_since_the_onset_where_it_is_enough() -> None:
    (request,) = requests(Told(SETTINGS).take(signal(n=6_000)))
    window = request.window
    assert (window.start, window.to, window.mix, window.recent) == (T0 - HOUR, T0, None, 6_000)


@pytest.mark.parametrize("recent", [100, 1_000, 5_000, 12_000, 20_000])
def test_the_mix_stays_worth_half_its_events(recent: int) -> None:
    """Kish's effective sample size, however few the recent ones are.

    Mutation: the weight is older / recent alone."""
    (request,) = requests(Told(replace(SETTINGS, enough_events=25_000)).take(signal(n=recent)))
    assert request.window.mix is not None
    w, older = request.window.mix.weight, 25_000 - recent
    assert (w * recent + older) ** 2 / (w * w * recent + older) >= 12_500
    assert w >= 1.0


def test_else_it_is_a_mix_that_weights_the_recent() -> None:
    (request,) = requests(Told(SETTINGS).take(signal(n=1_000)))
    window = request.window
    assert window.mix is not None
    assert (window.mix.since, window.mix.weight) == (T0 - HOUR, 4.0)
    assert window.start == T0 - HOUR - 4 * HOUR
    assert "too few" in window.why


def test_events_since_the_alarm_count_too() -> None:
    run = Told(replace(SETTINGS, retrain=True, cooldown_ms=HOUR))
    run.take(signal("prediction:distribution", n=1_000))
    (request,) = requests(run.take(tick(9 * HOUR, unlabelled())))
    assert request.window.recent == 10_000
    assert request.window.mix is None


def test_a_limit_on_positives_reaches_no_further_back_than_the_events_do() -> None:
    """1,000 positives of 40,000 pairs in the hour: 5,000 events are there without going back at all.

    Mutation: `w.n` alone in `window.advise`: four hours before the change are advised, and weighted."""
    broken = signal("false_negative:false_negative_rate <= 0.1", n=1_000)
    assert broken.evidence is not None
    evidence = msgspec.structs.replace(broken.evidence, rows=40_000)
    (request,) = requests(Told(SETTINGS).take(msgspec.structs.replace(broken, evidence=evidence)))
    window = request.window
    assert (window.start, window.mix, window.recent, window.events) == (T0 - HOUR, None, 40_000, 40_000)
    assert (request.evidence[0].n, request.evidence[0].rows) == (1_000, 40_000)


def test_event_time_that_is_ahead_of_the_alarm_makes_no_events_fewer() -> None:
    """Mutation: take the time of the request for that of the alarm in window.advise; half as many events."""
    run = Told(SETTINGS)
    (request,) = requests(run.take(tick(HOUR), signal(n=1_000)))
    assert request.window.recent == 2_000


def test_by_hand_neither_cool_down_nor_budget_matter() -> None:
    run = Told(replace(SETTINGS, budget=1))
    (request,) = requests(run.take(signal("error:rate")))
    assert run.take(by_hand("c-0")) == []
    run.take(told("retraining.failed", request=request.id, version="1"))
    (asked,) = requests(run.take(by_hand("c-1")))
    assert (asked.rule, asked.version, asked.budget and asked.budget.used) == ("manual", "1", 2)
    run.take(told("retraining.failed", request=asked.id, version="1", id="again"))
    assert run.take(by_hand("c-1")) == []
    assert run.take(by_hand("c-2", model="unknown")) == []
    assert brief(run.take(by_hand("c-3", model="new", version="9"))) == ["manual"]


def test_the_budget_holds_for_thirty_days() -> None:
    run = Told(replace(SETTINGS, budget=2, cooldown_ms=HOUR, expire_ms=HOUR))
    said = run.take(signal("error:rate"), *(tick(i * HOUR) for i in range(1, 24)))
    assert len(requests(said)) == 2
    assert brief(run.take(tick(31 * DAY)))[-1] == "error_alarm"


def test_the_schedule_asks_for_every_model_in_use() -> None:
    """T0 is a Tuesday, 22:13 UTC."""
    run = Told(replace(SETTINGS, schedule="0 3 * * *", retrain=False))
    run.take(tick(0), signal("features.a:distribution", 1, "resolved"), told("retired", model="old", version="1"))
    assert run.take(tick(4 * HOUR)) == []
    (request,) = requests(run.take(tick(5 * HOUR), tick(6 * HOUR)))
    assert (request.model, request.rule, request.priority) == ("m", "schedule", "low")
    assert request.window.start is None


@pytest.mark.parametrize(
    ("now", "due"),
    [(T0, T0 - T0 % HOUR), (T0 - T0 % HOUR, T0 - T0 % HOUR), (T0 - T0 % HOUR - 1, T0 - T0 % HOUR - HOUR)],
)
def test_the_latest_time_of_a_schedule(now: int, due: int) -> None:
    assert latest("0 * * * *", now) == due


def test_a_retired_version_asks_for_nothing() -> None:
    run = Told(SETTINGS)
    run.take(told("retired", version="1"))
    assert not requests(run.take(signal("error:rate"), tick(HOUR)))


def test_ids_are_functions_of_content() -> None:
    failed = told("retraining.failed", version="1")
    messages: list[Message] = [signal("error:rate"), tick(HOUR), failed, tick(8 * HOUR)]
    first, second = (Told(SETTINGS).take(*messages) for _ in range(2))
    assert [one.id for one in first] == [one.id for one in second]
    assert len({one.id for one in first}) == len(first)
