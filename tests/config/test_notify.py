"""Receivers and routes: what may be given, what is refused, and what it comes to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from driftline.clock import ManualClock
from driftline.config import Config, load
from driftline.contracts.reactions import Alert
from driftline.errors import Misconfigured
from driftline.react.notify.settings import (
    AlertmanagerSettings,
    AppriseSettings,
    PagerDutySettings,
    SlackSettings,
    WebhookSettings,
)
from driftline.react.settings import Timing
from driftline.react.subject import Subject
from driftline.receivers import channel_settings, file_secrets, lines
from driftline.routing import route_table
from driftline.wiring import worker_settings

CHAT: dict[str, Any] = {"name": "chat", "type": "slack", "url": "https://hooks.example/x"}
PAGER: dict[str, Any] = {"name": "pager", "type": "pagerduty", "key": "k"}


def config(**notify: Any) -> Config:
    return load(None, {}, {f"notify.{name}": value for name, value in notify.items()}).config


def settings(receiver: dict[str, Any]) -> Any:
    return channel_settings(config(receivers=[receiver]).notify.receivers[0], 10.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"receivers": [{**CHAT, "url": "ftp://h/x"}]}, "https://host/path"),
        ({"receivers": [{**CHAT, "url": "https:///x"}]}, "https://host/path"),
        ({"receivers": [{**CHAT, "url": "https://h:port/x"}]}, "https://host/path"),
        ({"receivers": [{**CHAT, "url_file": "/x"}]}, "either url or url_file"),
        ({"receivers": [{**CHAT, "token": "t", "channel": "C"}]}, "one of url, token"),
        ({"receivers": [{"name": "chat", "type": "slack"}]}, "one of url, token"),
        ({"receivers": [{"name": "chat", "type": "slack", "token": "t"}]}, "channel's id"),
        ({"receivers": [{"name": "mail", "type": "apprise"}]}, "one of urls"),
        ({"receivers": [{**CHAT, "name": "a:b"}]}, "pattern"),
        ({"receivers": [{**CHAT, "name": "x" * 41}]}, "pattern"),
        ({"receivers": [{**CHAT, "per_minute": 0}]}, "greater than 0"),
        ({"receivers": [{**CHAT, "per_minute": "nan"}]}, "finite"),
        ({"receivers": [{**CHAT, "type": "slak"}]}, "its type is one of"),
        ({"receivers": [{**CHAT, "uri": "x"}]}, "did you mean notify.receivers.0.slack.url"),
        ({"receivers": [CHAT, {**PAGER, "name": "chat"}]}, "two receivers are called 'chat'"),
        ({"receivers": [{**CHAT, "name": f"c{n}"} for n in range(51)]}, "at most 50"),
        ({"routes": [{"receivers": ["chat"]}]}, "no receiver is called 'chat'; there are none"),
        (
            {"receivers": [CHAT], "routes": [{"receivers": ["chta"]}]},
            "route 1: no receiver is called 'chta'; there are chat",
        ),
        ({"receivers": [CHAT], "routes": [{"receivers": []}]}, "at least 1"),
        ({"receivers": [CHAT], "routes": [{}]}, "receivers"),
        ({"receivers": [CHAT], "routes": [{"receivers": ["chat"], "escalate_s": 9}]}, "go together"),
        ({"receivers": [CHAT], "routes": [{"receivers": ["chat"], "escalate_to": "chat"}]}, "go together"),
        ({"receivers": [CHAT], "routes": [{"receivers": ["chat"], "digest": "daily"}]}, "crontab"),
        (
            {
                "receivers": [CHAT],
                "routes": [{"receivers": "chat", "digest": "0 8 * * *", "escalate_s": 9, "escalate_to": "chat"}],
            },
            "does not escalate",
        ),
        (
            {"receivers": [CHAT], "routes": [{"receivers": ["chat"], "match": {"cause": "drift"}}]},
            "no cause 'drift'",
        ),
        ({"receivers": [CHAT], "routes": [{"receivers": ["chat"], "match": {"severity": "bad"}}]}, "critical"),
        (
            {"receivers": [CHAT], "routes": [{"receivers": ["chat"], "match": {"team": "risk"}}]},
            "notify.teams has no",
        ),
        ({"receivers": [CHAT], "routes": [{"receivers": ["chat"], "match": {"modl": "m"}}]}, "match.model"),
        (
            {"receivers": [CHAT], "routes": [{"name": n, "receivers": ["chat"]} for n in "aa"]},
            "two routes are called",
        ),
        ({"receivers": [CHAT], "requests": ["pager"]}, "requests: no receiver"),
        ({"deployments": ["pager"]}, "deployments: no receiver"),
        ({"allow_private": "10.0.0.0/99"}, "no network"),
        ({"ca_file": "/there/is/none.pem"}, "no file"),
        ({"timeout_s": "nan"}, "finite"),
    ],
)
def test_row_46_mistakes_are_refused_with_their_remedy(given: dict[str, Any], said: str) -> None:
    """Mutation: leave out `_known` in Notify._fits_together; a misspelt receiver is never told."""
    with pytest.raises(Misconfigured) as caught:
        config(**given)
    assert "notify" in str(caught.value)
    assert said in str(caught.value)


def test_without_receivers_nobody_is_told() -> None:
    table = worker_settings(config()).routes
    assert (table.receivers, table.routes, table.digests()) == ((), [], [])


def test_without_routes_everybody_is_told_of_warnings() -> None:
    table = worker_settings(config(receivers=[CHAT, PAGER])).routes
    (route,) = table.routes
    assert (route.receivers, route.fits.severity) == (("chat", "pager"), "warning")


def test_routes_are_what_the_core_is_given() -> None:
    routes = [
        {
            "name": "grave",
            "match": {"severity": "critical", "model": "fraud*"},
            "receivers": "pager",
            "continue": True,
        },
        {
            "match": {"team": ["risk"]},
            "receivers": ["chat"],
            "group_wait_s": 5,
            "repeat_s": None,
            "escalate_s": 1.5,
            "escalate_to": ["pager"],
        },
        {"receivers": "chat", "digest": "0 8 * * 1", "resolved": False},
    ]
    made = worker_settings(
        config(
            receivers=[CHAT, PAGER],
            routes=routes,
            teams={"risk": "fraud*, credit"},
            requests="chat",
            deployments="pager",
        )
    )
    table = made.routes
    assert made.policy.routes is table
    assert [route.name for route in table.routes] == ["grave", "2", "3"]
    assert (table.requests, table.events, table.team("credit")) == (("chat",), ("pager",), "risk")
    subject = Subject("fraud-eu", "1", "data", "critical", "risk", [])
    assert [route.name for route in table.fitting(subject)] == ["grave", "2"]
    assert table.routes[1].timing == Timing(group_wait_ms=5_000, repeat_ms=None, escalate_ms=1_500)
    assert [plan.name for plan in table.digests()] == ["3"]


def test_the_environment_takes_json() -> None:
    environ = {"DRIFTLINE_NOTIFY__RECEIVERS": json.dumps([CHAT]), "DRIFTLINE_NOTIFY__TEAMS": '{"a": "x*"}'}
    made = load(None, environ).config
    assert [r.name for r in made.notify.receivers] == ["chat"]
    assert made.notify.teams == {"a": ("x*",)}


@pytest.mark.parametrize(
    ("secret", "key"), [("plain", b"plain"), ("whsec_c2VjcmV0", b"secret"), ("whsec_no base64", b"whsec_no base64")]
)
def test_the_key_of_the_signature(secret: str, key: bytes) -> None:
    made = settings({"name": "a", "type": "webhook", "url": "https://h/x", "secret": secret})
    assert made == WebhookSettings("https://h/x", key)
    assert "https" not in repr(made)
    assert "plain" not in repr(made)


def test_each_kind_is_given_what_it_needs(tmp_path: Path) -> None:
    held = tmp_path / "secret"
    held.write_text("s3cret\n")
    file = str(held)
    assert settings(CHAT) == SlackSettings(url="https://hooks.example/x")
    bot = {"name": "b", "type": "slack", "token_file": file, "channel": "C1", "pictures": False}
    assert settings(bot) == SlackSettings(token="s3cret", channel="C1", pictures=False)
    assert settings({"name": "p", "type": "pagerduty", "key_file": file}) == PagerDutySettings("s3cret")
    manager = {"name": "m", "type": "alertmanager", "url": "http://m:9093", "username": "u", "password_file": file}
    assert settings(manager) == AlertmanagerSettings("http://m:9093", "u", "s3cret", valid_s=604_800.0)
    held.write_text("mailto://a\nmsteams://b\n")
    apprise = {"name": "x", "type": "apprise", "urls_file": file}
    assert settings(apprise) == AppriseSettings(("mailto://a", "msteams://b"), 10.0)
    assert file_secrets(config(receivers=[apprise])) == {"mailto://a", "msteams://b"}


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), ("", "is empty"), ("hook", "https://host/path")]
)
def test_row_45_a_file_that_is_none_is_said_without_what_is_in_it(
    content: str | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_text(content)
    made = config(receivers=[{"name": "chat", "type": "slack", "url_file": str(file)}])
    with pytest.raises(Misconfigured, match="chat") as caught:
        lines(made)
    assert said in str(caught.value)
    assert "hook" not in str(caught.value)


async def test_every_receiver_has_a_channel() -> None:
    made = lines(config(receivers=[CHAT, PAGER], values=True))
    assert [line.name for line in made] == ["chat", "pager"]
    for line in made:
        await line.channel(ManualClock()).close()


def test_a_route_table_of_the_configuration_names_who_is_told() -> None:
    alert = Alert(
        id="a",
        incident="i",
        model="m",
        version="1",
        cause="data",
        status="open",
        severity="warning",
        sentence="s",
        opened=0,
        time=0,
    )
    assert route_table(config(receivers=[CHAT])).told(alert, ()) == ["chat"]


def test_an_address_that_apprise_does_not_know_is_said_to_be_whose() -> None:
    mail = {"name": "mail", "type": "apprise", "urls": ["no-such-scheme://x"]}
    with pytest.raises(Misconfigured, match=r"notify\.receivers: mail: .* number 1"):
        [line.channel(ManualClock(0)) for line in lines(config(receivers=[CHAT, mail]))]
