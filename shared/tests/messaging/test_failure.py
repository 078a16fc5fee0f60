"""What cannot be handled is put aside with its reason; what passes is waited for; nothing is skipped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import asyncpg
from aiokafka import ConsumerRecord

from creneau_shared.database.pool import Connection
from creneau_shared.errors import Unprocessable
from creneau_shared.messaging import buried
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.dead_letter import DeadLetters
from creneau_shared.messaging.effects import Together
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.progress import moved
from creneau_shared.messaging.replay import Replayed, replay
from creneau_shared.messaging.topics import dead_letter_topic

from .conftest import QUICK, TYPE, Bench, eventually, leave_effect, number_of


async def dead_letters(bench: Bench, group: str, count: int) -> list[tuple[bytes | None, dict[str, str]]]:
    """The first `count` dead letters: value and headers."""
    found: list[tuple[bytes | None, dict[str, str]]] = []
    async with broker_of(bench.settings).consumer() as reader:
        reader.subscribe([dead_letter_topic(bench.topic.name, group).name])

        async def read() -> bool:
            for batch in (await reader.getmany(timeout_ms=200)).values():
                found.extend(
                    (record.value, {name: value.decode() for name, value in record.headers})
                    for record in batch
                )
            return len(found) >= count

        await eventually(read, f"{count} dead letters")
    return found


async def test_a_poisonous_event_is_buried_with_its_reason_and_the_next_proceeds(bench: Bench) -> None:
    async def refuse_13(connection: Connection, event: ReceivedEvent) -> None:
        await leave_effect(connection, event)
        if number_of(event) == 13:
            raise Unprocessable("Non.", "No, said jean.dupont@exemple.fr")

    consumer = bench.consumer(handlers={TYPE: refuse_13})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(30, keys=1)
        await bench.arrived(29)
        ((value, headers),) = await dead_letters(bench, consumer.group, 1)
    assert [number for _, number in await bench.effects()] == [n for n in range(30) if n != 13]
    assert value == b'{"number":13}'
    assert headers["ce_type"] == TYPE
    assert headers["dead_reason"] == "Unprocessable"
    where, _, function = headers["dead_message"].partition(" in ")
    assert where.startswith("Unprocessable at test_failure.py:"), (
        "what died and where, not what it said of whom"
    )
    assert function == "refuse_13"
    assert headers["dead_topic"] == bench.topic.name
    assert headers["dead_attempts"] == "3"


async def test_a_poisonous_event_among_others_that_are_handled_together_is_buried_alone(bench: Bench) -> None:
    """Several at once as long as all of them can be handled; where one cannot, the others have their effect all the same,
    in their order, once."""
    sizes: list[int] = []

    async def refuse_13(connection: Connection, events: Sequence[ReceivedEvent]) -> None:
        sizes.append(len(events))
        for event in events:
            await leave_effect(connection, event)
            if number_of(event) == 13:
                raise Unprocessable("Non.", "No.")

    consumer = bench.consumer(handlers={TYPE: Together(refuse_13)})
    await bench.happen(30, keys=1)
    async with bench.running(bench.relay(), consumer):
        await bench.arrived(29)
        ((value, _),) = await dead_letters(bench, consumer.group, 1)
        await bench.happen(30, keys=1)
        await bench.arrived(58)
    assert [number for _, number in await bench.effects()][:29] == [n for n in range(30) if n != 13]
    assert value == b'{"number":13}'
    assert max(sizes) > 1


async def test_a_few_events_of_several_partitions_are_one_transaction_unless_one_cannot_be_handled(
    bench: Bench,
) -> None:
    """A transaction for each partition would be a dozen for a dozen events. Poisonous ones are buried alone; all others have
    their effect once, those of a key in their order."""
    together: list[int] = []
    refused: list[int] = []
    """how many partitions each call had events of, and each that was refused"""

    def poisonous() -> list[int]:
        return list(range(90, bench.made, 30))

    async def refuse(connection: Connection, events: Sequence[ReceivedEvent]) -> None:
        partitions = len({event.partition for event in events})
        together.append(partitions)
        for event in events:
            await leave_effect(connection, event)
            if number_of(event) in poisonous():
                refused.append(partitions)
                raise Unprocessable("Non.", "No.")

    consumer = bench.consumer(handlers={TYPE: Together(refuse)})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(30)  # each partition is seen for the first time, and by itself
        await bench.arrived(30)
        async with asyncio.timeout(60):
            while max(together) == 1 or max(refused, default=1) == 1:
                await bench.happen(30)
                await bench.arrived(bench.made - len(poisonous()))
        letters = await dead_letters(bench, consumer.group, len(poisonous()))
    assert sorted(json.loads(value or b"")["number"] for value, _ in letters) == poisonous()
    for key in range(7):
        numbers = [number for of, number in await bench.effects() if of == f"k{key}"]
        assert numbers == [n for n in range(bench.made) if n % 7 == key and n not in poisonous()]


async def test_dead_letters_are_handled_again_by_command_each_once(bench: Bench) -> None:
    """After the fault is mended a replay gives the effect; a second replay finds nothing left."""
    mended = asyncio.Event()

    async def refuse_even(connection: Connection, event: ReceivedEvent) -> None:
        if not mended.is_set() and number_of(event) % 2 == 0:
            raise ValueError("not yet")
        await leave_effect(connection, event)

    consumer = bench.consumer(handlers={TYPE: refuse_even})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(10)
        await bench.arrived(5)
        await dead_letters(bench, consumer.group, 5)
    assert await replay(consumer, bench.topic.name) == Replayed(handled=0, failed=5)
    mended.set()
    assert await replay(consumer, bench.topic.name) == Replayed(handled=5, failed=0)
    assert await replay(consumer, bench.topic.name) == Replayed(handled=0, failed=0)
    assert sorted(number for _, number in await bench.effects()) == list(range(10))


async def test_a_record_that_is_no_event_is_buried_and_the_next_proceeds(bench: Bench) -> None:
    consumer = bench.consumer()
    async with bench.running(bench.relay(), consumer):
        await bench.happen(1)
        await bench.arrived(1)
        async with broker_of(bench.settings).producer() as producer:
            await producer.send_and_wait(bench.topic.name, value=b"\xff", key=b"k0")
        await bench.happen(20)
        await bench.arrived(21)
        ((value, headers),) = await dead_letters(bench, consumer.group, 1)
    assert (value, headers["dead_reason"]) == (b"\xff", "UnreadableEvent")


async def test_an_event_of_a_type_without_handler_is_passed_by(bench: Bench) -> None:
    async with bench.running(
        bench.relay(), bench.consumer(handlers={"fr.creneau.test.other.v1": leave_effect})
    ):
        await bench.happen(5)

        async def passed() -> bool:
            return await bench.database.pool.fetchval("SELECT sum(log_offset + 1) = 5 FROM inbox_log") is True

        await eventually(passed, "the offsets move past unknown types")
    assert await bench.effects() == []


async def test_a_failure_that_passes_is_waited_for_and_costs_no_event(bench: Bench) -> None:
    """Connection failures are waited for without limit: no dead letter, no gap, no repeat."""
    failing = asyncio.Event()
    refused = 0

    async def fail_for_a_while(connection: Connection, event: ReceivedEvent) -> None:
        nonlocal refused
        if failing.is_set():
            refused += 1
            raise ConnectionResetError("the database is away")
        await leave_effect(connection, event)

    async with bench.running(bench.relay(), bench.consumer(handlers={TYPE: fail_for_a_while})):
        await bench.happen(20)
        await bench.arrived(20)
        failing.set()
        await bench.happen(20)

        async def insisted() -> bool:
            return refused > 6

        await eventually(insisted, "it is tried more often than a poisonous event")
        failing.clear()
        await bench.arrived(40)
    assert sorted(number for _, number in await bench.effects()) == list(range(40))


async def test_a_batch_rolls_back_as_a_whole_before_its_events_are_handled_one_by_one(bench: Bench) -> None:
    """An effect that was left before the failing event of the same batch is not left twice."""
    attempts: list[int] = []

    async def refuse_last(connection: Connection, event: ReceivedEvent) -> None:
        attempts.append(number_of(event))
        await leave_effect(connection, event)
        if number_of(event) == 9:
            raise KeyError("missing")

    await bench.happen(10, keys=1)
    async with bench.running(bench.relay()):
        await bench.published()
    async with bench.running(bench.consumer(handlers={TYPE: refuse_last})):
        await bench.arrived(9)

        async def tried() -> bool:
            return attempts.count(9) >= 4

        await eventually(tried, "the failing event is tried in the batch and by itself")
    assert attempts.count(0) == 2
    assert [number for _, number in await bench.effects()] == list(range(9))


async def test_who_reads_on_after_a_crash_begins_behind_the_last_dead_letter(bench: Bench) -> None:
    """A batch of poison that outlasts its consumer: each time it is ended somebody begins where it was, not at the
    front, or the same letters would be written for ever."""
    reached = asyncio.Event()

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        if number_of(event) == 6 and not reached.is_set():
            reached.set()
            await asyncio.Event().wait()
        raise Unprocessable("Non.", "No.")

    await bench.happen(12, keys=1)
    async with bench.running(bench.relay()):
        await bench.published()
    first = bench.consumer(handlers={TYPE: refuse})
    running = asyncio.create_task(first.run(asyncio.Event()))
    await asyncio.wait_for(reached.wait(), 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with bench.running(bench.consumer(handlers={TYPE: refuse})):
        letters = await dead_letters(bench, first.group, 12)
    assert [value for value, _ in letters] == [b'{"number":%d}' % number for number in range(12)]


async def test_a_batch_that_takes_longer_than_liveness_allows_goes_forward(bench: Bench) -> None:
    """By a clock on which each event takes 40 s, of 60 that make it stuck: it counts as alive with each event, and
    polls between rounds, so that its group keeps it."""
    now = 0.0
    polled: list[int] = []

    async def slow(connection: Connection, event: ReceivedEvent) -> None:
        nonlocal now
        now += 40.0
        assert not consumer.stuck()
        if not polled or polled[-1] != number_of(event):
            polled.append(number_of(event))
        await leave_effect(connection, event)

    await bench.happen(10, keys=1)
    async with bench.running(bench.relay()):
        await bench.published()
    limits = QUICK.model_copy(update={"consumer_stuck_after_s": 60.0, "consumer_round_s": 100.0})
    consumer = bench.consumer(handlers={TYPE: slow}, messaging=limits, seconds=lambda: now)
    async with bench.running(consumer):
        await bench.arrived(10)
        await bench.settled()
    assert [number for _, number in await bench.effects()] == list(range(10))
    assert polled == list(range(10)), "nothing is done twice"
    rounds = await bench.database.pool.fetchval("SELECT count(DISTINCT xmin::text) FROM effect")
    assert rounds == 4, "what is done is kept before the whole batch is"


async def test_an_event_with_much_to_do_is_alive_while_it_says_so(bench: Bench) -> None:
    """One event that ends hundreds of visits, by a clock on which each takes 40 s, of 60 that make it stuck."""
    now = 0.0

    async def long(connection: Connection, event: ReceivedEvent) -> None:
        nonlocal now
        for _ in range(5):
            now += 40.0
            assert not consumer.stuck()
            moved()
        await leave_effect(connection, event)

    limits = QUICK.model_copy(update={"consumer_stuck_after_s": 60.0})
    consumer = bench.consumer(handlers={TYPE: long}, messaging=limits, seconds=lambda: now)
    async with bench.running(bench.relay(), consumer):
        await bench.happen(1, keys=1)
        await bench.arrived(1)
    moved()  # and where no consumer is at work nobody hears it
    assert [number for _, number in await bench.effects()] == [0]


async def test_a_batch_that_is_too_long_for_its_locks_is_handled_by_its_events(bench: Bench) -> None:
    """A deadlock or a statement's timeout that only the batch meets does not bring the same batch again for ever."""
    in_hand: list[int] = []

    async def collide_together(connection: Connection, event: ReceivedEvent) -> None:
        position = await connection.fetchval(
            "SELECT count(*) FROM inbox WHERE xmin::text = pg_current_xact_id()::text"
        )
        in_hand.append(number_of(event))
        if position > 1:
            raise asyncpg.DeadlockDetectedError("deadlock detected")
        await leave_effect(connection, event)

    await bench.happen(10, keys=1)
    async with bench.running(bench.relay()):
        await bench.published()
    async with bench.running(bench.consumer(handlers={TYPE: collide_together})):
        await bench.arrived(10)
    assert [number for _, number in await bench.effects()] == list(range(10))


