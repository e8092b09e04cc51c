"""A limit on a ratio between segments from the file's events to the alarm, and from its blocks again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backtest.making import ERROR_MOVES, X_MOVES, config, events, rows, run, write_jsonl
from driftline.backtest.blockfile import BlockFile
from driftline.backtest.columns import Columns
from driftline.backtest.reference import read_reference
from driftline.backtest.run import rejudge
from driftline.config import Config
from driftline.wiring import decoder

MONITOR = "segments.sex:positive_rate_ratio >= 0.8"
ACCURACY = "segments.sex:accuracy_ratio >= 0.8"


def settings(metric: str = "positive_rate_ratio") -> Config:
    limit = {"metric": metric, "segment": "sex", "at_least": 0.8, "min_count": 50}
    return config(**{"detection.limits": [limit]})


def told(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events with a segment; from `X_MOVES` on women get a third of what men get."""
    rng, found = np.random.default_rng(4), []
    for event in events(made):
        if event["type"] == "prediction":
            woman = rng.random() < 0.4
            share = 0.2 if woman and event["time"] >= X_MOVES else 0.6
            event["segments"] = {"sex": "F" if woman else "M", "region": "north"}
            event["prediction"] = int(rng.random() < share)
        found.append(event)
    return found


def test_from_first_events_and_again_from_their_blocks(tmp_path: Path) -> None:
    """Mutations: no `limits` in `wiring.ingest_settings`; no `segments` in `BlockMaker._alone`."""
    path = write_jsonl(tmp_path / "e.jsonl", told(rows()))
    result = run(path, config=settings(), blocks=tmp_path / "e.blocks")
    (alarm,) = (alarm for alarm in result.alarms() if alarm.monitor == MONITOR)
    assert X_MOVES < alarm.time < X_MOVES + 1_200_000
    assert 'with "F" against' in alarm.sentence
    again = rejudge(BlockFile(tmp_path / "e.blocks"), settings())
    assert [(a.id, a.sentence) for a in again.alarms() if a.monitor == MONITOR] == [(alarm.id, alarm.sentence)]


def test_by_the_reference_of_a_file(tmp_path: Path) -> None:
    """Mutation: leave "segments" out of `backtest.reference._row`."""
    made = told(rows())
    reference = write_jsonl(tmp_path / "r.jsonl", [event for event in made if event["time"] < X_MOVES - 600_000])
    later = write_jsonl(tmp_path / "e.jsonl", [event for event in made if event["time"] >= X_MOVES - 600_000])
    read = read_reference(reference, Columns(), None, decoder(settings()), columns_given=False)
    result = run(later, config=settings(), reference=read)
    (alarm,) = (alarm for alarm in result.alarms() if alarm.monitor == MONITOR)
    assert X_MOVES < alarm.time < X_MOVES + 1_200_000


def wrong_for_women(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events with a segment. A tenth of what is said is wrong; of women, from `ERROR_MOVES` on, seven tenths."""
    rng, found = np.random.default_rng(5), []
    truths: dict[str, int] = {}
    for event in events(made):
        if event["type"] == "prediction":
            woman = rng.random() < 0.4
            wrong = rng.random() < (0.7 if woman and event["time"] >= ERROR_MOVES else 0.1)
            event["segments"] = {"sex": "F" if woman else "M"}
            truths[event["id"]] = int(event["prediction"] != wrong)
        else:
            event["outcome"] = truths[event["id"]]
        found.append(event)
    return found


def test_errors_from_first_events_and_again_from_their_blocks(tmp_path: Path) -> None:
    """Mutation: no `self._errors` in `BlockMaker.pairs`."""
    path = write_jsonl(tmp_path / "e.jsonl", wrong_for_women(rows()))
    asked = settings("accuracy_ratio")
    result = run(path, config=asked, blocks=tmp_path / "e.blocks")
    (alarm,) = (alarm for alarm in result.alarms() if alarm.monitor == ACCURACY)
    assert ERROR_MOVES < alarm.time < ERROR_MOVES + 1_500_000
    assert 'with "F" against' in alarm.sentence
    again = rejudge(BlockFile(tmp_path / "e.blocks"), asked)
    assert [(a.id, a.sentence) for a in again.alarms() if a.monitor == ACCURACY] == [(alarm.id, alarm.sentence)]


def test_errors_by_the_reference_of_a_file(tmp_path: Path) -> None:
    """Mutation: no `segments` in `reference_build._pairs`."""
    made = wrong_for_women(rows())
    reference = write_jsonl(
        tmp_path / "r.jsonl", [event for event in made if event["time"] < ERROR_MOVES - 600_000]
    )
    later = write_jsonl(tmp_path / "e.jsonl", [event for event in made if event["time"] >= ERROR_MOVES - 600_000])
    asked = settings("accuracy_ratio")
    read = read_reference(reference, Columns(), None, decoder(asked), columns_given=False)
    result = run(later, config=asked, reference=read)
    (alarm,) = (alarm for alarm in result.alarms() if alarm.monitor == ACCURACY)
    assert ERROR_MOVES < alarm.time < ERROR_MOVES + 1_500_000
