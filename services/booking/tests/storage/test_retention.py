"""What booking keeps, and no longer: each class of data by its setting, in batches, with a report."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from services.booking.tests.factories import appointment, slot, unique
from services.booking.tests.practice import Practice

from creneau_booking.jobs import DAYS_A_MONTH, rules
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.outside.sas_reports import report_due
from creneau_booking.storage.visits.retention import UNDATED
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.retention.job import Retention
from creneau_shared.retention.rules import Rule, removing
from creneau_shared.retention.settings import RetentionSettings


def retention(practice: Practice, **settings: Any) -> Retention:
    """The job, in batches of two."""
    own = {k: v for k, v in settings.items() if k in BookingSettings.model_fields}
    common = RetentionSettings(
        retention_batch_rows=2, retention_pause_s=0, **{k: v for k, v in settings.items() if k not in own}
    )
    booking = practice.settings.model_copy(update=own)
    return Retention(practice.database, practice.clock, rules(booking, common), common)


async def count(practice: Practice, table: str, where: str = "true", *values: object) -> int:
    return int(await practice.database.pool.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", *values))


async def test_past_slots_that_lie_in_no_month_go_like_those_that_do(fresh: Practice) -> None:
    """What was published before its month was ready is kept for as long as the others, and no longer."""
    agenda = await fresh.open_agenda(0)
    start = fresh.clock.now() + timedelta(days=500)
    for index in range(3):
        await fresh.put(slot(unique("loin"), agenda.id, start + timedelta(days=index)))
    job = retention(fresh, slot_months_kept=2)
    fresh.clock.instant = start + timedelta(days=2 * DAYS_A_MONTH)
    assert (await job.apply())["past-slots"] == 0
    fresh.clock.advance(timedelta(days=2, seconds=1))
    assert (await job.apply())["past-slots"] == 3
    assert await count(fresh, "slot") == 0


async def past_visits(practice: Practice, number: int) -> list[str]:
    """Appointments at one practice, an answer and a Provenance for each."""
    agenda = await practice.open_agenda(number)
    camille = await practice.new_patient()
    made = []
    for index in range(number):
        wish = appointment(
            "booked",
            slots=[agenda.slots[index]],
            patient=camille,
            actors=[agenda.practitioner],
            start=agenda.at(index),
        )
        made.append((await practice.create(wish)).id)
        said = {"appointment": {"reference": f"Appointment/{made[-1]}"}, "actor": {"reference": camille}}
        await practice.put(
            {
                "resourceType": "AppointmentResponse",
                "id": unique("reponse"),
                "participantStatus": "accepted",
                **said,
            }
        )
        await practice.put(
            {
                "resourceType": "Provenance",
                "id": unique("trace"),
                "target": [{"reference": f"Appointment/{made[-1]}"}],
                "recorded": "2026-11-16T08:00:00Z",
                "agent": [{"who": {"reference": camille}}],
            }
        )
    return made


async def test_appointments_go_when_their_time_is_over_with_all_that_is_about_them(fresh: Practice) -> None:
    """A day before none goes, a day later all do: their answers, Provenances, versions and what they took."""
    ids = await past_visits(fresh, 5)
    await fresh.change(ids[0], comment="une version de plus")
    async with fresh.database.transaction() as connection:
        await report_due(connection, ids[0], 1, fresh.clock.now(), new=True)
    began = fresh.clock.now() + timedelta(days=7)
    fresh.clock.instant = began + timedelta(days=99)
    job = retention(fresh, appointment_kept_days=100)
    assert (await job.apply())["appointments"] == 0
    fresh.clock.advance(timedelta(days=3))
    assert (await job.apply())["appointments"] == 5
    emptied = ("appointment", "appointment_date", "appointment_response", "provenance", "occupancy")
    for table in (*emptied, "sas_report"):
        assert await count(fresh, table) == 0, table
    assert await count(fresh, "resource_history", "resource_type = 'Appointment'") == 0
    assert await count(fresh, "patient") == 1
    assert (await job.apply())["appointments"] == 0


async def test_what_was_removed_is_reported_for_the_operator(fresh: Practice) -> None:
    await past_visits(fresh, 3)
    fresh.clock.advance(timedelta(days=300))
    await retention(fresh, appointment_kept_days=100).apply()
    row = await fresh.database.pool.fetchrow(
        "SELECT * FROM retention_report WHERE data_class = 'appointments'"
    )
    assert row is not None
    assert (row["removed"], row["setting"]) == (3, "APPOINTMENT_KEPT_DAYS")
    assert row["kept_from"] == fresh.clock.now() - timedelta(days=100)
    reported = {
        r["data_class"] for r in await fresh.database.pool.fetch("SELECT data_class FROM retention_report")
    }
    assert reported == {rule.data_class for rule in retention(fresh).rules}


async def test_requests_without_a_date_go_after_their_last_change(fresh: Practice) -> None:
    camille = await fresh.new_patient()
    await fresh.create(appointment("waitlist", patient=camille))
    fresh.clock.advance(timedelta(days=60))
    await fresh.create(appointment("proposed", patient=camille))
    fresh.clock.advance(timedelta(days=50))
    job = retention(fresh, request_kept_days=100)
    assert (await job.apply())["undated-requests"] == 1
    assert await count(fresh, "appointment") == 1


async def test_a_request_that_was_withdrawn_goes_as_well(fresh: Practice) -> None:
    """Cancelled, it names no date either, by which it would ever be past keeping; a visit that was cancelled keeps its own
    time, and one that was deleted has nothing left to remove."""
    camille = await fresh.new_patient()
    agenda = await fresh.open_agenda(1)
    for status in ("waitlist", "proposed", "proposed"):
        wish = await fresh.create(
            appointment(status, patient=camille, requestedPeriod=[{"start": "2026-11-20T08:00:00Z"}])
        )
        await fresh.change(wish.id, status="cancelled")
    await fresh.database.pool.execute(
        "UPDATE appointment SET content = NULL, deleted = true WHERE id = $1", wish.id
    )
    booked = await fresh.create(
        appointment("booked", slots=agenda.slots, patient=camille, start=agenda.start)
    )
    await fresh.change(booked.id, status="cancelled")
    job = retention(fresh, request_kept_days=100)
    fresh.clock.advance(timedelta(days=99))
    assert (await job.apply())["undated-requests"] == 0
    fresh.clock.advance(timedelta(days=2))
    assert (await job.apply())["undated-requests"] == 2
    assert await count(fresh, "appointment", "NOT deleted") == 1


async def test_requests_without_a_date_are_found_among_themselves(fresh: Practice) -> None:
    """Not among all that was ever cancelled: by an index that holds nothing else, in the order in which they go."""
    async with fresh.database.transaction() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        rows = await connection.fetch(f"EXPLAIN {UNDATED}", fresh.clock.now(), 10)
    plan = " ".join(row[0] for row in rows)
    assert "Index Scan using ix_appointment_undated" in plan
    assert "Sort" not in plan


async def test_a_version_is_kept_from_when_it_was_replaced_not_from_when_it_was_made(fresh: Practice) -> None:
    """What was true for years and was corrected yesterday is still needed to understand yesterday."""
    id_ = (await fresh.new_patient()).removeprefix("Patient/")
    store = GenericStore("Patient", str(fresh.settings.public_base_url))
    names = iter(("Deux", "Trois"))

    async def rename() -> None:
        async with fresh.database.transaction() as connection:
            current = await store.lock(connection, id_)
            assert current is not None
            resource = {"resourceType": "Patient", "id": id_, "name": [{"family": next(names)}]}
            await store.replace(connection, fresh.context(), current, resource)

    fresh.clock.advance(timedelta(days=500))
    await rename()
    job = retention(fresh, superseded_kept_days=100)
    assert (await job.apply())["superseded-versions"] == 0
    fresh.clock.advance(timedelta(days=99))
    await rename()
    assert (await job.apply())["superseded-versions"] == 0
    fresh.clock.advance(timedelta(days=2))
    assert (await job.apply())["superseded-versions"] == 1
    left = await fresh.database.pool.fetch("SELECT version FROM resource_history WHERE id = $1", id_)
    assert [row["version"] for row in left] == [2]


@pytest.mark.parametrize(
    ("table", "data_class", "days"),
    [("audit", "audit", 1064), ("idempotency", "idempotency-keys", 2), ("async_request", "async-answers", 1)],
)
async def test_traces_and_answers_go_by_their_time(
    fresh: Practice, table: str, data_class: str, days: int
) -> None:
    """With the settings as they are shipped: what is a minute too old goes, what is a minute younger stays."""
    limit = fresh.clock.now() - timedelta(days=days)
    for moment in (limit - timedelta(minutes=1), limit + timedelta(minutes=1)):
        await insert(fresh, table, moment)
    removed = (await retention(fresh).apply())[data_class]
    assert (removed, await count(fresh, table)) == (1, 1)


async def test_the_trail_and_superseded_versions_go_by_whole_months(fresh: Practice) -> None:
    """A month whose last day is past keeping is gone, not emptied; the one before its end keeps every row."""
    job = retention(fresh, audit_kept_days=100, superseded_kept_days=100)
    fresh.clock.instant = datetime(2091, 3, 20, tzinfo=UTC)
    assert await job.make_ready() == 15  # of three tables, from last month to three ahead
    assert await job.make_ready() == 0
    for moment in (
        datetime(2091, 3, 1, tzinfo=UTC),
        datetime(2091, 3, 31, tzinfo=UTC),
        datetime(2091, 4, 1, tzinfo=UTC),
    ):
        await insert(fresh, "audit", moment)
        await fresh.database.pool.execute(
            "INSERT INTO resource_history (resource_type, id, version, last_updated, content, superseded_at)"
            " VALUES ('Patient', gen_random_uuid()::text, 1, '2001-01-01', '{}', $1)",
            moment,
        )
    fresh.clock.instant = datetime(2091, 4, 1, tzinfo=UTC) + timedelta(days=100) - timedelta(minutes=1)
    assert {name: n for name, n in (await job.apply()).items() if n} == {}
    fresh.clock.advance(timedelta(minutes=1))
    assert {name: n for name, n in (await job.apply()).items() if n} == {"audit": 2, "superseded-versions": 2}
    for table in ("audit", "resource_history"):
        names = await fresh.database.pool.fetch("SELECT name FROM partitions_of($1)", table)
        assert {f"{table}_2091_03", f"{table}_2091_04"} & {row["name"] for row in names} == {
            f"{table}_2091_04"
        }
        assert await count(fresh, f"{table}_2091_04") == 1
    report = "SELECT removed FROM retention_report WHERE data_class = 'audit' AND day = $1"
    assert await fresh.database.pool.fetchval(report, fresh.clock.now().date()) == 2


async def test_versions_of_slots_go_with_the_month_in_which_they_were_superseded(fresh: Practice) -> None:
    """However long the slot had stood before, what it was is kept from the booking on, and goes as a whole month."""
    job = retention(fresh)
    agenda = await fresh.open_agenda(1, start=datetime(2091, 4, 2, 9, tzinfo=UTC))
    fresh.clock.instant = datetime(2091, 3, 20, tzinfo=UTC)
    await job.make_ready()
    patient = await fresh.new_patient()
    await fresh.create(appointment("booked", slots=agenda.slots, patient=patient, start=agenda.start))
    assert await count(fresh, "slot_history_2091_03") == 1
    kept = timedelta(days=fresh.settings.slot_months_kept * DAYS_A_MONTH)
    fresh.clock.instant = datetime(2091, 4, 1, tzinfo=UTC) + kept - timedelta(minutes=1)
    assert (await job.apply())["slot-versions"] == 0
    fresh.clock.advance(timedelta(minutes=1))
    assert (await job.apply())["slot-versions"] == 1
    assert await fresh.database.pool.fetchval("SELECT to_regclass('slot_history_2091_03')") is None


async def test_a_round_makes_the_coming_months_ready_before_anything_is_removed(fresh: Practice) -> None:
    stop = asyncio.Event()
    fresh.clock.instant = datetime(2091, 3, 20, tzinfo=UTC)

    async def end(connection: Connection, before: datetime, limit: int) -> int:
        stop.set()
        return 0

    await Retention(
        fresh.database,
        fresh.clock,
        [
            Rule("nothing", "NOTHING_KEPT_DAYS", timedelta(days=1), end),
            Rule("audit", "AUDIT_KEPT_DAYS", timedelta(days=400), end, months_of="audit"),
            Rule("slot-versions", "SLOT_MONTHS_KEPT", timedelta(days=400), end, months_of="slot_history"),
        ],
    ).run(stop)
    for table in ("audit", "slot_history"):
        names = await fresh.database.pool.fetch("SELECT name FROM partitions_of($1)", table)
        assert {f"{table}_2091_{month:02}" for month in range(2, 7)} <= {row["name"] for row in names}


async def test_a_worker_that_knows_one_table_takes_nothing_for_what_it_is_not(fresh: Practice) -> None:
    """Until it is replaced by one that knows the months: what it names, the first row of the oldest partition, would be
    the first of every other one too."""
    fresh.clock.instant = datetime(2091, 3, 20, tzinfo=UTC)
    await retention(fresh).make_ready()
    for moment in (datetime(2001, 1, 1, tzinfo=UTC), fresh.clock.now()):
        await insert(fresh, "audit", moment)
    async with fresh.database.connection() as connection:
        with pytest.raises(asyncpg.FeatureNotSupportedError):
            await removing("audit", "recorded")(connection, fresh.clock.now() - timedelta(days=100), 10)
    assert (await retention(fresh).apply())["audit"] == 1
    assert await count(fresh, "audit") == 1


async def test_a_year_without_the_job_loses_and_keeps_nothing_too_long(fresh: Practice) -> None:
    """Its rows stand in the default partition, and go one by one; the months that follow are made as ever."""
    job = retention(fresh, audit_kept_days=100)
    begin = datetime(2091, 1, 15, tzinfo=UTC)
    for month in range(12):
        await insert(fresh, "audit", begin + timedelta(days=30 * month))
    assert await count(fresh, "audit_default") == 12
    fresh.clock.instant = begin + timedelta(days=330)
    await job.make_ready()
    names = await fresh.database.pool.fetch("SELECT name FROM partitions_of('audit')")
    assert {"audit_2092_01", "audit_2092_02"} <= {row["name"] for row in names}
    removed = 0
    while gone := (await job.apply())["audit"]:
        removed += gone
    assert (removed, await count(fresh, "audit")) == (8, 4)


async def insert(practice: Practice, table: str, moment: datetime) -> None:
    statements = {
        "audit": "INSERT INTO audit (id, recorded, action, interaction, agent, role, resource_type)"
        " VALUES (gen_random_uuid(), $1, 'R', 'read', 'x', 'system', 'Patient')",
        "idempotency": "INSERT INTO idempotency (issuer, subject, client, key, digest, created_at)"
        " VALUES ('', '', '', gen_random_uuid()::text, '', $1)",
        "async_request": "INSERT INTO async_request (id, issuer, subject, digest, finished_at)"
        " VALUES (gen_random_uuid(), '', '', '', $1)",
    }
    await practice.database.pool.execute(statements[table], moment)


async def test_whoever_holds_a_row_is_not_waited_for_and_the_row_goes_later(fresh: Practice) -> None:
    """No user waits for the job, and the job for no user."""
    ids = await past_visits(fresh, 3)
    fresh.clock.advance(timedelta(days=300))
    job = retention(fresh, appointment_kept_days=100)
    user = await asyncpg.connect(str(fresh.settings.database_url))
    async with user.transaction():
        await user.fetchval("SELECT id FROM appointment WHERE id = $1 FOR UPDATE", ids[0])
        assert (await job.apply())["appointments"] == 2
    await user.close()
    assert (await job.apply())["appointments"] == 1


async def test_a_class_that_fails_keeps_none_of_the_others(fresh: Practice) -> None:
    await past_visits(fresh, 1)
    await fresh.database.pool.execute("DROP TABLE async_request")
    fresh.clock.advance(timedelta(days=800))
    removed = await retention(fresh).apply()
    assert "async-answers" not in removed
    assert removed["appointments"] == 1
