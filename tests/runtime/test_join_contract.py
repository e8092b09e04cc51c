"""What every store does with the halves of pairs: each pair is emitted once, by one half, whatever is replayed."""

from __future__ import annotations

import pytest

from driftline.runtime.store import Half, JoinMode, JoinTotals, Meeting, Met
from runtime.stores import Bench

FRESH, SILENT, EMITTED = JoinMode.FRESH, JoinMode.SILENT, JoinMode.EMITTED
NEW, SETTLED, DUPLICATE = Meeting(Met.NEW), Meeting(Met.SETTLED), Meeting(Met.DUPLICATE)
DAY = 20_000


def prediction(origin: int = 1, mode: JoinMode = FRESH, key: bytes = b"k") -> Half:
    return Half("P", key, origin, b"prediction", mode)


def outcome(origin: int = 2 << 48, mode: JoinMode = FRESH, key: bytes = b"k") -> Half:
    return Half("O", key, origin, b"outcome", mode)


def paired(other: bytes) -> Meeting:
    return Meeting(Met.PAIRED, other)


async def test_the_second_half_emits_and_replays_are_answered_alike(bench: Bench) -> None:
    store = bench.client()
    assert await store.join(DAY, [prediction()]) == [NEW]
    assert await store.join(DAY, [prediction()]) == [NEW]
    assert await store.join(DAY, [outcome()]) == [paired(b"prediction")]
    assert await store.join(DAY, [outcome()]) == [paired(b"prediction")]
    assert await store.join(DAY, [prediction()]) == [SETTLED]
    assert await store.join_totals() == JoinTotals(0, 0, 1, 0, 0)


async def test_an_outcome_may_come_first(bench: Bench) -> None:
    store = bench.client()
    assert await store.join(DAY, [outcome()]) == [NEW]
    assert await store.join_totals() == JoinTotals(0, 1, 0, 0, 0)
    assert await store.join(DAY, [prediction()]) == [paired(b"outcome")]
    assert await store.join(DAY, [outcome(), prediction()]) == [SETTLED, paired(b"outcome")]


async def test_later_halves_of_an_id_are_duplicates(bench: Bench) -> None:
    store = bench.client()
    assert await store.join(DAY, [prediction(1), prediction(7)]) == [NEW, DUPLICATE]
    assert await store.join(DAY, [outcome(2), outcome(3)]) == [paired(b"prediction"), DUPLICATE]
    assert await store.join(DAY, [prediction(7), outcome(3)]) == [DUPLICATE, DUPLICATE]
    assert await store.join(DAY, [prediction(1), outcome(2)]) == [SETTLED, paired(b"prediction")]
    assert await store.join_totals() == JoinTotals(0, 0, 1, 0, 0)


async def test_one_call_is_read_in_its_order(bench: Bench) -> None:
    store = bench.client()
    met = await store.join(
        DAY, [prediction(1), outcome(2), prediction(1), outcome(3), outcome(5, key=b"l"), prediction(6, key=b"l")]
    )
    assert met == [NEW, paired(b"prediction"), SETTLED, DUPLICATE, NEW, paired(b"outcome")]


async def test_two_workers_that_both_look_do_not_lose_the_pair(bench: Bench) -> None:
    a, b = bench.client(), bench.client()
    met = (await a.join(DAY, [prediction()]), await b.join(DAY + 1, [outcome()]))
    assert met == ([NEW], [paired(b"prediction")])


@pytest.mark.parametrize("payload", [b"", b"\x00", b"p" * 4_000])
async def test_payloads_are_opaque(bench: Bench, payload: bytes) -> None:
    store = bench.client()
    await store.join(DAY, [Half("P", b"\x00\xffkey{}", (65_535 << 48) + (1 << 40), payload)])
    meeting = await store.join(DAY, [Half("O", b"\x00\xffkey{}", 0, b"")])
    assert meeting == [paired(payload)]
    assert await store.join(DAY, [Half("O", b"\x00\xffkey{}", 0, b"")]) == meeting


async def test_halves_meet_across_days_and_stay_where_they_were_written(bench: Bench) -> None:
    store, other = bench.client(), bench.client()
    await store.join(DAY, [prediction(1), prediction(2, key=b"l")])
    await other.join(DAY + 3, [prediction(3, key=b"m")])
    assert await store.join(DAY + 5, [outcome(9), outcome(10, key=b"m")]) == [paired(b"prediction")] * 2
    assert await other.join(DAY + 5, [prediction(2, key=b"l"), prediction(3, key=b"m")]) == [NEW, SETTLED]
    assert await store.join_totals() == JoinTotals(1, 0, 2, 0, 0)
    await store.expire(DAY + 1)
    assert await other.join_totals() == JoinTotals(0, 0, 2, 1, 0)
    assert await other.join(DAY + 5, [outcome(9), outcome(10, key=b"m")]) == [NEW, paired(b"prediction")]


