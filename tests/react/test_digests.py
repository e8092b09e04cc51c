"""A digest tells how things stand, when its crontab says so."""

from __future__ import annotations

from driftline.contracts.reactions import Match
from driftline.react.core import react
from driftline.react.draft import Digest
from driftline.react.settings import DigestPlan, ReactSettings
from react.hearing import Same, silence
from react.making import DAY, HOUR, T0, Told, signal, tick

DAILY = DigestPlan("daily", "0 8 * * *")
EIGHT = 8 * HOUR - T0 % DAY + (DAY if T0 % DAY > 8 * HOUR else 0)
A = "features.a:distribution"


def digests(run: Told, at: int) -> list[Digest]:
    reaction = react(run.state, tick(at), run.settings)
    run.state = reaction.state
    return reaction.digests


def started(digested: str = "*") -> Told:
    run = Told(ReactSettings(retrain=False, routes=Same(plans=(DAILY,), digested=digested)))
    run.take(tick(EIGHT - HOUR))
    return run


def test_it_tells_once_what_is_open_and_what_has_ended_since() -> None:
    """Mutation: do not note in `digested` that it has been told; it comes with every tick."""
    run = started()
    run.take(signal(A, at=EIGHT - HOUR, severity="warning"), signal("error:rate", model="n", at=EIGHT - HOUR))
    assert digests(run, EIGHT - 1) == []
    (digest,) = digests(run, EIGHT + 1)
    assert [(a.model, a.status) for a in digest.alerts] == [("n", "open"), ("m", "open")]
    assert digests(run, EIGHT + HOUR) == []
    run.take(signal(A, 2, "resolved", at=EIGHT + HOUR))
    (digest,) = digests(run, EIGHT + DAY)
    assert [(a.model, a.status) for a in digest.alerts] == [("n", "repeated"), ("m", "resolved")]
    (digest,) = digests(run, EIGHT + 2 * DAY)
    assert [(a.model, a.status) for a in digest.alerts] == [("n", "repeated")]


def test_nothing_to_say_nothing_said_and_what_was_due_before_is_nobodys_business() -> None:
    run = Told(ReactSettings(retrain=False, routes=Same(plans=(DAILY,))))
    run.take(signal(A))
    assert digests(run, 0) == []
    run = started()
    assert digests(run, EIGHT + 1) == []


def test_routes_and_silences_hold_for_digests_too() -> None:
    run = started("n*")
    run.take(signal(A, at=EIGHT - HOUR), signal("error:rate", model="n", at=EIGHT - HOUR))
    run.take(signal("error:rate", model="nn", at=EIGHT - HOUR), silence("s1", Match(model="nn")))
    (digest,) = digests(run, EIGHT)
    assert [a.model for a in digest.alerts] == ["n"]


def test_a_storm_is_a_digest_of_twenty() -> None:
    run = started()
    run.take(*(signal("error:rate", model=f"m{i}", at=EIGHT - HOUR) for i in range(500)))
    (digest,) = digests(run, EIGHT)
    assert (len(digest.alerts), digest.more) == (20, 480)
    assert len({a.id for a in digest.alerts}) == 20
