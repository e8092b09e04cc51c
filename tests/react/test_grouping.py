"""Models that show the same upstream column are told together, under one key."""

from __future__ import annotations

import pytest

from driftline.contracts.reactions import Match
from driftline.react.settings import ReactSettings
from react.hearing import PATIENTLY, Same, ack, heard, key, resolve, silence, told
from react.making import HOUR, MINUTE, Told, alerts, signal, tick

A, B = "features.a:distribution", "features.b:distribution"


def together(*, models: int = 3) -> Told:
    """Models m0, m1, ... that have told of `a` together, at 2 min."""
    run = Told(PATIENTLY)
    run.take(tick(0), *(signal(A, at=i * 1_000, model=f"m{i}") for i in range(models)), tick(2 * MINUTE))
    return run


def test_they_are_told_together_once() -> None:
    """Mutation: answer None in Leaders.of; there are three messages."""
    run = together()
    (message,) = told(run.said)
    assert [message.model, *(also.model for also in message.also)] == ["m0", "m1", "m2"]
    assert message.sentence.endswith("2 other models show the same.")
    assert {a.part_of for a in alerts(run.said) if a.model == "m1"} == {None}
    resolved = alerts(run.take(signal(A, 2, "resolved", at=HOUR, model="m1")))
    assert [(a.part_of, a.held is not None) for a in resolved] == [(message.incident, True)]


@pytest.mark.parametrize(
    ("other", "at"),
    [(B, 1_000), ("features.a:quality", 1_000), ("prediction:distribution", 1_000), (A, 20 * MINUTE)],
)
def test_what_shows_something_else_or_came_later_is_told_apart(other: str, at: int) -> None:
    """Mutation: leave `near`, or the cause, out of grouping.Leaders; they are one."""
    run = Told(PATIENTLY)
    run.take(tick(0), signal(A, model="m"), signal(other, at=at, model="n"), tick(at + 2 * MINUTE))
    assert {m.model for m in told(run.said)} == {"m", "n"}


def test_columns_of_one_upstream_belong_together() -> None:
    run = Told(ReactSettings(retrain=False, routes=Same(), upstream={"b": "orders", "a": "orders"}))
    run.take(tick(0), signal(A, model="m"), signal(B, at=1, model="n"), tick(2 * MINUTE))
    (message,) = told(run.said)
    assert (message.upstream, message.models) == ("orders", 2)
    assert "the pipeline that fills orders" in message.advice


def test_who_comes_later_joins_what_has_been_told() -> None:
    run = together()
    said = run.take(signal(A, at=3 * MINUTE, model="m9"), tick(5 * MINUTE), tick(10 * MINUTE))
    (message,) = told(said)
    assert (message.status, message.models, message.model) == ("updated", 4, "m0")


def test_it_is_open_while_one_of_them_is_and_keeps_its_key() -> None:
    """Mutation: let a case last only while its leader is open; its end is told while others last."""
    run = together()
    lead = told(run.said)[0].incident
    said = run.take(signal(A, 2, "resolved", at=HOUR, model="m0"), tick(HOUR + MINUTE))
    assert told(said) == []
    said = run.take(signal(B, at=2 * HOUR, model="m1"), tick(2 * HOUR + MINUTE))
    assert [(m.model, m.status, key(m)) for m in told(said)] == [("m1", "updated", lead)]
    said = run.take(
        signal(A, 2, "resolved", at=3 * HOUR, model="m2"),
        signal(A, 2, "resolved", at=3 * HOUR, model="m1"),
        signal(B, 2, "resolved", at=3 * HOUR, model="m1"),
        tick(3 * HOUR + MINUTE),
    )
    assert [(m.status, key(m)) for m in told(said)] == [("resolved", lead)]


def test_one_that_is_silenced_is_not_named_and_the_others_are_told() -> None:
    """Mutation: let the leader speak although it is silenced in cases._tell; m0 is told."""
    run = Told(PATIENTLY)
    run.take(tick(0), *(signal(A, at=i, model=f"m{i}") for i in range(3)))
    run.take(silence("s1", Match(model="m0"), lasts=HOUR), tick(2 * MINUTE))
    (message,) = told(run.said)
    assert (message.model, [also.model for also in message.also]) == ("m1", ["m2"])
    (after,) = told(run.take(tick(HOUR + MINUTE)))
    assert (after.model, after.status, [also.model for also in after.also]) == ("m1", "updated", ["m0", "m2"])


def test_a_leader_that_is_silenced_later_leaves_the_rest_to_be_told() -> None:
    run = together()
    lead = told(run.said)[0].incident
    run.take(silence("s1", Match(model="m0")), signal(B, at=10 * MINUTE, model="m1"), tick(10 * MINUTE))
    last = told(run.said)[-1]
    assert (last.model, last.status, key(last), [also.model for also in last.also]) == (
        "m1",
        "updated",
        lead,
        ["m2"],
    )


def test_acknowledged_and_resolved_together() -> None:
    run = together()
    lead = told(run.said)[0].incident
    member = next(a.incident for a in alerts(run.said) if a.model == "m2")
    (answer,) = told(run.take(ack("c1", member)))
    assert (answer.status, key(answer), answer.models, answer.by) == ("acknowledged", lead, 3, "ann")
    assert told(run.take(tick(30 * HOUR))) == []
    run.take(resolve("c2", lead))
    assert [(m.status, key(m)) for m in told(run.take(tick(31 * HOUR)))] == [("resolved", lead)]
    assert not any(v.incidents for m in run.state.models.values() for v in m.versions.values())


def test_a_case_is_forgotten_when_all_of_it_has_ended() -> None:
    run = together()
    run.take(signal(A, 2, "resolved", at=HOUR, model="m0"), tick(20 * HOUR))
    assert "data" in run.state.models["m0"].versions["1"].closed
    for name in ("m1", "m2"):
        run.take(signal(A, 2, "resolved", at=20 * HOUR, model=name))
    run.take(tick(21 * HOUR), tick(27 * HOUR), tick(28 * HOUR))
    assert heard(run.said)[-1] == "m0 data:resolved"
    assert not any(v.closed for m in run.state.models.values() for v in m.versions.values())


def test_what_speaks_for_an_ended_leader_is_told_once() -> None:
    """Mutation: leave `face` out where cases._tell marks what has been told; it is told as news again and again."""
    run = Told(PATIENTLY)
    run.take(tick(0), *(signal(A, model=f"m{i}", at=i) for i in range(2)), tick(2 * MINUTE))
    run.take(*(signal(A, 2, "resolved", model=f"m{i}", at=20 * MINUTE) for i in range(2)), tick(25 * MINUTE))
    run.take(signal(A, 3, model="m1", at=70 * MINUTE), *(tick((70 + i) * MINUTE) for i in range(50)))
    assert heard(run.said) == ["m0 data:open", "m0 data:resolved", "m1 data:reopened"]
