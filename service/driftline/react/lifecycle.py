"""What trainers and deployers tell us, folded in: it closes the loop."""

from __future__ import annotations

from driftline.contracts.records import Lifecycle
from driftline.react.comparison import end_waiting
from driftline.react.draft import Draft
from driftline.react.incidents import resolve
from driftline.react.retraining import end_trouble, ended, raise_trouble
from driftline.react.state import MAX_VERSIONS, Comparison, Model


def take_lifecycle(draft: Draft, event: Lifecycle) -> None:
    """Fold an event in. Its time is the teller's, and moves nothing: policy goes by event time."""
    known = draft.model(event.model)
    if not known.hear(event.id):
        return
    version = draft.version(event.model, event.version)
    answers = known.request is not None and event.request in (None, known.request.id)
    told = f"{event.model} {event.version}"
    match event.what:
        case "registered":
            pass
        case "retraining.started":
            if known.request is not None and answers:
                known.request.started = True
                end_trouble(draft, known, f"The retraining of {event.model} has been started.")
        case "retraining.succeeded":
            if answers:
                ended(draft, known)
                end_trouble(draft, known, f"The retraining of {event.model} has succeeded.")
        case "retraining.failed":
            if known.request is not None and answers:
                request = known.request
                ended(draft, known)
                raise_trouble(
                    draft,
                    known,
                    request.version,
                    request.id,
                    "error",
                    f"The retraining of {event.model} has failed.",
                )
        case "deployed":
            if answers:
                ended(draft, known)
            end_trouble(draft, known, f"{told} was deployed.")
            _deployed(draft, known, event)
        case "rolled_back":
            _rolled_back(draft, known, event)
        case "retired":
            version.retired = True
            if known.comparison is not None and known.comparison.new == event.version:
                end_waiting(draft, event.model, "it was retired")
            _close(draft, known, event.version, f"{told} was retired.", None)
            if known.request is not None and known.request.version == event.version:
                ended(draft, known)


def _deployed(draft: Draft, known: Model, event: Lifecycle) -> None:
    former = known.current(but=event.version)
    occasion, onset = known.occasion, _onset(known, former)
    if known.comparison is not None and known.comparison.new != event.version:
        end_waiting(draft, event.model, f"{event.version} was deployed in its place")
    known.deployed = [*(v for v in known.deployed if v != event.version), event.version][-MAX_VERSIONS:]
    version = draft.version(event.model, event.version)
    version.superseded, version.retired = None, False
    for name, other in known.versions.items():
        if name != event.version and other.in_use:
            other.superseded = event.version
            sentence = f"{event.model} {event.version} was deployed in place of {event.model} {name}."
            _close(draft, known, name, sentence, event.version)
    known.comparison = Comparison(
        former,
        event.version,
        event.request or (occasion.request if occasion else None),
        draft.now,
        occasion.time if occasion else None,
        onset,
    )
    known.occasion = None


def _onset(known: Model, former: str | None) -> int | None:
    """Since when the former version was known to be wrong: of what asked for this one, or of an alarm still open."""
    if known.occasion is not None and known.occasion.onset is not None:
        return known.occasion.onset
    open_now = known.versions[former].incidents.get("performance") if former else None
    return (
        min((w.onset for w in open_now.firing.values() if w.onset is not None), default=None) if open_now else None
    )


def _rolled_back(draft: Draft, known: Model, event: Lifecycle) -> None:
    """The version deployed before is in use again."""
    known.deployed = [v for v in known.deployed if v != event.version]
    back = next(
        (v for v in reversed(known.deployed) if v in known.versions and not known.versions[v].retired), None
    )
    if back is None:
        replaced = [
            (v.seen, n) for n, v in known.versions.items() if v.superseded == event.version and not v.retired
        ]
        back = max(replaced)[1] if replaced else None
    if back is not None:
        known.versions[back].superseded = None
    draft.version(event.model, event.version).superseded = back or ""
    if known.comparison is not None and known.comparison.new == event.version:
        end_waiting(draft, event.model, "it was rolled back")
    _close(draft, known, event.version, f"{event.model} {event.version} was rolled back.", back)


def _close(draft: Draft, known: Model, name: str, sentence: str, by: str | None) -> None:
    version = known.versions[name]
    for incident in [i for i in version.incidents.values() if i.cause != "retraining"]:
        resolve(draft, version, incident, known.name, name, sentence, {"superseded_by": by} if by else None)
