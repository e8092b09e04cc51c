"""A stage of the policy that fails holds nothing back."""

from __future__ import annotations

import pytest

from driftline.contracts.reactions import Match
from driftline.react.settings import DigestPlan, ReactSettings, Timing
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


@pytest.mark.parametrize(
    "stage",
    [
        "holding.fits",
        "holding.explains",
        "grouping.upstreams",
        "incidents.grade",
        "saying.advice",
        "cases.Leaders",
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
