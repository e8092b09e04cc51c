"""What was probably meant: by a name that is not known, and by rules that people write as plain data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

Rule = TypeVar("Rule", bound=msgspec.Struct)


def hint(given: str, known: Iterable[str]) -> str:
    """`did you mean ...?`, or all there are."""
    names = list(known)
    near = difflib.get_close_matches(given, names, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


def rule_of(given: Mapping[str, Any], kind: type[Rule], what: str) -> Rule:
    """A rule from plain data; `what`: what people call it. ValueError with what is wrong and what was meant."""
    known = kind.__struct_fields__
    for key in given:
        if key not in known:
            raise ValueError(f"a {what} has no {str(key)[:40]!r}; {hint(str(key), known)}")
    try:
        return msgspec.convert(dict(given), kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"{what}: {error}") from None
