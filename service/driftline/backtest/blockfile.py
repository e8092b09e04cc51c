"""A file of blocks: what a log of them held, with the profiles they were binned by. Months of it are judged again in
seconds, because it holds counts, and events no longer than until a reference was learnt from them.

Gzip over frames of four bytes of length (big-endian) and MessagePack: a head, then bundles in the order of the log,
and profiles. A file that was cut off, or is of a later format, is refused.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from driftline.errors import Misconfigured
from driftline.outputs import cannot_write
from driftline.stats.profile import Profile, decode_profile, encode_profile

VERSION: Final = 1
LEVEL: Final = 3
MAX_FRAME: Final = 1 << 30
BUNDLE: Final = "b"
PROFILE: Final = "p"
END: Final = "e"


class Head(msgspec.Struct, frozen=True):
    """`partitions` of the topic; `complete`: nothing from before is missing, so a reference that was learnt from
    first events can be learnt from them again, by other settings."""

    partitions: int
    complete: bool
    driftline: str = "blocks"
    v: int = VERSION


class BlockWriter:
    """A context: the file is whole only when it is left without an error."""

    def __init__(self, path: Path, partitions: int, *, complete: bool) -> None:
        self._path = path
        self._head = Head(partitions, complete)

    def __enter__(self) -> Self:
        try:
            self._file = gzip.open(self._path, "wb", LEVEL)
        except OSError as error:
            raise cannot_write(self._path, error) from None
        self._frame(msgspec.msgpack.encode(self._head))
        return self

    def bundle(self, partition: int, value: bytes) -> None:
        self._frame(msgspec.msgpack.encode((BUNDLE, partition, value)))

    def profile(self, profile: Profile) -> None:
        self._frame(msgspec.msgpack.encode((PROFILE, 0, encode_profile(profile))))

    def _frame(self, data: bytes) -> None:
        try:
            self._file.write(len(data).to_bytes(4, "big") + data)
        except OSError as error:
            raise cannot_write(self._path, error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._frame(msgspec.msgpack.encode((END, 0, b"")))
        try:
            self._file.close()
        except OSError as unwritten:
            raise cannot_write(self._path, unwritten) from error


class BlockFile:
    """`head` and `profiles` (the last revision of each model version) are read at once; `bundles` as they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        frames = self._frames()
        first = next(frames, None)
        self.head = self._head(first)
        self.profiles: dict[tuple[str, str], Profile] = {}
        self.count = 0
        for kind, _, value in self._records(frames):
            if kind == PROFILE:
                profile = decode_profile(value)
                self.profiles[profile.model, profile.version] = profile
            elif kind == BUNDLE:
                self.count += 1

    def bundles(self) -> Iterator[tuple[int, bytes]]:
        """(partition, bytes) in the order of the log."""
        frames = self._frames()
        next(frames)
        for kind, partition, value in self._records(frames):
            if kind == BUNDLE:
                yield partition, value

    def _records(self, frames: Iterator[bytes]) -> Iterator[tuple[str, int, bytes]]:
        for data in frames:
            kind, partition, value = msgspec.msgpack.decode(data, type=tuple[str, int, bytes])
            if kind == END:
                return
            yield kind, partition, value
        raise self._broken("it was cut off")

    def _frames(self) -> Iterator[bytes]:
        try:
            with gzip.open(self._path, "rb") as file:
                while size := file.read(4):
                    length = int.from_bytes(size, "big")
                    data = file.read(length) if length <= MAX_FRAME else b""
                    if len(data) != length:
                        raise self._broken("it was cut off")
                    yield data
        except (EOFError, gzip.BadGzipFile, OSError) as error:
            raise self._broken(str(error)) from None

    def _head(self, data: bytes | None) -> Head:
        try:
            head: Any = msgspec.msgpack.decode(data or b"", type=Head)
        except msgspec.DecodeError:
            raise self._broken("it begins with something else") from None
        if head.driftline != "blocks":
            raise self._broken("it begins with something else")
        if head.v > VERSION:
            raise Misconfigured(f"{self._path}: written by a later Driftline (format {head.v}); upgrade this one")
        return head  # type: ignore[no-any-return]

    def _broken(self, why: str) -> Misconfigured:
        return Misconfigured(
            f"{self._path}: not a whole file of blocks ({why}). Make it by `driftline blocks export`, or by "
            f"`driftline backtest --blocks`"
        )
