"""Booking's recurring work: ending holds, making and dropping partitions, looking for erased people once more, removing data
that is past keeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog

from creneau_booking.handlers.expiry import HoldExpiry
from creneau_booking.handlers.openings import OpeningsJob
from creneau_booking.handlers.people.erasure import PatientErasure
from creneau_booking.handlers.people.patients import expect_missed_changes, tell_changed_contacts
from creneau_booking.publishing import erasure_tombstone
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.actions import forget_actions
from creneau_booking.storage.availability.freshness import measure_stale
from creneau_booking.storage.finding import first_free
from creneau_booking.storage.openings.made_slots import OpeningStore, forget_past_openings
from creneau_booking.storage.outside.feeds import measure_feeds
from creneau_booking.storage.people import erasures
from creneau_booking.storage.people.invitations import forget_expired
from creneau_booking.storage.rehearsal import Rehearsal
from creneau_booking.storage.slots.partitions import drop_old_partitions, ensure_partitions
from creneau_booking.storage.tables import OWN_TYPES
from creneau_booking.storage.visits import retention
from creneau_booking.storage.visits.doubles import DOUBLES, doubled
from creneau_booking.storage.visits.holds import expired_holds, next_expiry
from creneau_shared.clock import Clock
from creneau_shared.database.failures import DATABASE_FAILURES
from creneau_shared.database.pool import Connection, Database
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.storage.store import WriteContext
from creneau_shared.logging import describe
from creneau_shared.messaging import buried
from creneau_shared.messaging.outbox import append
from creneau_shared.messaging.settings import MessagingSettings
from creneau_shared.messaging.waiting import every, wait
from creneau_shared.refusal import Refusal
from creneau_shared.retention.job import Retention
from creneau_shared.retention.rules import (
    Rule,
    common_rules,
    idempotency_rule,
    outside_months,
    removing,
)
from creneau_shared.retention.settings import RetentionSettings
from creneau_shared.tasks import Task

log = structlog.get_logger(__name__)

Expire = Callable[[Connection, datetime, list[str]], Awaitable[int]]
"""Ends expired holds of these appointments, as `HoldExpiry.expire`"""
HOLD_SWEEP_S = 1.0
"""Pause, in seconds, before another look at holds that have run out and could not be ended"""
HOUSEKEEPING_S = 3600.0
HOLDS_PER_SWEEP_MAX = 200
ERASURES_MAX = 200
SWEPT_TOGETHER_MAX = 20
"""Erased people for whom the kept answers are looked through at once"""
FIRST_FREE_MAX = 2_000
DAYS_A_MONTH = 31
NOT_SWEPT: tuple[type[Exception], ...] = (CreneauError, Refusal, *DATABASE_FAILURES)
WATCHED_AT_FIRST = timedelta(days=1)
"""How far back a worker that begins looks for double bookings"""
CONTACTS_SEEN_AT_FIRST = timedelta(days=7)
"""How far back a worker that begins looks for contacts written by processes of the version before"""
WATCHED_TWICE = timedelta(minutes=5)
"""How far each look overlaps the one before it: longer than a transaction lives"""


class Jobs:
    """Booking's recurring work. Several workers may run it at once: what one has locked, another skips."""

    def __init__(
        self,
        database: Database,
        settings: BookingSettings,
        expiry: HoldExpiry,
        erasure: PatientErasure,
        rehearsal: Rehearsal,
        clock: Clock,
    ) -> None:
        self._database = database
        self._settings = settings
        self._expiry = expiry
        self._erasure = erasure
        self._rehearsal = rehearsal
        self._clock = clock
        base = settings.public_base_url.rstrip("/")
        calendar = settings.school_days()
        openings = OpeningStore(base, settings.opening_limits, calendar)
        self.openings = OpeningsJob(database, openings, clock, calendar.until)
        self._messaging = MessagingSettings()
        self._watched_at: datetime | None = None
        self._contacts_seen_at: datetime | None = None
        self._doubled: frozenset[str] = frozenset()
        self.retention = Retention(database, clock, rules(settings, RetentionSettings()))

    def tasks(self) -> list[Task]:
        return [
            Task("hold expiry", self.sweep_holds),
            Task("housekeeping", lambda stop: every(HOUSEKEEPING_S, self.keep_house, stop)),
            Task(
                "erasures",
                lambda stop: every(self._settings.erasure_sweep_interval_s, self.finish_erasures, stop),
            ),
            Task("retention", self.retention.run),
            Task(
                "first free starts",
                lambda stop: every(self._settings.first_free_kept_s, self.keep_first_free, stop),
            ),
            Task("contacts", lambda stop: every(self._settings.contacts_look_s, self.tell_contacts, stop)),
            Task("watch", lambda stop: every(self._settings.watch_interval_s, self.watch, stop)),
            Task("openings", lambda stop: self.openings.run(stop, self._settings.openings_look_s)),
            Task(
                "rehearsal",
                lambda stop: every(self._settings.rehearsal_look_s, self.keep_rehearsal, stop),
            ),
        ]

    async def sweep_holds(self, stop: asyncio.Event) -> None:
        """Ends holds as they run out, until `stop`."""
        while not stop.is_set():
            await self.expire_holds()
            await wait(stop, await self._until_next_expiry_s())

    async def _until_next_expiry_s(self) -> float:
        """Returns the seconds until the next look: at most `HOLD_DURATION_S`, the life of a hold that is made meanwhile."""
        async with self._database.connection() as connection:
            expires_at = await next_expiry(connection)
        longest_s = min(self._settings.hold_duration_s, self._settings.hold_look_max_s)
        if expires_at is None:
            return longest_s
        left_s = (expires_at - self._clock.now()).total_seconds()
        return min(left_s, longest_s) if left_s > 0 else HOLD_SWEEP_S

    async def expire_holds(self) -> int:
        """Cancels the appointments whose hold has run out, each in a transaction of its own; returns how many. Those that nobody
        is in the way of come first; only then others are waited for, until one wait fails.

        One that cannot be cancelled is logged, and does not stop the others.
        """
        now = self._clock.now()
        async with self._database.connection() as connection:
            due = await expired_holds(connection, now, HOLDS_PER_SWEEP_MAX)
        ended = {id_ for id_ in due if await self._end_hold(self._expiry.expire_at_once, now, id_)}
        for id_ in due:
            done = 0 if id_ in ended else await self._end_hold(self._expiry.expire, now, id_)
            if done is None:
                break  # the next look tries all the others at once, before it waits again
            if done:
                ended.add(id_)
        if ended:
            log.info("holds expired", count=len(ended))
        return len(ended)

    async def _end_hold(self, expire: Expire, now: datetime, appointment_id: str) -> int | None:
        """Returns how many it ended (0 or 1); None, logged, if it failed."""
        try:
            async with self._database.transaction() as connection:
                return await expire(connection, now, [appointment_id])
        except NOT_SWEPT as error:
            log.error("hold not expired", appointment=appointment_id, error=describe(error))
            return None

    async def finish_erasures(self) -> None:
        await self.sweep_erased()
        await self.seal_erased()

    async def seal_erased(self) -> int:
        """Repeats the tombstones of people whose contact the log should have compacted by now; returns how many.

        A broker closes a segment when something is written to it, and compacts only closed ones: in a partition
        without writes a name would stay.
        """
        now = self._clock.now()
        before = now - timedelta(hours=self._messaging.compaction_within_h)
        async with self._database.transaction() as connection:
            due = await erasures.unsealed(connection, before, ERASURES_MAX)
            await append(connection, [erasure_tombstone(patient_id) for patient_id in due])
            await erasures.mark_sealed(connection, due, now)
        return len(due)

    async def sweep_erased(self) -> int:
        """Looks once more for people who were erased a while ago; returns how many.

        A request that ran while somebody was erased may have written of them since. Each person is looked for in a
        transaction of their own; one that fails is put off until the next look, and does not stop the others. The answers
        kept for repeated calls are looked through here, where nobody waits, for many people at once.
        """
        now, swept = self._clock.now(), 0
        failed: set[str] = set()
        while found := await self._sweep_resources(now, failed):
            async with self._database.connection() as connection:
                answers = await erasures.sweep_answers(connection, found)
                await erasures.mark_swept(connection, found, now)
            log.info("erased people swept", count=len(found), answers=answers)
            swept += len(found)
        return swept

    async def _sweep_resources(self, now: datetime, failed: set[str]) -> set[str]:
        """Removes what is left of the next erased people and returns their ids. Skips those who have `failed`, and adds to
        them."""
        before = now - timedelta(seconds=self._settings.erasure_sweep_after_s)
        found: set[str] = set()
        while len(found) < SWEPT_TOGETHER_MAX:
            patient_id = None
            try:
                async with self._database.transaction() as connection:
                    due = await erasures.unswept(connection, before, 1, found | failed)
                    for patient_id in due:
                        left = await self._erasure.sweep(connection, WriteContext(now=now), patient_id)
            except NOT_SWEPT as error:
                if patient_id is None:
                    raise
                failed.add(patient_id)
                log.error("erased person not swept", patient=patient_id, error=describe(error))
                continue
            if patient_id is None:
                break
            found.add(patient_id)
            log.info("erased person swept", patient=patient_id, left=left)
        return found

    async def keep_rehearsal(self) -> int:
        """Keeps the agenda on which the deployment rehearses; returns how many of its appointments were forgotten."""
        now = self._clock.now()
        before = now - timedelta(seconds=self._settings.rehearsal_kept_s)
        async with self._database.transaction() as connection:
            return await self._rehearsal.keep(connection, now, forget_before=before)

    async def keep_first_free(self) -> int:
        """Moves first free starts that have passed on to the next ones; returns how many. Searches look beyond them
        meanwhile."""
        moved = 0
        while True:
            async with self._database.transaction() as connection:
                now_moved = await first_free.move_on(connection, self._clock.now(), FIRST_FREE_MAX)
            moved += now_moved
            if now_moved < FIRST_FREE_MAX:
                return moved

    async def tell_contacts(self) -> int:
        """Publishes the contacts that a period has changed; returns how many."""
        now = self._clock.now()
        since = self._contacts_seen_at or now - CONTACTS_SEEN_AT_FIRST
        await expect_missed_changes(self._database, since - WATCHED_TWICE)
        self._contacts_seen_at = now
        return await tell_changed_contacts(self._database, self._settings.contact_rules, now)

    async def watch(self) -> None:
        """Measures what an operator watches: feeds, dead letters, and double bookings (two appointments in one slot)."""
        now = self._clock.now()
        since = self._watched_at or now - WATCHED_AT_FIRST
        async with self._database.connection() as connection:
            await measure_feeds(connection, now - timedelta(days=self._settings.feeds_told_days))
            await measure_stale(connection, now)
            await buried.measure(connection)
            self._doubled = await doubled(connection, since - WATCHED_TWICE, self._doubled)
        DOUBLES.set(len(self._doubled))
        self._watched_at = now
        if self._doubled:
            log.error("double bookings", appointments=sorted(self._doubled)[:20])

    async def keep_house(self) -> None:
        """Removes invitations that have ended, counts of callers who have not acted for a day, and past openings. Makes the
        coming months' partitions, drops those past keeping. A month that cannot be made or dropped at once is left to the
        next time: each try holds up everybody who books."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            await forget_expired(connection, now)
            await forget_actions(connection, now)
            await forget_past_openings(connection, now)
        made = await self._keep_months(ensure_partitions, self._settings.slot_months_ahead)
        dropped = await self._keep_months(drop_old_partitions, self._settings.slot_months_kept)
        log.info("house kept", partitions_made=made, partitions_dropped=dropped)

    async def _keep_months(
        self, step: Callable[[Connection, datetime, int], Awaitable[int]], months: int
    ) -> int:
        """Runs `step`; returns how many partitions it made or dropped. Logs a failure."""
        try:
            async with self._database.connection() as connection:
                return await step(connection, self._clock.now(), months)
        except DATABASE_FAILURES as error:
            log.warning("months left to the next time", step=step.__name__, error=type(error).__name__)
            return 0


def rules(settings: BookingSettings, common: RetentionSettings) -> list[Rule]:
    """Returns how long booking keeps which data."""
    return [
        Rule(
            "appointments",
            "APPOINTMENT_KEPT_DAYS",
            timedelta(days=settings.appointment_kept_days),
            retention.remove_past_appointments,
        ),
        Rule(
            "undated-requests",
            "REQUEST_KEPT_DAYS",
            timedelta(days=settings.request_kept_days),
            retention.remove_undated_requests,
        ),
        Rule(
            "past-slots",
            "SLOT_MONTHS_KEPT",
            timedelta(days=settings.slot_months_kept * DAYS_A_MONTH),
            outside_months("slot", lambda partition: removing(partition, "start")),
        ),
        Rule(
            "slot-versions",
            "SLOT_MONTHS_KEPT",
            timedelta(days=settings.slot_months_kept * DAYS_A_MONTH),
            outside_months("slot_history", lambda partition: removing(partition, "last_updated")),
            months_of="slot_history",
        ),
        Rule(
            "dead-letters",
            "DEAD_LETTER_RETENTION_DAYS",
            timedelta(days=MessagingSettings().dead_letter_retention_days),
            buried.prune,
        ),
        idempotency_rule(common),
        *common_rules(common, OWN_TYPES),
    ]
