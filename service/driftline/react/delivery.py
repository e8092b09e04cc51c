"""What becomes of notifications, as incidents of their own, which other receivers are told of.

One for each receiver, whose name stands where that of a version stands (the model is the service: no name); whoever
routes it leaves that receiver out.
"""

from __future__ import annotations

from collections.abc import Collection

from driftline.contracts.reactions import Witnessed
from driftline.react.draft import Draft, Reaction
from driftline.react.incidents import opened, resolve
from driftline.react.settings import ReactSettings
from driftline.react.state import State


def delivered(state: State, receiver: str, id: str, error: str | None, settings: ReactSettings) -> Reaction:
    """`id`: of a notification. `error`: why the receiver will never take it (None: it has); channels see to it that it
    says no secret. An incident lasts from the first refusal to the first notification that is taken again."""
    draft = Draft(state, settings)
    known = draft.look("")
    held = known.versions.get(receiver) if known else None
    refuses = held is not None and "notification" in held.incidents
    if error is None and refuses:
        version = draft.version("", receiver)
        sentence = f"The receiver {receiver} takes notifications again."
        resolve(draft, version, version.incidents["notification"], "", receiver, sentence)
    elif error is not None and not refuses:
        sentence = (
            f"The receiver {receiver} refuses a notification for good: {error}. The topic has what it was to say."
        )
        witnessed = Witnessed(
            monitor=f"notify:{receiver}", signal=id, severity="error", sentence=sentence, time=draft.now
        )
        opened(draft, "", receiver, "notification", witnessed)
    return draft.done()


def unconfigured(state: State, receivers: Collection[str], settings: ReactSettings) -> Reaction:
    """The incidents of receivers that there are no more are over: nothing else would ever end them."""
    draft = Draft(state, settings)
    known = draft.look("")
    for name in sorted(known.versions if known else ()):
        if name and name not in receivers and "notification" in draft.version("", name).incidents:
            version = draft.version("", name)
            sentence = f"The receiver {name} is configured no more."
            resolve(draft, version, version.incidents["notification"], "", name, sentence)
    return draft.done()
