"""Who is told of what."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from driftline.contracts.reactions import Alert
from driftline.react.routes import Fits, Route, RouteTable
from driftline.react.settings import DigestPlan, Timing
from driftline.react.subject import of_alert
from react.making import T0

ALERT = Alert(
    id="a",
    incident="i",
    model="fraud-eu",
    version="3",
    cause="data",
    status="open",
    severity="error",
    sentence="s",
    opened=T0,
    time=T0,
    monitors=["features.income:distribution", "features.age:missing"],
    team="risk",
)
ALL = ("chat", "pager", "boss", "mail")


def table(*routes: Route, **more: Any) -> RouteTable:
    return RouteTable(receivers=ALL, routes=routes, **more)


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        (Fits(), True),
        (Fits(model=("fraud*",)), True),
        (Fits(model=("Fraud*",)), False),
        (Fits(model=("churn", "fraud-??")), True),
        (Fits(version=("2",)), False),
        (Fits(team=("risk",)), True),
        (Fits(team=("growth",)), False),
        (Fits(cause=("quality", "data")), True),
        (Fits(cause=("quality",)), False),
        (Fits(severity="error"), True),
        (Fits(severity="critical"), False),
        (Fits(monitor=("features.age:*",)), True),
        (Fits(monitor=("features.zip:*",)), False),
        (Fits(model=("fraud*",), severity="critical"), False),
    ],
)
def test_what_a_route_fits(fits: Fits, expected: bool) -> None:
    assert fits.subject(of_alert(ALERT)) is expected


def test_a_model_without_a_team_fits_no_team() -> None:
    assert not Fits(team=("*",)).subject(of_alert(replace(ALERT, team=None)))


def test_the_first_route_that_fits_ends_it_unless_it_goes_on() -> None:
    grave = Route("grave", ("pager",), Fits(severity="error"), goes_on=True, timing=Timing(0))
    ours = Route("ours", ("chat",), Fits(team=("risk",)), timing=Timing(1))
    rest = Route("rest", ("mail",), timing=Timing(2))
    routes = table(rest, grave, ours)
    assert routes.told(ALERT, ()) == ["mail"]
    routes = table(grave, ours, rest)
    assert routes.told(ALERT, ()) == ["chat", "pager"]
    assert routes.timing(of_alert(ALERT)) == Timing(0)
    assert routes.told(replace(ALERT, severity="warning"), ()) == ["chat"]
    assert routes.timing(of_alert(replace(ALERT, severity="warning"))) == Timing(1)
    assert routes.told(replace(ALERT, severity="info", team=None), ()) == ["mail"]
    assert table().told(ALERT, ()) == []


def test_nobody_is_told_twice_by_two_routes() -> None:
    assert table(Route("a", ("chat",), goes_on=True), Route("b", ("chat", "mail"))).told(ALERT, ()) == [
        "chat",
        "mail",
    ]


def test_who_has_heard_hears_of_the_end_whatever_its_route_is_by_now() -> None:
    """Mutation: leave `heard` out in RouteTable.told; the pager stays lit for what has ended."""
    routes = table(Route("grave", ("pager",), Fits(severity="critical")), Route("rest", ("chat",)))
    assert routes.told(ALERT, {"pager", "boss"}) == ["chat"]
    for status in ("resolved", "acknowledged"):
        assert routes.told(replace(ALERT, status=status), {"pager", "boss"}) == ["chat", "pager", "boss"]


def test_the_end_is_kept_from_those_who_do_not_want_it() -> None:
    routes = table(
        Route("mail", ("mail",), goes_on=True, resolved=False),
        Route("grave", ("pager",), Fits(severity="critical"), resolved=False),
        Route("rest", ("chat",)),
    )
    assert routes.told(ALERT, ()) == ["chat", "mail"]
    over = replace(ALERT, status="resolved")
    assert routes.told(over, {"mail", "pager"}) == ["chat"]
    assert routes.told(replace(over, cause="retraining", details={"verdict": "worse"}), ()) == ["chat", "mail"]


def test_an_escalation_is_told_to_more() -> None:
    routes = table(Route("a", ("chat",), escalate_to=("boss",), timing=Timing(escalate_ms=1)))
    assert routes.told(ALERT, ()) == ["chat"]
    assert routes.told(replace(ALERT, status="escalated"), ()) == ["chat", "boss"]
    assert routes.told(replace(ALERT, status="resolved"), {"chat", "boss"}) == ["chat", "boss"]


def test_row_42_that_a_receiver_refuses_is_told_to_others() -> None:
    """Mutation: do not leave out `alert.version` in RouteTable.told; who refuses is told that it refuses."""
    refused = replace(ALERT, model="", version="chat", cause="notification", team=None)
    routes = table(Route("a", ("chat", "mail")))
    assert routes.told(refused, ()) == ["mail"]
    assert table(Route("a", ("chat",))).told(refused, ()) == ["pager", "boss", "mail"]
    assert table(Route("a", ("chat",), Fits(cause=("data",)))).told(refused, ()) == ["pager", "boss", "mail"]
    assert RouteTable(receivers=("chat",), routes=(Route("a", ("chat",)),)).told(refused, ()) == []


def test_a_digest_tells_by_the_clock_only() -> None:
    daily = Route("daily", ("mail",), Fits(severity="warning"), goes_on=True, digest="0 8 * * *")
    routes = table(Route("grave", ("pager",), Fits(severity="critical")), daily, Route("ours", ("chat",)))
    assert routes.told(ALERT, ()) == ["chat"]
    (plan,) = routes.digests()
    assert plan == DigestPlan("daily", "0 8 * * *")
    assert routes.in_digest(plan, of_alert(ALERT))
    assert not routes.in_digest(plan, of_alert(replace(ALERT, severity="critical")))
    assert not routes.in_digest(plan, of_alert(replace(ALERT, severity="info")))
    assert (routes.digested("daily"), routes.digested("ours"), routes.digested("none")) == (("mail",), (), ())
    assert routes.timing(of_alert(ALERT)) == Timing()


def test_a_model_is_of_the_first_team_that_names_it() -> None:
    routes = table(teams=(("risk", ("fraud*", "credit")), ("growth", ("*",))))
    assert [routes.team(name) for name in ("fraud-eu", "credit", "churn", "")] == [
        "risk",
        "risk",
        "growth",
        "growth",
    ]
    assert table().team("fraud-eu") is None
