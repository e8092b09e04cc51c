"""Blocks of many model versions made in one go mean what those do that each would have on its own, to the bit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pytest
from msgspec.structs import replace
from numpy.random import Generator

from driftline.contracts.blocks import BinnedBlock, Block
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.ingest.columns import BlockMaker, prediction_rows
from driftline.ingest.together import MAX_EVENTS, Together
from driftline.registry import ModelKey
from driftline.stats.bank import GridBank
from driftline.stats.block import PaneCounts, add_block
from driftline.stats.encode import encode_cells
from driftline.stats.grid import Grid, learn_grid
from driftline.stats.joint import with_embedding
from driftline.stats.layout import ROWS
from driftline.stats.profile import Profile, make_profile
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Section

SINCE = 1_700_000_000_000
COLUMNS = ("amount", "count", "constant", "city", "huge", "flag")
ODD = (None, "text", True, [1], {"a": 2}, 7.5, -1e300, "Bern", "x" * 300)


def value_of(name: str, rng: Generator) -> object:
    match name:
        case "amount":
            return float(rng.normal())
        case "count":
            return int(rng.integers(5))
        case "constant":
            return 3
        case "city":
            return str(rng.choice(["Bern", "Basel", "Chur", "Uster"]))
        case "huge":
            return float(rng.normal() * 1e307)
    return bool(rng.integers(2))


def event_of(names: Sequence[str], model: str, number: int, odd: float, rng: Generator) -> Prediction:
    features = {name: value_of(name, rng) for name in names}
    record = {
        "type": "prediction",
        "id": str(number),
        "model": model,
        "version": "1",
        "time": SINCE + int(rng.integers(30_000)),
        "prediction": float(rng.choice([0.5, 1.0])) if rng.random() < 0.9 else 1,
        "score": float(rng.random()),
    }
    if rng.random() < odd:
        match int(rng.integers(6)):
            case 0:
                features[str(rng.choice(names))] = ODD[rng.integers(len(ODD))]
            case 1:
                del features[str(rng.choice(names))]
            case 2:
                record["prediction"] = ("yes", True, None)[rng.integers(3)]
            case 3:
                record["latency_ms"] = 12
                del record["score"]
            case 4:
                features["of-nobody"] = 1.0 if rng.random() < 0.5 else None
            case 5:
                record["scores"] = {"yes": 0.5}
        if rng.random() < 0.05:
            record["time"] = SINCE - 1
    event = Decoder().decode(orjson.dumps({**record, "features": features}))
    assert isinstance(event, Prediction)
    return event


def profile_of(model: str, names: Sequence[str], drop: Sequence[str], rng: Generator) -> Profile:
    events = [event_of(names, model, i, 0.0, rng) for i in range(400)]
    rows = prediction_rows(events, BlockMaker()._decoder(model, "1", Grid([], 1)), with_ids=False)
    for name in drop:
        del rows.columns[name]
    grid = learn_grid(rows, 10_000)
    if rng.random() < 0.8:
        grid = with_embedding(grid, encode_cells(grid, rows))
    section = Section(stream="predictions", grid=grid, n=400, panes=3, start=0, end=SINCE - 1, columns=[])
    return make_profile(
        model=model, version="1", source="training", created=0, judged_from=SINCE, predictions=section
    )


def world(seed: int) -> tuple[Generator, dict[ModelKey, Profile], dict[ModelKey, Sequence[str]]]:
    rng = np.random.default_rng(seed)
    profiles, names = {}, {}
    for i in range(12):
        key = (f"m{i}", "1")
        names[key] = rng.permutation(COLUMNS)[: int(rng.integers(1, len(COLUMNS) + 1))].tolist()
        drop = [name for name in ("score", "prediction") if rng.random() < 0.2]
        profiles[key] = profile_of(key[0], names[key], drop, rng)
    return rng, profiles, names


@pytest.mark.parametrize("odd", [0.0, 0.1, 0.8])
@pytest.mark.parametrize("seed", range(4))
def test_the_same_blocks(seed: int, odd: float) -> None:
    """Mutations: in `GridBank._bins`, no `columns * CELLS`; in `_by_pane`, leave the rows as they are; in
    `Together._place`, do not lay out again; in `layout.decode_rows`, read [columns, n]."""
    rng, profiles, names = world(seed)
    together, alone = BlockMaker(), BlockMaker()
    taken = 0
    for turn in range(6):
        groups = {
            key: [event_of(names[key], key[0], i, odd, rng) for i in range(int(rng.integers(1, 40)))]
            for key in profiles
            if turn == 0 or rng.random() < 0.7
        }
        if turn == 3:
            profiles["m0", "1"] = profile_of("m0", names["m0", "1"], ["score"], rng)
        for key, blocks, early in together.predictions(
            groups, {key: [profile] for key, profile in profiles.items()}
        ):
            own, before = alone._alone(*key, groups[key], [profiles[key]])
            grid = profiles[key].predictions.grid
            assert meaning(blocks, grid) == meaning(own, grid)
            assert [b.pane for b in blocks] == [b.pane for b in own]  # type: ignore[union-attr]
            assert early == before
            taken += all(isinstance(block, BinnedBlock) and block.layout == ROWS for block in blocks)
    assert taken > (1 if odd > 0.5 else 20)


def meaning(blocks: Sequence[Block], grid: Grid) -> dict[int, PaneCounts]:
    """What judge has of them."""
    panes: dict[int, PaneCounts] = {}
    for block in blocks:
        assert isinstance(block, BinnedBlock)
        add_block(panes.setdefault(block.pane, PaneCounts.empty(len(grid.columns), grid.joint)), block, grid)
    return panes


def together() -> Together:
    return BlockMaker()._together


def test_ordinary_events_are_taken() -> None:
    """Missing values, texts and numbers in the wrong place, and unknown scores are ordinary."""
    rng, profiles, names = world(5)
    key = next(key for key in profiles if "amount" in names[key] and "city" in names[key])
    events = [event_of(names[key], key[0], i, 0.0, rng) for i in range(MAX_EVENTS)]
    strange = orjson.dumps({**dict.fromkeys(names[key]), "amount": "text", "city": 5})
    events[3] = Prediction(
        id="3", model=key[0], version="1", time=SINCE, features=strange, prediction="yes", latency_ms=3.0
    )
    found = together().blocks({key: events}, {key: [profile] for key, profile in profiles.items()})
    own, _ = BlockMaker()._alone(*key, events, [profiles[key]])
    grid = profiles[key].predictions.grid
    assert meaning(found[key], grid) == meaning(own, grid)
    assert any(block.extra.get("latency_ms") == 1 for block in found[key])


@pytest.mark.parametrize("what", ["unknown name", "class scores", "before the reference"])
def test_others_are_left_out(what: str) -> None:
    rng, profiles, names = world(6)
    key = next(iter(profiles))
    event = event_of(names[key], key[0], 1, 0.0, rng)
    features = orjson.dumps({**orjson.loads(event.features), "of-nobody": 1})
    other = {
        "unknown name": replace(event, features=features),
        "class scores": replace(event, scores={"yes": 0.5}),
        "before the reference": replace(event, time=SINCE - 1),
    }[what]
    assert not together().blocks({key: [event, other]}, {key: [profile] for key, profile in profiles.items()})
    assert not together().blocks({key: [other, event]}, {key: [profile] for key, profile in profiles.items()})


def test_after_another_profile_they_are_taken_on() -> None:
    """But for events of the former's time. Mutation: `known[0]` in `Together.blocks`."""
    rng, profiles, names = world(5)
    key = next(iter(profiles))
    later = replace(profile_of(key[0], names[key], ["score"], rng), revision=2, judged_from=SINCE + 15_000)
    both = [profiles[key], later]
    events = sorted((event_of(names[key], key[0], i, 0.0, rng) for i in range(40)), key=lambda event: event.time)
    after = [event for event in events if event.time >= later.judged_from]
    assert 0 < len(after) < len(events)
    assert not together().blocks({key: events}, {key: both})
    found = together().blocks({key: after}, {key: both})[key]
    own, _ = BlockMaker()._alone(*key, after, both)
    grid = later.predictions.grid
    assert meaning(found, grid) == meaning(own, grid)


def test_a_bank_of_grids() -> None:
    """Codes of each column are its grid's, beside whatever others: also at and next to every edge.

    Mutation: in `GridBank._bins`, nothing left to search for."""
    rng = np.random.default_rng(9)
    bank = GridBank(1)
    for i in range(70):
        values = rng.normal(size=300) ** (1, 1, 1, 1, 25)[i % 5]  # the last: tails with many edges a cell
        values = (values.round(i % 3) if i % 5 < 3 else values) * 10.0 ** rng.integers(-200, 200)
        grid = learn_grid(Rows(np.arange(300), np.zeros(300, np.uint64), {"x": Column(values)}), 1_000)
        edges = grid.columns[0].edge_values
        asked = np.concatenate([edges, np.nextafter(edges, np.inf), np.nextafter(edges, -np.inf), [-1e308, 1e308]])
        rows = Rows(np.zeros(len(asked), np.int64), np.zeros(len(asked), np.uint64), {"x": Column(asked)})
        assert bank.add(grid.columns) == i
        found, _ = bank.encoded(np.full(len(asked), i), asked[:, None], None)
        np.testing.assert_array_equal(found, encode_cells(grid, rows))
