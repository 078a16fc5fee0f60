"""Patients and who acts for them: what a registration, a statement or its end means for the accounts concerned."""

from __future__ import annotations

from datetime import datetime

from creneau_booking.domain.proxies import EVERYTHING, SCOPES, Proxy, end_of_minority, is_minor
from creneau_booking.domain.quotas import Quotas, require_few_patients
from creneau_booking.storage import accounts
from creneau_booking.storage.accounts import Link
from creneau_booking.storage.agenda_rules import births_of
from creneau_booking.storage.related_persons import CARER, PARENT, proxy_of, resource_of
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Forbidden, Unprocessable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.security.access import Known
from creneau_shared.security.memberships import practices_of
from creneau_shared.security.principal import Principal
from creneau_shared.security.rights import OWNER


async def known(connection: Connection, principal: Principal, now: datetime) -> Known:
    """For whom a principal acts: the Patients of their account, or the practices for which they speak."""
    if principal.role != "patient":
        return Known(practices=await practices_of(connection, principal, now))
    links = await accounts.links_of(connection, principal.issuer, principal.subject, now)
    return Known(
        people={link.patient: link.may for link in links},
        oneself=frozenset(link.patient for link in links if link.oneself),
    )


class People:
    """The hooks of Patient and RelatedPerson, in the transaction of each write."""

    def __init__(self, base_url: str, quotas: Quotas) -> None:
        self._quotas = quotas
        self._base_url = base_url
        self._statements = GenericStore(
            "RelatedPerson", base_url, self.related_person_changed, self.related_person_belonging
        )

    async def patient_changed(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """One that a person registers is theirs to act for; one that is deleted is nobody's any more."""
        if kind == "create" and context.role == "patient":
            await self._link(connection, context, stored.id)
            registered = await accounts.count_patients(connection, context.issuer, context.subject)
            require_few_patients(self._quotas, registered)
        if kind == "delete":
            await accounts.end_links(connection, stored.id)

    async def patient_belonging(
        self, connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
    ) -> list[str] | None:
        """A Patient is of the practice that registers them; others come to know them by an appointment."""
        return None if current is not None else owned_by(context.organizations or ())

    async def related_person_changed(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """What is stated holds at once, and what is withdrawn holds no longer."""
        if resource is None:
            await accounts.end_proxy(connection, stored.id)
            return
        proxy = proxy_of(resource, self._base_url)
        if not proxy.active:
            await accounts.end_proxy(connection, stored.id)
        elif kind == "update":
            await accounts.follow(connection, stored.id, may=proxy.may, since=proxy.since, until=proxy.until)

    async def related_person_belonging(
        self, connection: Connection, context: WriteContext, resource: Resource, current: Stored | None
    ) -> list[str]:
        """A RelatedPerson is known to the practices that know the Patient."""
        patient = proxy_of(resource, self._base_url).patient
        owners = await connection.fetchval(
            "SELECT ARRAY(SELECT t FROM unnest(terms) AS t WHERE starts_with(t, $2))"
            " FROM patient WHERE id = $1 AND NOT deleted",
            patient,
            OWNER,
        )
        if owners is None and context.organizations is None and context.patient_ids is None:
            raise Unprocessable(
                f"Patient/{patient} n'existe pas.",
                f"Patient/{patient} does not exist.",
                code="not-found",
                expression="RelatedPerson.patient",
                details_code="unknown-patient",
            )
        if current is not None and current.content is not None:
            before = proxy_of(loads(current.content), self._base_url).patient
            if before != patient:
                raise Forbidden(
                    "Un RelatedPerson ne change pas de Patient : supprimez-le et créez-en un autre.",
                    "A RelatedPerson does not change its Patient: delete it and create another one.",
                    expression="RelatedPerson.patient",
                    details_code="other-patient",
                )
        return list(owners or ())

    async def _link(self, connection: Connection, context: WriteContext, patient: str) -> None:
        """The first Patient of an account is its holder; further ones are whom they represent, which is stated."""
        if not await accounts.has_oneself(connection, context.issuer, context.subject):
            await accounts.keep_link(connection, context.issuer, context.subject, Link(patient))
            return
        birth = (await births_of(connection, [patient])).get(patient)
        if birth is not None and is_minor(birth, context.now):
            proxy = Proxy(patient, frozenset({"PRN"}), EVERYTHING, None, end_of_minority(birth))
            said = resource_of(proxy, PARENT)
        else:
            proxy = Proxy(patient, frozenset(), frozenset({*SCOPES, "register"}), None, None)
            said = resource_of(proxy, CARER)
        stated = await self._statements.create(connection, context, said)
        link = Link(patient, False, proxy.may, stated.id, proxy.since, proxy.until)
        await accounts.keep_link(connection, context.issuer, context.subject, link)
