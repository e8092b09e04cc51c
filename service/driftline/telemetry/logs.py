"""Structured logs: declared events only, bounded values, no secrets.

`setup` once, then `log("partition.owned", stage="ingest", partition=3, start=17)`. Each line is a JSON object
(or text for people) with `time`, `level`, `event` and the fields. Secrets given to `setup` are blotted out of
every value and every library's message, wherever they turn up.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

from pydantic import SecretStr

from driftline.errors import DriftlineError, origin
from driftline.telemetry.declared_events import EVENTS

MAX_TEXT: Final = 500
MAX_ITEMS: Final = 20
HIDDEN: Final = "(hidden)"
SHORTEST_SECRET: Final = 4
"""Shorter secrets are not looked for in text: they would blot out half of every line."""

_LEVELS: Final = {event.name: event.level for event in EVENTS}
_TALKATIVE: Final = ("apprise", "httpcore", "httpx", "urllib3")
"""Libraries that log the addresses they call, in pieces that no `Hider` knows; of receivers these are passwords."""
_RESERVED: Final = frozenset({"time", "level", "event", "logger"})
_logger = logging.getLogger("driftline")

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


class UndeclaredEvent(LookupError):
    """A defect of the caller: no such event in declared_events.py, or a field name that is ours."""


def log(event: str, /, **fields: object) -> None:
    """Log a declared event at its declared level. UndeclaredEvent for any other, whatever the level in force."""
    level = _LEVELS.get(event)
    if level is None:
        raise UndeclaredEvent(f"{event} is not in declared_events.py")
    if not _RESERVED.isdisjoint(fields):
        raise UndeclaredEvent(f"{event}: {sorted(_RESERVED & set(fields))} are set by the log itself")
    if _logger.isEnabledFor(level):
        _logger.log(level, event, extra={"fields": fields})


class Hider:
    """Replaces known secrets in text, longest first, also as they look when quoted or escaped."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for s in secrets for form in (s, repr(s)[1:-1], json.dumps(s)[1:-1])}
        self._forms = sorted((f for f in forms if len(f) >= SHORTEST_SECRET), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def plain(value: object, hide: Hider, depth: int = 3) -> Plain:
    """A value as bounded JSON data: text of at most 500 characters, 20 items, three levels. Of an exception the text
    only where it is ours or the system's: any other may repeat what it was given, an event's values say."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if value - value == 0 else str(value)
        case SecretStr():
            return HIDDEN
        case DriftlineError() | OSError():
            return _cut(hide(f"{type(value).__name__}: {value}"))
        case BaseException():
            return origin(value)
        case bytes():
            return f"({len(value)} bytes)"
        case Mapping() if depth:
            items = list(value.items())[:MAX_ITEMS]
            return {_cut(hide(str(k))): plain(v, hide, depth - 1) for k, v in items}
        case Sequence() | set() | frozenset() if depth and not isinstance(value, str):
            return [plain(v, hide, depth - 1) for v in list(value)[:MAX_ITEMS]]
        case _:
            return _cut(hide(str(value)))


def _cut(text: str) -> str:
    """Bounded, and valid UTF-8 whatever a producer put into a name."""
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Formatter(logging.Formatter):
    """One line a record, whatever is in it: line ends and control characters are escaped."""

    def __init__(self, form: Literal["json", "text"], hide: Hider) -> None:
        super().__init__()
        self._form = form
        self._hide = hide

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: Mapping[str, object]
        given = getattr(record, "fields", None)
        if record.name == _logger.name and given is not None:
            event, fields = str(record.msg), given
        else:
            event, fields = "library", {"message": record.getMessage()}
        line: dict[str, Plain] = {"time": time.replace("+00:00", "Z"), "level": record.levelname.lower()}
        line["event"] = event
        if event == "library":
            line["logger"] = record.name
        line |= {name: plain(value, self._hide) for name, value in fields.items()}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = plain(record.exc_info[1], self._hide)
        if self._form == "json":
            text = json.dumps(line, ensure_ascii=False, allow_nan=False)
            return text if text.isprintable() else json.dumps(line, allow_nan=False)
        head = f"{line.pop('time')} {str(line.pop('level')).upper():7} {line.pop('event')}"
        return " ".join([head, *(f"{name}={_text(value)}" for name, value in line.items())])


def _text(value: Plain) -> str:
    """A value in a text line: quoted where it holds anything that could be taken for something else."""
    if isinstance(value, str) and value.isprintable() and value and not set(' ="') & set(value):
        return value
    return json.dumps(value, ensure_ascii=not (isinstance(value, str) and value.isprintable()))


class _Lines(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        """A line that cannot be written (the disk is full, the reader is gone) is lost, and nothing else is. Python's
        own complaint would repeat the record as it was given, with its secrets."""


def setup(
    level: str = "INFO",
    form: Literal["json", "text"] = "json",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send all logs of the process to `stream` (standard error) in this form. Libraries speak from WARNING on,
    from DEBUG on if that is our level; those that call receivers not at all. Calling it again replaces the former
    set-up."""
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(Formatter(form, Hider(secrets)))
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, Formatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)
    for name in _TALKATIVE:  # not by their level: what Apprise logs is how it says why a message was not taken
        library = logging.getLogger(name)
        library.propagate = False
        if not library.handlers:
            library.addHandler(logging.NullHandler())
    _logger.setLevel(level)
