"""What takes or books a series as a whole, as far as the commands on a single appointment need it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from creneau_booking.domain.appointment import Appointment
from creneau_booking.handlers.manner import Manner
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.storage.store import Resource, Stored, WriteContext


class Beginning(Protocol):
    """What begins the series that a stored request asks for, and what books one that is held (`handlers.series`). `asked`: the
    request, locked; `resource`: its next version; `template`: how it recurs. `book` and `hold` return the first appointment;
    the others go to `context.effects.besides`."""

    async def lock(
        self,
        connection: Connection,
        context: WriteContext,
        versions: Sequence[Appointment],
        before: Sequence[Appointment] = (),
    ) -> None:
        """Waits at once for everybody whose time `versions` take, and `before` (stored, locked) give back."""

    async def book(
        self,
        connection: Connection,
        context: WriteContext,
        asked: Stored,
        resource: Resource,
        template: Resource,
        how: Manner,
    ) -> Stored:
        """Takes all of it as `how` says."""

    async def hold(
        self,
        connection: Connection,
        context: WriteContext,
        asked: Stored,
        resource: Resource,
        template: Resource,
    ) -> tuple[Stored, datetime]:
        """Holds all of it. Returns the end of the hold as well."""

    async def book_held(
        self, connection: Connection, context: WriteContext, held: Stored, resource: Resource, how: Manner
    ) -> Stored:
        """Books all that is held of a series, as far as the caller reaches it; only this one if something of it is booked
        already. `held`: one of it, locked, which is returned; `resource`: its next version."""
