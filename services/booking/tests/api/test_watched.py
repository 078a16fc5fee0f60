"""What an operator watches of booking: which feeds are broken since when, doubled appointments, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn
from uuid import uuid4

import pytest
from aiokafka import ConsumerRecord
from prometheus_client import REGISTRY
from services.booking.tests.api.test_places import capacity
from services.booking.tests.client import Caller, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, parameters, patient, slot
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice
from services.booking.tests.surgery import Surgery, open_surgery, role_resource

from creneau_booking.app import create_app
from creneau_booking.storage.mapping.appointment import OVERBOOKING_REASON
from creneau_booking.storage.outside.feeds import Feeds, Heard
from creneau_shared.errors import Unavailable
from creneau_shared.fhir.json import dumps
from creneau_shared.messaging import buried, cloudevents, replay
from creneau_shared.messaging.buried import Letter
from creneau_shared.messaging.consumer import Consumer


@pytest.fixture
async def watched(fresh: Practice) -> AsyncIterator[Callers]:
    async with running_issuer() as issuer:
        settings = settings_for(str(fresh.settings.database_url), issuer.url).model_copy(
            update={"feeds_noted_s": 1e-6}
        )
        async with serving(create_app(settings, fresh.clock)) as client:
            yield Callers(client, issuer, fresh.clock)


def software(callers: Callers, client: str, surgery: Surgery) -> Caller:
    said = {
        "creneau_role": "software",
        "creneau_organizations": [surgery.organization],
        "client_id": client,
    }
    return Caller(callers.client, callers.issuer.token("software", client, None, **said))


async def told(practice: Practice, feed: str) -> tuple[float, float]:
    """When the feed was last taken in, and since when it is refused, as a worker tells of it (0: never)."""
    for task in asyncio.all_tasks():
        if task.get_name() == "feeds":
            await task
    await practice.jobs().watch()
    labels = {"feed": feed}
    found = {
        metric.name: sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if labels.items() <= sample.labels.items()
    }
    received = found.get("creneau_feed_received_timestamp_seconds", -1)
    return received, found.get("creneau_feed_failing_timestamp_seconds", -1)


async def test_a_feed_is_told_of_with_since_when_it_is_refused(fresh: Practice, watched: Callers) -> None:
    """Taken in, refused, refused again (since the first time), taken in again; alone and in Bundles, and told by a worker
    that did not serve it."""
    surgery = await open_surgery(fresh)
    caller, began = software(watched, "logiciel-a", surgery), fresh.clock.now()
    good = slot(str(uuid4()), surgery.agenda, surgery.start + timedelta(days=1))
    bad = {**good, "start": "hier"}
    assert (await caller.put(f"Slot/{good['id']}", good)).status_code == 201
    assert await told(fresh, "logiciel-a") == (began.timestamp(), 0)
    fresh.clock.advance(timedelta(minutes=5))
    assert (await caller.put(f"Slot/{good['id']}", bad)).status_code in (400, 422)
    assert await told(fresh, "logiciel-a") == (began.timestamp(), fresh.clock.now().timestamp())
    broken = fresh.clock.now()
    fresh.clock.advance(timedelta(minutes=5))
    entry = {"resource": bad, "request": {"method": "PUT", "url": f"Slot/{good['id']}"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    assert (await watched.client.post("/fhir", json=bundle, headers=caller.headers)).status_code == 200
    assert await told(fresh, "logiciel-a") == (began.timestamp(), broken.timestamp())
    entry["resource"] = good
    assert (await watched.client.post("/fhir", json=bundle, headers=caller.headers)).status_code == 200
    assert await told(fresh, "logiciel-a") == (fresh.clock.now().timestamp(), 0)


async def test_what_was_heard_of_a_feed_while_no_connection_is_free_is_noted_later(
    fresh: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = Feeds(fresh.database, timedelta(0))
    feeds._heard["logiciel-c", ""] = Heard(fresh.clock.now())

    def starved() -> NoReturn:
        raise Unavailable("trop", "too many")

    with monkeypatch.context() as patched:
        patched.setattr(fresh.database, "transaction", starved)
        await feeds.put_down()
    await feeds.put_down()
    assert await fresh.database.pool.fetchval("SELECT client FROM feed") == "logiciel-c"


def answered(function: str) -> float:
    """How many answers are counted for a function, however they ended."""
    name = "creneau_function_answers_total"
    outcomes = ("ok", "refused", "failed")
    found = (REGISTRY.get_sample_value(name, {"function": function, "outcome": one}) for one in outcomes)
    return sum(value or 0.0 for value in found)


async def test_a_bundle_is_counted_as_what_it_is_for(fresh: Practice, watched: Callers) -> None:
    """Agendas that come in Bundles are agendas, a batch of readings is none of it; each once, however many entries."""
    surgery = await open_surgery(fresh)
    caller = software(watched, "logiciel-b", surgery)
    slots = [slot(str(uuid4()), surgery.agenda, surgery.start + timedelta(days=1, hours=n)) for n in range(3)]
    written = [{"resource": one, "request": {"method": "PUT", "url": f"Slot/{one['id']}"}} for one in slots]
    read = [{"request": {"method": "GET", "url": f"Slot/{one['id']}"}} for one in slots]
    for entries, grown in ((written, 1), (read, 0)):
        before = answered("agendas")
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
        answer = await watched.client.post("/fhir", json=bundle, headers=caller.headers)
        assert answer.status_code == 200
        assert answered("agendas") - before == grown


async def test_only_what_publishes_agendas_is_a_feed(fresh: Practice, watched: Callers) -> None:
    """Not somebody who books, not a person, and no refusal that a correct feed meets."""
    surgery = await open_surgery(fresh)
    who = f"Patient/{(await watched.software().post('Patient', patient())).json()['id']}"
    booking = software(watched, "reserve", surgery)
    await booking.post("Appointment/$book", appointment("proposed", slots=surgery.slots[:1], patient=who))
    await watched.staff(surgery.organization).put(
        f"Slot/{uuid4()}", slot(str(uuid4()), surgery.agenda, surgery.start)
    )
    deleting = software(watched, "efface", surgery)
    assert (await deleting.delete(f"Slot/{uuid4()}")).status_code in (204, 404)
    await told(fresh, "reserve")
    rows = await fresh.database.pool.fetch("SELECT client FROM feed")
    assert {row["client"] for row in rows} <= {"efface"}
    assert await fresh.database.pool.fetchval("SELECT count(failing_since) FROM feed") == 0


async def test_two_appointments_of_one_slot_are_seen(fresh: Practice) -> None:
    """The number is 0 as long as the rules hold. What went round them, with the slot's own row none the wiser, is counted,
    and no more once it is put right."""
    surgery = await open_surgery(fresh)
    one, two = await fresh.new_patient(), await fresh.new_patient()
    first = await fresh.create(appointment("booked", slots=surgery.slots[:1], patient=one))
    other = await fresh.create(appointment("booked", slots=surgery.slots[1:2], patient=two))
    jobs = fresh.jobs()
    await jobs.watch()
    assert REGISTRY.get_sample_value("creneau_double_bookings") == 0
    said = "UPDATE appointment SET terms = array_replace(terms, $2, $3) WHERE id = $1"
    terms = [f"slot=Slot/{surgery.slots[n]}" for n in (1, 0)]
    await fresh.database.pool.execute(said, other.id, *terms)
    await jobs.watch()
    assert REGISTRY.get_sample_value("creneau_double_bookings") == 2
    fresh.clock.advance(timedelta(days=2))
    await jobs.watch()  # long ago, and still so
    assert REGISTRY.get_sample_value("creneau_double_bookings") == 2
    await fresh.change(first.id, status="cancelled")
    await jobs.watch()
    assert REGISTRY.get_sample_value("creneau_double_bookings") == 0


async def test_visits_that_share_a_slot_on_purpose_ring_no_alarm(fresh: Practice) -> None:
    """Places in a group, and a visit that the practice has put over another one: whoever is woken for these sleeps through the
    real one."""
    group = await fresh.open_agenda(1, **capacity(2))
    full = await fresh.open_agenda(1)
    over = {"extension": [{"url": OVERBOOKING_REASON, "valueString": "urgence"}]}
    for agenda, said in ((group, {}), (group, {}), (full, {}), (full, over)):
        who = await fresh.new_patient()
        visit = appointment("booked", slots=agenda.slots, patient=who, start=agenda.start)
        await fresh.create({**visit, **said})
    await fresh.jobs().watch()
    assert REGISTRY.get_sample_value("creneau_double_bookings") == 0


# -- dead letters --------------------------------------------------------------------------------------------


def operator(callers: Callers, *, scope: str = "openid creneau/operate") -> Caller:
    said = {"creneau_role": "operator", "scope": scope}
    return Caller(callers.client, callers.issuer.token("software", "exploitante", None, **said))


async def bury(practice: Practice, consumer: str = "booking-directory-replica") -> str:
    """A letter that waits; its id as the API gives it."""
    topic = "creneau.directory.resources"
    letter = Letter(
        id=buried.letter_id(consumer, topic, 3, 14),
        consumer=consumer,
        topic=topic,
        partition=3,
        offset=14,
        dead_offset=0,
        type="fr.creneau.directory.resource.changed.v1",
        reason="ValueError",
        attempts=3,
        buried_at=practice.clock.now(),
    )
    async with practice.database.transaction() as connection:
        await buried.keep(connection, letter)
    return f"booking-{letter.id}"


def said_of(answer: object) -> dict[str, object]:
    """The values of a letter's parts by their names."""
    parts = answer.json()["parameter"][0]["part"]  # type: ignore[attr-defined]
    return {part["name"]: next(v for n, v in part.items() if n != "name") for part in parts}


