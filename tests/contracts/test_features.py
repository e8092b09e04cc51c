"""Step two: features become columns. faults.md D33, and of D31, D36 and D37 what concerns features."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from contracts.making import prediction, with_features
from driftline.contracts.cells import short
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.errors import Poison
from driftline.stats.codes import MISSING, NON_FINITE, WRONG_TYPE
from driftline.stats.rows import Column


def cells(column: Column) -> list[Any]:
    """A column cell by cell: number, text, or ("status", code)."""
    n = len(column.numbers)
    texts = column.texts or [None] * n
    status = np.zeros(n, np.uint8) if column.status is None else column.status
    found: list[Any] = []
    for number, string, code in zip(column.numbers.tolist(), texts, status.tolist(), strict=True):
        if code:
            assert math.isnan(number)
            assert string is None
            found.append(("status", code))
        elif string is not None:
            assert math.isnan(number)
            found.append(string)
        else:
            found.append(number)
    return found


def columns(texts: Sequence[bytes], names: Sequence[str] = ()) -> dict[str, list[Any]]:
    return {name: cells(column) for name, column in FeatureDecoder(names).columns(texts).columns.items()}


def through_the_door(value: str) -> bytes:
    """Features text of an event whose feature `x` is the JSON text `value`, as Python's json would read it."""
    return prediction(with_features(f'{{"x":{value},"y":1}}'.encode())).features


MISSED, WRONG, BEYOND = ("status", MISSING), ("status", WRONG_TYPE), ("status", NON_FINITE)

HOSTILE: list[tuple[str, object]] = [
    ("NaN", BEYOND),
    ("Infinity", BEYOND),
    ("-Infinity", BEYOND),
    ("1e400", BEYOND),
    ("9" * 5_000, BEYOND),
    ("-" + "9" * 400, BEYOND),
    ("18446744073709551616", float(2**64)),
    ("1" + "0" * 300, 1e300),
    ("-0.0", 0.0),
    ("5e-324", 5e-324),
    ("1e-400", 0.0),
    ('"1.5"', "1.5"),
    ('"NaN"', "NaN"),
    ("true", "true"),
    ("false", "false"),
    ("null", MISSED),
    ("[]", WRONG),
    ("[1, NaN]", WRONG),
    ("{}", WRONG),
    ('{"a": [1e400]}', WRONG),
    ("[%s]" % ("9" * 5_000), WRONG),
    ("[-9223372036854775809]", WRONG),
    ('{"$nonfinite": "NaN"}', BEYOND),
    ('""', ""),
    ('"é\\n\\"\\\\"', 'é\n"\\'),
]


@pytest.mark.parametrize(("value", "cell"), HOSTILE, ids=[str(i) for i in range(len(HOSTILE))])
@pytest.mark.parametrize("names", [("x", "y"), (), ("y",), ("x",), ("other",)])
def test_d33_hostile_values_are_counted_by_kind(value: str, cell: object, names: Sequence[str]) -> None:
    """faults.md D33: NaN, infinities, 5,000-digit integers, 2^64, -0.0, denormals, "1.5", true, null.

    Whether the name is known, discovered, or beside known ones. Mutation: in loose._scalar, write a NonFinite
    as null (it is then counted as missing).
    """
    texts = [through_the_door(value), through_the_door("0.5")]
    found = columns(texts, names)
    assert found["x"] == [cell, 0.5]
    assert found["y"] == [1.0, 1.0]


def test_d33_numbers_beyond_float64_are_non_finite_either_way() -> None:
    """faults.md D33: 1e400 is legal JSON, so it passes the fast decoder; a NaN beside it takes the slow one.

    Mutation: in cells._one_cell, return None instead of NON_FINITE.
    """
    fast = prediction(with_features(b'{"x":1e400,"y":-1e400,"z":1}')).features
    slow = prediction(with_features(b'{"x":1e400,"y":NaN,"z":1}')).features
    expected = {"x": [BEYOND], "y": [BEYOND], "z": [1.0]}
    assert columns([fast]) == columns([slow]) == columns([fast], ["x", "y", "z"]) == expected
    tiny = prediction(with_features(b'{"x":1e-400}')).features
    assert columns([tiny]) == {"x": [0.0]}


