"""A stage of the policy that fails holds nothing back."""

from __future__ import annotations

import pytest

from driftline.contracts.reactions import Match
from driftline.react import cases
from driftline.react.draft import Draft
from driftline.react.grouping import Case
from driftline.react.settings import DigestPlan, ReactSettings, Timing
from driftline.react.state import State
from driftline.react.subject import Subject
from react.hearing import PATIENTLY, Same, heard, silence
from react.making import MINUTE, Told, signal, tick

A = "features.a:distribution"


class Broken(Same):
    """Routes that raise whatever they are asked."""

    def team(self, model: str) -> str | None:
        raise LookupError(model)

    def timing(self, subject: Subject) -> Timing:
        raise ZeroDivisionError

    def in_digest(self, plan: DigestPlan, subject: Subject) -> bool:
        raise ValueError


def test_routes_that_fail() -> None:
    """Mutation: catch nothing in Draft.attempt."""
    run = Told(ReactSettings(retrain=False, routes=Broken()))
    run.take(tick(0), signal(A), tick(MINUTE))
    assert heard(run.said) == ["m data:open"]
    assert "policy.failed" in run.notes


def test_row_45_what_a_failure_says_is_not_told() -> None:
    """It may name values of features. Mutation: put the error itself into the note of Draft.attempt."""

    def broken() -> None:
        raise LookupError("canary")

    draft = Draft(State(), ReactSettings())
    draft.attempt("advice", broken, None)
    (note,) = draft.notes
    assert note.fields["stage"] == "advice"
    assert str(note.fields["error"]).startswith("LookupError at driftline.react.draft:")


@pytest.mark.parametrize(
    "stage",
    [
        "holding.fits",
        "holding.explains",
        "grouping.upstreams",
        "incidents.grade",
        "saying.advice",
        "cases.Leaders",
        "cases._forget",
        "core.watch",
        "core.compare",
        "core.consider",
        "core.on_schedule",
        "core.drop_silences",
        "core.tell_digests",
        "saying.upstreams",
    ],
)
def test_stages_that_fail(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError(stage)

    monkeypatch.setattr(f"driftline.react.{stage}", broken)
    run = Told(PATIENTLY)
    run.take(tick(0), silence("s1", Match(model="m")), signal("features.a:quality"), signal(A, at=1))
    run.take(tick(2 * MINUTE), tick(3 * MINUTE), tick(25 * 60 * MINUTE))
    assert "m data:open" in heard(run.said) or "m quality:open" in heard(run.said)
    assert "policy.failed" in run.notes


def test_a_policy_of_retraining_that_fails_keeps_no_alarm_from_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: call `consider` by itself in core.react; the signal is refused, and its alarm with it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("driftline.react.core.consider", broken)
    run = Told(PATIENTLY)
    run.take(tick(0), signal("error:rate"), tick(2 * MINUTE))
    assert heard(run.said) == ["m performance:open"]


def test_an_incident_that_cannot_be_told_keeps_no_other_from_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: call `_tell` by itself in cases.tell_cases."""
    whole = cases._tell

    def broken(draft: Draft, case: Case) -> None:
        if case.leader.model == "a":
            raise ZeroDivisionError
        whole(draft, case)

    monkeypatch.setattr(cases, "_tell", broken)
    run = Told(PATIENTLY)
    run.take(tick(0), signal("error:rate", model="a"), signal("error:rate", model="b"), tick(2 * MINUTE))
    assert heard(run.said) == ["b performance:open"]
