"""What becomes of notifications, as an incident of its own: it is on `alerts`, and is never notified itself."""

from __future__ import annotations

from driftline.contracts.reactions import content_id
from driftline.react.draft import Draft, Reaction
from driftline.react.incidents import resolve, tell
from driftline.react.settings import ReactSettings
from driftline.react.state import Incident, State


def delivered(state: State, alert: str, error: str | None, settings: ReactSettings) -> Reaction:
    """`error`: why the receiver will never take the alert (None: it has). One incident is open while it refuses;
    the first that it takes again resolves it."""
    draft = Draft(state, settings)
    known = draft.look("")
    incident = known.versions[""].incidents.get("notification") if known and "" in known.versions else None
    if error is None and incident is not None:
        service = draft.version("", "")
        held = service.incidents["notification"]
        resolve(draft, service, held, "", "", "The webhook takes alerts again.")
    elif error is not None and incident is None:
        sentence = f"The webhook refuses an alert for good: {error}. See notify.url; the alert is on the topic."
        incident = Incident(
            id=content_id("incident", "", "", "notification", alert),
            cause="notification",
            opened=draft.now,
            sentence=sentence,
            severity="error",
            told=draft.now,
        )
        draft.version("", "").incidents["notification"] = incident
        tell(draft, incident, "open", "", "", {"alert": alert, "error": error})
    return draft.done()
