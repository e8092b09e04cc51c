"""React remembers a bounded number of models, and never forgets one of which something is open."""

from __future__ import annotations

import pytest

from driftline.contracts.reactions import Match
from driftline.contracts.records import Signal
from driftline.react import draft
from driftline.react.slot import SLOT
from driftline.react.state import MODEL_PREFIX, Model, from_fields
from react.hearing import AT_ONCE, PATIENTLY, silence
from react.making import DAY, HOUR, MINUTE, Told, alerts, by_hand, requests, signal, tick, told
from react.world import POINTS, World, kill

CAP, ROOM = 6, 2


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for six names, the service's own among them where there is one."""
    monkeypatch.setattr(draft, "MAX_MODELS", CAP)
    monkeypatch.setattr(draft, "ROOM", ROOM)


def names(run: Told) -> set[str]:
    return set(run.state.models)


def went(model: str, at: int = 0) -> list[Signal]:
    """A drift that came and went."""
    drift = "features.a:distribution"
    return [signal(drift, model=model, at=at), signal(drift, 2, "resolved", model=model, at=at + MINUTE)]


def test_names_that_only_their_writer_knows_go_first_and_the_longest_silent_of_them() -> None:
    """Those told of are heard of later than those judged. Mutations: no `any(version.last ...)` in `_missed`;
    no `_make_room` in `Draft.model`."""
    run = Told(AT_ONCE)
    run.take(*(one for i in range(3) for one in went(f"judged{i}", i)))
    for i in range(9):
        run.take(told("registered", model=f"told{9 - i}"), tick((i + 1) * HOUR))
        assert len(run.state.models) <= CAP
    assert names(run) == {"judged0", "judged1", "judged2", "told3", "told2", "told1"}
    assert run.notes.count("model.forgotten") == 2


def test_of_those_judged_the_one_silent_longest_goes_those_not_in_use_before() -> None:
    """Mutations: no `version.in_use` in `_missed`, no `version.seen`."""
    run = Told(AT_ONCE)
    run.take(
        *(one for i in range(CAP) for one in went(f"m{9 - i}", i * HOUR)), told("retired", version="1", model="m5")
    )
    run.take(*went("new", DAY))
    assert names(run) == {"m7", "m6", "m4", "new"}


def test_requests_for_invented_models_come_to_an_end() -> None:
    """A request is open until it expires, and what its expiry raises until somebody ends it: neither is forgotten.

    Mutation: no `has_room` in `retraining.by_hand`; a writer of commands makes react as large as he likes."""
    run = Told()
    for i in range(3 * CAP):
        run.take(by_hand(f"c-{i}", model=f"invented{i}", version="1"))
    assert len(run.state.models) == CAP == len(requests(run.said))
    assert run.notes.count("retraining.declined") == 2 * CAP
    run.take(signal(model="real"))
    assert run.state.models["real"].request is not None
    run.take(tick(10 * DAY), by_hand("c-x", model="invented-x", version="1"))
    assert "invented-x" not in names(run)
    assert requests(run.take(by_hand("c-y", model="invented0", version="1")))


def test_one_with_something_open_is_never_forgotten() -> None:
    """Whatever the cap. Mutations: `unsettled` without `model.request`; without `v.awaited`."""
    run = Told()
    run.take(signal(model="request"), signal(sequence=2, state="resolved", model="request"))
    assert run.state.models["request"].request is not None
    opened = [f"open{i}" for i in range(2 * CAP)]
    run.take(*(signal("features.a:distribution", model=name) for name in opened))
    run.take(*(told("registered", model=f"told{i}") for i in range(CAP)))
    assert names(run) == {"request", *opened, f"told{CAP - 1}"}
    run.take(*(signal("features.a:distribution", 2, "resolved", model=name, at=DAY) for name in opened))
    run.take(told("registered", model="another"))
    assert len(run.state.models) <= CAP and "request" in names(run)


def test_the_end_that_people_have_yet_to_hear_of_is_something_open() -> None:
    """Mutation: `bool(self.incidents)` alone in `Version.awaited`."""
    run = Told(PATIENTLY)
    run.take(signal("features.a:distribution", model="m"), tick(HOUR))
    run.take(silence("s", Match(model="m"), lasts=2 * DAY))
    run.take(signal("features.a:distribution", 2, "resolved", model="m", at=2 * HOUR))
    run.take(*(signal("features.b:distribution", model=f"open{i}", at=3 * HOUR) for i in range(3 * CAP)))
    assert "m" in names(run)
    run.take(tick(3 * DAY), tick(4 * DAY))
    assert [a.status for a in alerts(run.said) if a.model == "m" and a.held is None] == ["open", "resolved"]


def test_what_is_spoken_of_again_begins_anew() -> None:
    run = Told()
    run.take(signal(model="m", at=0), signal(sequence=2, state="resolved", model="m", at=1))
    run.take(told("retraining.succeeded", version="1"))
    run.take(*(signal("features.a:distribution", model=f"open{i}", at=HOUR) for i in range(CAP)))
    assert "m" not in names(run)
    assert requests(run.take(signal(sequence=3, model="m", at=2 * DAY)))


@pytest.mark.parametrize("point", POINTS)
async def test_row_3_killed_anywhere_the_same_are_forgotten_and_their_fields_gone(point: str) -> None:
    """Mutation: no `gone_fields` in `ReactWorker._write`; who takes over knows them again."""
    messages = [told("registered", model=f"m{i}") for i in range(2 * CAP)]
    clean, killed = World(), World()
    for world, every in ((clean, 0), (killed, 3)):
        for i, message in enumerate(messages):
            world.append(message)
            process = world.process()
            if every and i % every == 0:
                process.traps.set(point, kill)
            await world.drain(process)
        assert await world.drain(world.process())
    fields = clean.server.contents.slots[SLOT].fields
    state, broken = from_fields(dict(fields))
    assert state is not None and not broken
    assert len(state.models) <= CAP
    assert sum(name.startswith(MODEL_PREFIX) for name in fields) == len(state.models)
    assert f"m{2 * CAP - 1}" in state.models and isinstance(state.models[f"m{2 * CAP - 1}"], Model)
    assert killed.server.contents.slots[SLOT].fields == fields
