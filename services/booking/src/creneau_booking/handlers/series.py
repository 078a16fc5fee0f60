"""Series: taken, confirmed, moved and cancelled as a whole, or not at all. Everything runs in the caller's transaction.

Each occurrence goes through the handlers like a single appointment. Before that, a series locks the accounts, then all
people whose time it takes or gives back, then all its slots, in one order: so two series wait for each other without
deadlock. A refusal names the occurrence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from creneau_booking.domain import changes, rules
from creneau_booking.domain.appointment import Appointment, Occurrence
from creneau_booking.domain.events import ToldOccurrence
from creneau_booking.domain.participants import SAID_BY_SLOT
from creneau_booking.domain.refusals.series import (
    OccurrenceRefused,
    ScopeUnfit,
    SeriesBusy,
    SeriesTooLong,
    SeriesWithoutTime,
)
from creneau_booking.domain.series import Scope, SeriesLimits, moved_alike, occurrences
from creneau_booking.domain.status import ENDED, claims
from creneau_booking.handlers.appointments import AppointmentHandlers
from creneau_booking.handlers.in_place_of import InPlaceOf
from creneau_booking.handlers.in_series import InSeries
from creneau_booking.handlers.manner import PLAINLY, Manner
from creneau_booking.handlers.telling import told_together
from creneau_booking.storage.actions import account_key, await_account, patient_key
from creneau_booking.storage.availability.actors import resolve
from creneau_booking.storage.mapping import series as mapper
from creneau_booking.storage.mapping.appointment import labelled, said
from creneau_booking.storage.visits.appointments import AppointmentRepository
from creneau_booking.storage.visits.known_references import with_known_references
from creneau_booking.storage.visits.series import (
    Pattern,
    keep_series,
    lock_members,
    lock_whole,
    members_of,
    slots_named,
)
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext
from creneau_shared.ids import new_id
from creneau_shared.refusal import Refusal

_WHEN = ("start", "end", "slot")
BY_TEMPLATE = f"Appointment.extension.where(url='{mapper.RECURRENCE_TEMPLATE}')"
"""where the request says how the series recurs"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One appointment of a series that is to be taken, and where it is in the request (FHIRPath; `itself`: it was sent as a
    resource of its own)."""

    resource: Resource
    where: str
    itself: bool = True
    number: int | None = None
    """its number by the pattern of the series"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A series that was taken: its appointments in order of time; until when they are held, if they are."""

    stored: tuple[Stored, ...]
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    """An occurrence whose slots are known."""

    resource: Resource
    facts: Appointment
    number: int
    where: str
    itself: bool
    time: tuple[datetime, datetime] | None = None
    """its time, stated or taken from its slots"""
    standing: bool = False
    """whether it is to be cancelled or moved"""

    def hidden(self) -> _Planned:
        return replace(self, resource=labelled(self.resource), facts=replace(self.facts, hidden=True))

    def told(self, appointment: str, sequence: int) -> list[ToldOccurrence]:
        """The occurrence for the common event, as a list; empty if it is hidden: it has its own event only."""
        if self.time is None or self.facts.hidden:
            return []
        return [ToldOccurrence(appointment, *self.time, sequence)]

    def refused(self, total: int, refusal: Refusal) -> OccurrenceRefused:
        return OccurrenceRefused(
            self.number, total, self.facts.start, self.where, self.itself, refusal, self.standing
        )


