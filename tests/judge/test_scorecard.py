"""The scorecard: exact counts by day, whatever the order, bounded, and read back from its bytes."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.errors import StateCorrupt
from driftline.judge.scorecard import (
    CALIBRATIONS,
    DAY_MS,
    KIND,
    MAX_CALIBRATIONS,
    MAX_DAYS,
    VERSION,
    Page,
    Scorecard,
)
from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.calibration import Calibration, Scores
from driftline.stats.codec import pack
from driftline.stats.graded import APART
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from stats.worlds import Floats, profile_of, rows_of

RNG = np.random.default_rng(21)
SCORE = RNG.uniform(size=3_000)
GRADED = SCORE + APART * RNG.integers(4, size=3_000)


@pytest.fixture(scope="module")
def profile() -> Profile:
    error = (GRADED // APART % 3 != 0).astype(np.float64)
    return profile_of({"score": SCORE}, DetectionSettings(), pairs={"error": error, "graded": GRADED})


def panes(profile: Profile, stream: str, values: Floats) -> list[PaneCounts]:
    section = profile.section(stream)
    assert section is not None
    name = "graded" if stream == PAIRS else "score"
    return list(fold_rows(section.grid, rows_of({name: values})).values())


def put(card: Scorecard, profile: Profile, stream: str, day: int, counts: PaneCounts) -> None:
    section = profile.section(stream)
    assert section is not None
    card.add(profile.scores, section, day * DAY_MS, counts)


def again(card: Scorecard) -> Scorecard:
    """What another process reads."""
    copy = Scorecard()
    for name, data in card.flush().items():
        assert data is not None
        copy.read(name, data)
    return copy


def test_every_prediction_and_pair_is_counted_once(profile: Profile) -> None:
    """In whatever order panes come, over a flush and a reading. Mutation: `found` in the place of the sum."""
    streams = ((PREDICTIONS, SCORE), (PAIRS, GRADED))
    parts = [(s, day, counts) for s, values in streams for day in (7, 8) for counts in panes(profile, s, values)]
    one, other = Scorecard(), Scorecard()
    for stream, day, counts in parts:
        put(one, profile, stream, day, counts)
    for place in RNG.permutation(len(parts)):
        put(other, profile, *parts[place])
    assert again(one).days() == again(other).days()
    days = one.days()
    assert [start for start, _, _ in days] == [7 * DAY_MS, 8 * DAY_MS]
    for _, _, page in days:
        assert sum(page.seen) == len(SCORE) and sum(page.graded) == len(GRADED)
        assert page.seen_panes == page.graded_panes == 30
    cells = np.reshape(days[0][2].graded, (4, -1)).sum(axis=1)
    assert np.bincount((GRADED // APART).astype(int)).tolist() == cells.tolist()


def test_a_day_goes_on_after_a_flush_and_a_restart(profile: Profile) -> None:
    card, stored = Scorecard(), dict[str, bytes | None]()
    for counts in panes(profile, PREDICTIONS, SCORE[:200]):
        put(card, profile, PREDICTIONS, 3, counts)
        stored |= card.flush()
        card = Scorecard()
        for name, data in stored.items():
            card.read(name, data or b"")
    assert sum(card.days()[0][2].seen) == 200
    assert card.flush() == {}  # what has not changed is not written


def test_the_newest_days_are_kept(profile: Profile) -> None:
    """Bounded, and a straggler from before costs nothing. Mutation: no `_gone`: deleted days stay in the store."""
    counts = panes(profile, PREDICTIONS, SCORE[:50])[0]
    card, stored = Scorecard(), dict[str, bytes | None]()
    for day in [*range(MAX_DAYS + 5), 1]:
        put(card, profile, PREDICTIONS, day, counts)
        stored |= card.flush()
    kept = {name for name, data in stored.items() if data is not None} - {CALIBRATIONS}
    assert kept == {str(day) for day in range(5, MAX_DAYS + 5)}
    assert [start // DAY_MS for start, _, _ in card.days()] == list(range(5, MAX_DAYS + 5))
    assert max(len(data) for data in stored.values() if data is not None) < 4_000


def test_another_calibration_begins_another_page(profile: Profile) -> None:
    scores = profile.scores
    assert scores is not None
    card = Scorecard()
    counts = panes(profile, PREDICTIONS, SCORE[:50])[0]
    for k in range(MAX_CALIBRATIONS + 2):
        card.add(Scores(scores.calibration, scores.bin_of, f"c{k}"), profile.predictions, DAY_MS, counts)
    assert [name for _, name, _ in card.days()] == [f"c{k}" for k in range(2, MAX_CALIBRATIONS + 2)]
    assert again(card).days() == card.days()


def test_nothing_is_counted_that_no_calibration_reads(profile: Profile) -> None:
    card = Scorecard()
    card.add(None, profile.predictions, 0, panes(profile, PREDICTIONS, SCORE)[0])
    card.add(profile.scores, profile.predictions, 0, PaneCounts.empty(1))
    assert card.days() == [] and card.flush() == {} and card.cost == 0


def test_forgetting_names_all_that_is_stored(profile: Profile) -> None:
    card = Scorecard()
    put(card, profile, PREDICTIONS, 2, panes(profile, PREDICTIONS, SCORE)[0])
    names = set(card.flush())
    put(card, profile, PREDICTIONS, 3, panes(profile, PREDICTIONS, SCORE)[0])
    assert set(card.forget()) == names | {"3"} and card.days() == []


@pytest.mark.parametrize("name", ["5", CALIBRATIONS])
@pytest.mark.parametrize("data", [b"", b"nonsense", msgspec.msgpack.encode({"x": 1})])
def test_what_is_no_scorecard_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(StateCorrupt):
        Scorecard().read(name, data)


def test_what_fits_no_calibration_is_passed_over(profile: Profile) -> None:
    """A whole record of other bins stops neither judge nor a reader.

    Mutations: no length asked in `days`; in `_page`."""
    scores = profile.scores
    assert scores is not None
    few = Page([1, 2], [1] * 8, 1, 1)
    card = Scorecard()
    put(card, profile, PREDICTIONS, 3, panes(profile, PREDICTIONS, SCORE)[0])
    stored = {name: data or b"" for name, data in card.flush().items()}
    stored["2"] = stored["3"] = pack(KIND, VERSION, msgspec.msgpack.encode({scores.id: few}))
    again = Scorecard()
    for name, data in stored.items():
        again.read(name, data)
    assert again.days() == []
    put(again, profile, PREDICTIONS, 3, panes(profile, PREDICTIONS, SCORE)[0])
    assert [start for start, _, _ in again.days()] == [3 * DAY_MS]


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("5", {"c": Page([1, 2], [1] * 7)}),
        (CALIBRATIONS, {"c": Calibration([0, 1] * 4, 3)}),
        (CALIBRATIONS, {"c": Calibration([1, 1], 3)}),
    ],
)
def test_what_could_not_be_read_later_is_refused(name: str, held: object) -> None:
    with pytest.raises(StateCorrupt):
        Scorecard().read(name, pack(KIND, VERSION, msgspec.msgpack.encode(held)))


def test_a_day_must_have_a_number(profile: Profile) -> None:
    card = Scorecard()
    put(card, profile, PREDICTIONS, 2, panes(profile, PREDICTIONS, SCORE)[0])
    data = card.flush()["2"]
    assert data is not None
    for name in ("two", "-0", "02", "\u0662", "99999999"):
        with pytest.raises(StateCorrupt, match="no day"):
            Scorecard().read(name, data)
