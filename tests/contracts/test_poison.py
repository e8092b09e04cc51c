"""faults.md D30 to D32 and D34: whatever stands in a record, the answer is an event or the right Poison."""

from __future__ import annotations

import contextlib
import json
import sys
import tracemalloc

import pytest

from contracts.making import T, event_or_reason, fields, prediction, reason, text, with_features
from driftline.contracts.decode import Decoder
from driftline.contracts.reasons import REMEDIES, Reason
from driftline.errors import Poison

NOT_JSON = [
    "n_array_1_true_without_comma [1 true]",
    "n_array_colon_instead_of_comma ['': 1]",
    'n_array_comma_after_close [""],',
    "n_array_double_comma [1,,2]",
    'n_array_extra_close ["x"]]',
    "n_array_extra_comma [1,]",
    "n_array_just_minus [-]",
    'n_array_missing_value [   , ""]',
    'n_array_newlines_unclosed ["a",\n4\n,1,',
    "n_array_star_inside [*]",
    'n_array_unclosed [""',
    "n_incomplete_false [fals]",
    "n_incomplete_null [nul]",
    "n_incomplete_true [tru]",
    "n_number_++ [++1234]",
    "n_number_+1 [+1]",
    "n_number_-01 [-01]",
    "n_number_-2. [-2.]",
    "n_number_.2e-3 [.2e-3]",
    "n_number_0.3e+ [0.3e+]",
    "n_number_0e [0e]",
    "n_number_0x1 [0x1]",
    "n_number_1_000 [1 000.0]",
    "n_number_2.e3 [2.e3]",
    "n_number_9.e+ [9.e+]",
    "n_number_expression [1+2]",
    "n_number_fullwidth_1 [１]",
    "n_number_infinity_small [infinity]",
    "n_number_nan_lower [nan]",
    "n_number_-NaN [-NaN]",
    "n_number_neg_int_leading_zero [-012]",
    "n_number_with_alpha [1.2a-3]",
    "n_number_leading_zero [012]",
    'n_object_bad_value ["x", truth]',
    'n_object_comma_instead_of_colon {"x", null}',
    'n_object_double_colon {"x"::"b"}',
    'n_object_garbage_at_end {"a":"a" 123}',
    "n_object_key_with_single_quotes {key: 'value'}",
    'n_object_missing_colon {"a" "b"}',
    'n_object_missing_key {:"b"}',
    'n_object_missing_value {"a":',
    'n_object_no-colon {"a"',
    "n_object_non_string_key {1:1}",
    "n_object_repeated_null {null:null,null:null}",
    'n_object_several_trailing_commas {"id":0,,,,,}',
    "n_object_single_quote {'a':0}",
    'n_object_trailing_comma {"id":0,}',
    'n_object_trailing_comment {"a":"b"}/**/',
    'n_object_trailing_comment_slash {"a":"b"}//',
    'n_object_two_commas {"a":"b",,"c":"d"}',
    'n_object_unquoted_key {a: "b"}',
    'n_object_unterminated {"a":"a',
    'n_object_trailing {"a": true} "x"',
    "n_single_space ' ",
    'n_string_1_surrogate_then_escape ["\\uD800\\"]',
    'n_string_1_surrogate_then_escape_u ["\\uD800\\u"]',
    "n_string_accentuated_char_no_quotes [é]",
    'n_string_backslash_00 ["\\\x00"]',
    'n_string_escape_x ["\\x00"]',
    'n_string_escaped_emoji ["\\🌀"]',
    'n_string_incomplete_escape ["\\"]',
    'n_string_incomplete_escaped_character ["\\u00A"]',
    'n_string_invalid_unicode_escape ["\\uqqqq"]',
    'n_string_leading_uescaped_thinspace [\\u0020"asd"]',
    'n_string_single_doublequote "',
    "n_string_single_quote ['single quote']",
    'n_string_unescaped_newline ["new\nline"]',
    'n_string_unescaped_tab ["\t"]',
    "n_structure_angle_bracket_null [<null>]",
    "n_structure_ascii-unicode-identifier aå",
    "n_structure_capitalized_True [True]",
    "n_structure_close_unopened_array 1]",
    "n_structure_double_array [][]",
    "n_structure_end_array ]",
    "n_structure_lone-open-bracket [",
    "n_structure_null-byte-outside-string [\x00]",
    "n_structure_number_with_trailing_garbage 2@",
    "n_structure_object_followed_by_closing_object {}}",
    'n_structure_object_with_comment {"a":/*comment*/"b"}',
    "n_structure_open_object {",
    'n_structure_open_open ["\\{["\\{["\\{["\\{',
    "n_structure_single_eacute \u00e9",
    "n_structure_unclosed_array_partial_null [ false, nul",
    "n_structure_unicode_bom_no_data \u2060",
    "n_structure_whitespace_formfeed [\x0c]",
    "n_structure_whitespace_nbsp [\u00a0]",
    "n_structure_U+2060_word_joined [\u2060]",
]
"""After the n_ cases of the public JSONTestSuite: name, space, text."""

