"""Files that commands write: whole or not at all, and a disk that is full is said to be."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from driftline.errors import Misconfigured

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
"""Of an OSError: a disk that takes no more."""


def write_whole(path: Path, data: bytes) -> None:
    """Put `data` into a file. Misconfigured where that cannot be; then what it held before is in it still, and who may
    read it is as before. What is no file (a pipe, `/dev/stdout`) is written to as it is."""
    try:
        # A link may lead to another disk, onto which nothing can be renamed from here.
        file_itself = Path(os.path.realpath(path))
        beside = file_itself.with_name(f".driftline-{os.getpid()}.part")
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                if file_itself.exists():
                    os.fchmod(file.fileno(), stat.S_IMODE(file_itself.stat().st_mode))
            beside.replace(file_itself)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: Path, error: OSError) -> Misconfigured:
    return Misconfigured(f"{path}: cannot be written ({error.strerror})")


class Output:
    """A context: a file that is written as it comes. Misconfigured where it takes no more."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        try:
            self._file = self._path.open("wb")
        except OSError as error:
            raise cannot_write(self._path, error) from None
        return self

    def write(self, data: bytes) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise cannot_write(self._path, error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError as unwritten:
            raise cannot_write(self._path, unwritten) from error
