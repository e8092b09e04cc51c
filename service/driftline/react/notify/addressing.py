"""From what react says to the notifications of it: one for each receiver that the routes name. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from driftline.contracts.reactions import Alert, RetrainingRequested, content_id
from driftline.contracts.records import Lifecycle
from driftline.react.core import Message
from driftline.react.draft import Digest, Reaction
from driftline.react.notify.notification import Notification
from driftline.react.notify.outbox import Edit
from driftline.react.routes import RouteTable

CHANGES: Final = frozenset({"deployed", "rolled_back"})
"""Lifecycle events that people are told of."""


def tell(reaction: Reaction, message: Message | None, table: RouteTable, edit: Edit) -> None:
    """Put what there is to be told into the outbox. `message`: what the reaction is to; a deployment is told of too,
    unless nothing came of it, which is so where it is repeated."""
    for said in reaction.outbox:
        edit.put(_alert(said, table, edit) if isinstance(said, Alert) else _request(said, table))
    for digest in reaction.digests:
        edit.put(_digest(digest, table))
    if isinstance(message, Lifecycle) and message.what in CHANGES and reaction.dirty:
        edit.put(_change(message, table))


def hand_over(gone: Sequence[Notification], table: RouteTable, edit: Edit) -> list[Notification]:
    """Alerts that wait for receivers there are no more go to those whom the routes name now, unless they have heard of
    the incident, or are about to. Returns what is not sent to anybody for it."""
    knew: dict[str, frozenset[str]] = {}
    lost: list[Notification] = []
    for one in gone:
        before = knew.setdefault(one.key, frozenset(edit.told(one.key)))
        made = [] if one.alert is None else _alert(one.alert, table, edit)
        fresh = [another for another in made if another.receiver not in before]
        edit.put(fresh)
        if not fresh:
            lost.append(one)
    return lost


def _alert(alert: Alert, table: RouteTable, edit: Edit) -> list[Notification]:
    """One that is held is told to nobody. One that cannot be routed is told to everybody: better too often."""
    if alert.held is not None:
        return []
    key = alert.part_of or alert.incident
    try:
        names: Sequence[str] = table.told(alert, edit.told(key))
    except Exception:  # noqa: BLE001 - whatever is wrong with a route, the alert is not
        names = table.receivers
    return [Notification(id=_id(name, alert.id), receiver=name, key=key, alert=alert) for name in names]


def _request(request: RetrainingRequested, table: RouteTable) -> list[Notification]:
    return [
        Notification(id=_id(name, request.id), receiver=name, key=request.id, request=request)
        for name in _known(table, table.requests)
    ]


def _change(event: Lifecycle, table: RouteTable) -> list[Notification]:
    return [
        Notification(id=_id(name, event.id), receiver=name, key=event.id, event=event)
        for name in _known(table, table.events)
    ]


def _digest(digest: Digest, table: RouteTable) -> list[Notification]:
    if not digest.alerts:
        return []
    told = [
        (name, _id(name, "digest", digest.name, digest.due)) for name in _known(table, table.digested(digest.name))
    ]
    return [Notification(id=id, receiver=name, key=id, digest=digest.alerts, more=digest.more) for name, id in told]


def _known(table: RouteTable, names: Collection[str]) -> list[str]:
    return [name for name in table.receivers if name in names]


def _id(receiver: str, *what: str | int) -> str:
    return content_id("notification", receiver, *what)