class Series:
    """The commands on series. Stateless; one a process."""

    def __init__(
        self, repository: AppointmentRepository, handlers: AppointmentHandlers, limits: SeriesLimits
    ) -> None:
        self._repository = repository
        self._handlers = handlers
        self._in_place_of = InPlaceOf(repository)
        self._limits = limits

    # -- taking ----------------------------------------------------------------------------------------------

    async def book(
        self,
        connection: Connection,
        context: WriteContext,
        asked: Stored,
        resource: Resource,
        template: Resource,
        how: Manner,
    ) -> Stored:
        """See `Beginning`."""
        first, _ = await self._begin(connection, context, asked, resource, template, how, hold=False)
        return first

    async def hold(
        self,
        connection: Connection,
        context: WriteContext,
        asked: Stored,
        resource: Resource,
        template: Resource,
    ) -> tuple[Stored, datetime]:
        """See `Beginning`."""
        first, until = await self._begin(connection, context, asked, resource, template, PLAINLY, hold=True)
        assert until is not None
        return first, until

    async def _begin(
        self,
        connection: Connection,
        context: WriteContext,
        asked: Stored,
        resource: Resource,
        template: Resource,
        how: Manner,
        *,
        hold: bool,
    ) -> tuple[Stored, datetime | None]:
        """Takes the whole series that a stored request (locked) asks for; `resource`: its next version. Returns the first, and
        the end of the hold if all of it is to be held (`hold`); the others go to `context.effects.besides`."""
        resource = mapper.without_series(resource)
        if how.book:
            resource = said(self._repository.facts(resource).booked(), resource)
        wanted = await self.expand(connection, context, Wanted(resource, BY_TEMPLATE), template)
        taken = await self.take(
            connection, context, wanted, template, hold=hold, replaces=how.replaces, asked=asked, how=how
        )
        context.effects.besides.extend(taken.stored[1:])
        return taken.stored[0], taken.until

    async def expand(
        self, connection: Connection, context: WriteContext, first: Wanted, template: Resource
    ) -> list[Wanted]:
        """The appointments of the series, each in the slots of the same agendas at the same local time as the first."""
        recurrence = mapper.recurrence_of(template)
        resource = await with_known_references(connection, context, first.resource, self._repository.base_url)
        facts = self._repository.facts(resource)
        slots = await slots_named(connection, facts.slots)
        if not slots or len(slots) < len(facts.slots):
            if facts.slots:
                return [
                    Wanted(resource, first.where, number=1)
                ]  # `take` refuses it: it names an unknown slot
            raise SeriesWithoutTime()
        pattern = Pattern.of(facts, slots)
        start = pattern.start
        most = self._limits.most(by_patient=context.by_patient)
        found: list[Wanted] = []
        dates = occurrences(recurrence, start, pattern.zone, most)
        for number, moment in dates:
            if moment == start:
                found.append(Wanted(resource, first.where, first.itself, number))
                continue
            try:
                ids = await pattern.at(connection, moment)
            except Refusal as refusal:
                raise OccurrenceRefused(number, len(dates), moment, first.where, False, refusal) from refusal
            found.append(Wanted(_at(resource, facts, moment, pattern, ids), first.where, False, number))
        return found

    async def take(
        self,
        connection: Connection,
        context: WriteContext,
        wanted: Sequence[Wanted],
        template: Resource | None = None,
        *,
        hold: bool = False,
        replaces: str | None = None,
        first_id: str | None = None,
        asked: Stored | None = None,
        how: Manner = PLAINLY,
    ) -> Taken:
        """Books or holds all of these appointments; refuses all, naming the one, if one of them cannot be taken.

        `first_id`: a generated id for the first one, which `replaces` a cancelled appointment (id); `asked`: the first one
        is this stored request, locked, which becomes it as `how` says.
        """
        most = self._limits.most(by_patient=context.by_patient)
        if len(wanted) > most:
            raise SeriesTooLong(most)
        planned = await self._planned(connection, context, wanted)
        planned = await self._as_hidden(connection, context, planned, replaces)
        await self.lock(connection, context, [one.facts for one in planned])
        series, taken, until = new_id(), list[Stored](), None
        own = asked.id if asked is not None else first_id or new_id()
        ids = [own, *(new_id() for _ in planned[1:])]
        sequences = [asked.version if asked is not None else 0, *(0 for _ in planned[1:])]
        told = [t for one, id_, n in zip(planned, ids, sequences, strict=True) for t in one.told(id_, n)]
        for one, own_id in zip(planned, ids, strict=True):
            place = InSeries(
                Occurrence(series, one.number, taken[0].id if taken else None, None if taken else template),
                tuple(stored.id for stored in taken),
            )
            with _naming(one, len(planned)), told_together(series, told):
                if asked is not None and not taken:
                    assert template is not None
                    resource = mapper.with_template(one.resource, template)
                    if asked.deleted:
                        stored = await self._handlers.restore(
                            connection, context, asked, resource, place=place
                        )
                    elif hold:
                        stored, until = await self._handlers.holding.hold_on(
                            connection, context, asked, resource, place=place
                        )
                    else:
                        stored = await self._handlers.change(
                            connection, context, asked, resource, replace(how, place=place)
                        )
                elif hold:
                    stored, until = await self._handlers.holding.begin(
                        connection, context, one.resource, None if taken else first_id, place=place
                    )
                else:
                    stored = await self._handlers.create(
                        connection,
                        context,
                        one.resource,
                        place=place,
                        replaces=None if taken else replaces,
                        own_id=own_id,
                    )
            if not taken:
                series = self._series_of(stored)  # the existing series, if the account holds it already
            taken.append(stored)
        await keep_series(
            connection, series, [(one.number, stored.id) for one, stored in zip(planned, taken, strict=True)]
        )
        return Taken(tuple(taken), until)

    async def _as_hidden(
        self, connection: Connection, context: WriteContext, planned: list[_Planned], replaces: str | None
    ) -> list[_Planned]:
        """Hides all of them if one is to be hidden, because the others name and count it."""
        versions = [
            await self._in_place_of.as_hidden(connection, context, one.facts.replacing(replaces))
            for one in planned
        ]
        return [one.hidden() for one in planned] if any(v.hidden for v in versions) else planned

    def _series_of(self, stored: Stored) -> str:
        occurrence = self._repository.stored_facts(stored).occurrence
        assert occurrence is not None
        return occurrence.series

    async def _planned(
        self, connection: Connection, context: WriteContext, wanted: Sequence[Wanted]
    ) -> list[_Planned]:
        """The occurrences in order of time, each with its slots as `Slot/[id]`, and its time if known."""
        found = []
        for index, one in enumerate(wanted, 1):
            resource = mapper.without_series(one.resource)
            try:
                resource = await with_known_references(
                    connection, context, resource, self._repository.base_url
                )
            except Refusal as refusal:
                raise OccurrenceRefused(
                    one.number or index, len(wanted), None, one.where, one.itself, refusal
                ) from refusal
            facts = self._repository.facts(resource)
            found.append((resource, facts, one))
        named = {
            slot.id: slot for slot in await slots_named(connection, [s for _, f, _ in found for s in f.slots])
        }

        def time(facts: Appointment) -> tuple[datetime, datetime] | None:
            own = [named[slot] for slot in facts.slots if slot in named]
            start = facts.start or min((slot.start for slot in own), default=None)
            end = facts.end or max((slot.until for slot in own), default=None)
            return (start, end) if start is not None and end is not None else None

        def order(facts: Appointment) -> tuple[bool, object, tuple[str, ...]]:
            when = time(facts)
            return (when is None, when[0] if when else None, facts.slots)

        found.sort(key=lambda each: order(each[1]))
        return [
            _Planned(resource, facts, one.number or index, one.where, one.itself, time(facts))
            for index, (resource, facts, one) in enumerate(found, 1)
        ]

    async def lock(
        self,
        connection: Connection,
        context: WriteContext,
        versions: Sequence[Appointment],
        before: Sequence[Appointment] = (),
    ) -> None:
        """Locks accounts, then people, then slots, of all appointments at once: the order of a single appointment. `versions`
        take time, `before` (stored, their rows locked) give it back."""
        everyone = [*versions, *before]
        if context.by_patient:
            patients = {patient_key(p, hidden=v.hidden) for v in everyone for p in v.patients}
            keys = {account_key(context.issuer, context.subject), *patients}
            await await_account(connection, sorted(keys), context.now)
        named = sorted({reference for version in everyone for reference in rules.to_resolve(version)})
        resolved = await resolve(connection, named)
        people = {actor for version in everyone for actor in rules.exclusive_actors(version, (), resolved)}
        slots = sorted({slot for version in everyone for slot in version.slots})
        await lock_whole(connection, slots, sorted(people), [version.id for version in before])

    # -- changing --------------------------------------------------------------------------------------------

    async def book_held(
        self, connection: Connection, context: WriteContext, held: Stored, resource: Resource, how: Manner
    ) -> Stored:
        """See `Beginning`."""
        members = await self._members(connection, context, held, "all")
        status = {stored.id: self._repository.stored_facts(stored).status for _, stored in members}
        if len(members) == 1 or any(claims(one) and one != "pending" for one in status.values()):
            return await self._handlers.change(
                connection, context, held, resource, replace(how, by_itself=True)
            )
        booked = {one.id: one for one in await self.confirm(connection, context, held, resource, how)}
        asked = booked.pop(held.id)
        context.effects.besides.extend(booked.values())
        return asked

    async def confirm(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        how: Manner,
    ) -> list[Stored]:
        """Books all appointments of a held series as `how` says, of which `current` is one (locked, `resource` its next
        version). Only `current` takes the place of what `how` says that it replaces."""
        members = await self._members(connection, context, current, "all")
        held = [member for member in members if self._repository.stored_facts(member[1]).status == "pending"]
        return await self._change_all(connection, context, current, resource, held, {"status": "booked"}, how)

    async def cancel(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        scope: Scope,
        *,
        note: str | None = None,
    ) -> list[Stored]:
        """Cancels the appointments to come of a series, within `scope` from `current` on (locked).

        `resource`: the next version of `current`, whose reason holds for all; `note`: a note to the other side. A `current`
        that is cancelled already stays as it is. Raises ScopeUnfit if it is in no series.
        """
        members = await self._to_come(connection, context, current, scope)
        stored = self._repository.resource(current)
        if stored["status"] == "cancelled" and {**stored, "meta": None} == {**resource, "meta": None}:
            rest = [member for member in members if member[1].id != current.id]
        else:
            rest = members
        said = {"status": "cancelled"}
        if "cancelationReason" in resource:
            said["cancelationReason"] = resource["cancelationReason"]
        changed = await self._change_all(
            connection, context, current, resource, rest, said, Manner(note=note)
        )
        by_id = {one.id: one for one in changed}
        return [by_id.get(member.id, member) for _, member in members]

    async def _change_all(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        members: Sequence[tuple[int, Stored]],
        said: Resource,
        how: Manner,
    ) -> list[Stored]:
        books = said["status"] == "booked"
        before = [self._repository.stored_facts(member) for _, member in members]
        await self.lock(connection, context, (), before)
        changed = []
        # Appointments that wait for the practice, or are hidden, are not part of the common event.
        told = [
            ToldOccurrence(f.id, f.start, f.end, f.version)
            for f in before
            if f.start is not None and f.end is not None and not f.hidden and (books or f.status == "booked")
        ]
        series = next((f.occurrence.series for f in before if f.occurrence is not None), None)
        for (number, member), facts in zip(members, before, strict=True):
            own = resource if member.id == current.id else {**self._repository.resource(member), **said}
            planned = _Planned(own, facts, number, f"Appointment/{member.id}", False, standing=not books)
            like = how if member.id == current.id else replace(how, replaces=None)
            with _naming(planned, len(members)), told_together(series, told):
                changed.append(
                    await self._handlers.change(
                        connection, context, member, own, replace(like, with_series=True)
                    )
                )
        return changed

    async def move(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource, scope: Scope
    ) -> list[Stored]:
        """Moves the appointments to come of a series, within `scope` from `current` on, whose next version is `resource`.
        The others move by as many days and as much local time as it does, in the same agendas."""
        members = await self._to_come(connection, context, current, scope)
        resource = await with_known_references(connection, context, resource, self._repository.base_url)
        wanted, before = self._repository.facts(resource), self._repository.stored_facts(current)
        slots = await slots_named(connection, wanted.slots)
        if not slots or before.start is None:
            raise SeriesWithoutTime()
        pattern = Pattern.of(wanted, slots)
        start = pattern.start
        planned: list[tuple[Stored, _Planned]] = []
        stay: list[tuple[int, Stored]] = []
        for number, member in members:
            facts = self._repository.stored_facts(member)
            assert facts.start is not None
            moment = moved_alike(facts.start, before.start, start, pattern.zone)
            where = f"Appointment/{member.id}"
            if member.id == current.id:
                own, ids = resource, list(wanted.slots)
            else:
                try:
                    changes.require_movable(facts.status)
                    ids = await pattern.at(connection, moment)
                except Refusal as refusal:
                    raise OccurrenceRefused(
                        number, len(members), moment, where, False, refusal, True
                    ) from refusal
                own = _moved(self._repository.resource(member), resource, moment, pattern, ids)
            when = (moment, moment + (pattern.until - pattern.start))
            if changes.is_there(facts, ids, when, context.now):
                stay.append((number, member))
                continue
            planned.append(
                (member, _Planned(own, self._repository.facts(own), number, where, False, when, True))
            )
        had = [self._repository.stored_facts(member) for member, _ in planned]
        await self.lock(connection, context, [one.facts for _, one in planned], had)
        # In this order, each occurrence leaves its time before another one takes it.
        planned.sort(key=lambda each: each[1].number, reverse=start > before.start)
        moved = stay
        series = before.occurrence.series if before.occurrence is not None else None
        was_booked = {facts.id for facts in had if facts.status == "booked"}
        told = [t for m, one in planned if m.id in was_booked for t in one.told(m.id, m.version)]
        for member, one in planned:
            with _naming(one, len(planned)), told_together(series, told):
                stored = await self._handlers.change(
                    connection,
                    context,
                    member,
                    one.resource,
                    Manner(move=True, with_series=scope == "all" and len(members) > 1),
                )
            moved.append((one.number, stored))
        return [stored for _, stored in sorted(moved, key=lambda each: each[0])]

    async def _to_come(
        self, connection: Connection, context: WriteContext, current: Stored, scope: Scope
    ) -> list[tuple[int, Stored]]:
        """The appointments within the scope that take time in the future, and `current` itself."""
        members = await self._members(connection, context, current, scope)
        found = []
        for number, member in members:
            facts = self._repository.stored_facts(member)
            coming = claims(facts.status) and facts.status not in ENDED
            if member.id == current.id or (coming and facts.start is not None and facts.start > context.now):
                found.append((number, member))
        return found

    async def _members(
        self, connection: Connection, context: WriteContext, current: Stored, scope: Scope
    ) -> list[tuple[int, Stored]]:
        """The appointments of the series within the scope, locked, in order. Raises SeriesBusy if somebody else is changing
        one. Leaves out those that the caller may not see or change: for the holder of a link, all but `current`."""
        named = await members_of(connection, current.id)
        own = next((number for number, id_ in named if id_ == current.id), None)
        if own is None:
            raise ScopeUnfit(scope, "not-a-series")
        within = [(number, id_) for number, id_ in named if scope == "all" or number >= own]
        others = [id_ for _, id_ in within if id_ != current.id]
        locked = await lock_members(connection, others)
        found = []
        for number, id_ in within:
            if id_ == current.id:
                found.append((number, current))
                continue
            if id_ not in locked:
                if await self._is_within_reach(connection, context, id_):
                    raise SeriesBusy()
                continue
            stored = await self._repository.store.lock(connection, id_)
            if stored is not None and not stored.deleted and self._is_theirs(context, stored):
                found.append((number, stored))
        return found

    async def _is_within_reach(self, connection: Connection, context: WriteContext, id_: str) -> bool:
        """Whether the caller sees an appointment that somebody else is changing: if not, it is not revealed."""
        required = context.required
        return required is None or await self._repository.store.has_any_term(connection, id_, required)

    def _is_theirs(self, context: WriteContext, stored: Stored) -> bool:
        if not context.reaches(stored):
            return False
        if context.patient_ids is None:
            return True
        patients = {p.removeprefix("Patient/") for p in self._repository.stored_facts(stored).patients}
        return patients <= context.patient_ids


