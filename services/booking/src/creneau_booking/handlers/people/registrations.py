"""Patients and who acts for them: the effect of a registration, a correction or an end on the accounts concerned."""

from __future__ import annotations

from datetime import datetime

from creneau_booking.domain.proxies import PARENTS, SCOPES, Proxy, is_minor
from creneau_booking.domain.quotas import DAY, Quotas, require_few_changes, require_few_patients
from creneau_booking.domain.refusals.registered import BirthDateSettled
from creneau_booking.handlers.people.accounts import tell
from creneau_booking.handlers.people.proxies import RelatedPersonStore
from creneau_booking.storage.actions import account_key, act
from creneau_booking.storage.agendas.rules import births_of
from creneau_booking.storage.people import accounts
from creneau_booking.storage.people.accounts import Account, Link
from creneau_booking.storage.people.known_patients import registered_by
from creneau_booking.storage.people.related_persons import CARER, PARENT, resource_of
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import owned_by, superseded_since
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.security.access import Known
from creneau_shared.security.memberships import practices_of
from creneau_shared.security.principal import Principal
from creneau_shared.security.rights import BY_LINK, OWNER, SHARED


async def known(connection: Connection, principal: Principal, now: datetime) -> Known:
    """Those for whom a principal acts: the Patients of their account, or practices."""
    if principal.role != "patient":
        practices = await practices_of(connection, principal, now)
        return Known(practices=practices.may, own_practices=practices.own)
    if principal.appointment is not None:
        return await _by_link(connection, principal.appointment, principal.patient or "")
    links = await accounts.links_of(connection, principal.issuer, principal.subject, now)
    return Known(
        people={link.patient: link.may for link in links},
        oneself=frozenset(link.patient for link in links if link.oneself),
        statements={link.patient: link.related_person for link in links if link.related_person},
    )


async def _by_link(connection: Connection, appointment: str, patient: str) -> Known:
    """The rights of the holder of a link to an appointment: none if it is another person's, hidden or deleted."""
    is_theirs = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM appointment WHERE id = $1 AND NOT deleted AND terms @> ARRAY[$2, $3])",
        appointment,
        f"patient=Patient/{patient}",
        f"{SHARED}{patient}",
    )
    return Known(people={patient: BY_LINK}) if is_theirs else Known()


class People:
    """The hooks of Patient, in the transaction of each write."""

    def __init__(self, related_persons: RelatedPersonStore, quotas: Quotas) -> None:
        self._related_persons = related_persons
        self._quotas = quotas

    async def patient_changed(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """Links a Patient that an account registers to that account; ends all links of a deleted one. Refuses an account's
        change that is one too many for a day."""
        if kind == "create" and context.role == "patient":
            account = Account(context.issuer, context.subject)
            acts, _ = await act(connection, "registered", account_key(*account), None, context.now)
            await self._link(connection, context, stored.id)
            require_few_patients(self._quotas, await accounts.count_patients(connection, account), acts)
        if kind == "update" and context.role == "patient":
            superseded = await superseded_since(connection, "Patient", stored.id, context.now - DAY)
            require_few_changes(self._quotas, superseded, context.now)
        if kind == "update":
            await self._related_persons.end_at_majority_of(connection, context, stored.id)
        if kind == "delete":
            ended = await accounts.end_links(connection, stored.id)
            await tell(connection, ended, context.now, context.correlation_id)

    async def patient_belonging(
        self, connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
    ) -> list[str] | None:
        """The owners of a Patient, as terms: the practice that registers them, which the resource names if the author acts
        for it, else the author's own. Others come to know them by an appointment."""
        if current is None:
            if context.organizations is None:
                return registered_by(())
            owners = context.owners(_managing_organization(resource))
            return [*owned_by(owners), *registered_by(owners)]
        if context.people is not None and current.content is not None:
            oneself = current.id in context.oneself
            await self._require_same_majority(connection, loads(current.content), resource, oneself=oneself)
        return None

    async def _require_same_majority(
        self, connection: Connection, before: Resource, after: Resource, *, oneself: bool
    ) -> None:
        """Raises BirthDateSettled if an account corrects a birth date on which somebody's authority depends. It may do so
        until a practice knows the person, or the person has an own account. Unless the caller is the person (`oneself`),
        every RelatedPerson of a parent counts, even one that does not end at majority."""
        if before.get("birthDate") == after.get("birthDate"):
            return
        patient = str(after["id"])
        is_known = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM patient, unnest(terms) AS t WHERE id = $1 AND starts_with(t, $2)"
            " UNION ALL SELECT FROM patient_account WHERE patient_id = $1 AND oneself)",
            patient,
            OWNER,
        )
        parents = frozenset[str]() if oneself else PARENTS
        if is_known and await self._related_persons.depends_on_birth_date(
            connection, patient, relationships=parents
        ):
            raise BirthDateSettled()

    async def _link(self, connection: Connection, context: WriteContext, patient: str) -> None:
        """Links a Patient to an account: the first one is its holder; for further ones it creates a RelatedPerson. Of somebody
        without a birth date, who may be a child, it ends with a majority that is put down later."""
        account = Account(context.issuer, context.subject)
        link = Link(patient)
        if await accounts.has_oneself(connection, account):
            birth = (await births_of(connection, [patient])).get(patient)
            minor = is_minor(birth, context.now)
            kind, codings = ("PRN", PARENT) if minor else ("CAREGIVER", CARER)
            said = resource_of(Proxy(patient, frozenset({kind}), frozenset(SCOPES), None, None), codings)
            stated = await self._related_persons.create(
                connection, context.unlimited(), said, awaits_majority=birth is None
            )
            proxy = self._related_persons.proxy(stated)
            link = Link(patient, False, proxy.may(minor=minor), stated.id, proxy.since, proxy.until)
        linked = await accounts.keep_link(connection, account, link)
        await tell(connection, linked, context.now, context.correlation_id)


def _managing_organization(patient: Resource) -> list[str]:
    """The id of the managing Organization of a Patient, as a list; empty if it names none."""
    reference = str(patient.get("managingOrganization", {}).get("reference", "")).split("/_history/")[0]
    kind, _, id_ = reference.rpartition("/")
    return [id_] if kind.rpartition("/")[2] == "Organization" else []
