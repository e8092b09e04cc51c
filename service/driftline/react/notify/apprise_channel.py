"""E-mail, Teams, Opsgenie and some hundred others, through Apprise (extra `apprise`).

Apprise calls out by itself, in a thread of ours: neither its address checks nor its time-outs are `http.py`'s. It
follows no redirect, and a call that does not come back in time is left to its own socket time-outs (4 s a phase);
until it has, nothing more is sent. Its log, which may hold addresses, goes nowhere. What it knows of a failure is the
HTTP status it writes into that log: a final one (4xx, but 408, 425 and 429) is Refused, all else is tried again.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from driftline.errors import Misconfigured
from driftline.react.notify.message import Message, message_of
from driftline.react.notify.notification import Notification, Refused, TryLater
from driftline.react.notify.picture import Draw, drawn
from driftline.react.notify.settings import AppriseSettings

if TYPE_CHECKING:
    from apprise import Apprise

MAX_REMEMBERED: Final = 1_000
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")
_AGAIN: Final = frozenset({408, 425, 429})
_MENTIONS: Final = re.compile(r"[@<]")
_KINDS: Final = {"critical": "failure", "error": "failure", "warning": "warning", "info": "info"}


class AppriseChannel:
    """Taken when every one of the URLs has taken it. One that has is not told again while the others are tried."""

    def __init__(self, settings: AppriseSettings, draw: Draw = drawn) -> None:
        self._timeout_s = settings.timeout_s
        self._draw = draw
        self._services = [_service(url, i) for i, url in enumerate(settings.urls, 1)]
        self._taken: dict[str, set[int]] = {}
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="apprise")
        self._running: asyncio.Future[None] | None = None

    async def send(self, notification: Notification, receipt: str | None) -> str | None:
        if self._running is not None and not self._running.done():
            raise TryLater("Apprise is still busy with what it was given before")
        message = message_of(notification)
        picture = await self._draw(message) if any(map(_takes_pictures, self._services)) else None
        taken = self._taken.setdefault(notification.id, set())
        while len(self._taken) > MAX_REMEMBERED:
            del self._taken[next(iter(self._taken))]
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._call, message, picture, taken)
        self._running = running
        try:
            async with asyncio.timeout(self._timeout_s * (len(self._services) + 1)):
                await asyncio.shield(running)
        except TimeoutError:
            running.add_done_callback(_heard)
            raise TryLater("Apprise does not come back in time") from None
        except Refused:
            del self._taken[notification.id]
            raise
        self._taken.pop(notification.id, None)
        return None

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _call(self, message: Message, picture: bytes | None, taken: set[int]) -> None:
        """In the thread. Every service is called before an error is raised: one must not stop the others."""
        refused, failed = 0, 0
        for i, service in enumerate(self._services):
            if i in taken:
                continue
            status = self._one(service, message, picture)
            if status is None:
                taken.add(i)
            elif 400 <= status < 500 and status not in _AGAIN:
                refused = status
            else:
                failed += 1
        if failed:
            raise TryLater(f"{failed} of {len(self._services)} services of Apprise did not take it")
        if refused:
            raise Refused(f"a service of Apprise answers HTTP {refused}")

    def _one(self, service: Apprise, message: Message, picture: bytes | None) -> int | None:
        """None if it was taken, else the HTTP status that Apprise wrote down (0: none)."""
        attach: Any = None
        if picture is not None and _takes_pictures(service):
            from apprise.attachment.memory import AttachMemory

            attach = AttachMemory(  # type: ignore[no-untyped-call]
                content=picture, name="then-and-now.png", mimetype="image/png"
            )
        result = service.notify(
            body=text_of(message),
            title=defanged(message.title),
            notify_type="success" if message.over else _KINDS[message.severity],
            body_format="text",
            attach=attach,
            interpret_escapes=False,
            timeout=self._timeout_s,
        )
        if result:
            return None
        found = [int(status) for entry in result.logs() for status in _STATUS.findall(entry.message)]
        return found[-1] if found else 0


def text_of(message: Message) -> str:
    """The message as plain text; nobody is mentioned by the name of a feature."""
    parts = [message.sentence]
    if message.advice:
        parts.append(f"What to do: {message.advice}")
    if message.facts:
        parts.append("\n".join(f"{name}: {value}" for name, value in message.facts))
    if message.bars is not None:
        then, now = message.bars
        parts.append(f"{message.subject}\nthen {then}\nnow  {now}")
    if message.more:
        parts.append("\n".join([f"{message.more_title}:", *(f"- {one}" for one in message.more)]))
    return defanged("\n\n".join(parts))


def defanged(text: str) -> str:
    """`@everyone` and `<!channel>` with a zero-width space, so that no service reads them as more than text."""
    return _MENTIONS.sub("\\g<0>\u200b", text)


def _service(url: str, place: int) -> Apprise:
    if importlib.util.find_spec("apprise") is None:
        raise Misconfigured("Apprise is not installed: pip install 'driftline[apprise]'")
    logging.getLogger("apprise").propagate = False  # before its import, which logs already
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(async_mode=False, http_redirects=False, storage_mode="memory", app_id="Driftline")
    service = Apprise(asset=asset)
    if not service.add(url):
        raise Misconfigured(f"Apprise does not understand its URL number {place}")
    return service


def _takes_pictures(service: Apprise) -> bool:
    return any(bool(getattr(one, "attachment_support", False)) for one in service)


def _heard(running: asyncio.Future[None]) -> None:
    """What came of it after all: the next attempt will tell."""
    if not running.cancelled():
        running.exception()
