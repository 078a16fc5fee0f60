"""What a Patient's storage does beyond keeping it: the account that created it, and how to reach the person."""

from __future__ import annotations

import time

from creneau_booking.publishing import contact_event
from creneau_booking.storage.accounts import link_account, patients_of
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.messaging.outbox import append
from creneau_shared.security.principal import Principal

REMEMBERED_S = 60.0
REMEMBERED_MAX = 100_000


async def patient_changed(
    connection: Connection, context: WriteContext, kind: ChangeKind, stored: Stored, resource: Resource | None
) -> None:
    """Tell who writes to patients; a Patient that a patient's account creates is theirs."""
    if kind == "create" and context.patient_ids is not None:
        await link_account(connection, context.issuer, context.subject, stored.id)
    await append(connection, [contact_event(stored.id, resource, context.correlation_id)])


class PatientAccounts:
    """Resolves a token to the Patients that its holder acts for; remembers the answer for a minute."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}

    async def __call__(self, principal: Principal) -> frozenset[str]:
        if principal.anonymous:
            return frozenset()
        key = (principal.issuer, principal.subject)
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        async with self._database.connection() as connection:
            patients = await patients_of(connection, *key)
        if principal.patient is not None:
            patients |= {principal.patient}
        if patients:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[key] = (time.monotonic() + REMEMBERED_S, patients)
        return patients
