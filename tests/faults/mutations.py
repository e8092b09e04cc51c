"""What turns the fault tests red: `python tests/faults/mutations.py [word]` tries each on a copy of the tree.

A row is a file (or a pattern), a text in it, what it becomes, and a test that must fail then. A text that is not found
once, or a test that stays green, is reported; the exit code is the number of such rows. Two minutes for all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LOOP, MEMORY, STAGE = "runtime/*.py", "runtime/memory_store.py", "ingest/stage.py"
CYCLE, TAKEOVER = "runtime/cycle.py", "runtime/takeover.py"
JUDGE, STORED, LEDGER = "judge/stage.py", "judge/stored.py", "judge/ledger.py"
REFUSALS, INVALID = "judge/refusals.py", "test_invalid_events.py"
WORKERS, STORE, LOG = "test_workers.py", "test_store_faults.py", "test_log_faults.py"


class Mutation(NamedTuple):
    file: str
    old: str
    new: str
    module: str
    test: str


MUTATIONS = [
    Mutation(
        STAGE,
        "await self._store.join(day, asked) if asked else ()",
        "None",
        WORKERS,
        "death_between_fold_and_write",
    ),
    Mutation(JUDGE, "dirty |= flush_model(model)", "flush_model(model)", WORKERS, "death_of_a_judge"),
    Mutation(STAGE, "windows=windows if partition == speaks else {}", "windows=windows", INVALID, "told_once"),
    Mutation(REFUSALS, "if (at + 1) * WINDOW <= bundle.next", "", INVALID, "batches_do_not_matter"),
    Mutation(
        REFUSALS, "int(at): WindowTally(int(n), dict(refused))", "int(at): WindowTally(0)", INVALID, "that_die"
    ),
    Mutation(TAKEOVER, "if pending and not recovery.plan:", "if False:", WORKERS, "between_the_write_and_kafka"),
    Mutation(TAKEOVER, "if pending and not recovery.plan:", "if False:", WORKERS, "some_blocks_partitions_have"),
    Mutation(MEMORY, "if record.owner != write.token:", "if False:", WORKERS, "zombie_says_nothing"),
    Mutation(
        CYCLE,
        "                raise Fenced(str(owned.slot))\n            case",
        "                pass\n            case",
        WORKERS,
        "zombie_says_nothing",
    ),
    Mutation(LEDGER, "and bundle.next <= known and", "and bundle.next < 0 and", WORKERS, "a_zombie_of_ingest"),
    Mutation(JUDGE, "dirty[LEDGER] = _ledger_bytes(ledger)", "pass", WORKERS, "a_zombie_of_judge"),
    Mutation(LOOP, 'self._release(partition, "revoked")', "pass", WORKERS, "rebalance_in_mid_batch or one_to_four"),
    Mutation(LOOP, "            self._wanted[partition] = False\n", "", WORKERS, "rebalance_during_restore"),
    Mutation(
        LOOP,
        "self._busy.acquire(), timeout=deadline.left()",
        "self._busy.acquire(), timeout=None",
        WORKERS,
        "hangs_during_a_revocation",
    ),
    Mutation(TAKEOVER, "return {} if stored == ours else ours", "return {}", WORKERS, "another_configuration"),
    Mutation(
        TAKEOVER,
        "recovery = await stage.recover(partition, state, snapshot, bounds, lost)",
        "recovery = await stage.recover(partition, state, snapshot, bounds, True)",
        WORKERS,
        "clean_run_says_nothing",
    ),
    Mutation(
        STAGE,
        "return Recovery(start, ranges, [notice], fields)",
        "return Recovery(until, (), [notice], fields)",
        STORE,
        "loses_the_last_second",
    ),
    Mutation(
        STAGE, "            if partition in held:\n", "            if False:\n", STORE, "lose_the_same_seconds"
    ),
    Mutation(
        STAGE,
        "return [p for p in pairs if p not in late], late",
        "return [], late",
        STORE,
        "takes_store_and_worker",
    ),
    Mutation(CYCLE, "            after=after,\n", "", STORE, "forgets_between_join_and_write"),
    Mutation(STAGE, "if offset_of(p.origin) not in published.emitted", "", STORE, "pair_that_waits"),
    Mutation(
        LOOP,
        'self._drop(other, "state_lost", lost=True)',
        'self._release(other.slot.partition, "lost")',
        STORE,
        "an_empty_store",
    ),
    Mutation(
        TAKEOVER, "lost = bool(await self._consumer.committed(partition))", "pass", STORE, "while_nobody_runs"
    ),
    Mutation(
        CYCLE,
        "if self._stage.writes_in_prepare and batch.records else",
        "if False else",
        STORE,
        "who_has_not_noticed",
    ),
    Mutation(MEMORY, "return Verdict.REPEATED", "pass", STORE, "call_that_times_out"),
    Mutation(
        JUDGE,
        "return JudgeState(partition, ledger, {}, refusals, True, useless), [LEDGER]",
        "pass",
        STORE,
        "ledger_that_cannot",
    ),
    Mutation(
        TAKEOVER,
        'forgotten, pending, lost = list(snapshot.fields), [], True\n            snapshot = Snapshot(None, {}, b"")',
        "pending = []",
        STORE,
        "outbox_that_cannot",
    ),
    Mutation(
        STORED,
        "            broken.append(name)\n    for digest",
        "            raise\n    for digest",
        STORE,
        "part_of_a_model",
    ),
    Mutation(
        STAGE,
        "except (StateCorrupt, msgspec.DecodeError):",
        "except msgspec.DecodeError:",
        STORE,
        "state_of_ingest",
    ),
    Mutation(STAGE, "except (StateCorrupt, msgspec.DecodeError):", "except Exception:", STORE, "newer_version"),
    Mutation(
        CYCLE,
        "        if len(batch.records) > 1 and not whole:\n",
        "        if False:\n",
        LOG,
        "goes_to_the_dead_letters_alone",
    ),
    Mutation(
        CYCLE,
        "batch.refuse or not batch.records:\n            owned.buffer[:0] = batch.records\n",
        "batch.refuse or not batch.records:\n",
        LOG,
        "stops_its_partition",
    ),
    Mutation(
        CYCLE,
        "except Exception as error:  # noqa: BLE001",
        "except ArithmeticError as error:  # noqa: BLE001",
        LOG,
        "decoder_that_breaks",
    ),
    Mutation(
        CYCLE,
        "with contextlib.suppress(TimeoutError, Transient):",
        "with contextlib.suppress(TimeoutError):",
        LOG,
        "commit_to_kafka_that_fails",
    ),
    Mutation(
        CYCLE,
        "await asyncio.wait_for(self._consumer.commit(offsets), timeout=within)",
        "assert await asyncio.wait_for(self._consumer.commit(offsets), timeout=within)",
        LOG,
        "commit_to_kafka_that_is_refused",
    ),
    Mutation(
        TAKEOVER, "if bounds.begin <= recovery.start and not beyond:", "if True:", LOG, "records_that_are_gone"
    ),
    Mutation(
        TAKEOVER, "return Recovery(bounds.begin, (),", "return Recovery(bounds.end, (),", LOG, "go_on_behind_a_gap"
    ),
    Mutation(LEDGER, 'if on_gap == "stop":', 'if on_gap == "never":', LOG, "missing_bundle"),
    Mutation(
        LOOP,
        "if not complete and await self._consumer.position(owned.slot.partition) < planned.next:",
        "if not complete:",
        LOG,
        "holes_of_compaction",
    ),
    Mutation(
        LOOP,
        "if bounds.end > max(owned.position, await self._consumer.position(owned.slot.partition)):",
        "if bounds.end > owned.position:",
        LOG,
        "end_of_log_that_is_no_record",
    ),
    Mutation(
        "runtime/retry.py",
        "            if give_up():\n                raise\n            await",
        "            raise\n            await",
        LOG,
        "dead_letter_topic_that_refuses",
    ),
    Mutation(
        "contracts/deadletter.py",
        "truncated = len(value) > max_payload",
        "truncated = False",
        LOG,
        "oversize_dead_letter",
    ),
    Mutation(
        STAGE,
        "if size > self._settings.max_write_bytes and len(batch.records) > 1 and again is None:",
        "if False:",
        LOG,
        "ranges_are_split",
    ),
    Mutation(
        JUDGE,
        "return Folded(state, reached, changed",
        "return Folded(state, batch.next, changed",
        LOG,
        "judge_splits",
    ),
    Mutation(
        STAGE,
        "and len(batch.records) > 1 and again is None:",
        "and len(batch.records) > 1:",
        LOG,
        "grown_too_large",
    ),
    Mutation(
        LOOP,
        "            if stuck_s < self._settings.watchdog_s:\n",
        "            if True:\n",
        LOG,
        "silently_not_fetched",
    ),
    Mutation(
        LOOP,
        "            if self._stalled_at.get(owned.slot.partition) == owned.position:\n",
        "            if False:\n",
        LOG,
        "stays_deaf",
    ),
    Mutation(
        "runtime/retry.py",
        "            if give_up():\n                raise\n            await",
        "            raise\n            await",
        LOG,
        "broker_that_is_away",
    ),
    Mutation(
        "runtime/retry.py",
        "            if give_up():\n                raise\n            await",
        "            if attempt > 2:\n                raise KeyError\n            await",
        LOG,
        "away_or_full",
    ),
    Mutation(
        MEMORY,
        "if record.next != write.begin or (write.after and record.batch != write.after):",
        "if False:",
        STORE,
        "loses_the_last_second",
    ),
    Mutation(
        STAGE,
        "return Recovery(start, ranges, [notice], fields)",
        "return Recovery(until, (), [notice], fields)",
        "test_any_schedule.py",
        "and_a_store_that_forgets",
    ),
    Mutation(LEDGER, "if set(bundle.emitted) <= set(carried):", "if False:", STORE, "pair_that_waits"),
    Mutation(
        LEDGER,
        "and bundle.next <= known and",
        "and bundle.next < 0 and",
        "test_any_schedule.py",
        "workers_that_die",
    ),
]


def main(
    word: str = "",
    *,
    mutations: Sequence[Mutation] = MUTATIONS,
    folder: str = "faults",
    options: Sequence[str] = ("--timeout=60",),
) -> int:
    """Try each of which the module or the test holds `word`; the number of those that no test caught."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)
        for name in ("service", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        chosen = [m for m in mutations if word in f"{m.module} {m.test}"]
        survivors = sum(not _caught(copy, mutation, folder, options) for mutation in chosen)
    print(f"{len(chosen)} mutations, {survivors} survived")
    return survivors


def _caught(copy: Path, mutation: Mutation, folder: str, options: Sequence[str]) -> bool:
    package = copy / "service" / "driftline"
    places = [path for path in package.glob(mutation.file) if mutation.old in path.read_text()]
    if len(places) != 1 or places[0].read_text().count(mutation.old) != 1:
        print(f"{mutation.file}: {mutation.old!r} is not there once")
        return False
    path, text = places[0], places[0].read_text()
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *options]
        command += [f"tests/{folder}/{mutation.module}", "-k", mutation.test]
        environment = {**os.environ, "PYTHONPATH": str(copy / "service"), "PYTHONDONTWRITEBYTECODE": "1"}
        ended = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode
    finally:
        path.write_text(text)
    if ended != 1:
        print(f"survived ({ended}): {mutation.test}, {mutation.file}: {mutation.new!r}")
    return ended == 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
