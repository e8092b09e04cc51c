"""Every format brings the same events; what is bad in a file is refused with its place, and never fatal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backtest.making import (
    COLUMNS,
    STEP_MS,
    T0,
    N,
    config,
    events,
    rows,
    run,
    write_csv,
    write_jsonl,
    write_parquet,
)
from driftline.backtest.columns import Columns, read_columns
from driftline.backtest.result import Result
from driftline.errors import Misconfigured

USUAL: list[Result] = []


def usual(tmp_path: Path) -> Result:
    if not USUAL:
        USUAL.append(run(write_jsonl(tmp_path / "usual.jsonl", rows())))
        assert {alarm.monitor for alarm in USUAL[0].alarms()} >= {"features.x:distribution", "error:rate"}
    return USUAL[0]


def what(result: Result) -> list[Any]:
    return [(a.monitor, a.time, a.onset, a.sentence) for a in result.alarms()]


def in_words(made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from driftline.contracts.times import rfc3339

    return [{**row, **{name: rfc3339(row[name]) for name in ("time", "outcome_time")}} for row in made]


@pytest.mark.parametrize(
    "name", ["e.jsonl", "e.jsonl.gz", "e.jsonl.zst", "r.jsonl", "r.csv", "r.csv.gz", "r.parquet"]
)
def test_formats(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if "jsonl" in name:
        write_jsonl(path, events(rows()) if name.startswith("e") else rows())
    elif "csv" in name:
        write_csv(path, in_words(rows()))
    else:
        write_parquet(path, rows())
    result = run(path)
    assert what(result) == what(usual(tmp_path))
    assert (result.summary.events, result.summary.outcomes) == (N, N)


def test_several_files_in_one_order(tmp_path: Path) -> None:
    made = rows()
    one = write_csv(tmp_path / "a.csv", made[0::2])
    other = write_parquet(tmp_path / "b.parquet", made[1::2])
    result = run(other, one)
    assert what(result) == what(usual(tmp_path))
    assert result.summary.late == 0


def test_rows_out_of_order_are_put_in_order(tmp_path: Path) -> None:
    made = rows()
    made.reverse()
    assert what(run(write_csv(tmp_path / "r.csv", made))) == what(usual(tmp_path))


def test_columns_of_other_names(tmp_path: Path) -> None:
    names = {"time": "when", "id": "key", "prediction": "yhat", "outcome": "y", "outcome_time": "y_at"}
    made = [{names.get(k, k): v for k, v in row.items()} | {"junk": 1, "land": "de"} for row in rows()]
    for row in made:
        row["when"] /= 1_000
        row["y_at"] /= 1_000
    (tmp_path / "map.yaml").write_text(
        "time: when\nid: key\nprediction: yhat\noutcome: y\noutcome_time: y_at\ntime_unit: s\n"
        "segments: [land]\nignore: [junk]\nconstants: {model: model, version: 1}\n"
    )
    columns = read_columns(tmp_path / "map.yaml")
    for path in (write_csv(tmp_path / "r.csv", made), write_jsonl(tmp_path / "r.jsonl", made)):
        assert what(run(path, columns=columns)) == what(usual(tmp_path))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tiem: when\n", "did you mean 'time'"),
        ("time: wen\n", "did you mean 'when'"),
        ("features: [x, collour]\ntime: when\n", "did you mean 'colour'"),
        ("constants: {modell: a}\n", "only model and version"),
        ("time_unit: h\n", "time_unit"),
        ("- a\n", "a mapping is wanted"),
    ],
)
def test_a_map_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "map.yaml").write_text(text)
    made = [{"when": row["time"], "x": row["x"], "colour": row["colour"]} for row in rows(10)]
    with pytest.raises(Misconfigured, match=words):
        run(write_csv(tmp_path / "r.csv", made), columns=read_columns(tmp_path / "map.yaml"))


def test_bad_rows_of_a_csv(tmp_path: Path) -> None:
    """Refused with file and line, the others go on. Mutation: in `_csv_batches`, raise for an odd row."""
    path = write_csv(tmp_path / "r.csv", rows())
    lines = path.read_text().splitlines()
    lines[10] = lines[10].replace(str(T0 + 9 * STEP_MS), "yesterday", 1)
    lines[20] += ",too,many"
    lines[30] = lines[30].replace(lines[30].split(",")[2], "abc", 1)
    path.write_text("\n".join(lines) + "\n")
    letters = tmp_path / "letters.jsonl"
    result = run(path, deadletters=letters)
    assert result.summary.refused == 2
    assert dict(result.refusals.by_reason) == {"time_format": 1, "json": 1}
    assert {where for where, _ in result.refusals.first} == {f"{path}:11", f"{path}:21"}
    assert {json.loads(line)["from"] for line in letters.read_text().splitlines()} == {f"{path}:11", f"{path}:21"}
    assert result.summary.events == N - 2, "text among numbers is of the wrong type, and counted as that"


def test_bad_lines_of_events(tmp_path: Path) -> None:
    made = [json.dumps(event) for event in events(rows())]
    made[5:5] = ["{", '{"type":"prediction","id":"q","model":"model","version":"1"}', "[]"]
    path = tmp_path / "e.jsonl"
    path.write_text("\n".join(made) + "\n")
    result = run(path)
    assert dict(result.refusals.by_reason) == {"json": 1, "schema": 1, "not_an_object": 1}
    assert what(result) == what(usual(tmp_path))


def test_nothing_left_is_fatal_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_text('{"type":"prediction","id":"q"}\n' * 5)
    with pytest.raises(Misconfigured, match=r"e\.jsonl:1: schema"):
        run(path)


def test_too_few_for_a_reference_is_said(tmp_path: Path) -> None:
    result = run(write_jsonl(tmp_path / "r.jsonl", rows(900)))
    assert any("nothing was judged" in note for note in result.notes)


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "r.jsonl.gz", rows())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(Misconfigured, match="not a whole gzip"):
        run(path)


def test_foreign_records_by_the_mapping_of_the_configuration(tmp_path: Path) -> None:
    made = [
        {"kind": "p", "key": r["id"], "ts": r["time"], "f": {"x": r["x"], "colour": r["colour"]}} for r in rows()
    ]
    settings = config(
        **{
            "ingest.mapping": {
                "kind": "prediction",
                "id": "key",
                "time": "ts",
                "features": "f",
                "constants": {"model": "model", "version": "1"},
            }
        }
    )
    result = run(write_jsonl(tmp_path / "f.jsonl", made), config=settings)
    assert result.summary.events == N
    assert "features.x:distribution" in {a.monitor for a in result.alarms()}


def test_columns_know_what_is_no_feature() -> None:
    assert Columns().features_of([*COLUMNS, "model", "version", "score"]) == ["x", "colour"]
