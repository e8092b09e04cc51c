"""`driftline performance`: what a person is told of estimated and measured performance, and what cannot be told."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from backtest.making import STEP_MS, T0, config, events
from backtest.test_estimates import N, rows
from driftline.backtest.replay import Replay
from driftline.cli import app, performance
from driftline.judge.model import ModelState
from driftline.judge.stored import load_models
from driftline.stats.settings import DetectionSettings
from stats.worlds import profile_of

DETECTION = DetectionSettings()


def invoke(*arguments: str) -> Result:
    return CliRunner(env={"DRIFTLINE_CONFIG": None, "COLUMNS": "160"}).invoke(app, ["performance", *arguments])


@pytest.fixture(scope="module")
def judged() -> list[ModelState]:
    """The model of a history whose scores lie from three quarters on."""

    async def replayed() -> list[ModelState]:
        replay = Replay(config())
        await replay.start()
        found = events(rows())
        for first in range(0, len(found), 1_000):
            part = found[first : first + 1_000]
            await replay.advance([(json.dumps(event).encode(), event["time"]) for event in part])
        await replay.finish(T0 + N * STEP_MS + 60_000)
        (fields,) = await replay.fields()
        return list(load_models(fields, DETECTION)[0].values())

    return asyncio.run(replayed())


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch, judged: list[ModelState]) -> list[ModelState]:
    async def look(_: Any, model: str) -> list[ModelState]:
        return [state for state in found if state.model == model]

    found = list(judged)
    monkeypatch.setattr(performance, "_look", look)
    return found


def test_a_person_sees_both_and_where_they_part(watched: list[ModelState]) -> None:
    result = invoke("model", "--by", "month", "--metric", "accuracy", "--metric", "AUC")
    assert result.exit_code == 0, result.output
    assert "model 1: accuracy by month" in result.output and "model 1: AUC by month" in result.output
    row = next(line for line in result.output.splitlines() if "2023-11-01" in line)
    assert "*" in row and row.count("±") == 3
    assert "±: two standard errors" in result.output


def test_programs_get_everything(watched: list[ModelState]) -> None:
    told = json.loads(invoke("model", "--json").output)
    assert (told["model"], told["version"], told["by"], told["why_nothing"]) == ("model", "1", "day", "")
    day = told["periods"][0]
    assert sum(day["confusion_expected"].values()) == pytest.approx(day["predictions"], abs=0.1)
    assert sum(day["confusion_measured"].values()) == day["outcomes"]
    assert day["from"] < day["to"] and set(day["estimated"]) == {"accuracy", "precision", "recall", "f1", "auc"}
    assert 0.0 < day["estimated"]["accuracy"]["chance"] < 0.1


@pytest.mark.parametrize("name", ["m.html", "m.png"])
def test_a_file_shows_it(watched: list[ModelState], tmp_path: Path, name: str) -> None:
    assert invoke("model", "--plot", str(tmp_path / name)).exit_code == 0
    assert (tmp_path / name).stat().st_size > 5_000


def test_what_cannot_be_told_is_said(watched: list[ModelState], tmp_path: Path) -> None:
    for arguments, words in (
        (("other",), "no version of other is watched"),
        (("model", "--version", "8"), "its versions are 1"),
        (("model", "--metric", "gini"), "known are accuracy, precision, recall, f1, auc"),
        (("model", "--by", "year"), "give auto, day, week, month"),
        (("model", "--plot", "m.svg"), "must end in .html or .png"),
        (("model", "--plot", str(tmp_path / "none" / "m.html")), "cannot be written"),
    ):
        result = invoke(*arguments)
        assert (result.exit_code, words in result.stderr) == (2, True), (arguments, result.stderr)


def test_why_there_is_nothing_to_show(watched: list[ModelState]) -> None:
    """Each reason, and what would change it."""
    rng = np.random.default_rng(1)
    score, error = rng.random(3_000), (rng.random(3_000) < 0.1).astype(float)
    watched.clear()
    for version, profile in (
        ("1", None),
        ("2", profile_of({"x": score}, DETECTION)),
        ("3", profile_of({"score": score}, DETECTION)),
        ("4", profile_of({"score": score}, DETECTION, pairs={"error": error})),
        (
            "5",
            profile_of({"score": score}, DETECTION, pairs={"error": error, "graded": score + 2.0 * (score > 0.5)}),
        ),
        (
            "6",
            profile_of({"score": score * 0 + 0.3}, DETECTION, pairs={"error": error, "graded": 0.3 + 2.0 * error}),
        ),
    ):
        state = ModelState("empty", version, DETECTION)
        state.profile = profile
        watched.append(state)
    said = invoke("empty").stderr
    for version, words in (
        ("1", "before it has a reference"),
        ("2", "no `score`"),
        ("3", "before outcomes enough"),
        ("4", "detection.positive_class"),
        ("5", "nothing has been judged"),
        ("6", "or all alike"),
    ):
        assert f"empty {version}: " in said and words in said
    assert json.loads(invoke("empty", "--version", "2", "--json").output)["why_nothing"]
