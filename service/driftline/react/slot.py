"""React's slot in the store: one compare-and-set a message, guarded by our token and a counter of writes."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from driftline.errors import Fenced, StateLost
from driftline.runtime.log import Outgoing
from driftline.runtime.outbox import encode_outbox
from driftline.runtime.store import Slot, Snapshot, Store, Verdict, Write

SLOT = Slot("react", 0)


class ReactSlot:
    """`next` counts the writes: what is read where is in the state, because there are three topics."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._token = ""
        self._count: int | None = None

    async def acquire(self) -> Snapshot:
        """Take the slot: from here on every other owner's writes are refused."""
        token = secrets.token_hex(16)
        snapshot = await self.store.acquire(SLOT, token)
        self._token, self._count = token, snapshot.next
        return snapshot

    def prepare(self, changed: Mapping[str, bytes], delete: Sequence[str], outbox: Sequence[Outgoing]) -> Write:
        """The next write; to be repeated as it is until the store has answered."""
        return Write(
            token=self._token,
            batch=secrets.token_hex(8),
            begin=self._count,
            next=(self._count or 0) + 1,
            set=changed,
            delete=delete,
            outbox=encode_outbox(outbox),
        )

    async def commit(self, write: Write) -> Verdict:
        """APPLIED or REPEATED. Fenced where another owns the slot, StateLost where the store has forgotten it or
        was rolled back."""
        verdict = await self.store.commit(SLOT, write)
        if verdict is Verdict.FENCED:
            raise Fenced(str(SLOT))
        if verdict in (Verdict.MOVED, Verdict.LOST):
            raise StateLost(f"{SLOT}: {verdict.value} at write {write.begin}")
        self._count = write.next
        return verdict
