"""The schema, retention, and the API over a real database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import asyncpg
import orjson
import pytest
from services.booking.tests.plans import nodes, plan_of

from creneau_notifications.channels.email.transport import LoggedEmails
from creneau_notifications.domain.allowance import Standing
from creneau_notifications.domain.appointment import Occurrence
from creneau_notifications.jobs import rules
from creneau_notifications.settings import NotificationsSettings
from creneau_notifications.storage import addresses, facts
from creneau_notifications.storage.snapshot import dump_event, load_event
from creneau_notifications.storage.tables import metadata
from creneau_shared.database.migrations import check_migrations, find_migrations
from creneau_shared.fhir.validation import validate
from creneau_shared.messaging import buried
from creneau_shared.messaging.buried import Letter
from creneau_shared.retention.job import Retention
from creneau_shared.retention.settings import RetentionSettings

from .factories import BOOKED_AT, LOCATION, PATIENT, PRACTITIONER, START, event

TABLES = (
    "message",
    "attempt",
    "appointment_state",
    "communication",
    "communication_date",
    "resource_history",
)


def retention_of(service):
    """The job, where messages are kept for 30 days; in batches of two, so that more than one is needed."""
    settings = NotificationsSettings(database_url="postgresql://unused/unused", message_retention_days=30)
    common = RetentionSettings(retention_batch_rows=2, retention_pause_s=0)
    return Retention(service.database, service.clock, rules(settings, service.communications, common), common)


async def test_the_migrations_lead_to_the_declared_tables(new_database, template):
    url = new_database(template=template)
    await check_migrations(find_migrations("creneau_notifications"), metadata, url)


@pytest.mark.parametrize(
    "change", ["status = 'sending'", "lease_until = now()", "status = 'sent'", "status = 'x'"]
)
async def test_a_half_set_state_cannot_be_stored(service, change):
    await service.learn()
    await service.hear(event())
    with pytest.raises(asyncpg.CheckViolationError):
        await service.database.pool.execute(f"UPDATE message SET {change}")


async def test_what_has_been_kept_long_enough_goes_with_all_its_traces(service):
    await service.learn()
    await service.hear(event())
    await service.sender(LoggedEmails()).send_due()
    service.at(START)
    await service.sender(LoggedEmails()).send_due()
    retention = retention_of(service)
    service.at(START + timedelta(days=29))
    await retention.apply()
    assert await service.database.pool.fetchval("SELECT count(*) FROM message") == 3
    service.at(START + timedelta(days=31))
    assert (await retention.apply())["messages"] == 3
    report = await service.database.pool.fetchrow(
        "SELECT removed, setting FROM retention_report WHERE data_class = 'messages' ORDER BY day DESC LIMIT 1"
    )
    assert tuple(report) == (3, "MESSAGE_RETENTION_DAYS")
    for table in TABLES:
        assert await service.database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0, table


async def test_what_is_known_of_the_deleted_goes_once_nothing_is_to_be_told_of_them(service):
    await service.learn()
    async with service.database.transaction() as connection:
        await service.notifications.fact_deleted(connection, PRACTITIONER.reference, service.clock.now())
    retention, kept = (
        retention_of(service),
        "SELECT array_agg(reference ORDER BY reference) FROM directory_fact",
    )
    service.at(service.clock.now() + timedelta(days=29))
    await retention.apply()
    assert len(await service.database.pool.fetchval(kept)) == 2
    service.at(service.clock.now() + timedelta(days=2))
    assert (await retention.apply())["deleted-facts"] == 1
    assert await service.database.pool.fetchval(kept) == [LOCATION.reference]


async def test_the_last_word_of_what_is_gone_stays_while_letters_can_say_otherwise(service):
    """As long as letters are kept; one that could not be handled once more is kept anew."""
    await service.learn()
    async with service.database.transaction() as connection:
        await service.notifications.fact_deleted(connection, PRACTITIONER.reference, service.clock.now())
    retention, words = retention_of(service), "SELECT array_agg(key ORDER BY key) FROM last_word"
    there = [PATIENT, LOCATION.reference]
    letter = Letter(
        id=UUID(int=1),
        consumer="any",
        topic="topic",
        partition=0,
        offset=1,
        dead_offset=1,
        type="type",
        reason="ValueError",
        attempts=1,
        buried_at=service.clock.now(),
    )
    service.at(service.clock.now() + timedelta(days=29))
    async with service.database.transaction() as connection:
        await buried.keep(connection, replace(letter, buried_at=service.clock.now()))
    service.at(service.clock.now() + timedelta(days=2))
    await retention.apply()
    assert sorted(await service.database.pool.fetchval(words)) == sorted([*there, PRACTITIONER.reference])
    async with service.database.transaction() as connection:
        await buried.close(connection, [letter.id], "replayed", service.clock.now())
    assert (await retention.apply())["last-words"] == 1
    assert sorted(await service.database.pool.fetchval(words)) == sorted(there)


async def test_what_is_still_to_be_told_is_never_pruned(service):
    await service.learn()
    await service.hear(event(start=START + timedelta(days=900)))
    retention = retention_of(service)
    service.at(BOOKED_AT + timedelta(days=60))
    await retention.apply()
    assert await service.database.pool.fetchval("SELECT count(*) FROM message WHERE status = 'planned'") == 4


def test_an_event_is_kept_without_what_it_does_not_say():
    """It is written anew at each change of its visit."""
    booked = event()
    kept = orjson.loads(dump_event(booked))
    assert set(kept) == {"id", "change", "time", "appointment", "previous_start", "cancelled_by"}
    assert not {"others", "proposed", "hidden"} & set(kept["appointment"])
    assert load_event(dump_event(booked)) == booked
    whole = replace(
        booked,
        record_ended=True,
        held_until=BOOKED_AT,
        awaited=True,
        together=(Occurrence("a1", START, START + timedelta(minutes=30), 2),),
        told_elsewhere=True,
        was_booked=True,
        appointment=replace(
            booked.appointment, others=("Patient/2",), organizations=("o1",), proposed=START, hidden=True
        ),
    )
    assert load_event(dump_event(whole)) == whole


async def test_counting_a_further_message_of_a_day_changes_no_index(service):
    box, now = ("email", b"box"), BOOKED_AT
    for at, sent, last_at in (
        (now, 1, now),
        (now + timedelta(hours=1), 2, now),
        (now + timedelta(days=1), 3, now + timedelta(days=1)),
    ):
        async with service.database.transaction() as connection:
            await addresses.lock_standings(connection, [box], at)
            await addresses.count(connection, {box: Standing(sent, sent, False)}, at)
            row = await connection.fetchrow("SELECT unconfirmed, day_sent, last_at FROM address_standing")
        assert tuple(row) == (sent, sent, last_at)


async def test_every_communication_is_valid_fhir(service, mailbox):
    await service.learn()
    await service.hear(event())
    mailbox.faults = ["RCPT 550 no"]
    await service.smtp_sender(mailbox).send_due()
    for row in await service.messages():
        resource = await service.communication(row["id"])
        assert [issue for issue in validate(resource) if issue.severity in ("error", "fatal")] == []


@pytest.mark.parametrize("generic", [False, True], ids=["planned anew", "planned once"])
async def test_the_facts_of_a_visit_are_looked_up_by_their_names(service, generic):
    """Not by reading the whole replica, at each message, however small it is."""
    pool = service.database.pool
    await pool.execute(
        "INSERT INTO directory_fact (reference, last_updated, practitioner, locations, organization, part_of)"
        " SELECT 'PractitionerRole/' || n, now(), 'Practitioner/' || n, ARRAY['Location/' || n], 'Organization/' || n, NULL"
        " FROM generate_series(1, 500) AS n UNION ALL"
        " SELECT 'Practitioner/' || n, now(), NULL, '{}', NULL, NULL FROM generate_series(1, 500) AS n UNION ALL"
        " SELECT 'Location/' || n, now(), NULL, '{}', NULL, 'Location/site-' || n FROM generate_series(1, 500) AS n UNION ALL"
        " SELECT 'Location/site-' || n, now(), NULL, '{}', NULL, NULL FROM generate_series(1, 500) AS n"
    )
    await pool.execute("ANALYZE directory_fact")
    asked: list[tuple[str, list[str]]] = []
    async with service.database.transaction() as connection:

        class Recorder:
            async def fetch(self, sql, references):
                asked.append((sql, references))
                return await connection.fetch(sql, references)

        found = await facts.find(Recorder(), ["Practitioner/7"], BOOKED_AT)  # type: ignore[arg-type]
        assert set(found) == {"Practitioner/7", "PractitionerRole/7", "Location/7", "Location/site-7"}
        [(sql, references)] = asked
        plan = await plan_of(connection, sql, [references], generic=generic)
    whole = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert (whole, plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 60) == ([], True)
