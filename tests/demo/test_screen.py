"""The screen: lines without a terminal, a picture on one, and tables of whatever was found."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from driftline.demo.checks import Check
from driftline.demo.report import Report
from driftline.demo.screen import Scene, Screen, alarms_table, answer_of, picture, show_report
from driftline.demo.watch import Seen, week_of

APRIL = 1_364_806_800_000


def scene() -> Scene:
    seen = Seen(
        signals=[("alarm", "error:rate", APRIL, "the error [rate] rose")],
        alerts=[("open", "performance", APRIL, "people are told"), ("retrain", "error_alarm", APRIL, "a [mix]")],
        watermark=APRIL,
    )
    seen.weeks[week_of(APRIL)] = [200, 50]
    return Scene("publishing", 10, 100, 12.0, APRIL, seen, ["SIGKILL to ingest"])


def test_without_a_terminal_a_line_every_few_seconds() -> None:
    file = io.StringIO()
    with Screen(Console(file=file, force_terminal=False, width=120)) as screen:
        for now in (1.0, 2.0, 5.9):
            screen.show(scene(), now)
    assert file.getvalue().splitlines() == [
        "10 of 100 events, 12/s; published up to 1 Apr, judged up to 1 Apr; alarms: 1, alerts: 1",
    ]


def test_a_terminal_sees_weeks_signals_and_kills() -> None:
    file = io.StringIO()
    Console(file=file, width=100).print(picture(scene(), 40))
    for words in ("25.0%", "the error [rate] rose", "people are told", "a [mix]", "SIGKILL to ingest"):
        assert words in file.getvalue()


def test_weeks_begin_on_monday() -> None:
    assert week_of(APRIL) == 1_364_774_400_000
    assert week_of(1_364_774_400_000 - 1) == 1_364_774_400_000 - 7 * 86_400_000


def test_the_end_is_told_even_where_nothing_was_found() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100)
    report = Report(
        predictions_published=0,
        outcomes_published=0,
        predictions_counted=0,
        outcomes_counted=0,
        duplicates=0,
        refused=0,
        joined=0,
        pending=0,
        expired=0,
        orphans=0,
        duplicates_by_kind={},
        refused_by_reason={},
        orphans_by_fate={},
        by_version={},
        signals=[],
        alarms=[],
        retraining=[],
        performance=[
            {
                "version": "1",
                "month": "2013-04",
                "predictions": 1_200,
                "outcomes": 0,
                "estimated": {"accuracy": {"value": 0.76, "bar": 0.031}},
                "measured": {},
                "expected": {},
            }
        ],
        notifications={"slack": [], "pagerduty": []},
        signal_latency_s={"p50": None, "p99": None},
        kills=[],
        judged_until="",
        checks=[],
        passed=False,
        events_per_s=0.0,
        wall_s={},
        versions={},
    )
    show_report(console, report, [Check("it works", False, "0 against 1")])
    assert "FAIL" in file.getvalue() and "76.0% ±3" in file.getvalue()
    assert b'"predictions_published": 0' in report.to_json()


def alarm(monitor: str, time: str, state: str = "alarm") -> dict[str, str | None]:
    onset = "2013-04-01T00:00:00Z" if state == "alarm" else None
    return {"version": "1", "monitor": monitor, "state": state, "onset": onset, "time": f"2013-{time}T05:00:00Z"}


def test_alarms_are_one_line_for_what_moved_together() -> None:
    file = io.StringIO()
    signals = [
        alarm("features.a:missing", "04-09"),
        alarm("features.b:missing", "04-09"),
        alarm("error:rate", "04-25"),
        alarm("features.a:missing", "05-01", "resolved"),
        alarm("features.b:missing", "05-01", "resolved"),
        alarm("features.a:missing", "06-01"),
    ]
    Console(file=file, width=100).print(alarms_table(signals))
    lines = [line.split() for line in file.getvalue().splitlines()[2:]]
    assert lines == [
        ["1", "a,", "b", "missing", "1", "Apr", "9", "Apr", "1", "May"],
        ["error", "rate", "1", "Apr", "25", "Apr", "-"],
        ["a", "missing", "1", "Apr", "1", "Jun", "-"],
    ]


@pytest.mark.parametrize(
    ("answer", "after", "words"),
    [
        ("helped", 0.2, "It helped: the error over the flights since is 20.0%, and would have been 25.0% without"),
        ("made no difference", 0.25, "It made no difference"),
        ("made it worse", 0.3, "It made it worse"),
    ],
)
def test_whether_it_helped_is_said_plainly(answer: str, after: float, words: str) -> None:
    row = {"answer": answer, "error_after": after, "error_without": 0.25, "bar": 0.01}
    assert words in answer_of(row)


def test_nothing_deployed_is_no_answer() -> None:
    assert "Nobody can say" in answer_of({"answer": None})
