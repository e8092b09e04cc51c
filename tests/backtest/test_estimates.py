"""Performance by the pipeline: from events to what is estimated and measured, in a plot and in judge's scorecard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest.making import STEP_MS, T0, config, run, write_jsonl
from driftline.backtest.columns import Columns
from driftline.backtest.estimates import estimates_of, readings_of
from driftline.backtest.feed import Feed
from driftline.backtest.plot import plot_kind, write_estimates, write_plot
from driftline.backtest.replay import Replay
from driftline.backtest.series import Series
from driftline.judge.model import ModelState
from driftline.judge.periods import readings
from driftline.judge.stored import load_models
from driftline.stats.settings import DetectionSettings

N = 6_000
INPUTS_MOVE = T0 + 3_000 * STEP_MS
RELATION_MOVES = T0 + 4_500 * STEP_MS


def rows() -> list[dict[str, Any]]:
    """Scores that come true as they say; they move at one time, and lie from another on."""
    rng = np.random.default_rng(9)
    made = []
    for i in range(N):
        time = T0 + i * STEP_MS
        mean = 0.5 if time >= INPUTS_MOVE else 0.25
        score = float(rng.beta(6 * mean, 6 * (1 - mean)))
        truth = 1.0 - score if time >= RELATION_MOVES else score
        made.append(
            {
                "time": time,
                "id": f"e{i}",
                "x": float(rng.normal()),
                "colour": "red",
                "prediction": int(score >= 0.5),
                "score": score,
                "outcome": int(rng.random() < truth),
                "outcome_time": time + 20_000,
            }
        )
    return made


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Series, Any]:
    path = write_jsonl(tmp_path_factory.mktemp("history") / "rows.jsonl", rows())
    series = Series()
    return path, series, run(path, watchers=[series])


def test_estimates_follow_the_inputs_and_part_where_scores_lie(history: tuple[Path, Series, Any]) -> None:
    """Mutation: pairs without `graded` (`pair_rows`): nothing can be estimated."""
    _, series, result = history
    (found,) = readings_of(series, result.profiles).values()
    calm = [one for one in found if one.end <= INPUTS_MOVE and one.predictions > 100]
    moved = [
        one for one in found if one.start >= INPUTS_MOVE and one.end <= RELATION_MOVES and one.predictions > 100
    ]
    lying = [one for one in found if one.start >= RELATION_MOVES + 60_000 and one.pairs > 100]
    assert calm and moved and lying
    drop = np.mean([one.estimated["accuracy"].value for one in calm]) - np.mean(
        [one.estimated["accuracy"].value for one in moved]
    )
    assert drop > 0.08  # less certain scores: fewer hits, and it is known before any outcome
    assert sum(one.parted("accuracy") for one in moved) <= len(moved) // 4
    assert all(one.parted("accuracy") for one in lying)
    shown = {one.metric for one in estimates_of({("model", "1"): found})}
    assert shown == {"accuracy", "precision", "recall", "f1", "auc"}


def test_the_scorecard_holds_what_was_judged(history: tuple[Path, Series, Any]) -> None:
    """The same counts as the blocks show, to the last one. Mutation: leave out `scorecard.add` in `_judge_until`."""
    path, _, result = history

    async def replayed() -> ModelState:
        replay = Replay(config())
        await replay.start()
        for entries in Feed([path], Columns(), None, columns_given=False, advanced=lambda _: None):
            await replay.advance([(entry.value, entry.time) for entry in entries])
        await replay.finish(T0 + N * STEP_MS + 60_000)
        (fields,) = await replay.fields()
        ((_, state),) = load_models(fields, DetectionSettings())[0].items()
        return state

    state = asyncio.run(replayed())
    card = readings(state.scorecard, "month")
    (profile,) = result.profiles.values()
    judged = sum(row["time"] >= profile.judged_from for row in rows())
    assert profile.pairs_from is not None
    # Scores have a meaning from the moment at which pairs have a reference.
    assert 0 < sum(one.predictions for one in card) <= judged
    assert sum(one.pairs for one in card) == sum(row["outcome_time"] >= profile.pairs_from for row in rows())


@pytest.mark.parametrize("name", ["o.html", "o.png"])
def test_the_plots_show_it(history: tuple[Path, Series, Any], tmp_path: Path, name: str) -> None:
    _, series, result = history
    kind = plot_kind(tmp_path / name)
    write_plot(tmp_path / name, kind, result, series, [])
    alone = tmp_path / f"alone-{name}"
    estimates = estimates_of(readings_of(series, result.profiles))
    write_estimates(alone, kind, "Performance of <b>", estimates)
    if kind == "html":
        page = (tmp_path / name).read_text()
        assert page.count("estimated and measured") == 5 and "class=parted" in page and "class=dot" in page
        assert "Performance of &lt;b&gt;" in alone.read_text() and "<b>" not in alone.read_text()
    else:
        assert alone.read_bytes().startswith(b"\x89PNG") and (tmp_path / name).stat().st_size > 20_000


def test_a_history_without_scores_shows_none(tmp_path: Path) -> None:
    made = [{name: value for name, value in row.items() if name != "score"} for row in rows()[:3_000]]
    series = Series()
    result = run(write_jsonl(tmp_path / "rows.jsonl", made), watchers=[series])
    assert readings_of(series, result.profiles) == {}
    write_plot(tmp_path / "o.html", "html", result, series, [])
    assert "Performance" not in (tmp_path / "o.html").read_text()
