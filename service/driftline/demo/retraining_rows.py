"""What became of each request: did retraining help? Both versions are scored on the same later flights."""

from __future__ import annotations

from typing import Any

from driftline.demo.answers import Answers
from driftline.demo.events import Script
from driftline.demo.flights import NEVER
from driftline.demo.helped import by_month, compare, error_rate
from driftline.demo.report import rfc3339


def retraining_rows(answers: Answers, without: Script, played: Script) -> list[dict[str, Any]]:
    """A row a request. `without` is the script as it would have gone on, `played` as it was published.

    `error_before`: of the old version, over the outcomes that came in from the onset of the change (the window's
    begin, where it is no mix) until the request: the evidence. `error_after`: of the new version, over all flights
    that it has predicted. `error_without`: of the old version over these same flights. `bar`: two standard errors
    of the difference of the two. `verdict`: what react said of it, who has seen the new version's first days only.
    None where there is nothing to count. Poison counts nowhere."""
    flights, clean = played.flights, played.clean
    rows = []
    for request in answers.requests:
        window, asked = request["window"], request["time"]
        mix = window.get("mix")
        onset = mix["since"] if mix else window["from"]
        known = (flights.known_at != NEVER) & (flights.known_at < asked)
        evidence = clean & known & (flights.known_at >= (onset or 0)) & (played.version == request["version"])
        deployed = answers.told(request["id"], "deployed")
        row = {
            "id": request["id"],
            "requested": rfc3339(asked),
            "rule": request["rule"],
            "reason": request["reason"],
            "window": {
                "from": None if window["from"] is None else rfc3339(window["from"]),
                "to": rfc3339(window["to"]),
                "mix": {"since": rfc3339(mix["since"]), "weight": mix["weight"]} if mix else None,
                "events": window.get("events"),
                "why": window["why"],
            },
            "replaces": request["version"],
            "deployed": None,
            "version": None,
            "verdict": None,
            "error_before": _rounded(error_rate(flights, without.predictions, evidence)),
            "error_after": None,
            "error_without": None,
            "bar": None,
            "flights": 0,
            "answer": None,
            "by_month": [],
        }
        if deployed is not None:
            new = clean & (played.version == deployed["version"])
            found = compare(flights, played.predictions, without.predictions, new)
            row |= {"deployed": rfc3339(deployed["time"]), "version": deployed["version"]}
            row["verdict"] = answers.verdict(request["id"])
            if found is not None:
                row |= {
                    "error_after": _rounded(found.new),
                    "error_without": _rounded(found.old),
                    "bar": _rounded(found.bar),
                    "flights": found.n,
                    "answer": found.answer,
                    "by_month": by_month(flights, played.predictions, without.predictions, new),
                }
        rows.append(row)
    return rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
