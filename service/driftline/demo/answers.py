"""What react said and what was answered, read from the topics without react's code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from driftline.demo.signals import distinct
from driftline.runtime.log import LogReader

ANSWERS: Final = ("retraining.started", "retraining.succeeded", "deployed")
"""What has to be told of a request, in this order."""


@dataclass
class Answers:
    """All alerts, requests and lifecycle events in the order of the log, each id once. An id with two contents is a
    problem."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    lifecycle: list[dict[str, Any]] = field(default_factory=list)
    redelivered: int = 0
    problems: list[str] = field(default_factory=list)

    def told(self, request: str, what: str) -> dict[str, Any] | None:
        """The first event of a kind that answers a request."""
        return next((e for e in self.lifecycle if e.get("request") == request and e["what"] == what), None)

    def verdict(self, request: str) -> str | None:
        """The sentence in which react compares what a request has brought."""
        told = (a for a in self.alerts if a.get("request") == request and "verdict" in a.get("details", {}))
        return next((str(alert["sentence"]) for alert in told), None)


async def audit_answers(reader: LogReader, alerts: str, retraining: str, lifecycle: str) -> Answers:
    """Reads the whole topics. Transient passes through."""
    answers = Answers()
    for topic, into in (
        (alerts, answers.alerts),
        (retraining, answers.requests),
        (lifecycle, answers.lifecycle),
    ):
        bounds = (await reader.bounds_of(topic, [0]))[0]
        found = distinct(await reader.read(topic, 0, bounds.begin, bounds.end))
        into += [content for content, _ in found.contents]
        answers.redelivered += found.redelivered
        answers.problems += found.problems
    return answers


def alert_storms(alerts: Sequence[dict[str, Any]]) -> list[str]:
    """Every incident that opens while another of the same model version and cause is open, that is told of when it
    is not open, or that opens twice."""
    found = []
    open_now: dict[tuple[str, str, str], str] = {}
    seen: set[str] = set()
    for alert in alerts:
        about = alert["model"], alert["version"], alert["cause"]
        name, incident, status = " ".join(about), alert["incident"], alert["status"]
        if status == "open":
            if incident in seen:
                found.append(f"{name}: an incident opens twice")
            elif about in open_now:
                found.append(f"{name}: a second incident opens while one is open")
            seen.add(incident)
            open_now[about] = incident
        elif incident == alert["id"]:
            continue  # said once, about something that is over: the comparison after a deployment
        elif open_now.get(about) != incident:
            found.append(f"{name}: an incident is {status} that is not open")
        elif status == "resolved":
            del open_now[about]
    return found


def request_storms(requests: Sequence[dict[str, Any]], cooldown_ms: int) -> list[str]:
    """Requests for one model within the cool-down."""
    found = []
    last: dict[str, int] = {}
    for request in requests:
        model, time = request["model"], request["time"]
        if model in last and time - last[model] < cooldown_ms:
            found.append(f"{model} is to be retrained twice within the cool-down")
        last[model] = time
    return found


def unanswered(answers: Answers) -> list[str]:
    """What is missing of the answers to requests."""
    return [
        f"nobody told {what} of the request {request['id']}"
        for request in answers.requests
        for what in ANSWERS
        if answers.told(request["id"], what) is None
    ]
