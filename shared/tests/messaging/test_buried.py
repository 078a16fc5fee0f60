"""An operator sees which dead letters wait, has one handled again, gives one up; what they say is told nowhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiokafka import TopicPartition
from prometheus_client import REGISTRY

from creneau_shared.database.pool import Connection
from creneau_shared.messaging import buried
from creneau_shared.messaging.broker.choice import broker_of
from creneau_shared.messaging.burial import Burial
from creneau_shared.messaging.buried import Letter
from creneau_shared.messaging.dead_letter import DeadLetters
from creneau_shared.messaging.events import ReceivedEvent
from creneau_shared.messaging.replay import Replayed, replay, replay_one
from creneau_shared.messaging.topics import dead_letter_topic

from .conftest import TYPE, Bench, eventually, leave_effect, number_of


async def letters(bench: Bench, count: int) -> list[Letter]:
    """The letters that wait, once there are so many."""
    found: list[Letter] = []

    async def there() -> bool:
        nonlocal found
        async with bench.database.connection() as connection:
            found = await buried.waiting(connection)
        return len(found) == count

    await eventually(there, f"{count} letters that wait")
    return found


async def close(bench: Bench, letter: Letter, state: buried.State) -> None:
    async with bench.database.transaction() as connection:
        await buried.close(connection, [letter.id], state, bench.clock.now(), "essai")


async def test_one_of_several_is_handled_again_and_the_others_wait(bench: Bench) -> None:
    """The letter that is chosen, not the first; with the reason when it fails again, gone when it is handled; by its
    consumer's own handler, once."""
    mended = asyncio.Event()

    async def refuse_even(connection: Connection, event: ReceivedEvent) -> None:
        if not mended.is_set() and number_of(event) % 2 == 0:
            raise ValueError("jean.dupont@exemple.fr")
        await leave_effect(connection, event)

    consumer = bench.consumer(handlers={TYPE: refuse_even})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(6, keys=1)
        waiting = await letters(bench, 3)
    assert {(one.consumer, one.topic, one.type, one.reason) for one in waiting} == {
        ("test", bench.topic.name, TYPE, "ValueError")
    }
    assert "jean" not in str(waiting)
    chosen = waiting[1]
    assert await replay_one(consumer, chosen) == ("waiting", "ValueError")
    mended.set()
    assert await replay_one(consumer, chosen) == ("replayed", None)
    await close(bench, chosen, "replayed")
    assert await letters(bench, 2) == [waiting[0], waiting[2]]
    assert [n for _, n in await bench.effects()].count(2) == 1


async def test_what_was_given_up_is_not_handled_by_the_command(bench: Bench) -> None:
    """A replay of everything passes over what somebody has discarded; what it handled waits no more, and what dies again
    waits under the same id and can still be chosen."""
    mended = asyncio.Event()

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        if not mended.is_set() or number_of(event) == 2:
            raise ValueError("no")
        await leave_effect(connection, event)

    consumer = bench.consumer(handlers={TYPE: refuse})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(3, keys=1)
        first, _, stubborn = await letters(bench, 3)
    await close(bench, first, "discarded")
    mended.set()
    assert await replay(consumer, bench.topic.name) == Replayed(handled=1, failed=1)
    (left,) = await letters(bench, 1)
    assert (left.id, left.attempts) == (stubborn.id, stubborn.attempts + 1)
    assert [number for _, number in await bench.effects()] == [1]
    assert await replay_one(consumer, left) == ("waiting", "ValueError")


async def test_a_letter_whose_record_is_on_no_topic_any_more_is_lost(bench: Bench) -> None:
    """As after a broker that has lost its log: said, not handled as if it were another record that stands there now."""
    consumer = bench.consumer()

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise ValueError("no")

    dying = bench.consumer(handlers={TYPE: refuse})
    async with bench.running(bench.relay(), dying):
        await bench.happen(2, keys=1)
        one, other = await letters(bench, 2)
    beyond = Letter(**{**{name: getattr(one, name) for name in one.__slots__}, "dead_offset": 99})
    assert await replay_one(consumer, beyond) == ("lost", None)
    swapped = Letter(
        **{**{name: getattr(one, name) for name in one.__slots__}, "dead_offset": other.dead_offset}
    )
    assert await replay_one(consumer, swapped) == ("lost", None)


