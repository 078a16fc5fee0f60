"""Parts are killed at random while people book: nothing that was promised is lost, nobody is told twice.

The clients do what a well-written program does: an Idempotency-Key for each booking, and the same request again when
there is no answer, or a 502, 503 or 504.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from deploy.kafka.kafka import unavailable_because
from deploy.local.mail_store import Message

from tests.fixtures.local_run import LocalRun, eventually, running
from tests.resilience.client import Answer, Client
from tests.resilience.office import Office, Slot

pytestmark = pytest.mark.timeout(3600)

PARTS = (
    "booking-api-1",
    "booking-api-2",
    "booking-worker",
    "gateway",
    "nginx",
    "notifications-worker",
    "broker",
)
CLIENTS = 8
SEED = 3
TOLD_WITHIN_S = 300.0
BACK_WITHIN_S = 180.0
SETTLED_WITHIN_S = 300.0
ADVISORY_LOCK = 20261122
HOLD_BACK = f"""
CREATE FUNCTION hold_back() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock({ADVISORY_LOCK}); RETURN new; END $$;
CREATE TRIGGER hold_back BEFORE INSERT ON attempt FOR EACH ROW WHEN (new.result = 'accepted')
EXECUTE FUNCTION hold_back();
"""
LET_GO = "DROP TRIGGER hold_back ON attempt; DROP FUNCTION hold_back()"
UID = re.compile(r"^UID:([^@\r\n]+)@", re.MULTILINE)


@dataclass
class Bookings:
    """What the clients were told, booking by booking."""

    answers: dict[Slot, Answer] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ids(self) -> dict[str, str]:
        """Slot id → the id of the appointment that was promised."""
        return {slot.id: answer.body["id"] for slot, answer in self.answers.items()}

    @property
    def asked_again(self) -> int:
        return sum(answer.attempts > 1 for answer in self.answers.values())


async def book_all(run: LocalRun, office: Office, slots: Sequence[Slot], bookings: Bookings) -> None:
    """Book every slot, a few clients at a time, each until it is told."""
    waiting, token = list(reversed(slots)), run.token("system")

    async def work() -> None:
        async with Client(run.port, token) as client:
            while waiting:
                slot = waiting.pop()
                bookings.answers[slot] = await client.post_until_told(
                    "/fhir/Appointment", office.booking(slot), TOLD_WITHIN_S
                )

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(work())
    bookings.seconds = time.perf_counter() - began


async def kill_at_random(
    run: LocalRun, victims: Sequence[str], bookings: Bookings, count: int, chance: random.Random
) -> None:
    """Kill each victim at a moment drawn by chance among the bookings; print how long it took to come back."""
    moments = sorted(chance.randrange(1, count * 9 // 10) for _ in victims)
    killed: dict[str, int] = {}
    async with asyncio.TaskGroup() as watching:
        for moment, victim in zip(moments, victims, strict=True):

            async def its_turn(moment: int = moment, victim: str = victim) -> bool:
                return len(bookings.answers) >= moment and run.is_back(victim, killed.get(victim, 0))

            await eventually(its_turn, f"the turn of {victim}", BACK_WITHIN_S, every_s=0.005)
            await asyncio.sleep(chance.uniform(0, 0.05))
            killed[victim] = run.kill(victim)
            watching.create_task(_watch_return(run, victim, killed[victim], len(bookings.answers)))


async def _watch_return(run: LocalRun, victim: str, killed: int, booked: int) -> None:
    began = time.monotonic()

    async def back() -> bool:
        return run.is_back(victim, killed)

    await eventually(back, f"the return of {victim}", BACK_WITHIN_S, every_s=0.05)
    print(f"  {victim} killed after {booked} bookings, ready again after {time.monotonic() - began:.1f} s")


async def require_kept(run: LocalRun, office: Office, bookings: Bookings) -> None:
    """Every request ended in a 201, and the database holds these appointments and no other of the office."""
    assert Counter(answer.status for answer in bookings.answers.values()) == {201: len(bookings.answers)}
    rows = await run.fetch(
        "booking",
        "SELECT id FROM appointment WHERE NOT deleted AND terms @> $1::text[]",
        [f"patient={office.patient}"],
    )
    assert sorted(row["id"] for row in rows) == sorted(bookings.ids.values())
    busy = "SELECT name FROM slot WHERE name = ANY($1) AND status = 'busy'"
    taken = await run.fetch("booking", busy, list(bookings.ids))
    assert {row["name"] for row in taken} == set(bookings.ids)
    occupancies = "SELECT count(*) FROM occupancy WHERE actor = $1"
    assert await run.value("booking", occupancies, office.practitioner) == len(bookings.ids)


async def at_rest(run: LocalRun) -> None:
    """Wait until everything is ready and nothing is left to send of what came before."""

    async def idle() -> bool:
        due = (
            "SELECT count(*) FROM message"
            " WHERE status = 'sending' OR (status = 'planned' AND next_attempt_at <= now())"
        )
        return not await run.value("notifications", due)

    await asyncio.to_thread(run.wait_ready)
    await eventually(idle, "nothing left to send", SETTLED_WITHIN_S)


async def settle(run: LocalRun, bookings: Bookings) -> None:
    """Wait until everything is published, consumed and sent."""

    async def published() -> bool:
        return not await run.value("booking", "SELECT count(*) FROM outbox WHERE published_at IS NULL")

    async def sent() -> bool:
        done = "SELECT count(*) FROM message WHERE kind = 'confirmation' AND status = 'sent' AND appointment = ANY($1)"
        missing = len(bookings.ids) - await run.value("notifications", done, list(bookings.ids.values()))
        return not missing

    await asyncio.to_thread(run.wait_ready)
    await eventually(published, "an empty outbox", SETTLED_WITHIN_S)
    await eventually(sent, "every confirmation sent", SETTLED_WITHIN_S)


async def require_told_once(run: LocalRun, office: Office, bookings: Bookings) -> int:
    """One confirmation for each booking, known by its Message-ID; how many of them came again."""
    mails: dict[str, list[Message]] = defaultdict(list)
    for message in await asyncio.to_thread(lambda: list(run.mail.newest_first(office.email))):
        mails[_appointment(message)].append(message)
    assert set(mails) == set(bookings.ids.values())
    names = {id_: {message.message_id for message in found} for id_, found in mails.items()}
    several = {id_: found for id_, found in names.items() if len(found) != 1}
    assert not several, several
    repeats = sum(len(found) - 1 for found in mails.values())
    print(f"  {len(mails)} confirmations, {repeats} of them delivered again under the same Message-ID")
    await _print_delays(run, mails)
    return repeats


def _appointment(message: Message) -> str:
    """The appointment that a confirmation is about, by the UID of its calendar files."""
    files = [a.content.decode() for a in message.attachments if a.content_type == "text/calendar"]
    assert files
    assert all("METHOD:REQUEST" in file for file in files)
    (appointment,) = {found for file in files for found in UID.findall(file.replace("\r\n ", ""))}
    return str(appointment)


async def _print_delays(run: LocalRun, mails: dict[str, list[Message]]) -> None:
    """Time from the commit of the booking to the arrival of its first e-mail."""
    rows = await run.fetch(
        "booking",
        "SELECT key, extract(epoch FROM min(created_at))::float8 AS at FROM outbox"
        " WHERE key = ANY($1) GROUP BY key",
        list(mails),
    )
    delays = sorted(min(map(_arrival, mails[row["key"]])) - row["at"] for row in rows)
    middle, late = delays[len(delays) // 2], delays[int(len(delays) * 0.95)]
    print(f"  commit to e-mail: median {middle:.2f} s, 95 % {late:.2f} s, longest {delays[-1]:.2f} s")


def _arrival(message: Message) -> float:
    """Maildir keys begin with the arrival: seconds, then the microseconds as M<number>P."""
    seconds, micro = re.match(r"(\d+)\.M(\d+)P", message.key).groups()  # type: ignore[union-attr]
    return int(seconds) + int(micro) / 1e6


async def survive(run: LocalRun, parts: Sequence[str], count: int, times: int = 1) -> None:
    """Book `count` slots while each of the parts is killed so often, and require that everything is as promised."""
    chance, bookings, office = random.Random(SEED), Bookings(), Office(run)
    await at_rest(run)
    await office.open()
    slots = await office.free_slots(count)
    victims = [part for _ in range(times) for part in chance.sample(parts, len(parts))]
    print(f"\n{count} bookings, killing {', '.join(victims) or 'nothing'}")
    async with asyncio.TaskGroup() as group:
        group.create_task(book_all(run, office, slots, bookings))
        group.create_task(kill_at_random(run, victims, bookings, count, chance))
    print(
        f"  {count} bookings in {bookings.seconds:.1f} s, {bookings.asked_again} of them asked more than once"
    )
    await require_kept(run, office, bookings)
    await settle(run, bookings)
    await require_told_once(run, office, bookings)


async def test_without_any_kill_an_email_follows_soon(local_run: LocalRun) -> None:
    """The yardstick of the tests below: the same bookings, everything alive, each told exactly once."""
    await survive(local_run, [], 100)


@pytest.mark.parametrize(("count", "times"), [(200, 1), pytest.param(2000, 3, marks=pytest.mark.slow)])
async def test_any_part_may_be_killed(local_run: LocalRun, count: int, times: int) -> None:
    """API, relay, gateway, nginx, delivery and the broker that forgets everything."""
    await survive(local_run, PARTS, count, times)


async def test_committed_bookings_survive_the_death_of_postgresql(local_run: LocalRun) -> None:
    """kill -9 of the postmaster: what was committed is there, everybody comes back by themselves."""
    await survive(local_run, ["postgres"], 100)


async def test_a_message_sent_and_not_recorded_goes_out_again_under_its_name(local_run: LocalRun) -> None:
    """A crash between the mail server's 250 and our commit: the same Message-ID again, nothing is lost."""
    office, bookings = Office(local_run), Bookings()
    await at_rest(local_run)
    await office.open()
    slots = await office.free_slots(5)
    async with nothing_recorded(local_run):
        await book_all(local_run, office, slots, bookings)

        async def sent() -> bool:
            return any(local_run.mail.newest_first(office.email))

        await eventually(sent, "an e-mail that is not recorded", SETTLED_WITHIN_S)
        killed = local_run.kill("notifications-worker")
    await _watch_return(local_run, "notifications-worker", killed, len(slots))
    await settle(local_run, bookings)
    assert await require_told_once(local_run, office, bookings) >= 1


@asynccontextmanager
async def nothing_recorded(run: LocalRun) -> AsyncIterator[None]:
    """Whoever records a delivery waits until the block ends."""
    async with run.connection("notifications") as connection:
        await connection.execute(HOLD_BACK)
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        try:
            yield
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", ADVISORY_LOCK)
            await connection.execute(LET_GO)


@pytest.fixture(scope="module")
def kafka_run(request: pytest.FixtureRequest) -> Iterator[LocalRun]:
    """A system on Apache Kafka, without the demonstration data."""
    reason = unavailable_because()
    if reason:
        pytest.skip(f"Apache Kafka cannot run here: {reason}")
    with running(request.session, demonstration=False, broker="kafka") as run:
        yield run


@pytest.mark.kafka
@pytest.mark.slow  # `shared/tests/messaging/test_apache_kafka.py` kills it beside one relay and one consumer
async def test_apache_kafka_may_be_killed(kafka_run: LocalRun) -> None:
    """The same on Apache Kafka, which forgets nothing, with the relay and the delivery killed beside it."""
    await survive(kafka_run, ("broker", "booking-worker", "notifications-worker"), 500, 3)
