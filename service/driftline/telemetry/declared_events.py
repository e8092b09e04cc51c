"""Every log event there is. Nothing else can be logged (`logs.py`), and docs/metrics.md is made from this list."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR


@dataclass(frozen=True, slots=True)
class Event:
    """A log event: its stable name, its level, and what it means."""

    name: str
    level: int
    meaning: str


EVENTS: Final = (
    Event("service.started", INFO, "All stages begin."),
    Event("service.stopping", INFO, "A stop was asked for; the work in hand is being finished."),
    Event("service.stopped", INFO, "Everything is closed; what is not published yet is in the store."),
    Event("http.listening", INFO, "Metrics and health are served at this address."),
    Event("http.failed", ERROR, "The metrics server ended unasked."),
    Event("servers.failing", WARNING, "The broker, a topic that we read, or the store is not there, for `detail`."),
    Event("servers.answering", INFO, "All of them are there."),
    Event("partition.owned", INFO, "A partition was taken over; it is read on from `start`."),
    Event("partition.released", INFO, "A partition was given up, or lost, for `reason`."),
    Event("partition.paused", WARNING, "A partition is not read for now, for `reason`."),
    Event("partition.resumed", INFO, "A paused partition is read again."),
    Event("partition.stalled", WARNING, "A partition has records but none are fetched; the consumer is restarted."),
    Event("call.retrying", WARNING, "A call to the broker or the store failed for now and is repeated."),
    Event("config.changed", WARNING, "State was written under other settings; it goes on under ours from here."),
    Event(
        "config.reloaded", INFO, "The configuration was read again and is in force; `settings` are what changed."
    ),
    Event(
        "config.waiting",
        INFO,
        "The configuration was read again; it takes effect when the message in hand, which is being repeated, is done.",
    ),
    Event(
        "config.refused", ERROR, "A reload was refused, for `mistakes`; the former configuration stays in force."
    ),
    Event("state.lost", ERROR, "The store has forgotten or rolled back our state; it is rebuilt from the log."),
    Event("state.quarantined", ERROR, "A state field cannot be read; it is set aside and its part starts cold."),
    Event("log.gap", ERROR, "Records that must be read are gone."),
    Event(
        "fold.failed",
        ERROR,
        "Our own code failed on a record, at this line; it is dead-lettered or its partition pauses.",
    ),
    Event("signal.repeated", DEBUG, "A signal that react has taken before came again; it changes nothing."),
    Event("alert.published", INFO, "An incident was opened, updated or resolved."),
    Event("command.taken", INFO, "What a person asked for, and what became of it (`outcome`)."),
    Event("policy.failed", ERROR, "Our own code failed in a `stage` that decides who is told; people are told."),
    Event(
        "model.forgotten",
        WARNING,
        "React has more names of models than it remembers; so many `models` of which nothing is open are forgotten.",
    ),
    Event("retraining.requested", INFO, "A model should be retrained; the request is on the `retraining` topic."),
    Event("retraining.declined", WARNING, "A retraining that was due or wanted is not asked for, for `reason`."),
    Event(
        "retraining.deferred", INFO, "An `incident` would ask for a retraining, were not that of `quality` open."
    ),
    Event("notification.sent", INFO, "A receiver has taken a notification."),
    Event("notification.picture_lost", WARNING, "A message was told without its picture, for `error`."),
    Event("notification.retried", WARNING, "A receiver has not taken a notification; it is tried again."),
    Event(
        "notification.refused", ERROR, "A receiver will never take this notification; what it says is on its topic."
    ),
    Event(
        "notification.dropped",
        ERROR,
        "Too many notifications wait for a receiver, or it is configured no more: this one is not sent.",
    ),
    Event("library", INFO, "What a library we use has logged, at its own level."),
)
