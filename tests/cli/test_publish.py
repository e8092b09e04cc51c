"""Publishing files: what goes where, what is refused, and that nothing is counted before it has arrived."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from driftline.cli.publish import SHOWN, Lines, Published, event_id, opened, publish_lines
from driftline.clock import ManualClock
from driftline.errors import Misconfigured, PublishRefused, Transient
from driftline.runtime.log import Outgoing
from driftline.runtime.memory_log import MemoryLog, MemoryWriter

TOPIC = "events"


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog(ManualClock(1_000), {TOPIC: 4})


async def published(log: MemoryLog, text: bytes, limit: int = 1_000, **options: object) -> Published:
    lines = Lines(io.BytesIO(text), limit)
    return await publish_lines(lines, MemoryWriter(log), TOPIC, 4, **options)  # type: ignore[arg-type]


def values(log: MemoryLog) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(p, r.key, r.value) for p in range(4) for r in log.records(TOPIC, p)]


async def test_events_go_by_the_crc_of_their_id_as_they_stand(log: MemoryLog) -> None:
    text = b'{"id": "a", "x":  1}\r\n{"id": 17}\n\n  \n{"id": "a", "y": 2}'
    done = await published(log, text)
    assert (done.published, done.refused, done.blank) == (3, 0, 2)
    a, seventeen = zlib.crc32(b"a") % 4, zlib.crc32(b"17") % 4
    expected = [
        (a, b"a", b'{"id": "a", "x":  1}'),
        (a, b"a", b'{"id": "a", "y": 2}'),
        (seventeen, b"17", b'{"id": 17}'),
    ]
    assert sorted(values(log)) == sorted(expected)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"{", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b"[" * 5_000, "not JSON"),
        (b"[]", "no object"),
        (b"null", "no object"),
        (b'{"id": "' + b"x" * 10_000 + b'"}', "longer than kafka.max_message_bytes"),
    ],
)
async def test_lines_that_are_no_objects_are_listed_and_left_out(log: MemoryLog, line: bytes, why: str) -> None:
    done = await published(log, b'{"id":1}\n' + line + b'\n{"id":2}\n', limit=9_000)
    assert (done.published, done.refused) == (2, 1)
    assert done.listed[0][0] == 2
    assert why in done.listed[0][1]
    assert len(values(log)) == 2


async def test_raw_publishes_every_line_that_fits(log: MemoryLog) -> None:
    done = await published(log, b"{\nnonsense\n" + b"x" * 2_000 + b"\n", raw=True)
    assert (done.published, done.refused) == (2, 1)
    assert {value for _, _, value in values(log)} == {b"{", b"nonsense"}


async def test_refusals_are_all_counted_and_the_first_listed(log: MemoryLog) -> None:
    done = await published(log, b"{\n" * 1_000)
    assert done.refused == 1_000
    assert len(done.listed) == SHOWN


@pytest.mark.parametrize("size", [98, 99, 100, 101, 102, 300])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_line_does_not_hide_its_neighbours(size: int, end: bytes) -> None:
    found = list(Lines(io.BytesIO(b"first\n" + b"x" * size + b"\nlast" + end), 100))
    assert found == [(1, b"first"), (2, b"x" * size if size <= 100 else None), (3, b"last")]


def test_an_id_is_found_where_the_mapping_says() -> None:
    assert event_id(b'{"meta": {"id": "q"}}', "meta.id") == b"q"
    assert event_id(b'{"meta": {"id": true}}', "meta.id") is None
    assert event_id(b'{"id": "q"}', "meta.id") is None


class Flaky(MemoryWriter):
    """Fails the first `failures` calls, without appending."""

    def __init__(self, log: MemoryLog, failures: int, error: Transient) -> None:
        super().__init__(log)
        self.failures, self.error, self.calls = failures, error, 0

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        await super().publish(records)


async def test_a_broker_that_is_away_for_a_moment_is_waited_for(log: MemoryLog) -> None:
    writer = Flaky(log, 2, Transient("away"))
    done = await publish_lines(Lines(io.BytesIO(b'{"id":1}\n'), 100), writer, TOPIC, 4)
    assert (done.published, writer.calls) == (1, 3)


async def test_a_refusal_is_final(log: MemoryLog) -> None:
    writer = Flaky(log, 9, PublishRefused("no rights"))
    with pytest.raises(PublishRefused):
        await publish_lines(Lines(io.BytesIO(b'{"id":1}\n'), 100), writer, TOPIC, 4)
    assert writer.calls == 1


async def test_stopping_keeps_what_has_arrived(log: MemoryLog) -> None:
    stop = asyncio.Event()
    text = b"".join(b'{"id":%d}\n' % n for n in range(100))
    done = await published(
        log, text, batch_records=10, stop=stop, advanced=lambda n: stop.set() if n >= 30 else None
    )
    assert done.published == 30 == len(values(log))


def test_files_are_opened_plain_and_packed(tmp_path: Path) -> None:
    text = b'{"id":1}\n' * 1_000
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(text))
    for name in ("a.jsonl", "a.jsonl.gz"):
        with opened(tmp_path / name) as (file, position, total):
            assert b"".join(file) == text
            assert position() == total == (tmp_path / name).stat().st_size


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(json.dumps(list(range(9_000))).encode())[:-50]])
def test_a_broken_gzip_file_is_a_clear_refusal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "b.gz").write_bytes(content)
    with pytest.raises(Misconfigured, match="not a whole gzip file"), opened(tmp_path / "b.gz") as (file, _, _):
        file.read()


def test_a_missing_file_is_a_clear_refusal(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read"), opened(tmp_path / "none"):
        pass