@contextmanager
def _naming(one: _Planned, total: int) -> Iterator[None]:
    """Makes a refusal inside the block name the occurrence."""
    try:
        yield
    except Refusal as refusal:
        raise one.refused(total, refusal) from refusal


def _at(
    resource: Resource, facts: Appointment, start: datetime, pattern: Pattern, slots: Sequence[str]
) -> Resource:
    """The first appointment at another time in other slots."""
    rest = {name: value for name, value in resource.items() if name not in (*_WHEN, "id")}
    if facts.start is not None and facts.end is not None:
        rest |= _times(start, pattern)
    return {**rest, "slot": [{"reference": f"Slot/{id_}"} for id_ in slots]}


def _moved(
    resource: Resource, first: Resource, start: datetime, pattern: Pattern, slots: Sequence[str]
) -> Resource:
    """The next version of an appointment that moves like `first`, another one of its series."""
    said = {name: first[name] for name in SAID_BY_SLOT if name in first}
    rest = {name: value for name, value in resource.items() if name not in _WHEN}
    times = _times(start, pattern) if "start" in first else {}
    return {**rest, **said, **times, "slot": [{"reference": f"Slot/{id_}"} for id_ in slots]}


def _times(start: datetime, pattern: Pattern) -> Resource:
    until = start + (pattern.until - pattern.start)
    return {"start": exact_instant(start), "end": exact_instant(until)}
