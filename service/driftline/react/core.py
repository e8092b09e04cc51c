"""react(state, message) -> reaction: all of the policy, and nothing else. Pure: no clock, no I/O, no randomness.

Time is event time: that of signals and ticks, and it never goes back. The same messages in the same order give the
same reactions, bit for bit, and the ids of what is said are functions of its content.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from driftline.contracts.reactions import Command, Fact
from driftline.contracts.records import Lifecycle, Signal
from driftline.react.cases import tell_cases
from driftline.react.causes import cause_of
from driftline.react.commands import drop_silences, take_command
from driftline.react.comparison import compare, since_of
from driftline.react.digests import tell_digests
from driftline.react.draft import Draft, Reaction
from driftline.react.incidents import REFUSALS, resolve, take_signal
from driftline.react.lifecycle import take_lifecycle
from driftline.react.retraining import by_hand, consider, on_schedule, watch
from driftline.react.settings import ReactSettings
from driftline.react.state import State

Message = Signal | Lifecycle | Command


class Question(NamedTuple):
    """What does judge know of a model version: of its pairs since `since`, ms of event time?"""

    model: str
    version: str
    since: int = 0


def react(state: State, message: Message, settings: ReactSettings) -> Reaction:
    """Take one message. The state given is not changed; positions are the caller's."""
    if isinstance(message, Signal):
        draft = Draft(state, settings, message.time)
        if take_signal(draft, message) is not None and cause_of(message.monitor) == "performance":
            draft.attempt("retrain", partial(consider, draft, message.model, message.version), None)
    elif isinstance(message, Lifecycle):
        draft = Draft(state, settings)
        take_lifecycle(draft, message)
    elif message.what == "tick":
        draft = Draft(state, settings, message.time)
        _tick(draft, message.facts)
    elif message.what == "retrain":
        draft = Draft(state, settings)
        by_hand(draft, message)
    else:
        draft = Draft(state, settings)
        take_command(draft, message)
    return draft.done()


def _tick(draft: Draft, facts: list[Fact]) -> None:
    """What fails for one model, or in one part, keeps nothing else from people."""
    by_model: dict[str, dict[str, Fact]] = {}
    for fact in facts:
        by_model.setdefault(fact.model, {})[fact.version] = fact
    for name in draft.names():
        draft.attempt("retrain", partial(_model, draft, name, by_model.get(name, {})), None)
    draft.attempt("retrain", partial(on_schedule, draft), None)
    draft.attempt("service", partial(_end_of_service, draft), None)
    draft.attempt("silence", partial(drop_silences, draft), None)
    draft.attempt("tell", partial(tell_cases, draft), None)
    draft.attempt("digest", partial(tell_digests, draft), None)


def _model(draft: Draft, name: str, facts: dict[str, Fact]) -> None:
    _learn(draft, name, facts)
    watch(draft, name)
    compare(draft, name, facts)
    model = draft.look(name)
    for version in sorted(model.versions) if model else ():
        consider(draft, name, version)


def _learn(draft: Draft, name: str, facts: dict[str, Fact]) -> None:
    model = draft.look(name)
    for version, fact in sorted(facts.items()):
        if model is not None and version in model.versions and model.versions[version].labelled is not True:
            draft.version(name, version).labelled = fact.labelled


def _end_of_service(draft: Draft) -> None:
    """What concerns the service is over when nothing more has been said for a while."""
    known = draft.look("")
    service = known.versions.get("") if known else None
    incident = service.incidents.get("service") if service else None
    if service is None or incident is None:
        return
    lasts = any(monitor.startswith(REFUSALS) for monitor in incident.firing)
    if not lasts and draft.now - service.seen >= draft.settings.service_quiet_ms:
        held = draft.version("", "")
        sentence = f"Nothing of the kind has been said for a while. {incident.sentence}"
        resolve(draft, held, held.incidents["service"], "", "", sentence)


def questions(state: State) -> list[Question]:
    """The model versions whose facts the next tick should bring: who waits for a comparison, and who has an alarm
    of predictions and is not known to have labels."""
    wanted: set[Question] = set()
    for name, model in state.models.items():
        if model.comparison is not None:
            wanted.add(Question(name, model.comparison.new, model.comparison.since))
            if model.comparison.old is not None:
                wanted.add(Question(name, model.comparison.old, since_of(model.comparison)))
        for version, held in model.versions.items():
            if held.in_use and held.labelled is not True and "prediction" in held.incidents:
                wanted.add(Question(name, version))
    return sorted(wanted)
