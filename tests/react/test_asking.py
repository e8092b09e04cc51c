"""No retraining on what a broken pipeline delivers: deferred, said, and asked for afterwards if it is still wanted."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from driftline.contracts.reactions import Fact
from driftline.contracts.records import Signal
from driftline.react.settings import ReactSettings
from driftline.react.slot import SLOT
from driftline.react.standing import Standing, standings
from driftline.stats.wording import moment
from react.hearing import resolve
from react.making import DAY, HOUR, MINUTE, T0, Told, alerts, brief, by_hand, requests, signal, tick, told
from react.world import POINTS, World, kill

SETTINGS = ReactSettings(cooldown_ms=6 * HOUR, expire_ms=2 * DAY)
BROKEN = "features.a:schema"


def broken(settings: ReactSettings = SETTINGS) -> Told:
    """Quality is in alarm at T0, and errors a minute later."""
    run = Told(settings)
    run.take(signal(BROKEN), signal("error:rate", at=MINUTE))
    return run


def standing(run: Told, cause: str) -> Standing:
    return next(one for one in standings(run.state, run.settings) if one.cause == cause)


def test_errors_of_broken_data_ask_for_nothing_and_it_is_said_once() -> None:
    """Mutation: `quality = None` in `retraining.consider`."""
    run = broken()
    run.take(*(tick(i * HOUR) for i in range(1, 48)))
    assert not requests(run.said)
    assert run.notes.count("retraining.deferred") == 1
    quality = standing(run, "quality")
    why = f"No retraining is asked for while the incident of quality {quality.id} is open."
    assert (standing(run, "performance").deferred, quality.deferred) == (why, None)
    alert = next(one for one in alerts(run.said) if one.cause == "performance")
    assert alert.deferred == why
    assert alert.advice.startswith(
        "Investigate: look at the pipeline that fills a first"
    ) and alert.advice.endswith(why)


def test_it_is_asked_for_a_cool_down_after_the_end_if_the_errors_are_still_up() -> None:
    """Mutations: no `quiet_until` in `asking.follow`, or `deferral=None` in `state.copied`: it asks at the first tick;
    no `spoilt` in `_ask`."""
    run = broken()
    run.take(tick(HOUR), signal(BROKEN, 2, "resolved", at=2 * HOUR), tick(2 * HOUR + MINUTE))
    until = T0 + 8 * HOUR + MINUTE
    shown = standing(run, "performance").deferred
    assert shown is not None and shown.endswith(f"a retraining is asked for if this lasts until {moment(until)}.")
    assert not requests(run.take(tick(8 * HOUR)))
    (request,) = requests(run.take(tick(8 * HOUR + MINUTE)))
    assert (request.rule, request.version) == ("error_alarm", "1")
    ended = moment(T0 + 2 * HOUR + MINUTE)
    assert (
        f"Leave out what came from {moment(T0 - HOUR)} to {ended}, in the incident of quality" in request.window.why
    )
    assert standing(run, "performance").deferred is None
    assert run.state.models["m"].deferral is None


def test_what_is_over_by_then_asks_for_nothing() -> None:
    """Mutation: in `asking.follow` let a deferral stand whose incident is over."""
    run = broken()
    run.take(tick(HOUR), signal(BROKEN, 2, "resolved", at=2 * HOUR), tick(2 * HOUR + MINUTE))
    run.take(signal("error:rate", 2, "resolved", at=3 * HOUR), tick(9 * HOUR), tick(2 * DAY))
    assert not requests(run.said)
    assert run.state.models["m"].deferral is None


def test_data_that_break_again_defer_it_again() -> None:
    """Mutation: leave `before.ended is None` out of `asking.defer`; it is asked for while they are broken."""
    run = broken()
    run.take(tick(HOUR), signal(BROKEN, 2, "resolved", at=2 * HOUR), tick(3 * HOUR))
    run.take(signal(BROKEN, 3, at=4 * HOUR), tick(5 * HOUR), tick(2 * DAY))
    assert not requests(run.said)
    run.take(signal(BROKEN, 4, "resolved", at=2 * DAY + HOUR), tick(2 * DAY + 2 * HOUR))
    assert brief(run.take(tick(2 * DAY + 8 * HOUR)))[-1:] == ["error_alarm"]


def test_another_version_that_is_in_alarm_waits_as_long() -> None:
    """The one that would have asked first comes back by itself. Mutation: `draft.model(model).deferral = None` in
    `asking.follow` as soon as nobody asks; the other version asks at the first tick after the end."""
    run = broken()
    run.take(signal("error:rate", version="2", at=2 * MINUTE), tick(HOUR))
    run.take(signal(BROKEN, 2, "resolved", at=2 * HOUR), signal("error:rate", 2, "resolved", at=2 * HOUR + 1))
    assert not requests(run.take(tick(2 * HOUR + MINUTE), tick(8 * HOUR)))
    (request,) = requests(run.take(tick(8 * HOUR + MINUTE)))
    assert request.version == "2"
    assert run.notes.count("retraining.deferred") == 2


def test_errors_whose_labels_come_after_the_end_wait_as_long() -> None:
    """Mutation: remember nothing in `asking.follow` while nobody asks; the alarm asks at once, on what was broken."""
    run = Told(SETTINGS)
    run.take(signal(BROKEN), tick(HOUR), signal(BROKEN, 2, "resolved", at=2 * HOUR), tick(2 * HOUR + MINUTE))
    assert not requests(run.take(signal("error:rate", at=3 * HOUR), tick(8 * HOUR)))
    shown = standing(run, "performance").deferred
    assert shown is not None and shown.endswith(f"if this lasts until {moment(T0 + 8 * HOUR + MINUTE)}.")
    (request,) = requests(run.take(tick(8 * HOUR + MINUTE)))
    assert "Leave out what came from" in request.window.why
    assert run.state.models["m"].deferral is None


def test_errors_a_cool_down_after_the_end_ask_at_once() -> None:
    """Mutation: never forget a deferral that nobody has asked in."""
    run = Told(SETTINGS)
    run.take(signal(BROKEN), tick(HOUR), signal(BROKEN, 2, "resolved", at=2 * HOUR), tick(2 * HOUR + MINUTE))
    run.take(tick(8 * HOUR + MINUTE))
    assert run.state.models["m"].deferral is None
    (request,) = requests(run.take(signal("error:rate", at=9 * HOUR)))
    assert "Leave out" not in request.window.why


def new_values(witness: str, monitor: str = "features.a:quality", at: int = 0) -> Signal:
    made = signal(monitor, at=at)
    assert made.effect is not None
    return msgspec.structs.replace(made, effect=msgspec.structs.replace(made.effect, witness=witness))


@pytest.mark.parametrize(
    ("witness", "spoilt"),
    [
        ("share of values above all of the reference", False),
        ("share of unseen categories", False),
        ("share of rows without a value", True),
        ("share of values of another type", True),
    ],
)
def test_a_world_that_moved_out_of_range_is_retrained_on(witness: str, spoilt: bool) -> None:
    """Values beyond the reference's last until a model has learnt them. Mutation: `return True` in `asking.spoils`:
    the model is never retrained."""
    run = Told(SETTINGS)
    run.take(new_values(witness), signal("error:rate", at=MINUTE), tick(HOUR))
    assert bool(requests(run.said)) == (not spoilt)
    assert ("Do not retrain" in standing(run, "quality").advice) == spoilt
    assert standing(run, "performance").advice.startswith("Investigate" if spoilt else "Retrain on data since")
    run.take(signal("features.b:constant", at=2 * HOUR))
    assert "Do not retrain" in standing(run, "quality").advice


@pytest.mark.parametrize(
    "monitor", ["predictions:silence", "predictions:flood", "pairs:freshness", "predictions:duplicates"]
)
def test_how_much_comes_defers_nothing(monitor: str) -> None:
    """A version that fell silent, because another took its place and nobody said so, is silent for good. Mutation: no
    `_of_amount` in `spoils`."""
    run = Told(SETTINGS)
    run.take(signal(monitor), signal("error:rate", version="2", at=MINUTE))
    (request,) = requests(run.said)
    assert request.version == "2"
    advice = next(one.advice for one in alerts(run.said) if one.cause == "quality")
    assert advice.startswith("Investigate: look at what sends") and "retrain" not in advice
    run.take(signal(BROKEN, at=HOUR))
    assert "Do not retrain" in standing(run, "quality").advice


@pytest.mark.parametrize("rule", ["prediction_alarm", "schedule"])
def test_nothing_but_a_person_asks_on_broken_data(rule: str) -> None:
    """Mutation: `why_not = _forbidden(draft, known)` in `on_schedule`."""
    schedule = "0 * * * *" if rule == "schedule" else None
    run = Told(replace(SETTINGS, schedule=schedule))
    run.take(tick(0), signal(BROKEN), signal("prediction:distribution", at=MINUTE))
    unlabelled = Fact(model="m", version="1", labelled=rule == "schedule")
    assert not requests(run.take(*(tick(i * HOUR, unlabelled) for i in range(1, 5))))
    assert run.notes.count("retraining.declined") == (4 if schedule else 0)
    (asked,) = requests(run.take(by_hand()))
    assert asked.rule == "manual"
    assert "Leave out what has come since" in asked.window.why
    assert standing(run, "prediction").deferred is None


def test_another_version_in_use_of_the_model_counts_and_one_that_is_not_does_not() -> None:
    """Mutation: `if True` for `v.in_use` in `asking.broken`."""
    run = Told(replace(SETTINGS, cooldown_ms=0))
    run.take(signal(BROKEN, version="2"), signal("error:rate", at=MINUTE))
    assert not requests(run.said)
    run.take(told("retired", version="2"), signal(BROKEN, 2, version="2", at=2 * MINUTE))
    assert requests(run.take(tick(HOUR)))
    run = Told(SETTINGS)
    assert requests(run.take(signal(BROKEN, model="n"), signal("error:rate", at=MINUTE)))


def test_cool_down_and_budget_hold_after_it() -> None:
    run = Told(replace(SETTINGS, budget=1, cooldown_ms=HOUR))
    (request,) = requests(run.take(signal("error:rate")))
    run.take(told("retraining.failed", version="1", request=request.id), signal(BROKEN, at=MINUTE))
    run.take(tick(2 * HOUR), signal(BROKEN, 2, "resolved", at=3 * HOUR), *(tick(i * HOUR) for i in range(4, 48)))
    assert len(requests(run.said)) == 1
    assert requests(run.take(tick(31 * DAY)))


def test_the_end_by_a_person_is_an_end() -> None:
    run = broken(replace(SETTINGS, cooldown_ms=0))
    run.take(resolve("c-9", standing(run, "quality").id))
    assert brief(run.take(tick(HOUR)))[-1:] == ["error_alarm"]


MESSAGES = (
    *(signal(BROKEN), signal("error:rate", at=MINUTE), tick(HOUR)),
    *(signal(BROKEN, 2, "resolved", at=2 * HOUR), tick(3 * HOUR), tick(9 * HOUR), tick(10 * HOUR)),
)


@pytest.mark.parametrize("point", POINTS)
async def test_row_3_killed_at_every_message_it_is_deferred_and_asked_for_as_ever(point: str) -> None:
    """Mutation: do not publish the snapshot's outbox in ReactWorker._owned; the request is never heard of."""
    worlds = [World(settings=SETTINGS) for _ in range(2)]
    for message in MESSAGES:
        for world, dies in zip(worlds, (False, True), strict=True):
            world.append(message)
            process = world.process()
            if dies:
                process.traps.set(point, kill)
            await world.drain(process)
    assert await worlds[1].drain(worlds[1].process())
    clean, killed = worlds
    assert {request.rule for request in clean.requests()} == {"error_alarm"}
    assert {request.id for request in killed.requests()} == {request.id for request in clean.requests()}
    assert set(killed.said()) == set(clean.said())
    assert len({request.id for request in killed.requests()}) == 1
    assert killed.server.contents.slots[SLOT].fields == clean.server.contents.slots[SLOT].fields
