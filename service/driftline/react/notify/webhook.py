"""One POST of an alert or a request to the webhook: CloudEvents headers, signed as Standard Webhooks has it.

Every phase has a time-out; no redirect is followed (it could lead inside); no proxy or .netrc of the environment is
used. The body is the record as it is on the topic. `webhook-id` is its id: a crash between POST and mark
repeats the POST with the same id, and the receiver drops it by that.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from driftline.clock import Clock
from driftline.contracts.cloudevents import encode
from driftline.errors import Transient
from driftline.react.draft import Said
from driftline.react.notify.address import Refused, Resolve, resolve, safe_address
from driftline.react.notify.settings import WebhookSettings

LONGEST_WAIT_S: Final = 3_600.0
"""A `Retry-After` beyond this is cut to it."""
_AGAIN: Final = frozenset({408, 425, 429})
_MAX_ANSWER: Final = 65_536


class TryLater(Transient):
    """The receiver is away, busy or broken for now. `wait_s`: what it asked for, None if nothing."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Webhook:
    """A channel. `send` returns when the receiver has taken it."""

    def __init__(self, settings: WebhookSettings, clock: Clock, resolve: Resolve = resolve) -> None:
        self._settings = settings
        self._clock = clock
        self._resolve = resolve
        self._url = httpx.URL(settings.url)
        self._client: httpx.AsyncClient | None = None

    async def send(self, said: Said) -> None:
        """Raises TryLater where a repeat may help, Refused where none will. Neither says the URL."""
        try:
            async with asyncio.timeout(4 * self._settings.timeout_s):
                status, headers = await self._post(said)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise TryLater(f"the webhook does not answer ({type(error).__name__})") from error
        if 200 <= status < 300:
            return
        if status in _AGAIN or status >= 500:
            raise TryLater(f"the webhook answers HTTP {status}", self._wait(headers.get("retry-after")))
        what = "a redirect, which is not followed" if 300 <= status < 400 else f"HTTP {status}"
        raise Refused(f"the webhook answers {what}")

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post(self, said: Said) -> tuple[int, httpx.Headers]:
        url = self._url
        port = url.port or (443 if url.scheme == "https" else 80)
        address = await safe_address(url.host, port, self._settings.allow_private, self._resolve)
        cloud, body = encode(said)
        headers = {name.replace("ce_", "ce-"): value.decode() for name, value in cloud}
        headers |= self._signature(said.id, body) | {"host": url.netloc.decode("ascii"), "user-agent": "driftline"}
        if self._client is None:
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(self._settings.timeout_s), follow_redirects=False, trust_env=False
            )
        request = self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": url.host},  # the certificate is asked for, and checked, by name
        )
        answer = await self._client.send(request, stream=True)
        try:
            await _drain(answer)
        finally:
            await answer.aclose()
        return answer.status_code, answer.headers

    def _signature(self, id: str, body: bytes) -> dict[str, str]:
        seconds = str(self._clock.now_ms() // 1000)
        headers = {"webhook-id": id, "webhook-timestamp": seconds}
        if self._settings.key is not None:
            headers["webhook-signature"] = sign(self._settings.key, id, seconds, body)
        return headers

    def _wait(self, header: str | None) -> float | None:
        """Seconds that `Retry-After` asks for, in either of its forms."""
        if header is None:
            return None
        try:
            seconds = float(header)
        except ValueError:
            try:
                seconds = parsedate_to_datetime(header).timestamp() - self._clock.now_ms() / 1000
            except (ValueError, TypeError, OverflowError):
                return None
        return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else None


def sign(key: bytes, id: str, seconds: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.seconds.body` (Standard Webhooks)."""
    mac = hmac.new(key, f"{id}.{seconds}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


async def _drain(answer: httpx.Response) -> None:
    """Read what little there is, so that the connection can be used again; no more."""
    read = 0
    async for chunk in answer.aiter_raw():
        read += len(chunk)
        if read > _MAX_ANSWER:
            return