async def test_an_operator_sees_letters_and_gives_one_up_with_a_reason(
    fresh: Practice, watched: Callers
) -> None:
    """Topic, type, reason, age and id; nothing of what it says. Once given up it is on the list no more and cannot be given
    up again; both are in the trail, with who and when."""
    id_, caller = await bury(fresh), operator(watched)
    seen = said_of(await caller.get("$dead-letters"))
    assert seen == {
        "id": id_,
        "topic": "creneau.directory.resources",
        "consumer": "booking-directory-replica",
        "type": "fr.creneau.directory.resource.changed.v1",
        "reason": "ValueError",
        "attempts": 3,
        "since": seen["since"],
    }
    wordless = await caller.post("$discard-dead-letter", parameters(id=id_))
    assert wordless.status_code == 400, wordless.text
    answer = await caller.post("$discard-dead-letter", parameters(id=id_, reason="ancien format"))
    assert answer.json()["parameter"] == [{"name": "state", "valueCode": "discarded"}]
    assert "parameter" not in (await caller.get("$dead-letters")).json()
    again = await caller.post("$discard-dead-letter", parameters(id=id_, reason="ancien format"))
    assert (again.status_code, code(again)) == (409, "letter-closed")
    row = await fresh.database.pool.fetchrow("SELECT why, state FROM dead_letter")
    assert row is not None
    assert tuple(row) == ("ancien format", "discarded")
    acts = await fresh.database.pool.fetch(
        "SELECT action, role, agent, resource_type, resource_id FROM audit WHERE resource_type = 'Basic'"
    )
    assert [tuple(act) for act in acts] == [
        ("E", "operator", "exploitante", "Basic", id_.removeprefix("booking-"))
    ]
    trail = await watched.software().get("AuditEvent?entity-type=Basic")
    assert trail.json()["total"] == 1, trail.text


