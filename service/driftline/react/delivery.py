"""What becomes of notifications, as an incident of its own: it is on `alerts`, and is never notified itself."""

from __future__ import annotations

from driftline.contracts.reactions import content_id
from driftline.react.draft import Draft, Reaction
from driftline.react.incidents import resolve, tell
from driftline.react.settings import ReactSettings
from driftline.react.state import Incident, State


def delivered(state: State, id: str, error: str | None, settings: ReactSettings) -> Reaction:
    """`id`: of an alert or a request. `error`: why the receiver will never take it (None: it has). One incident is
    open while it refuses; the first that it takes again resolves it."""
    draft = Draft(state, settings)
    known = draft.look("")
    incident = known.versions[""].incidents.get("notification") if known and "" in known.versions else None
    if error is None and incident is not None:
        service = draft.version("", "")
        held = service.incidents["notification"]
        resolve(draft, service, held, "", "", "The webhook takes notifications again.")
    elif error is not None and incident is None:
        sentence = f"The webhook refuses a notification for good: {error}. See notify.url; it is on its topic."
        incident = Incident(
            id=content_id("incident", "", "", "notification", id),
            cause="notification",
            opened=draft.now,
            sentence=sentence,
            severity="error",
            told=draft.now,
        )
        draft.version("", "").incidents["notification"] = incident
        tell(draft, incident, "open", "", "", {"id": id, "error": error})
    return draft.done()
