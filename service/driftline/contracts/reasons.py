"""Why a record is refused: stable tokens, one for each thing a producer can do about it.

A reason is the `reason` of `errors.Poison`, of the dead letter and of the metric that counts refusals. Tokens
are a public contract: they are added to, never renamed. `REMEDIES` says what each means and what to do.
"""

from __future__ import annotations

import enum
from typing import Final

from driftline.errors import Poison


class Reason(enum.StrEnum):
    """The tokens, in the order in which a record meets them."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    ENCODING = "encoding"
    JSON = "json"
    NESTING = "nesting"
    NOT_AN_OBJECT = "not_an_object"
    CLOUDEVENTS_VERSION = "cloudevents_version"
    CLOUDEVENTS_FORMAT = "cloudevents_format"
    CLOUDEVENTS_ATTRIBUTE = "cloudevents_attribute"
    CLOUDEVENTS_TYPE = "cloudevents_type"
    MAPPING = "mapping"
    TYPE = "type"
    SCHEMA_VERSION = "schema_version"
    SCHEMA = "schema"
    LENGTH = "length"
    CHARACTERS = "characters"
    NUMBER = "number"
    TOO_MANY = "too_many"
    TIME_FORMAT = "time_format"
    TIME_ZONE = "time_zone"
    TIME_UNIT = "time_unit"
    TIME_RANGE = "time_range"
    FUTURE = "future"
    FOLD_ERROR = "fold_error"


REMEDIES: Final[dict[Reason, str]] = {
    Reason.EMPTY: "The value is empty or a tombstone. Publish the event as the record's value.",
    Reason.TOO_LARGE: "The value exceeds the size limit and was not read. Send fewer or smaller features.",
    Reason.ENCODING: "The value is not UTF-8 without a byte-order mark, or holds half a surrogate pair. "
    "Encode as plain UTF-8 and mend strings that were cut in the middle of a character.",
    Reason.JSON: "The value is not JSON (RFC 8259). Use a JSON library to write it.",
    Reason.NESTING: "The value is nested deeper than any event. Features are flat: a name and a scalar.",
    Reason.NOT_AN_OBJECT: "The value is JSON but no object. Publish one event a record, not an array of them.",
    Reason.CLOUDEVENTS_VERSION: "`specversion` is missing or not 1.x. Send CloudEvents 1.0.",
    Reason.CLOUDEVENTS_FORMAT: "A CloudEvents format or content type that is not JSON, or a batch. "
    "Send application/cloudevents+json, or binary mode with application/json data.",
    Reason.CLOUDEVENTS_ATTRIBUTE: "A required CloudEvents attribute (id, source, type) or the data is missing.",
    Reason.CLOUDEVENTS_TYPE: "The CloudEvents type is none of ours. Send io.driftline.prediction.v1 or "
    "io.driftline.outcome.v1, or keep other events on another topic.",
    Reason.MAPPING: "The configured field mapping finds no value where it looks. Correct its paths.",
    Reason.TYPE: '`type` is missing or unknown. Send "prediction" or "outcome", or configure a field mapping.',
    Reason.SCHEMA_VERSION: "The record's major version is newer than this Driftline reads. Upgrade Driftline "
    "first, then the producers.",
    Reason.SCHEMA: "A required field is missing or of the wrong type; the detail names it.",
    Reason.LENGTH: "A string is empty or longer than 256 characters; the detail names the field.",
    Reason.CHARACTERS: "A model or version name contains control characters.",
    Reason.NUMBER: "A number outside `features` is NaN, infinite or beyond its range. Leave the field out.",
    Reason.TOO_MANY: "Too many features, scores or segments in one event.",
    Reason.TIME_FORMAT: "`time` is neither a number nor an RFC 3339 date-time such as 2024-04-01T12:00:00Z.",
    Reason.TIME_ZONE: "`time` has no zone. Append Z, or the offset such as +02:00.",
    Reason.TIME_UNIT: "`time` is a number that looks like seconds. Send milliseconds since the epoch.",
    Reason.TIME_RANGE: "`time` is before 1970 or after the year 9999.",
    Reason.FUTURE: "`time` is ahead of the broker's clock by more than is allowed. Set the producer's clock.",
    Reason.FOLD_ERROR: "Driftline itself failed on this record. Nothing for the producer to do: report it.",
}


def poison(reason: Reason, detail: str) -> Poison:
    """The error for `reason`. `detail` names the field, never its value."""
    return Poison(reason.value, detail)
