"""The effects of writing a Patient: it holds its INS, its addresses may be vouched for, and events report its contact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from creneau_booking.domain.identity import (
    address_digest,
    addresses_of,
    claims_fr_core,
    ins_faults,
    ins_of,
    unverified_official_ins,
)
from creneau_booking.domain.own_words import require_born, require_own_words, require_reachable
from creneau_booking.domain.refusals.people import (
    IdentityRegistered,
    InsWrong,
    KnownByRequest,
    OfficialInsUnverified,
)
from creneau_booking.publishing import ContactRules, contact_changes_at, contact_event, contact_tombstone
from creneau_booking.storage.people import contact_changes, identities
from creneau_booking.storage.people.known_patients import is_only_asked
from creneau_booking.storage.people.patients import require_registered
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, WriteContext
from creneau_shared.messaging.outbox import append
from creneau_shared.security.contact_accounts import ContactAccounts

TOLD_TOGETHER = 500
LOOKED_AT_TOGETHER = 1_000


@dataclass(frozen=True, slots=True)
class ContactSettings:
    """What the operator has set of contacts: how one is proven by somebody without an account, and how people are told."""

    accounts: ContactAccounts
    rules: ContactRules


def answers_for_addresses(context: WriteContext) -> bool:
    """Whether the author vouches for addresses, having seen or spoken to the person: everybody but a patient's account,
    whatever its scopes. A counsellor does, being present with the person."""
    return not context.by_patient or context.role == "counsellor"


async def require_more_than_asked(
    connection: Connection, context: WriteContext, patient: str, where: Literal["record", "proxy", "link"]
) -> None:
    """Raises KnownByRequest if a practice writes about a Patient (id) from whom it only has a request."""
    if context.people is not None or context.organizations is None:
        return
    if await is_only_asked(connection, patient, context.organizations):
        raise KnownByRequest(where)


async def require_successor(connection: Connection, context: WriteContext, patient: str) -> None:
    """Checks the Patient (id) to whom the visits of a replaced record go: a practice names one of its own. Raises
    UnknownPatients if it does not know them, KnownByRequest if it only has a request from them."""
    if context.organizations is not None:
        await require_registered(connection, (patient,), "link", context.organizations)
    await require_more_than_asked(connection, context, patient, "link")


def require_writable(context: WriteContext, before: Resource | None, after: Resource) -> None:
    """Raises BornLater for a birth date in the future, and InsWrong for an impossible INS. For callers who act for a person,
    counsellors too: StatedByStaff for elements not theirs, AddressesUnreachable for an impossible address."""
    require_born(before, after, context.now)
    if context.by_patient:
        require_own_words(before, after)
        require_reachable(before, after)
    _require_ins(context, before, after)


async def patient_written(
    connection: Connection,
    context: WriteContext,
    settings: ContactSettings,
    id_: str,
    before: Resource | None,
    after: Resource,
) -> None:
    """Raises OfficialInsUnverified for an official INS of an identity that is not validated, IdentityRegistered if another
    Patient holds it. Staff vouch for addresses that they add; unchanged ones keep their state. A login by a code proves the
    contact that received the code."""
    if (index := unverified_official_ins(after)) is not None:
        raise OfficialInsUnverified(index)
    await _hold_ins(connection, context, id_, before, after)
    added = addresses_of(after) - addresses_of(before)
    if not answers_for_addresses(context):
        added = frozenset(
            address
            for address in added
            if settings.accounts.is_proven(context.issuer, context.subject, *address)
        )
    if added:
        await identities.vouch(connection, id_, [address_digest(id_, *address) for address in added])
    await tell_contact(connection, id_, after, settings.rules, context.correlation_id, context.now)


async def patient_removed(connection: Connection, context: WriteContext, id_: str) -> None:
    """Releases the INS, and publishes that the person's contact is to be forgotten."""
    await identities.forget(connection, id_)
    await append(connection, [contact_tombstone(id_, context.correlation_id)])


async def tell_contact(
    connection: Connection,
    id_: str,
    patient: Resource,
    rules: ContactRules,
    correlation_id: str | None,
    now: datetime,
) -> None:
    """Publishes the contact of a locked patient, and which addresses are vouched for. Plans to publish it again when a
    period changes it."""
    vouched = await identities.vouched(connection, id_)
    await append(connection, [contact_event(id_, patient, correlation_id, vouched, rules=rules, now=now)])
    if (changes_at := contact_changes_at(patient, now)) is not None:
        await contact_changes.expect(connection, id_, changes_at)


async def expect_missed_changes(database: Database, since: datetime) -> int:
    """Plans the contact changes of Patients that an older process, without such reminders, has written since then while it
    is being replaced; returns how many. Publishes nothing yet."""
    expected = 0
    after: tuple[datetime, int] | None = (since, 0)
    while after is not None:
        async with database.transaction() as connection:
            page = await contact_changes.unexpected(connection, after, LOOKED_AT_TOGETHER)
            changes = [(one.id, contact_changes_at(loads(one.content), one.at)) for one in page.patients]
            missed = [(id_, at) for id_, at in changes if at is not None]
            if missed:
                expected += await contact_changes.expect_missed(connection, missed)
        after = page.after
    return expected


async def tell_changed_contacts(database: Database, rules: ContactRules, now: datetime) -> int:
    """Publishes the contacts that time has changed, a batch per transaction; returns how many."""
    told = 0
    while True:
        async with database.transaction() as connection:
            due = await contact_changes.take_due(connection, now, TOLD_TOGETHER)
            for id_, content in due:
                await tell_contact(connection, id_, loads(content), rules, None, now)
        told += len(due)
        if len(due) < TOLD_TOGETHER:
            return told


async def tell_all_contacts(database: Database, rules: ContactRules, now: datetime) -> int:
    """Publishes the contact of every Patient again, a batch per transaction; returns how many."""
    told, last = 0, ""
    while True:
        async with database.transaction() as connection:
            batch = await identities.patients_after(connection, last, TOLD_TOGETHER)
            for id_, content in batch:
                await tell_contact(connection, id_, loads(content), rules, None, now)
        if not batch:
            return told
        told, last = told + len(batch), batch[-1][0]


def _require_ins(context: WriteContext, before: Resource | None, after: Resource) -> None:
    """Raises InsWrong for an impossible INS. For the deployment's own FR Core imports a wrong key is only a warning, as in
    the directory: FR Core's own example has one."""
    told = context.role == "system" and claims_fr_core(after)
    faults = list(ins_faults(before, after))
    if wrong := tuple((index, fault) for index, fault in faults if fault == "form" or not told):
        raise InsWrong(wrong)
    if faults:
        context.effects.headers["Warning"] = ", ".join(
            f'199 - "identifier[{index}]: key of INS does not hold"' for index, _ in faults
        )


async def _hold_ins(
    connection: Connection, context: WriteContext, id_: str, before: Resource | None, after: Resource
) -> None:
    wanted = ins_of(after)
    if wanted == ins_of(before):
        return
    holders = set((await identities.hold_ins(connection, id_, wanted)).values()) - {id_}
    if holders:
        holder = min(holders)
        raise IdentityRegistered(holder if await _sees(connection, context, holder) else None)


async def _sees(connection: Connection, context: WriteContext, patient_id: str) -> bool:
    """Whether the author may see the Patient: it belongs to a practice for which they write, or they see all."""
    if context.organizations is None:
        return not context.by_patient
    return await identities.is_of(connection, patient_id, owned_by(context.organizations))