def test_d33_no_nan_stands_without_a_status_or_a_text() -> None:
    """faults.md D33: never in a statistic.

    Mutation: in cells.column_of, return no status for columns of floats and None.
    """
    rows = [b'{"a":1,"b":"x","c":true,"d":[1],"e":null}', b'{"a":null,"b":null,"c":2,"d":"t"}', b"{}"]
    for name, column in FeatureDecoder(["a", "b", "c", "d", "e"]).columns(rows).columns.items():
        texts = column.texts or [None] * 3
        status = np.zeros(3, np.uint8) if column.status is None else column.status
        for i in range(3):
            held = (not math.isnan(column.numbers[i])) + (texts[i] is not None) + (status[i] != 0)
            assert held == 1, name


def test_known_names_always_have_a_column() -> None:
    assert columns([b"{}", b"{}"], ["a"]) == {"a": [MISSED, MISSED]}
    assert columns([], ["a"]) == {"a": []}
    assert columns([b"{}"]) == {}
    assert columns([b'{"a":null}']) == {}


def test_order_is_given_names_then_others() -> None:
    decoder = FeatureDecoder(["b", "a"])
    found = decoder.columns([b'{"z":1,"a":1,"b":2}', b'{"y":1}'])
    assert list(found.columns) == ["b", "a", "z", "y"]


def test_what_it_has_seen_changes_nothing() -> None:
    """The first call learns names, the second uses them: both say the same."""
    texts = [json.dumps({"a": i, "b": "x", f"r{i % 7}": i, "c": None if i % 3 else i}).encode() for i in range(100)]
    for names in ((), ("a",), ("a", "b", "c"), ("q",)):
        decoder = FeatureDecoder(names)
        first, again = (decoder.columns(texts) for _ in range(2))
        assert {n: cells(c) for n, c in first.columns.items()} == {n: cells(c) for n, c in again.columns.items()}
        one_by_one = [decoder.columns([t]).columns for t in texts]
        for name, column in first.columns.items():
            single = [cells(row[name])[0] if name in row else MISSED for row in one_by_one]
            assert cells(column) == single


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 1_023, 1_024, 1_025, 2_049, 3_000])
def test_every_number_of_rows(n: int) -> None:
    texts = [
        json.dumps({"x": i, "s": f"v{i}", "o": i} if i % 5 else {"x": i, "s": f"v{i}"}).encode() for i in range(n)
    ]
    found = columns(texts, ["x", "s"])
    assert found["x"] == [float(i) for i in range(n)]
    assert found["s"] == [f"v{i}" for i in range(n)]
    if n > 1:
        assert found["o"] == [float(i) if i % 5 else MISSED for i in range(n)]


def test_a_string_that_looks_like_packed_floats_is_none() -> None:
    """MessagePack writes a float in nine bytes, and so a string of eight. Mutation: drop the check of the tags."""
    texts = [b'{"x":1.5}', b'{"x":"12345678"}']
    assert columns(texts) == {"x": [1.5, "12345678"]}


NAMES = [
    "",
    "a.b",
    "{x}",
    "*",
    "<!channel>",
    "../..",
    "new\nline",
    'quo"te',
    "back\\slash",
    "tab\t",
    "\x00",
    "é",
    "名",
    "🦆",
    "\u200b",
    "__class__",
    "self",
    "f0",
    "type",
    " ",
]


@pytest.mark.parametrize("name", NAMES)
def test_d37_any_name_works(name: str) -> None:
    """faults.md D37: names with braces, *, newline, <!channel>, ../ and worse; known, discovered, extra.

    Mutation: in features._can_be_field, return True (msgspec refuses such fields).
    """
    texts = [json.dumps({name: i, "other": "t"}, ensure_ascii=i % 2 == 0).encode() for i in range(6)]
    for names in ((), (name,), ("other",), (name, "other"), ("other", name)):
        decoder = FeatureDecoder(names)
        for _ in range(2):
            found = decoder.columns(texts).columns
            assert cells(found[name]) == [float(i) for i in range(6)]
            assert cells(found["other"]) == ["t"] * 6


def test_d37_the_number_of_names_is_bounded() -> None:
    """faults.md D37: 100,000 feature names; the rest is counted, and what was there first stays.

    Mutation: in FeatureDecoder._admitted, do not count `_room` down.
    """
    decoder = FeatureDecoder(max_names=10)
    texts = [json.dumps({"keep": 1} | {f"h{i}-{j}": j for j in range(100)}).encode() for i in range(1_000)]
    found = decoder.columns(texts)
    assert len(found.columns) == 10
    assert cells(found.columns["keep"]) == [1.0] * 1_000
    assert found.dropped == 1_000 * 100 - 9
    assert decoder.columns(texts[:1]).dropped == 91


