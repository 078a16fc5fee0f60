"""Holding: a pending appointment keeps its slots from others until the hold expires."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from creneau_booking.domain import changes
from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.events import AppointmentEvent
from creneau_booking.domain.refusals.waiting import OfferNotMovable
from creneau_booking.domain.transitions import TRANSITIONS
from creneau_booking.handlers.beginning import Beginning
from creneau_booking.handlers.exchange import Exchange
from creneau_booking.handlers.hold_policy import HoldPolicy
from creneau_booking.handlers.in_place_of import InPlaceOf
from creneau_booking.handlers.in_series import ALONE, InSeries
from creneau_booking.handlers.own_word import Change, OwnWord
from creneau_booking.handlers.proxys_word import heard, require_may_hide
from creneau_booking.handlers.telling import tell
from creneau_booking.storage.visits.appointments import NOBODY_ELSE, AppointmentRepository, Whose
from creneau_booking.storage.visits.holds import extensions_of, hold_of, keep_hold
from creneau_booking.storage.visits.known_references import with_known_references
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext


class Holding:
    """Begins and extends holds. A request for a series is held as a whole (`series`)."""

    series: Beginning

    def __init__(
        self, repository: AppointmentRepository, word: OwnWord, exchange: Exchange, policy: HoldPolicy
    ) -> None:
        self._repository = repository
        self._in_place_of = InPlaceOf(repository)
        self._word = word
        self._exchange = exchange
        self._policy = policy

    async def begin(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        place: InSeries = ALONE,
    ) -> tuple[Stored, datetime]:
        """Stores a pending appointment and keeps its slots until the hold expires. Returns it, and the end of the hold. If
        the account has the same hold already, returns that one."""
        understood = await with_known_references(connection, context, resource, self._repository.base_url)
        resource, wanted = self._repository.new(understood, id_)
        wanted = await self._in_place_of.as_hidden(connection, context, place.of(wanted))
        await self._word.hear_new(connection, context, resource, wanted, "held")
        require_may_hide(context, wanted)
        reach = await self._exchange.reach(connection, context, wanted, holding=True)
        own = reach.has(wanted, resource)
        if id_ is None and own is not None:
            await self._exchange.count_no_more(connection, context, wanted, reach)
            return own.stored, own.until
        until, extensions = self._policy.term(context.now, reach.own)
        after, whose = await self._exchange.take(connection, context, wanted.held(until), reach, holding=True)
        stored = await self._repository.insert(
            connection, context, resource, after, whose, own_id=id_ is None
        )
        await self._keep_hold(connection, context, after, until, whose, extensions)
        return stored, until

    async def hold_on(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        place: InSeries = ALONE,
    ) -> tuple[Stored, datetime]:
        """Begins a hold for a locked request, or extends its hold. Returns the appointment, and the end of the hold. A request
        for a series is held as a whole: the first is returned."""
        template = self._repository.series_begun(current, {**resource, "status": "pending"})
        if template is not None and place is ALONE:
            return await self.series.hold(connection, context, current, resource, template)
        before = self._repository.stored_facts(current)
        changes.require_transition(before.status, "pending", by_patient=context.by_patient)
        if before.is_offer:
            raise OfferNotMovable
        until = context.now + self._policy.duration
        said_before = self._repository.resource(current)
        resource = await with_known_references(
            connection, context, resource, self._repository.base_url, before=said_before
        )
        resource = heard(context, said_before, before, resource, self._repository.next(current, resource))
        resource = {**resource, "status": "pending"}
        after = self._repository.next(current, resource)
        if context.by_patient:
            changes.require_same_patient(before, after)
        hold = await hold_of(connection, current.id) if before.status == "pending" else None
        change = Change(said_before, before, resource, after, hold, moving=False)
        resource = await self._word.hear_hold(connection, context, change)
        after = place.of(self._repository.next(current, resource))
        whose, extensions = NOBODY_ELSE, 0
        if TRANSITIONS[before.status, "pending"].time == "takes":
            reach = await self._exchange.reach(connection, context, after, holding=True)
            until, extensions = self._policy.term(context.now, reach.own)
            after, whose = await self._exchange.take(
                connection, context, after.held(until), reach, before, holding=True
            )
        else:
            confirmation = hold.confirmation if hold is not None else None
            after = replace(after.held(until), confirmation=confirmation, counter=before.counter)
            self._policy.require_extensible(await extensions_of(connection, current.id))
        stored = await self._repository.update(connection, context, current, resource, after, whose)
        await self._keep_hold(connection, context, after, until, whose, extensions)
        return stored, until

    async def _keep_hold(
        self,
        connection: Connection,
        context: WriteContext,
        held: Appointment,
        until: datetime,
        whose: Whose,
        extensions: int,
    ) -> None:
        await keep_hold(
            connection, held.id, until, context.issuer, context.subject, extensions, held.confirmation
        )
        event = AppointmentEvent("held", held, whose.schedules, held_until=until, owners=whose.told)
        await tell(connection, context, event)
