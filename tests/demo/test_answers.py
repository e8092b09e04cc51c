"""What react said and what was answered: each id once, no storm, no gap."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from driftline.clock import ManualClock
from driftline.demo.answers import ANSWERS, Answers, alert_storms, audit_answers, request_storms, unanswered
from driftline.runtime.log import Outgoing
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter


def alert(incident: str, status: str, version: str = "1", cause: str = "data") -> dict[str, Any]:
    return {"id": f"{incident}-{status}", "incident": incident, "model": "m"} | {
        "version": version,
        "cause": cause,
        "status": status,
    }


async def test_each_id_is_taken_once() -> None:
    log = MemoryLog(ManualClock(), {"alerts": 1, "retraining": 1, "lifecycle": 1})
    asked = orjson.dumps({"id": "r"})
    told = [orjson.dumps({"id": what, "what": what, "request": "r"}) for what in ANSWERS]
    records = [Outgoing("retraining", 0, None, value) for value in (asked, asked, b'{"id": "r", "other": 1}')]
    records += [Outgoing("lifecycle", 0, None, value) for value in told]
    await MemoryWriter(log).publish(records)
    answers = await audit_answers(MemoryReader(log), "alerts", "retraining", "lifecycle")
    assert (answers.requests, answers.redelivered, len(answers.problems)) == ([{"id": "r"}], 2, 1)
    assert unanswered(answers) == []
    assert answers.verdict("r") is None
    answers.alerts += [{"request": "r", "sentence": "opened"}]
    answers.alerts += [{"request": "r", "details": {"verdict": "helped"}, "sentence": "It helped."}]
    assert answers.verdict("r") == "It helped."
    assert answers.told("r", "deployed") == {"id": "deployed", "what": "deployed", "request": "r"}


@pytest.mark.parametrize("left_out", ANSWERS)
def test_an_answer_that_is_missing_is_named(left_out: str) -> None:
    told = [{"id": what, "what": what, "request": "r"} for what in ANSWERS if what != left_out]
    assert unanswered(Answers(requests=[{"id": "r"}], lifecycle=told)) == [
        f"nobody told {left_out} of the request r"
    ]


def test_incidents_one_after_another_and_side_by_side_are_no_storm() -> None:
    said = [alert("i", "open"), alert("i", "updated"), alert("j", "open", cause="quality")]
    said += [alert("i", "resolved"), alert("k", "open"), alert("l", "open", version="2")]
    said.append(alert("c", "resolved", cause="retraining") | {"id": "c"})
    assert alert_storms(said) == []


@pytest.mark.parametrize(
    "said",
    [
        [alert("i", "open"), alert("j", "open")],
        [alert("i", "open"), alert("i", "resolved"), alert("i", "open")],
        [alert("i", "updated")],
        [alert("i", "open"), alert("i", "resolved"), alert("i", "resolved")],
    ],
    ids=["two at once", "reopened", "never opened", "resolved twice"],
)
def test_storms_of_alerts(said: list[dict[str, Any]]) -> None:
    assert len(alert_storms(said)) == 1


def test_requests_within_the_cool_down_are_a_storm() -> None:
    asked = [{"id": str(time), "model": model, "time": time} for time, model in ((0, "m"), (5, "other"), (10, "m"))]
    assert request_storms(asked, 10) == []
    assert len(request_storms(asked, 11)) == 1
