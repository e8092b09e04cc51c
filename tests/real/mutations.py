"""What turns the tests on real servers red: `PYTHONPATH=tests python -m real.mutations [word]`, as
`tests/faults/mutations.py` does it. Ten minutes for all of them."""

from __future__ import annotations

import sys

from faults.mutations import Mutation, main

LOOP, TAKEOVER, RETRY = "runtime/loop.py", "runtime/takeover.py", "runtime/retry.py"
WRITER = "runtime/kafka_writer.py"
CONSUMER, READER, KAFKA = "runtime/kafka_consumer.py", "runtime/kafka_reader.py", "runtime/kafka.py"
REDIS, STAGE, SERVICE, ANSWERING = "runtime/redis_client.py", "ingest/stage.py", "service.py", "answering.py"

_GIVE_UP = "            if give_up():\n                raise\n"
_WAIT = "            await sleep(wait)\n            wait = min(2 * wait, LONGEST_WAIT_S)\n"

MUTATIONS = [
    Mutation(RETRY, _GIVE_UP + _WAIT + _GIVE_UP, _WAIT, "test_workers.py", "stopped_while_the_store"),
    Mutation(
        WRITER,
        "        while not sender.done():",
        "        while False:",
        "test_workers.py",
        "stopped_while_the_broker",
    ),
    Mutation(LOOP, 'self._release(partition, "revoked")', "pass", "test_workers.py", "one_to_four"),
    Mutation(LOOP, "            self._wanted[partition] = False\n", "", "test_workers.py", "flaps"),
    Mutation(
        KAFKA,
        'return Transient(f"{where}: no answer within',
        'return Misconfigured(f"{where}: no answer within',
        "test_broker.py",
        "away_and_back",
    ),
    Mutation(
        CONSUMER,
        "        except _NOT_A_MEMBER:\n            return False\n        except (KafkaError, TimeoutError) as error:",
        "        except TimeoutError as error:",
        "test_broker.py",
        "without_a_member",
    ),
    Mutation(
        CONSUMER,
        "        except OffsetOutOfRangeError as error:",
        "        except ZeroDivisionError as error:",
        "test_offsets.py",
        "what_the_broker_has_not",
    ),
    Mutation(
        TAKEOVER,
        "        recovery = await self._check_bounds(slot, recovery, bounds)\n",
        "",
        "test_offsets.py",
        "overtakes_a_stopped",
    ),
    Mutation(
        CONSUMER,
        'auto_offset_reset="none"',
        'auto_offset_reset="latest"',
        "test_offsets.py",
        "overtakes_a_running",
    ),
    Mutation(TAKEOVER, "beyond = until > bounds.end", "beyond = False", "test_offsets.py", "made_anew"),
    Mutation(
        READER,
        "        if topic not in found:\n",
        "        if topic not in found:\n            return 1\n",
        "test_topics.py",
        "missing_at_the_start",
    ),
    Mutation(STAGE, "is not None else bounds.begin", "is not None else bounds.end", "test_topics.py", "are_added"),
    Mutation(
        ANSWERING,
        "[topic for topic in topics if topic not in found]",
        "list[str]()",
        "test_topics.py",
        "deleted_under",
    ),
    Mutation(
        LOOP,
        "if bounds.end > max(owned.position, await self._consumer.position(owned.slot.partition)):",
        "if bounds.end > owned.position:",
        "test_holes.py",
        "test_aborted_transactions and not stall",
    ),
    Mutation(
        LOOP,
        "if bounds.end <= max(owned.position, await self._consumer.position(owned.slot.partition)):",
        "if bounds.end <= owned.position:",
        "test_holes.py",
        "no_stall",
    ),
    Mutation(
        LOOP,
        "after = records[-1].offset + 1",
        "after = owned.position + len(records)",
        "test_holes.py",
        "compaction",
    ),
    Mutation(
        REDIS,
        'return Transient(f"{store} cannot be reached: {text}")',
        'return Misconfigured(f"{store} cannot be reached: {text}")',
        "test_store.py",
        "away_and_back",
    ),
    Mutation(
        STAGE,
        "ranges = [r for r in published.ranges if r.first >= bounds.begin]",
        "ranges = []",
        "test_store.py",
        "last_second",
    ),
    Mutation(
        REDIS,
        'return Transient(f"{store} is out of memory: raise its maxmemory")',
        'return Misconfigured(f"{store} is out of memory: raise its maxmemory")',
        "test_store.py",
        "full",
    ),
    Mutation(SERVICE, "            await self._store.check()\n", "", "test_store.py", "a_store_that_evicts"),
]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:], mutations=MUTATIONS, folder="real", options=("--real",)))
