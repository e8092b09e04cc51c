"""The result's JSON, known changes, blocks, tune and the plot."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from backtest.making import (
    ERROR_MOVES,
    STEP_MS,
    T0,
    X_MOVES,
    N,
    config,
    rows,
    run,
    write_csv,
    write_jsonl,
    write_parquet,
)
from driftline.backtest.blockfile import BlockFile
from driftline.backtest.result import Result
from driftline.backtest.run import rejudge
from driftline.backtest.truth import judge_alarms, read_changes
from driftline.backtest.tune import Setting, judge_all, proposed
from driftline.cli import app
from driftline.errors import Misconfigured
from driftline.wiring import decoder

runner = CliRunner()
FIRST = ["--reference-events", "1200"]


def changes_file(tmp_path: Path, *lines: list[object]) -> Path:
    path = tmp_path / "changes.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["time", "model", "monitor", "label"], *lines])
    return path


def test_the_keys_of_the_json(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "r.csv", rows())
    out = tmp_path / "o.json"
    done = runner.invoke(app, ["backtest", str(path), *FIRST, "--json", str(out)])
    assert done.exit_code == 0, done.output
    body = json.loads(out.read_bytes())
    assert list(body) == ["summary", "monitors", "alarms", "retraining"]
    assert list(body["summary"]) == ["events", "outcomes", "refused", "late", "seconds"]
    assert {"model", "version", "monitor", "alarms", "first_alarm"} <= body["monitors"][0].keys()
    named = {"model", "version", "monitor", "detector", "time", "event_index", "onset", "sentence"}
    assert named <= body["alarms"][0].keys()
    assert {m["monitor"] for m in body["monitors"] if m["alarms"]} == {a["monitor"] for a in body["alarms"]}
    assert any(m["alarms"] == 0 and m["first_alarm"] is None for m in body["monitors"])
    assert body["retraining"][0]["rule"] == "error_alarm"
    assert "features.x:distribution" in done.output


def test_delays_to_known_changes(tmp_path: Path) -> None:
    """An alarm goes to the change before it. Mutation: in `_found`, take the first alarm of all."""
    result = run(write_csv(tmp_path / "r.csv", rows()))
    alarms = {alarm.monitor: alarm.time for alarm in result.alarms()}
    changes = read_changes(
        changes_file(
            tmp_path,
            [X_MOVES, "", "features.x", "x"],
            [X_MOVES + 1_500 * STEP_MS, "", "features.x", "x, once more"],
            [ERROR_MOVES, "model", "error", "error"],
            [ERROR_MOVES, "another", "", "elsewhere"],
        )
    )
    truth = judge_alarms(result, changes)
    by_label = {found.change.label: found for found in truth.ours.found}
    assert by_label["x"].delay_ms == alarms["features.x:distribution"] - X_MOVES
    assert by_label["error"].delay_ms == alarms["error:rate"] - ERROR_MOVES
    delay = by_label["x"].delay_events
    assert delay is not None
    assert abs(delay * STEP_MS - (alarms["features.x:distribution"] - X_MOVES)) <= STEP_MS
    assert by_label["elsewhere"].time is by_label["x, once more"].time is None
    assert (truth.ours.false_alarms, truth.ours.missed) == (0, 2)
    panes = (X_MOVES - result.profiles["model", "1"].judged_from) / result.profiles["model", "1"].pane_ms
    assert truth.always_fire.false_alarms == pytest.approx(panes, abs=2)
    assert truth.always_fire.missed == 0
    assert (truth.never_fire.false_alarms, truth.never_fire.missed) == (0, 4)


def test_alarms_before_any_change_are_false(tmp_path: Path) -> None:
    result = run(write_csv(tmp_path / "r.csv", rows()))
    truth = judge_alarms(result, read_changes(changes_file(tmp_path, [ERROR_MOVES, "", "error", ""])))
    assert truth.ours.false_alarms == sum(alarm.time < ERROR_MOVES for alarm in result.alarms()) > 0
    assert truth.ours.found[0].alarm == "error:rate"


@pytest.mark.parametrize(("text", "words"), [("when\n1\n", "unknown column"), ("time\nsoon\n", ":2: 'soon'")])
def test_changes_that_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(Misconfigured, match=words):
        read_changes(tmp_path / "c.csv")


def kept(tmp_path: Path) -> tuple[Result, BlockFile]:
    path = tmp_path / "h.blocks"
    return run(write_csv(tmp_path / "r.csv", rows()), blocks=path), BlockFile(path)


def test_blocks_say_again_what_was_said(tmp_path: Path) -> None:
    """The references are learnt again from the raw blocks, and as many values judged.

    Mutation: in `_Kept.blocks`, leave one bundle out."""
    first, file = kept(tmp_path)
    again = rejudge(file, config())
    assert again.signals == first.signals
    assert again.monitors() == first.monitors()
    assert [r.id for r in again.requests] == [r.id for r in first.requests]
    assert (again.summary.events, again.summary.outcomes) == (N, N)


def test_blocks_by_another_setting(tmp_path: Path) -> None:
    _, file = kept(tmp_path)
    blind = rejudge(file, config(**{"detection.min_effect_sd": 2.0, "detection.min_rate_effect": 0.5}))
    assert "features.x:distribution" not in {alarm.monitor for alarm in blind.alarms()}


def test_the_end_of_the_files_is_told_from_silence(tmp_path: Path) -> None:
    """Outcomes come three hours after the last prediction. Mutation: no note in `_say_what_is_odd`."""
    slow = [row | {"time": T0 + 30 * (row["time"] - T0)} for row in rows()]
    late = [row | {"outcome_time": row["time"] + 10_800_000} for row in slow]
    result = run(write_csv(tmp_path / "r.csv", late))
    (alarm,) = (alarm for alarm in result.alarms() if alarm.monitor == "predictions:silence")
    assert alarm.time > late[-1]["time"]
    assert any("where the history ends" in said for said in result.notes)
    assert not run(write_csv(tmp_path / "r.csv", rows())).notes


@pytest.mark.parametrize(
    "other",
    [
        {"judge.reference_events": 600},
        {"judge.reference_events": N + 1},
        {"detection.limits": [{"metric": "share_above", "column": "features.x", "value": 0.123, "at_most": 0.5}]},
    ],
)
def test_blocks_that_other_settings_cannot_read(tmp_path: Path, other: dict[str, Any]) -> None:
    """Not taken for silence, nor for nothing. Mutation: no `_same_bins`."""
    _, file = kept(tmp_path)
    with pytest.raises(Misconfigured, match="the file was made with"):
        rejudge(file, config(**other))


def test_blocks_that_were_cut_off(tmp_path: Path) -> None:
    kept(tmp_path)
    path = tmp_path / "h.blocks"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(Misconfigured, match="not a whole file of blocks"):
        BlockFile(path)


def test_a_reference_of_a_file_is_judged_by_from_the_first_event(tmp_path: Path) -> None:
    made = rows()
    reference = write_parquet(tmp_path / "ref.parquet", made[:1_400])
    data = write_csv(tmp_path / "r.csv", made[1_400:])
    out = tmp_path / "o.json"
    arguments = ["backtest", str(data), "--reference", str(reference), "--json", str(out)]
    done = runner.invoke(app, arguments)
    assert done.exit_code == 0, done.output
    body = json.loads(out.read_bytes())
    assert {a["monitor"] for a in body["alarms"]} >= {"features.x:distribution", "error:rate"}
    counted = {m["monitor"]: m["n"] for m in body["monitors"]}
    assert counted["features.x:distribution"] > N - 1_400 - 120, "nothing is taken for a reference"
    blocks = tmp_path / "h.blocks"
    done = runner.invoke(app, [*arguments[:-2], "--blocks", str(blocks)])
    assert done.exit_code == 0, done.output
    again = runner.invoke(app, ["backtest", str(blocks), "--reference", str(reference), "--json", str(out)])
    assert again.exit_code == 0, again.output
    assert [a["id"] for a in json.loads(out.read_bytes())["alarms"]] == [a["id"] for a in body["alarms"]]


def test_a_profile_is_a_reference_too(tmp_path: Path) -> None:
    from driftline.backtest.columns import Columns
    from driftline.backtest.reference import read_reference
    from driftline.stats.profile import encode_profile
    from driftline.wiring import detection_settings

    made, settings = rows(), config()
    table = write_csv(tmp_path / "ref.csv", made[:1_400])
    built = read_reference(table, Columns(), None, decoder(settings), columns_given=False)
    profile = built.build(detection_settings(settings))[0]
    (tmp_path / "p.json").write_bytes(encode_profile(profile))
    read = read_reference(tmp_path / "p.json", Columns(), None, decoder(settings), columns_given=False)
    result = run(write_csv(tmp_path / "r.csv", made[1_400:]), reference=read)
    assert result.profiles["model", "1"].id == profile.id


def test_tune_proposes_the_most_sensitive_that_is_quiet_enough(tmp_path: Path) -> None:
    _, file = kept(tmp_path)
    settings = [Setting(30.0, 0.05, 0.02), Setting(30.0, 3.0, 0.6)]
    from driftline.backtest.reference import Reference

    candidates = judge_all(file, config(), Reference(), settings)
    few = candidates[1].per_month
    assert candidates[0].alarms > candidates[1].alarms
    best = proposed(candidates, few, None)
    assert best is candidates[1]
    assert proposed(candidates, 1e9, None) is candidates[0]
    assert proposed(candidates, few, 10) is None
    assert proposed(candidates, few / 2 - 1.0, None) is None
    assert "min_effect_sd: 3" in best.setting.yaml()


def test_the_plot_needs_nothing_and_escapes_names(tmp_path: Path) -> None:
    """Nor is a name read as mathematics. Mutation: no parse_math=False: the picture of a price in $ cannot be drawn."""
    names = {"x": "<b>x", "colour": r"$\frac{$"}
    made = [{names.get(k, k): v for k, v in row.items()} for row in rows()]
    page, picture = tmp_path / "o.html", tmp_path / "o.png"
    path = write_jsonl(tmp_path / "r.jsonl", made)
    truth = changes_file(tmp_path, [X_MOVES, "", "", "<i>"])
    common = ["backtest", str(path), *FIRST, "--truth", str(truth), "--plot"]
    for out in (page, picture):
        done = runner.invoke(app, [*common, str(out)])
        assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "<b>x" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;x" in text
    assert "http" not in text.replace("http-equiv", "")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    done = runner.invoke(app, ["backtest", str(tmp_path / "none.csv")])
    assert done.exit_code == 2
    assert "cannot be read" in done.output
    (tmp_path / "a.txt").write_text("x")
    done = runner.invoke(app, ["backtest", str(tmp_path / "a.txt")])
    assert done.exit_code == 2
    assert "must end in" in done.output
