"""The kinds of channel there are: from one's settings to one that can be sent by."""

from __future__ import annotations

from collections.abc import Callable

from driftline.clock import Clock
from driftline.react.notify.address import Resolve, resolve
from driftline.react.notify.alertmanager import Alertmanager
from driftline.react.notify.apprise_channel import AppriseChannel
from driftline.react.notify.hiding import Discreet
from driftline.react.notify.http import Poster
from driftline.react.notify.notification import Channel
from driftline.react.notify.pagerduty import PagerDuty
from driftline.react.notify.settings import (
    AlertmanagerSettings,
    AppriseSettings,
    ChannelSettings,
    PagerDutySettings,
    PostSettings,
    SlackSettings,
    WebhookSettings,
)
from driftline.react.notify.slack import slack
from driftline.react.notify.webhook import Webhook


def open_channel(
    settings: ChannelSettings,
    post: PostSettings,
    clock: Clock,
    *,
    values: bool,
    lost: Callable[[str], None] = lambda why: None,
    resolve: Resolve = resolve,
) -> Channel:
    """`values`: whether it may be told of categories and values. `lost`: hears why a picture was left out.

    Misconfigured where what it needs is not installed or what it is given is understood by nobody."""
    channel = _channel(settings, Poster(post, resolve), clock, lost)
    return channel if values else Discreet(channel)


def _channel(settings: ChannelSettings, poster: Poster, clock: Clock, lost: Callable[[str], None]) -> Channel:
    match settings:
        case WebhookSettings():
            return Webhook(settings, poster, clock)
        case SlackSettings():
            return slack(settings, poster, clock, lost)
        case PagerDutySettings():
            return PagerDuty(settings, poster, clock)
        case AlertmanagerSettings():
            return Alertmanager(settings, poster, clock)
        case AppriseSettings():
            return AppriseChannel(settings)
