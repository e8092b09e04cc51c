"""The one way out: an HTTP call to a receiver that can neither hang, nor lead inside, nor fill the memory.

Every phase has a time-out, and the call as a whole; no redirect is followed (it could lead inside); no proxy, .netrc
or certificate of the environment is used; at most MAX_ANSWER bytes of an answer are read. The address called is the
one that was looked at (`address.py`); the certificate is asked for, and checked, by name. No error says the URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from driftline.react.notify.address import Resolve, resolve, safe_addresses
from driftline.react.notify.notification import Refused, TryLater
from driftline.react.notify.settings import PostSettings

MAX_ANSWER: Final = 65_536
PHASES: Final = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by their names in lower case; `body`: its first MAX_ANSWER bytes, as sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Poster:
    """One for each receiver. Connections are kept for each host by itself: an address may serve many names."""

    def __init__(self, settings: PostSettings, resolve: Resolve = resolve) -> None:
        self._settings = settings
        self._resolve = resolve
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, method: str = "POST") -> Answer:
        """What the receiver answers, whatever its status. TryLater where it cannot be reached or does not answer in
        time, Refused where it must not be called."""
        try:
            target = httpx.URL(url)
        except (httpx.InvalidURL, ValueError):
            raise Refused("its address is no URL") from None
        if target.scheme not in {"http", "https"} or not target.host or not 0 < (target.port or 80) < 65_536:
            raise Refused("its address is no https://host/path")
        try:
            async with asyncio.timeout(PHASES * self._settings.timeout_s):
                return await self._call(target, body, headers, method)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise TryLater(f"it does not answer ({type(error).__name__})") from None

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _call(self, url: httpx.URL, body: bytes, headers: Mapping[str, str], method: str) -> Answer:
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await safe_addresses(url.host, port, self._settings.allow_private, self._resolve)
        for address in addresses[:-1]:
            try:
                return await self._call_at(address, url, body, headers, method)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._call_at(addresses[-1], url, body, headers, method)

    async def _call_at(
        self, address: str, url: httpx.URL, body: bytes, headers: Mapping[str, str], method: str
    ) -> Answer:
        client = self._client(url.host)
        request = client.build_request(
            method,
            url.copy_with(host=address),
            content=body,
            headers={
                **headers,
                "host": url.netloc.decode("ascii"),
                "user-agent": "driftline",
                "accept-encoding": "identity",  # what is bounded is what is sent, and it must not unfold
            },
            extensions={"sni_hostname": url.host},
        )
        answer = await client.send(request, stream=True)
        try:
            read = await _beginning(answer)
        finally:
            await answer.aclose()
        return Answer(answer.status_code, answer.headers, read)

    def _client(self, host: str) -> httpx.AsyncClient:
        if host not in self._clients:
            trusted = httpx.create_ssl_context(trust_env=False)
            if self._settings.certificates is not None:
                trusted.load_verify_locations(cadata=self._settings.certificates)
            self._clients[host] = httpx.AsyncClient(
                timeout=httpx.Timeout(self._settings.timeout_s),
                follow_redirects=False,
                trust_env=False,
                verify=trusted,
            )
        return self._clients[host]


async def _beginning(answer: httpx.Response) -> bytes:
    """Enough that the connection can be used again after a short answer; of a long one, no more."""
    read = bytearray()
    async for chunk in answer.aiter_raw():
        read += chunk
        if len(read) > MAX_ANSWER:
            break
    return bytes(read[:MAX_ANSWER])
