"""Dead letters: reason, origin, hash; the value if it is small; never more than a known size."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from contracts.making import Read, text
from driftline.contracts import cloudevents
from driftline.contracts.deadletter import MAX_PAYLOAD, dead_letter, payload_of
from driftline.contracts.decode import Decoder
from driftline.contracts.records import Origin
from driftline.errors import Poison

WHY = Poison("json", "not JSON at character 3")


def test_a_letter_says_what_why_and_where() -> None:
    """faults.md D30: dead letter: reason, origin, hash.

    Mutation: in deadletter.dead_letter, hash the payload's base64 instead of the value.
    """
    value = b'{"a"\xff'
    letter = dead_letter(Read(value, key=b"k\xff", headers=[("h", b"\xc3\xa9")]), WHY)
    assert (letter.reason, letter.detail) == ("json", "not JSON at character 3")
    assert letter.origin == Origin(topic="driftline.events", partition=3, offset=118)
    assert (letter.size, letter.sha256) == (len(value), hashlib.sha256(value).hexdigest())
    assert (letter.key, letter.headers, letter.truncated) == ("k\\xff", {"h": "é"}, False)
    assert payload_of(letter) == value


def test_d31_a_letter_of_a_huge_record_carries_no_body() -> None:
    """faults.md D31: dead letter without the body; it is small whatever the record holds.

    Mutation: in deadletter._shown, drop the cut.
    """
    value = bytes(3_000_000)
    headers = [(f"h{i}" + "x" * 10_000, b"\xff" * 1_000_000) for i in range(100)]
    letter = dead_letter(Read(value, key=b"\x00" * 1_000_000, headers=headers), Poison("too_large", "d" * 10**6))
    assert (letter.payload, letter.truncated, letter.size) == (None, True, 3_000_000)
    assert letter.sha256 == hashlib.sha256(value).hexdigest()
    assert payload_of(letter) is None
    assert len(cloudevents.encode(letter)[1]) < 100_000


@pytest.mark.parametrize("size", [0, 1, MAX_PAYLOAD])
def test_values_up_to_the_cap_come_back_whole(size: int) -> None:
    value = bytes(range(256)) * (size // 256 + 1)
    letter = dead_letter(Read(value[:size]), WHY)
    headers, text = cloudevents.encode(letter)
    assert payload_of(cloudevents.decode_dead_letter(text, headers)) == value[:size]


def test_a_tombstone_has_no_payload() -> None:
    letter = dead_letter(Read(None), WHY)
    assert (letter.payload, letter.truncated, letter.size, letter.key) == (None, False, 0, None)


def test_a_payload_that_does_not_match_its_hash_is_not_given_back() -> None:
    letter = dead_letter(Read(b"value"), WHY)
    assert payload_of(msgspec.structs.replace(letter, payload="dmFsdWY=")) is None
    assert payload_of(msgspec.structs.replace(letter, payload="%")) is None


def test_the_same_record_gives_the_same_letter() -> None:
    value = text(time="yesterday")
    letters = []
    for _ in range(2):
        try:
            Decoder().decode(value)
        except Poison as why:
            letters.append(cloudevents.encode(dead_letter(Read(value), why)))
    assert letters[0] == letters[1]
    assert json.loads(letters[0][1])["reason"] == "time_format"
