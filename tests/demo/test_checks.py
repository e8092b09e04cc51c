"""The checks: each one fails by the smallest deviation of what it is about, and by nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from demo.test_signals import said
from driftline.demo.answers import ANSWERS, Answers
from driftline.demo.audit import LedgerFigures
from driftline.demo.checks import (
    ONSET_FROM,
    ONSET_TO,
    check_answers,
    check_counts,
    check_dead_letters,
    check_foretold,
    check_processes,
    check_signals,
)
from driftline.demo.memory_audit import JoinFigures
from driftline.demo.processes import Kill
from driftline.demo.report import Published, count_figures
from driftline.demo.signals import Spoken

PUBLISHED = Published(
    predictions=115,
    outcomes=92,
    copies=10,
    lonely=4,
    refusals={"json": 5},
    by_partition={0: 100, 1: 107},
    predictions_by_version={"old": 60, "new": 40},
    outcomes_by_version={"old": 58, "new": 30},
)
JOIN = JoinFigures(pending=5, orphans_waiting=1, orphans_expired=3, expired=7, joined=88, pairs=80)


def ledger(**tallies: int) -> LedgerFigures:
    counts = {"predictions": 100, "outcomes_joined": 88, "duplicate_predictions": 10} | tallies
    figures = LedgerFigures(tallies=Counter(counts), refused=Counter(json=5), records=207, ends={0: 100, 1: 107})
    figures.by_version["old"].update(predictions=60, outcomes_joined=58, duplicate_predictions=10)
    figures.by_version["new"].update(predictions=40, outcomes_joined=30)
    figures.by_version[""].update(outcomes_waiting=4)
    return figures


def failing(
    published: Published = PUBLISHED, figures: LedgerFigures | None = None, join: JoinFigures = JOIN
) -> int:
    return sum(not check.holds for check in check_counts(published, figures or ledger(), join))


def test_sound_figures_pass() -> None:
    assert failing() == 0
    figures = count_figures(PUBLISHED, ledger(), JOIN)
    assert figures["predictions_published"] == sum(
        figures[name] for name in ("predictions_counted", "duplicates", "refused")
    )
    assert figures["outcomes_published"] == figures["outcomes_counted"] + figures["orphans"]
    assert figures["predictions_counted"] == figures["joined"] + figures["pending"] + figures["expired"]


@pytest.mark.parametrize("name", ["predictions", "outcomes_joined", "duplicate_predictions", "duplicate_outcomes"])
def test_one_event_more_or_less_in_a_tally_is_noticed(name: str) -> None:
    now = ledger().tallies[name]
    assert failing(figures=ledger(**{name: now + 1}))
    assert failing(figures=ledger(**{name: now - 1}))


@pytest.mark.parametrize("name", ["pending", "orphans_waiting", "orphans_expired", "expired", "joined"])
def test_one_entry_more_or_less_in_the_store_is_noticed(name: str) -> None:
    values = {n: getattr(JOIN, n) for n in JOIN.__dataclass_fields__}
    for by in (-1, 1):
        assert failing(join=JoinFigures(**values | {name: values[name] + by}))


def test_other_reasons_other_ends_and_problems_are_noticed() -> None:
    wrong: list[dict[str, Any]] = [
        {"refused": Counter(schema=5)},
        {"ends": {0: 101, 1: 106}},
        {"records": 208},
        {"problems": ["a gap"]},
        {"by_version": defaultdict(Counter, old=Counter(predictions=100, outcomes_joined=88))},
    ]
    for change in wrong:
        figures = ledger()
        for name, value in change.items():
            setattr(figures, name, value)
        assert failing(figures=figures)


@pytest.mark.parametrize(
    ("monitor", "state", "onset", "holds"),
    [
        ("error:rate", "alarm", ONSET_FROM, True),
        ("error:rate", "alarm", ONSET_TO - 1, True),
        ("error:rate", "alarm", ONSET_FROM - 1, False),
        ("error:rate", "alarm", ONSET_TO, False),
        ("error:rate", "alarm", None, False),
        ("error:rate", "resolved", ONSET_FROM, False),
        ("loss:distribution", "alarm", ONSET_FROM, False),
    ],
)
def test_the_error_has_to_be_found_in_time(monitor: str, state: str, onset: int | None, holds: bool) -> None:
    verdict = said(1, state, ONSET_TO, onset, monitor)
    assert check_signals(Spoken(verdicts=[verdict]))[0].holds is holds


def test_storms_wrong_ids_and_lost_state_fail() -> None:
    sound = [said(1, "alarm", ONSET_TO, ONSET_FROM)]
    assert all(check.holds for check in check_signals(Spoken(verdicts=sound)))
    storm = [*sound, said(2, "alarm", ONSET_TO, ONSET_FROM)]
    lost = [said(1, "info", 0, monitor="system:state_lost:ingest/0")]
    for spoken in (
        Spoken(verdicts=storm),
        Spoken(verdicts=sound, problems=["two"]),
        Spoken(verdicts=sound, system=lost),
    ):
        assert sum(not check.holds for check in check_signals(spoken)) == 1


def test_every_refusal_needs_its_dead_letter() -> None:
    assert check_dead_letters(5, 5).holds
    assert not check_dead_letters(5, 4).holds


def test_all_stages_have_to_be_killed_and_all_processes_to_end_in_order() -> None:
    stages = ("ingest", "judge", "react")
    kills = [Kill(stage, 1, 0, 0, 0, -9) for stage in stages]
    names = (*stages, "job")
    ended: dict[str, int | None] = dict.fromkeys(names, 0)
    assert [c.holds for c in check_processes(kills, stages, names, ended)] == [True, True]
    assert [c.holds for c in check_processes(kills[:2], stages, names, ended)] == [False, True]
    assert [c.holds for c in check_processes(kills, stages, names, ended | {"job": None})] == [True, False]
    assert [c.holds for c in check_processes(kills, stages, names, {})] == [True, False]


def test_a_loop_that_is_not_closed_or_not_quiet_fails() -> None:
    asked = {"id": "r", "model": "m", "time": 0}
    told = [{"request": "r", "what": what} for what in ANSWERS]
    opened = {"id": "a", "incident": "i", "model": "m", "version": "1", "cause": "data", "status": "open"}
    deployed = [{"deployed": "2013-05-09T00:00:00Z", "version": "2", "verdict": "It helped."}]

    def failing(answers: Answers, rows: list[dict[str, Any]]) -> int:
        return sum(not check.holds for check in check_answers(answers, rows))

    assert failing(Answers([opened], [asked], told), deployed) == 0
    assert failing(Answers([opened], [asked], told), [{"deployed": None}]) == 1
    assert failing(Answers([opened], [asked], told), [deployed[0] | {"verdict": None}]) == 1
    assert failing(Answers([opened], [asked], told[:2]), deployed) == 1
    assert failing(Answers([opened, opened], [asked], told), deployed) == 1
    assert failing(Answers([opened], [asked, asked | {"time": 1}], told), deployed) == 1
    assert failing(Answers([opened], [asked], told, problems=["two"]), deployed) == 1


@pytest.mark.parametrize(("predictions", "outcomes", "holds"), [(60, 58, True), (59, 58, False), (60, 59, False)])
def test_performance_rests_on_all_of_a_version(predictions: int, outcomes: int, holds: bool) -> None:
    rows = [
        {"version": "old", "predictions": 10, "outcomes": 8},
        {"version": "old", "predictions": predictions - 10, "outcomes": outcomes - 8},
        {"version": "new", "predictions": 1, "outcomes": 1},
    ]
    assert check_foretold(rows, "old", PUBLISHED).holds == holds
