"""What becomes of notifications, as an incident of its own, which other receivers are told of.

Its monitors are `notify:NAME` of the receivers that refuse; whoever routes it leaves these out.
"""

from __future__ import annotations

from driftline.contracts.reactions import Witnessed
from driftline.react.advice import NOTIFIES
from driftline.react.draft import Draft, Reaction
from driftline.react.incidents import opened, resolve
from driftline.react.settings import ReactSettings
from driftline.react.state import State
from driftline.react.telling import changed


def delivered(state: State, receiver: str, id: str, error: str | None, settings: ReactSettings) -> Reaction:
    """`id`: of a notification. `error`: why the receiver will never take it (None: it has). A receiver is in alarm
    from its first refusal to the first notification that it takes again. `error` is made by channels, and never says
    a secret."""
    draft = Draft(state, settings)
    known, monitor = draft.look(""), NOTIFIES + receiver
    incident = known.versions[""].incidents.get("notification") if known and "" in known.versions else None
    refuses = incident is not None and monitor in incident.monitors
    if error is None and refuses:
        service = draft.version("", "")
        held = service.incidents["notification"]
        held.leave(monitor)
        sentence = f"The receiver {receiver} takes notifications again."
        if held.count:
            changed(draft, "", "", held)
        else:
            resolve(draft, service, held, "", "", sentence)
    elif error is not None and not refuses:
        sentence = f"The receiver {receiver} refuses a notification for good: {error}. It is on its topic."
        witnessed = Witnessed(monitor=monitor, signal=id, severity="error", sentence=sentence, time=draft.now)
        if incident is None:
            opened(draft, "", "", "notification", witnessed)
        else:
            held = draft.version("", "").incidents["notification"]
            held.join(witnessed)
            held.sentence = sentence
            changed(draft, "", "", held)
    return draft.done()
