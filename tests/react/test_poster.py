"""The one way out: where it may lead, how long it may take, how much is read; and what errors do not say."""

from __future__ import annotations

import asyncio
import ipaddress
import traceback
from collections.abc import Sequence

import pytest

from driftline.react.notify.address import allowed, safe_addresses
from driftline.react.notify.http import MAX_ANSWER, Poster
from driftline.react.notify.notification import Refused, TryLater
from driftline.react.notify.settings import PostSettings, networks
from support.receivers.http import Reply, Service, Trouble

LOCAL = PostSettings(timeout_s=5.0, allow_private=networks(("127.0.0.0/8",)))
QUICK = PostSettings(timeout_s=0.05, allow_private=LOCAL.allow_private)


async def test_an_answer_is_given_whatever_its_status() -> None:
    poster = Poster(LOCAL)
    async with Service() as server:
        server.trouble.append(Reply(418, b"no coffee", {"X-Kind": "Teapot", "Content-Encoding": "gzip"}))
        answer = await poster.post(f"{server.base}/a?b=c%20d", b"body", {"X-Ours": "1"}, method="PUT")
        await poster.close()
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (418, b"no coffee", "Teapot")
    (asked,) = server.requests
    assert (asked.method, asked.path, asked.body) == ("PUT", "/a?b=c%20d", b"body")
    assert (asked.headers["host"], asked.headers["x-ours"]) == (f"127.0.0.1:{server.port}", "1")
    assert asked.headers["accept-encoding"] == "identity"


async def test_of_a_long_answer_the_beginning_is_read() -> None:
    """Mutation: do not stop in http._beginning; what never ends is read until the time is over."""
    more = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n" + b"x" * (MAX_ANSWER + 1))
        await more.wait()
        writer.close()

    poster = Poster(PostSettings(timeout_s=2.0, allow_private=LOCAL.allow_private))
    async with await asyncio.start_server(endless, "127.0.0.1", 0) as server:
        answer = await poster.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", b"", {})
        more.set()
        await poster.close()
    assert answer.body == b"x" * MAX_ANSWER


@pytest.mark.parametrize("how", ["hang", "drip", "cut"])
async def test_row_42_a_server_that_never_answers_is_given_up(how: Trouble) -> None:
    """Mutation: no `asyncio.timeout` in Poster.post; a server that drips holds us for ever."""
    poster = Poster(QUICK)
    async with Service() as server:
        server.down = how
        async with asyncio.timeout(3):
            with pytest.raises(TryLater):
                await poster.post(server.base, b"", {})
        await poster.close()


@pytest.mark.parametrize("url", ["ftp://CANARY/x", "CANARY", "https:///CANARY", "http://CANARY:99999999/"])
async def test_row_45_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    """Mutation: `from error` in Poster.post; the traceback says the URL."""
    with pytest.raises(Refused) as caught:
        await Poster(LOCAL).post(url, b"", {})
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


async def test_row_45_no_error_says_the_url() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with Service() as server:
        closed = server.port
    url = f"http://user:CANARY@CANARY.example:{closed}/CANARY?CANARY"
    with pytest.raises(TryLater) as caught:
        await Poster(LOCAL, nowhere).post(url, b"", {})
    assert "CANARY" not in "".join(traceback.format_exception(caught.value))


PRIVATE = [
    *(
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
    ),
    *(
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "ff02::1",
        "64:ff9b:1::1",
        "64:ff9b::a00:1",
    ),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_row_44_private_addresses_are_refused(address: str) -> None:
    """Mutation: do not unwrap IPv4 in IPv6 in address.allowed; 2002:7f00:1:: passes."""
    assert not allowed(address, ())


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_not(address: str) -> None:
    assert allowed(address, ())


def test_a_listed_network_is_allowed_and_no_other() -> None:
    assert allowed("10.1.2.3", (ipaddress.ip_network("10.1.0.0/16"),))
    assert not allowed("10.2.2.3", (ipaddress.ip_network("10.1.0.0/16"),))


async def test_row_44_the_address_that_was_looked_at_is_the_one_called() -> None:
    """DNS rebinding: the second answer is never asked for.

    Mutation: send to the URL instead of to the address in Poster._call_at; the name is resolved again, in vain."""
    asked: list[str] = []

    async def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    poster = Poster(LOCAL, rebinding)
    async with Service() as server:
        await poster.post(f"http://hooks.invalid:{server.port}/x", b"", {})
        await poster.close()
    assert asked == ["hooks.invalid"]
    assert server.requests[0].headers["host"] == f"hooks.invalid:{server.port}"


async def test_row_44_a_name_with_one_private_address_is_refused() -> None:
    """Mutation: ask `any` instead of `all` in address.safe_addresses; the public one is called."""

    async def both(host: str, port: int) -> Sequence[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(Refused, match="allow_private"):
        await safe_addresses("h", 443, (), both)


async def test_row_44_no_redirect_is_followed() -> None:
    """Mutation: follow_redirects=True in Poster._client; the second server is called."""
    poster = Poster(LOCAL)
    async with Service() as inside, Service() as server:
        server.down = Reply(307, headers={"location": inside.base})
        assert (await poster.post(server.base, b"", {})).status == 307
        await poster.close()
    assert inside.requests == []


@pytest.mark.parametrize("addresses", [["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_the_next_address_is_called_where_one_does_not_answer(addresses: list[str]) -> None:
    """Mutation: call one address only in Poster._call; a host that is half away is away."""

    async def two(host: str, port: int) -> Sequence[str]:
        return addresses

    poster = Poster(LOCAL, two)
    async with Service() as server:
        assert (await poster.post(f"http://h.invalid:{server.port}/", b"", {})).status == 200
        await poster.close()


async def test_a_name_that_cannot_be_resolved_is_tried_again() -> None:
    with pytest.raises(TryLater):
        await safe_addresses("does-not-exist.invalid", 443, ())
    with pytest.raises(TryLater):
        await safe_addresses("x" * 300, 443, ())