@pytest.mark.parametrize("operation", ["$dead-letters", "$replay-dead-letter", "$discard-dead-letter"])
async def test_letters_are_the_operators_alone(fresh: Practice, watched: Callers, operation: str) -> None:
    """Not a practice's, a person's, a software's with every scope, nobody's; nor an operator's without the scope."""
    id_ = await bury(fresh)
    surgery = await open_surgery(fresh)
    asked = parameters(id=id_, reason="essai")
    callers = {
        403: [
            software(watched, "logiciel", surgery),
            watched.patient(),
            watched.staff(surgery.organization),
            operator(watched, scope="openid"),
        ],
        401: [watched.nobody()],
    }
    for status, several in callers.items():
        for caller in several:
            answer = (
                await caller.get(operation)
                if operation == "$dead-letters"
                else await caller.post(operation, asked)
            )
            assert answer.status_code == status, answer.text
    assert await fresh.database.pool.fetchval("SELECT state FROM dead_letter") == "waiting"


async def test_letters_of_another_service_are_not_found_here(fresh: Practice, watched: Callers) -> None:
    id_ = await bury(fresh)
    for said in (id_.replace("booking", "notifications"), "booking-x", f"booking-{uuid4()}", ""):
        answer = await operator(watched).post("$replay-dead-letter", parameters(id=said or "x"))
        assert answer.status_code == 404, answer.text


def readable(practice: Practice, role: str) -> ConsumerRecord[bytes, bytes]:
    """The record of the letter that `bury` keeps: a role that the directory tells of."""
    key = f"PractitionerRole/{role}"
    said = cloudevents.headers(
        event_id=uuid4(),
        source="/creneau/directory",
        event_type="fr.creneau.directory.resource.changed.v1",
        subject=key,
        time=practice.clock.now(),
        key=key,
        correlation_id=None,
        traceparent=None,
        generation=1,
    )
    resource = role_resource(role, "Practitioner/replay", "replay")
    return ConsumerRecord(
        topic="dead",
        partition=0,
        offset=0,
        timestamp=0,
        timestamp_type=0,
        key=key.encode(),
        value=dumps({"resource": resource}),
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=[*said, ("dead_partition", b"3"), ("dead_offset", b"14")],
    )


