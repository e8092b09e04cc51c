"""Files as they lie there: packed by gzip or Zstandard, or plain; and how far they have been read."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal

from driftline.errors import Misconfigured

PACKED: Final = (".gz", ".zst")
Kind = Literal["jsonl", "csv", "parquet", "blocks"]
_KINDS: Final[dict[str, Kind]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".blocks": "blocks",
}


def kind_of(path: Path) -> Kind:
    """By the file's name. Misconfigured for any other."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] and suffixes[-1] in PACKED:
        suffixes.pop()
        if suffixes[-1:] and suffixes[-1] not in (".jsonl", ".ndjson", ".csv"):
            suffixes.clear()
    kind = _KINDS.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise Misconfigured(
            f"{path}: what it holds is known by its name, which must end in .jsonl, .csv (both also with .gz or "
            f".zst), .parquet or .blocks"
        )
    return kind


def size_of(path: Path) -> int:
    """Bytes. Misconfigured if the file cannot be read."""
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from None


@contextmanager
def opened(path: Path) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """(the unpacked bytes, how many bytes of the file have been read)."""
    try:
        with path.open("rb") as file:
            match path.suffix.lower():
                case ".gz":
                    with gzip.open(file) as unpacked:
                        yield io.BufferedReader(unpacked, 1 << 20), file.tell
                case ".zst":
                    with _zstd(path, file) as unpacked:
                        yield unpacked, file.tell
                case _:
                    yield file, file.tell
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Misconfigured(f"{path}: not a whole gzip file ({error}). Copy it again") from None
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror or error})") from None


@contextmanager
def _zstd(path: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    try:
        import zstandard
    except ImportError:
        raise Misconfigured(f"{path}: reading .zst needs zstandard: pip install 'driftline[backtest]'") from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked:
            yield io.BufferedReader(unpacked, 1 << 20)
    except zstandard.ZstdError as error:
        raise Misconfigured(f"{path}: not a whole Zstandard file ({error}). Copy it again") from None
