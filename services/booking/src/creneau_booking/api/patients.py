"""What a Patient's storage does beyond keeping it: the account that created it, what that account may say of it, the
identity of the person and how to reach them."""

from __future__ import annotations

import time

from creneau_booking.handlers.patients import patient_removed, patient_written, require_writable
from creneau_booking.storage.accounts import link_account, patients_of
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
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
        """The hook of Patient: one that a patient's account creates is theirs."""
        if kind == "create" and context.patient_ids is not None:
            await link_account(connection, context.issuer, context.subject, stored.id)
            self._known.pop((context.issuer, context.subject), None)


class PatientStore(GenericStore):
    """The Patients: each write is held against what its author may say, and brings identity and contact with it."""

    def __init__(self, base_url: str, accounts: PatientAccounts) -> None:
        super().__init__("Patient", base_url, accounts.patient_changed)

    async def create(
        self, connection: Connection, context: WriteContext, resource: Resource, id_: str | None = None
    ) -> Stored:
        require_writable(context, None, resource)
        stored = await super().create(connection, context, resource, id_)
        await patient_written(connection, context, stored.id, None, resource)
        return stored

    async def replace(
        self, connection: Connection, context: WriteContext, current: Stored, resource: Resource
    ) -> Stored:
        before = None if current.content is None else loads(current.content)
        require_writable(context, before, resource)
        stored = await super().replace(connection, context, current, resource)
        await patient_written(connection, context, stored.id, before, resource)
        return stored

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        stored = await super().delete(connection, context, current)
        await patient_removed(connection, context, stored.id)
        return stored