@pytest.fixture
def letter_says(fresh: Practice, monkeypatch: pytest.MonkeyPatch) -> str:
    """A letter that can be read stands where `bury` says; the id of the role of which it tells."""
    role = f"role-{uuid4()}"
    record = readable(fresh, role)

    async def there(*_: Any) -> ConsumerRecord[bytes, bytes]:
        return record

    monkeypatch.setattr(replay, "_record_at", there)
    return role


async def times_known(practice: Practice, role: str) -> int:
    found = await practice.database.pool.fetchval(
        "SELECT count(*) FROM practitioner_role WHERE id = $1", role
    )
    return int(found)


async def test_a_letter_whose_cause_is_corrected_has_its_effect(
    fresh: Practice, watched: Callers, letter_says: str
) -> None:
    """Handled by its consumer's own handler, off the list, and in the trail; and not a second time."""
    id_, caller = await bury(fresh), operator(watched)
    answer = await caller.post("$replay-dead-letter", parameters(id=id_))
    assert answer.json()["parameter"] == [{"name": "state", "valueCode": "replayed"}], answer.text
    assert await times_known(fresh, letter_says) == 1
    assert "parameter" not in (await caller.get("$dead-letters")).json()
    again = await caller.post("$replay-dead-letter", parameters(id=id_))
    assert (again.status_code, code(again)) == (409, "letter-closed")
    trail = await watched.software().get("AuditEvent?entity-type=Basic")
    assert trail.json()["total"] == 1, trail.text


async def test_two_operators_who_press_at_once_have_one_effect(
    fresh: Practice, watched: Callers, letter_says: str
) -> None:
    """Whoever comes second is told that it is done, by whichever word; nobody that it waits."""
    id_, caller = await bury(fresh), operator(watched)
    press = partial(caller.post, "$replay-dead-letter", parameters(id=id_))
    answers = await asyncio.gather(press(), press(), press())
    done = [a for a in answers if a.status_code == 200]
    assert done, [a.text for a in answers]
    assert all(a.json()["parameter"] == [{"name": "state", "valueCode": "replayed"}] for a in done)
    assert {code(a) for a in answers if a.status_code != 200} <= {"letter-closed"}
    assert await fresh.database.pool.fetchval("SELECT count(*) FROM inbox") == 1
    assert await fresh.database.pool.fetchval("SELECT state FROM dead_letter") == "replayed"


@pytest.mark.parametrize("failed", ["lost", "waiting"])
async def test_what_an_attempt_found_does_not_undo_what_became_of_the_letter_meanwhile(
    fresh: Practice, watched: Callers, monkeypatch: pytest.MonkeyPatch, failed: str
) -> None:
    """Given up by somebody else while it was tried: that stands, and both are told so."""
    id_, caller = await bury(fresh), operator(watched)

    async def fails_while_it_is_given_up(_: Consumer, letter: Letter) -> tuple[str, str | None]:
        answer = await caller.post("$discard-dead-letter", parameters(id=id_, reason="ancien format"))
        assert answer.status_code == 200, answer.text
        return failed, None

    monkeypatch.setattr("creneau_shared.fhir.rest.dead_letters.replay_one", fails_while_it_is_given_up)
    answer = await caller.post("$replay-dead-letter", parameters(id=id_))
    assert answer.json()["parameter"] == [{"name": "state", "valueCode": "discarded"}], answer.text
    row = await fresh.database.pool.fetchrow("SELECT why, state FROM dead_letter")
    assert row is not None
    assert tuple(row) == ("ancien format", "discarded")


async def test_a_letter_is_handled_at_once_though_somebody_would_wait(
    fresh: Practice, watched: Callers, letter_says: str
) -> None:
    """What is carried out later is one transaction, and its effect has to be one of its own."""
    id_, caller = await bury(fresh), operator(watched)
    headers = {**caller.headers, "Prefer": "respond-async"}
    done = await watched.client.post("/fhir/$replay-dead-letter", json=parameters(id=id_), headers=headers)
    assert done.status_code == 200, done.text
    assert await times_known(fresh, letter_says) == 1
