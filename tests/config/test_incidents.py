"""`react.incidents`: from the configuration to the policy."""

from __future__ import annotations

import json

import pytest

from driftline.config import load
from driftline.contracts.reactions import Match
from driftline.errors import Misconfigured
from driftline.react.settings import Maintenance
from driftline.wiring import worker_settings

WINDOW = {
    "match": {"model": "fraud*", "up_to": "error"},
    "schedule": "0 2 * * 6",
    "lasts_s": 7200,
    "reason": "load",
}


def test_what_is_written_is_what_the_policy_goes_by() -> None:
    written = {
        "react.update_every_s": 60,
        "react.incidents.reopen_s": 3_600,
        "react.incidents.quietest_s": 7_200,
        "react.incidents.together_s": 30,
        "react.incidents.upstream": json.dumps({"txn_*": "payments"}),
        "react.incidents.importance": {"fraud*": "high", "*/features.debug_*": "low"},
        "react.incidents.busy_per_day": 1_000_000,
        "react.incidents.maintenance": [WINDOW],
    }
    policy = worker_settings(load(None, environ={}, overrides=written).config).policy
    assert (policy.update_every_ms, policy.quietest_ms, policy.reopen_ms) == (60_000, 7_200_000, 3_600_000)
    assert (policy.together_ms, policy.busy_per_day, policy.idle_per_day) == (30_000, 1_000_000, None)
    assert dict(policy.upstream) == {"txn_*": "payments"}
    assert list(policy.importance.items()) == [("fraud*", "high"), ("*/features.debug_*", "low")]
    window = Maintenance(Match(model="fraud*", up_to="error"), "0 2 * * 6", 7_200_000, "load", "")
    assert policy.maintenance == (window,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("importance", {"m": "vital"}, "importance"),
        ("maintenance", [WINDOW | {"schedule": "weekly"}], "crontab of five fields"),
        ("maintenance", [WINDOW | {"match": {"modle": "m"}}], "modle"),
        ("maintenance", [{k: v for k, v in WINDOW.items() if k != "reason"}], "reason"),
        ("quietest_s", 0, "quietest_s"),
        ("busy_per_day", 0, "busy_per_day"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        load(None, environ={}, overrides={f"react.incidents.{name}": value})
