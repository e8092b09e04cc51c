"""What judging costs: CPU of a pane, from its block to the verdicts, bytes of state, and a thousand models at once.

Models are as judge holds them (`judge.model.ModelState`): a block is decoded and merged, its pane closed and judged
by all monitors of its columns' values, quality and rules, the state written as bytes. Panes hold 1,000 events.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import Final

import msgspec
import numpy as np

from driftline.contracts.blocks import PREDICTIONS, BinnedBlock
from driftline.judge.model import ModelState
from driftline.judge.stored import flush_model
from driftline.stats.block import rows_to_blocks
from driftline.stats.profile import Profile, encode_profile, make_profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.settings import DetectionSettings

PANE_MS: Final = 60_000
PANE_EVENTS: Final = 1_000
REFERENCE: Final = 10_000
PANES: Final = 200
MODELS: Final = 1_000
WEIGHED: Final = 40
"""Of them, models whose memory is measured: looking at every allocation is slow."""
FEATURES: Final = (20, 200)
SETTINGS: Final = DetectionSettings()


def rows() -> list[tuple[str, str]]:
    """(what, figure)."""
    found: list[tuple[str, str]] = []
    for features in FEATURES:
        found += _one_model(features)
    return found + _many_models(FEATURES[0])


def _made(features: int, n: int, since: int, seed: int) -> Rows:
    """Normal features, one in five of them a category of six."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Column] = {}
    for i in range(features):
        if i % 5 == 4:
            names: list[str | None] = [f"c{code}" for code in rng.integers(0, 6, n).tolist()]
            columns[f"features.x{i}"] = Column(np.full(n, np.nan), names)
        else:
            columns[f"features.x{i}"] = Column(rng.standard_normal(n))
    times = since + np.arange(n, dtype=np.int64) * (PANE_MS // PANE_EVENTS)
    return Rows(times, np.arange(n, dtype=np.uint64), columns)


def _profile(features: int) -> Profile:
    section = learn_section(PREDICTIONS, _made(features, REFERENCE, 0, 1), PANE_MS, SETTINGS)
    end = REFERENCE // PANE_EVENTS * PANE_MS
    return make_profile(
        model="m", version="1", source="training", created=0, judged_from=end, predictions=section, pairs=None
    )


def _blocks(profile: Profile, features: int, panes: int) -> list[BinnedBlock]:
    made = _made(features, panes * PANE_EVENTS, profile.judged_from, 2)
    return list(rows_to_blocks(profile.predictions.grid, made, "m", "1", PREDICTIONS))


def _one_model(features: int) -> list[tuple[str, str]]:
    profile = _profile(features)
    blocks = _blocks(profile, features, PANES)
    model = ModelState("m", "1", SETTINGS)
    model.adopt(profile)
    flush_model(model)
    began = time.process_time()
    for block in blocks:
        model.take(block, 0)
        list(model.close(block.pane + PANE_MS))
    judged = time.process_time() - began
    assert model.monitors is not None
    monitors = len(model.monitors.describe())
    began = time.process_time()
    data = flush_model(model)
    written = time.process_time() - began
    size = len(data[f"d:{model.hash}"] or b"")
    what = f"{features} features"
    return [
        (f"{what}: judge's CPU a pane", f"{1e3 * judged / len(blocks):.2f} ms, {monitors} monitors"),
        (f"{what}: writing the state, once a commit", f"{1e3 * written:.2f} ms"),
        (f"{what}: stored state", f"{size / 1024:.0f} kB, {size / monitors:,.0f} bytes a monitor"),
        (f"{what}: the profile", f"{len(encode_profile(profile)) / 1024:.0f} kB on the log"),
    ]


def _many_models(features: int) -> list[tuple[str, str]]:
    """A pane of each of a thousand models, each with a profile object of its own, as if read from the log."""
    profile = _profile(features)
    packed = msgspec.msgpack.encode(profile)
    (block,) = _blocks(profile, features, 1)

    def admitted(i: int) -> ModelState:
        own = msgspec.structs.replace(msgspec.msgpack.decode(packed, type=Profile), model=f"m{i}")
        model = ModelState(own.model, "1", SETTINGS)
        model.adopt(own)
        flush_model(model)
        return model

    tracemalloc.start()
    models = [admitted(i) for i in range(WEIGHED)]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    models += [admitted(i) for i in range(WEIGHED, MODELS)]
    began = time.process_time()
    stored = 0
    for model in models:
        model.take(msgspec.structs.replace(block, model=model.model), 0)
        list(model.close(block.pane + PANE_MS))
        stored += sum(len(data) for data in flush_model(model).values() if data)
    took = time.process_time() - began
    what = f"{MODELS:,} models of {features} features"
    return [
        (f"{what}: a pane of each, judged and written", f"{took:.2f} s of CPU"),
        (f"{what}: memory", f"{held / WEIGHED * MODELS / 2**20:,.0f} MB, {held / WEIGHED / 1024:,.0f} kB a model"),
        (f"{what}: stored, but for profiles", f"{stored / 2**20:,.1f} MB after the first pane"),
    ]
