"""What a Patient's storage does beyond keeping it: the account that created it, and how to reach the person."""

from __future__ import annotations

import time

from creneau_booking.publishing import contact_event
from creneau_booking.storage.accounts import link_account, patients_of, unlink_accounts
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.messaging.outbox import append
from creneau_shared.security.principal import Principal

REMEMBERED_S = 1.0
"""long enough for one request, which asks for each type that it reaches; short enough for a new child's first booking"""
REMEMBERED_MAX = 100_000

Account = tuple[str, str]


class PatientAccounts:
    """Resolves a token to the Patients that its holder acts for; remembers the answer for `REMEMBERED_S` seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[Account, tuple[float, frozenset[str]]] = {}

    async def __call__(self, principal: Principal) -> frozenset[str]:
        if principal.anonymous:
            return frozenset()
        own = frozenset() if principal.patient is None else frozenset({principal.patient})
        account = (principal.issuer, principal.subject)
        until, patients = self._known.get(account, (0.0, frozenset()))
        if time.monotonic() < until:
            return patients | own
        async with self._database.connection() as connection:
            patients = await patients_of(connection, *account)
        if patients:
            if len(self._known) >= REMEMBERED_MAX:
                self._known.clear()
            self._known[account] = (time.monotonic() + REMEMBERED_S, patients)
        return patients | own

    async def patient_changed(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """The hook of Patient: one that a patient's account creates is theirs, until it is deleted, whatever becomes of
        its id; tell whoever writes to patients."""
        if kind == "create" and context.patient_ids is not None:
            await link_account(connection, context.issuer, context.subject, stored.id)
            self._known.pop((context.issuer, context.subject), None)
        if kind == "delete":
            for account in await unlink_accounts(connection, stored.id):
                self._known.pop(account, None)
        await append(connection, [contact_event(stored.id, resource, context.correlation_id)])