async def test_expiry_counts_what_still_waited_once(bench: Bench) -> None:
    store, other = bench.client(), bench.client()
    await store.join(DAY, [prediction(i, key=b"p%d" % i) for i in range(300)])
    await other.join(DAY + 1, [outcome(i, key=b"o%d" % i) for i in range(200)])
    await store.join(DAY + 2, [outcome(1_000 + i, key=b"p%d" % i) for i in range(50)])
    for day in (DAY, DAY + 1, DAY + 2, DAY + 2):
        await store.expire(day)
        await other.expire(day)
    assert await store.join_totals() == JoinTotals(0, 0, 50, 250, 200)
    await store.reset_join()
    assert await other.join_totals() == JoinTotals(0, 0, 0, 0, 0)
    assert await other.join(DAY, [prediction()]) == [NEW]


async def test_refolding_a_published_range_rebuilds_the_memory(bench: Bench) -> None:
    """C23: prediction silent, outcome emitted, in either order of refolding; nothing is emitted twice after it.

    Mutation: treat EMITTED as FRESH where nothing is found: the other half emits the pair a second time.
    """
    store = bench.client()
    assert await store.join(DAY, [outcome(2, EMITTED)]) == [paired(b"")]
    assert await store.join(DAY, [outcome(2, EMITTED)]) == [paired(b"")]
    assert await store.join(DAY, [prediction(1, SILENT)]) == [SETTLED]
    assert await store.join(DAY, [outcome(2, EMITTED)]) == [paired(b"prediction")]
    assert await store.join(DAY, [prediction(1), prediction(4), outcome(5)]) == [SETTLED, DUPLICATE, DUPLICATE]
    await store.reset_join()
    assert await store.join(DAY, [prediction(1, SILENT)]) == [NEW]
    assert await store.join(DAY, [outcome(2, EMITTED)]) == [paired(b"prediction")]
    assert await store.join_totals() == JoinTotals(0, 0, 1, 0, 0)


async def test_a_fresh_half_settles_with_an_emitter_whose_partner_was_unknown(bench: Bench) -> None:
    store = bench.client()
    await store.join(DAY, [prediction(1, EMITTED)])
    assert await store.join(DAY, [outcome(8), outcome(9), outcome(8)]) == [SETTLED, DUPLICATE, SETTLED]
    assert await store.join_totals() == JoinTotals(0, 0, 1, 0, 0)


async def test_two_silent_halves_make_a_pair_that_is_carried(bench: Bench) -> None:
    store = bench.client()
    assert await store.join(DAY, [outcome(2, SILENT), prediction(1, SILENT)]) == [NEW, paired(b"outcome")]
    assert await store.join(DAY, [prediction(1, SILENT), outcome(2, SILENT)]) == [paired(b"outcome"), SETTLED]


@pytest.mark.parametrize("waiting", [outcome(2), outcome(77)])
async def test_the_published_emitter_is_believed_over_what_waits_on_its_side(bench: Bench, waiting: Half) -> None:
    """C23: a copy of ours waits (a zombie's first reading, or a duplicate refolded earlier), yet our pair is
    published. Mutation: answer NEW or DUPLICATE there: the prediction emits the pair a second time."""
    store = bench.client()
    assert await store.join(DAY, [waiting]) == [NEW]
    assert await store.join(DAY, [outcome(2, EMITTED)]) == [paired(b"")]
    assert await store.join(DAY, [prediction(1)]) == [SETTLED]
    assert await store.join_totals() == JoinTotals(0, 0, 1, 0, 0)


async def test_more_halves_than_one_script_takes(bench: Bench) -> None:
    """A shard gets several chunks; the day is new to the store, so the later ones are asked again."""
    store = bench.client()
    keys = [b"key-%d" % i for i in range(80_000)]
    assert await store.join(DAY, [prediction(i, key=k) for i, k in enumerate(keys)]) == [NEW] * len(keys)
    halves = [outcome(i, key=k) for i, k in enumerate(keys)]
    assert await store.join(DAY, halves) == [paired(b"prediction")] * len(keys)
    assert await store.join_totals() == JoinTotals(0, 0, len(keys), 0, 0)
    assert await store.join(DAY, []) == []