NO_EVENT = ["[]", "[[]   ]", "null", "true", "-0", "20e1", '"asd"', "[1,null,2]", " [1] ", '"\\u0000"', "1e-2"]
"""Valid JSON (y_ cases) that is no object."""


@pytest.mark.parametrize("case", NOT_JSON, ids=[case.split(" ", 1)[0] for case in NOT_JSON])
def test_d30_what_is_not_json_is_poison_wherever_it_stands(case: str) -> None:
    """faults.md D30: the n_ cases, as the whole value, as a feature, as an undeclared field.

    Mutation: in decode._REFUSED, drop msgspec.DecodeError and ValueError.
    """
    broken = case.split(" ", 1)[1].encode()
    assert reason(broken) == "json"
    assert reason(with_features(b'{"a":' + broken + b"}")) == "json"
    assert reason(text(note="@").replace(b'"@"', broken)) == "json"


@pytest.mark.parametrize("case", NO_EVENT)
def test_d30_json_that_is_no_object_is_poison(case: str) -> None:
    """faults.md D30. Mutation: in loose.read_object, drop the isinstance check (AttributeError)."""
    assert reason(case.encode()) == "not_an_object"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b" \r\n\t", "empty"),
        (b"{}", "type"),
        (b"\x00", "json"),
        (b"\x80\x02}q\x00.", "encoding"),
        (b"\xef\xbb\xbf" + text(), "encoding"),
        (b"\xef\xbb\xbf", "encoding"),
        (text().decode().encode("utf-16"), "encoding"),
        (text().decode().encode("utf-16-le"), "json"),
        (text().decode().encode("utf-32"), "encoding"),
        (text(note="@").replace(b"@", b"\xff"), "encoding"),
        (text(note="@").replace(b"@", b"\xed\xa0\x80"), "encoding"),
        (text(note="@").replace(b"@", b"\xc0\xaf"), "encoding"),
        (text(id="@").replace(b"@", b"\xe2\x82"), "encoding"),
        (with_features(b'{"a":"\xff"}'), "encoding"),
        (with_features(b'{"\xff":1}'), "encoding"),
        (text(**{"@": 1}).replace(b'"@"', b'"\xff"'), "encoding"),
    ],
)
def test_d30_bytes_that_are_no_utf8_text_are_poison(value: bytes | None, why: str) -> None:
    """faults.md D30: empty, bad UTF-8, BOM; in declared fields, in features, in undeclared fields.

    Mutation: in Decoder.decode, drop the `isascii` check (msgspec does not look at what it skips).
    """
    assert reason(value) == why


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff", "\\ud800x", "\\ud800\\u0041", "\\udc00\\ud800"])
def test_d30_lone_surrogates_are_poison(half: str) -> None:
    """faults.md D30: half a surrogate pair, in an id, a feature's name or value, or an undeclared field.

    Mutation: in loose._forgivingly, drop the call of _refuse_half_pairs.
    """
    escape = half.encode()
    for value in (
        text(id="@").replace(b"@", escape),
        text(model="@").replace(b"@", escape),
        text(note=["@"]).replace(b"@", escape),
        with_features(b'{"a":"' + escape + b'"}'),
        with_features(b'{"' + escape + b'":1}'),
        with_features(b'{"a":NaN,"b":"' + escape + b'"}'),
    ):
        assert reason(value) == "encoding"
    assert prediction(text(id="@").replace(b"@", b"\\ud83e\\udd86")).id == "🦆"


