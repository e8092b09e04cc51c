"""The audit of signals: re-deliveries, storms and latency."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from driftline.demo.signals import Said, latencies, listen, quantiles, storms
from driftline.runtime.memory_log import MemoryRecord


def said(sequence: int, state: str, time: int, onset: int | None = None, monitor: str = "error:rate") -> Said:
    content = {"id": f"{monitor}{sequence}", "model": "m", "version": "1", "monitor": monitor, "sequence": sequence}
    return Said(content | {"state": state, "time": time, "onset": onset, "sentence": "so it is"}, at=time + 500)


def record(content: dict[str, Any], at: int = 0) -> MemoryRecord:
    return MemoryRecord("signals", 0, 0, at, None, orjson.dumps(content))


def test_an_exact_redelivery_is_dropped_and_counted() -> None:
    one, other = said(1, "alarm", 10).content, said(2, "resolved", 20).content
    spoken = listen([record(one, 1), record(other, 2), record(one, 3)])
    assert [s.at for s in spoken.verdicts] == [1, 2]
    assert (spoken.redelivered, spoken.problems) == (1, [])


def test_one_id_with_two_contents_is_a_problem() -> None:
    one = said(1, "alarm", 10).content
    assert listen([record(one), record(one | {"sentence": "no"})]).problems


def test_what_the_service_says_of_itself_is_no_verdict() -> None:
    spoken = listen([record(said(1, "info", 0, monitor="system:gap:judge/1").content)])
    assert (len(spoken.verdicts), len(spoken.system)) == (0, 1)


def test_an_alarm_after_a_resolution_is_a_new_one() -> None:
    assert storms([said(3, "alarm", 40, 30), said(1, "alarm", 10, 5), said(2, "resolved", 30)]) == []


@pytest.mark.parametrize(
    "history",
    [
        [said(1, "alarm", 10, 5), said(2, "alarm", 20, 15)],
        [said(1, "alarm", 10, 5), said(2, "resolved", 30), said(3, "alarm", 40, 29)],
        [said(1, "alarm", 10, 5), said(2, "resolved", 30), said(3, "alarm", 40, 35), said(4, "alarm", 41, 40)],
    ],
    ids=["unresolved", "over what was resolved", "third"],
)
def test_two_notifications_for_one_cause_are_a_storm(history: list[Said]) -> None:
    assert len(storms(history)) == 1


def test_two_monitors_may_alarm_at_once() -> None:
    assert storms([said(1, "alarm", 10, 5), said(1, "alarm", 10, 5, monitor="loss:distribution")]) == []


def test_latency_runs_from_the_publishing_of_the_last_event_before() -> None:
    sent = {10: 200, 20: None}
    assert latencies([said(1, "alarm", 10), said(2, "resolved", 20)], sent.get) == [0.31]
    assert quantiles([0.1, 0.3, 0.2]) == {"p50": 0.2, "p99": 0.298}
    assert quantiles([]) == {"p50": None, "p99": None}