async def test_who_only_handles_a_letter_again_is_not_measured_as_one_who_polls(bench: Bench) -> None:
    """The process that answers the operator makes the consumer and polls nothing: its age would grow for ever and raise an
    alert. Whoever runs is measured."""

    def age(name: str) -> float | None:
        return REGISTRY.get_sample_value("creneau_consumer_poll_age_seconds", {"consumer": name})

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise ValueError("no")

    async with bench.running(bench.relay(), bench.consumer("runs", {TYPE: refuse})):
        await bench.happen(1, keys=1)
        (letter,) = await letters(bench, 1)
        assert age("runs") is not None
    assert await replay_one(bench.consumer("answers"), letter) == ("lost", None)
    assert age("answers") is None


async def test_another_event_at_the_place_of_a_letter_does_not_replace_it(bench: Bench) -> None:
    """As after a broker that has lost its log, which begins anew at offsets that were given before."""

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise ValueError("no")

    dying = bench.consumer(handlers={TYPE: refuse})
    async with bench.running(bench.relay(), dying):
        await bench.happen(2, keys=1)
        one, other = await letters(bench, 2)
    async with (
        DeadLetters(bench.settings, dying.group, bench.clock) as dead,
        broker_of(bench.settings).consumer() as reader,
    ):
        place = TopicPartition(other.topic, other.partition)
        reader.assign([place])
        reader.seek(place, other.offset)
        record = await reader.getone(place)
        burial = Burial(dying.name, dead, bench.database, bench.clock, personal=(), replica=None)
        for _ in range(2):
            await burial.bury(replace(record, offset=one.offset), ValueError("no"), 1)
    first, second, third = await letters(bench, 3)
    assert {first.id, second.id} == {one.id, other.id}
    assert (third.partition, third.offset) == (one.partition, one.offset)
    handling = bench.consumer()
    assert await replay_one(handling, third) == ("replayed", None)
    assert [number for _, number in await bench.effects()] == [1]
    assert await replay_one(handling, one) == ("replayed", None)
    assert sorted(number for _, number in await bench.effects()) == [0, 1]


async def test_a_letter_that_does_not_say_its_id_is_known_by_its_place(bench: Bench) -> None:
    """As the version before wrote them."""

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise ValueError("no")

    consumer = bench.consumer(handlers={TYPE: refuse})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(1, keys=1)
        (letter,) = await letters(bench, 1)
    dead = TopicPartition(dead_letter_topic(letter.topic, consumer.group).name, 0)
    async with (
        broker_of(bench.settings).consumer() as reader,
        broker_of(bench.settings).producer() as producer,
    ):
        reader.assign([dead])
        reader.seek(dead, letter.dead_offset)
        record = await reader.getone(dead)
        headers = [header for header in record.headers if header[0] != "dead_letter"]
        sent = await producer.send_and_wait(dead.topic, record.value, record.key, headers=headers)
    id_ = buried.letter_id(letter.consumer, letter.topic, letter.partition, letter.offset)
    before = replace(letter, id=id_, dead_offset=sent.offset)
    assert await replay_one(bench.consumer(), before) == ("replayed", None)


async def test_waiting_letters_are_counted_and_old_ones_forgotten(bench: Bench) -> None:
    """The number that must be 0 goes down to 0 again, without a restart."""

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise ValueError("no")

    consumer = bench.consumer(handlers={TYPE: refuse})
    async with bench.running(bench.relay(), consumer):
        await bench.happen(1, keys=1)
        (letter,) = await letters(bench, 1)
    gauge = buried.WAITING.labels("test", bench.topic.name)
    async with bench.database.transaction() as connection:
        await buried.measure(connection)
        assert gauge._value.get() == 1
        await buried.close(connection, [letter.id], "discarded", bench.clock.now(), "essai")
        await buried.measure(connection)
        assert gauge._value.get() == 0
        assert await buried.prune(connection, letter.buried_at, 10) == 0
        assert await buried.prune(connection, bench.clock.now(), 10) == 1


async def test_a_letter_that_is_forgotten_while_it_waits_is_counted_no_more(bench: Bench) -> None:
    """The alert on it would stay until a restart, and no page would show a letter."""

    async def refuse(connection: Connection, event: ReceivedEvent) -> None:
        raise ValueError("no")

    async with bench.running(bench.relay(), bench.consumer("forgetful", {TYPE: refuse})):
        await bench.happen(1, keys=1)
        await letters(bench, 1)
    gauge = buried.WAITING.labels("forgetful", bench.topic.name)
    async with bench.database.transaction() as connection:
        await buried.measure(connection)
        assert gauge._value.get() == 1
        assert await buried.prune(connection, bench.clock.now(), 10) == 1
        await buried.measure(connection)
        assert gauge._value.get() == 0