async def test_what_names_people_is_buried_without_its_words_and_found_again_where_it_was(
    bench: Bench,
) -> None:
    """A dead letter cannot be edited: it holds nothing that somebody may want forgotten. Replayed it reads the log."""
    mended = asyncio.Event()

    async def refuse_13(connection: Connection, event: ReceivedEvent) -> None:
        if number_of(event) == 13 and not mended.is_set():
            raise Unprocessable("Non.", "Jeanne Canari cannot be stored")
        await leave_effect(connection, event)

    consumer = bench.consumer(handlers={TYPE: refuse_13}, personal=True)
    async with bench.running(bench.relay(), consumer):
        await bench.happen(30, keys=1)
        await bench.arrived(29)
        ((value, headers),) = await dead_letters(bench, consumer.group, 1)
    assert value is None
    assert "Canari" not in repr(headers)
    assert headers["dead_reason"] == "Unprocessable"
    assert headers["dead_value"] == "reference"
    assert await replay(consumer, bench.topic.name) == Replayed(handled=0, failed=1)
    mended.set()
    assert await replay(consumer, bench.topic.name) == Replayed(handled=1, failed=0)
    assert sorted(number for _, number in await bench.effects()) == list(range(30))


async def test_a_letter_whose_record_is_gone_has_nothing_left_to_say(bench: Bench) -> None:
    """The log was emptied or compacted meanwhile: the state that it told of has been superseded."""

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise Unprocessable("Non.", "No.")

    consumer = bench.consumer(handlers={TYPE: refuse}, personal=True)
    letter = ConsumerRecord(
        topic=bench.topic.name,
        partition=0,
        offset=10_000,
        timestamp=0,
        timestamp_type=0,
        key=b"k0",
        value=None,
        checksum=None,
        serialized_key_size=2,
        serialized_value_size=0,
        headers=[("ce_id", b"1")],
    )
    async with bench.running(bench.relay()):
        await bench.happen(1)
        await bench.published()
    async with DeadLetters(bench.settings, consumer.group, bench.clock) as letters:
        id_ = buried.letter_of_record(consumer.name, letter, bench.topic.name)
        await letters.bury(
            id_, letter, ValueError("x"), topic=bench.topic.name, attempts=1, by_reference=True
        )
    assert await replay(consumer, bench.topic.name) == Replayed(handled=1, failed=0)