def test_d31_a_value_over_the_limit_is_refused_unread() -> None:
    """faults.md D31: 100 MB. Memory stays where it was: the value is not even looked at.

    Mutation: in Decoder.decode, move the size check behind the decoding.
    """
    huge = bytes(100_000_000)
    decoder = Decoder()
    tracemalloc.start()
    try:
        assert reason(huge, decoder=decoder) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_d31_many_keys_inside_the_limit_are_refused_cheaply() -> None:
    """faults.md D31: as many keys or features as fit the size limit; and 200,000 features are over it.

    Mutation: in accept.accept_prediction, drop the check of `few_features`.
    """
    many = b"{" + b",".join(b'"%d":1' % i for i in range(20_000)) + b"}"
    assert len(many) < 256 * 1024
    assert reason(with_features(many)) == "too_many"
    assert prediction(text(note="@").replace(b'"@"', many)).id == "p-1"
    assert reason(many) == "type"
    features = b"{" + b",".join(b'"f%d":1' % i for i in range(200_000)) + b"}"
    assert reason(with_features(features)) == "too_large"


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("opened", [b"[", b'{"a":'])
def test_d32_deep_nesting_is_poison(depth: int, opened: bytes) -> None:
    """faults.md D32: 100,000 deep, in features, in a declared and in an undeclared field, alone, in an envelope.

    Mutation: in decode._REFUSED, drop RecursionError.
    """
    deep = opened * depth
    closed = deep + b"1" + (b"]" if opened == b"[" else b"}") * depth
    limit = Decoder()
    cloud = [("content-type", b"application/cloudevents+json")]
    for nested in (deep, closed):
        for value, headers in (
            (nested, []),
            (text(prediction="@").replace(b'"@"', nested), []),
            (text(note="@").replace(b'"@"', nested), []),
            (with_features(b'{"a":' + nested + b"}"), []),
            (b'{"specversion":"1.0","data":' + nested + b"}", cloud),
        ):
            # How deep may be read is the interpreter's matter; what is read is no event, or has an odd value.
            if depth == 100_000 or sys.version_info < (3, 12):
                assert reason(value, headers, limit) in ("nesting", "too_large", "json")
            else:
                with contextlib.suppress(Poison):
                    limit.decode(value, headers)
    if depth == 100_000 and opened == b"[":
        assert reason(closed, decoder=limit) == "nesting"
        assert reason(text(note="@").replace(b'"@"', closed), decoder=limit) == "nesting"
        assert sys.getrecursionlimit() < depth


@pytest.mark.parametrize("version", ["1", "1.0", "1.99", 1, 1.2, "1.4.2"])
def test_d34_newer_minor_versions_are_taken(version: object) -> None:
    """faults.md D34: newer minor: the known part is accepted, whatever else is there.

    Mutation: in accept.check_record_version, compare the whole of `v` to "1".
    """
    event = prediction(text(v=version, explanation={"amount": 0.4}, calibrated=[1, 2]))
    assert event.id == "p-1"


@pytest.mark.parametrize("version", ["2", 2, 2.0, "2.1", "10", 0, "0.9", "", "v1", True, [1], {"major": 1}, 1e46])
def test_d34_other_majors_are_poison(version: object) -> None:
    """faults.md D34: newer major: dead letter, also where the new major has changed the fields.

    Mutation: in diagnose.event_of, look at `v` last.
    """
    assert reason(text(v=version)) == "schema_version"
    changed = json.dumps({"type": "prediction", "v": version, "key": {"id": 1}}).encode()
    assert reason(changed) == "schema_version"


def test_the_reasons_are_all_explained() -> None:
    assert set(REMEDIES) == set(Reason)


def test_details_never_hold_values() -> None:
    secret = "hunter2"
    for value in (
        text(time=secret),
        text(version=[secret]),
        text(v=secret),
        text(type=secret),
        text(prediction=secret * 40),
        text(model=secret + "\n"),
        secret.encode(),
    ):
        with pytest.raises(Poison) as caught:
            Decoder().decode(value)
        assert secret not in str(caught.value)


def test_duplicate_keys_take_the_last() -> None:
    """Both ways of reading agree. Mutation: give loose._READER an object_pairs_hook that keeps the first."""
    twice = text(score="@").replace(b'"score": "@"', b'"score": 0.1, "score": 0.2')
    assert prediction(twice).score == 0.2
    assert prediction(twice.replace(b"129.5", b"NaN")).score == 0.2
    assert event_or_reason(b'{"type":"prediction",' + json.dumps(fields(time=T)).encode()[1:]) == prediction(text())