def test_d37_extra_names_beside_a_profile_are_few() -> None:
    """faults.md D37. Mutation: in FeatureDecoder.__init__, the default of max_names is 1,000 with given names."""
    decoder = FeatureDecoder(["known"])
    for i in range(50):
        found = decoder.columns([json.dumps({"known": 1, f"x{i}": 1}).encode()])
        assert cells(found.columns["known"]) == [1.0]
        assert found.dropped == (i >= 32)
        assert found.beyond == ({0: ([f"x{i}"], 0)} if i >= 32 else {})
    many = json.dumps({f"y{i:02}": 1 for i in reversed(range(40))} | {"y99": None}).encode()
    assert decoder.columns([b"{}", many]).beyond == {1: ([f"y{i:02}" for i in range(32)], 8)}


def test_d37_long_names_are_shortened() -> None:
    """faults.md D37: 64 kB. Mutation: in FeatureDecoder._admitted, drop `short`."""
    name = "n" * 65_536
    found = columns([json.dumps({name: 1}).encode()] * 3)
    assert found == {short(name): [1.0] * 3}
    assert len(short(name)) < 100
    other = "n" * 65_535 + "m"
    assert columns([json.dumps({name: 1, other: 2}).encode()]) == {short(name): [1.0], short(other): [2.0]}


def test_d36_long_strings_are_bounded_and_told_apart() -> None:
    """faults.md D36: huge strings: bounded bytes.

    Mutation: in cells._all_short, return `list(texts)`.
    """
    long = ["a" * 200_000, "a" * 199_999 + "b", "é" * 257, "e" * 256]
    texts = [json.dumps({"s": s, "m": s if i else None}, ensure_ascii=False).encode() for i, s in enumerate(long)]
    found = columns(texts)
    assert len(set(found["s"])) == 4
    assert found["s"][3] == long[3]
    assert max(len(s) for s in found["s"]) <= 256
    assert found["s"][0].startswith("a" * 64 + "#")
    assert found["m"] == [MISSED, *found["s"][1:]]
    assert found["s"] == columns(texts, ["s"])["s"]


def test_duplicate_names_take_the_last() -> None:
    for names in ((), ("a",), ("b",)):
        assert columns([b'{"a":1,"b":"x","a":2}'], names)["a"] == [2.0]


def test_deep_values_are_of_the_wrong_type() -> None:
    """Nesting that the door let through is no error here, however deep the stack stands by now."""
    deep = b'{"a":1,"x":' + b"[" * 5_000 + b'"]}\\"",{"y":[]}' + b"]" * 5_000 + b',"b":"t"}'
    for names in ((), ("a", "x"), ("b",)):
        found = columns([deep, b'{"a":2}'], names)
        assert found["a"] == [1.0, 2.0]
        assert found["x"] == [WRONG, MISSED]
        assert found["b"] == ["t", MISSED]


@pytest.mark.parametrize("broken", [b"", b"[]", b"1", b'{"a":1', b'{"a":"\xff"}', b'{"a":1}}', b"nope"])
def test_what_no_door_lets_through_is_poison(broken: bytes) -> None:
    for names in ((), ("a",)):
        with pytest.raises(Poison):
            FeatureDecoder(names).columns([b'{"a":1}', broken])


def test_d31_wide_events_are_read_in_full() -> None:
    """faults.md D31: up to the limit of 2,000 features an event is taken, in any order of names.

    Mutation: in FeatureDecoder._part, append `tuple(cells.values())` for a row that is read by itself.
    """
    names = [f"w{i}" for i in range(2_000)]
    forth = json.dumps({name: i for i, name in enumerate(names)}).encode()
    back = json.dumps({name: i for i, name in reversed(list(enumerate(names)))}).encode()
    events = [Decoder().decode(with_features(t)) for t in (forth, back)]
    texts = [event.features for event in events if isinstance(event, Prediction)]
    found = columns(texts, names)
    assert all(found[name] == [float(i)] * 2 for i, name in enumerate(names))
    assert FeatureDecoder().columns(texts).dropped == 2_000
