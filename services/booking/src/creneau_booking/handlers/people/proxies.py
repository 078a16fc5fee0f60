"""RelatedPersons: who may write them, their effect on the accounts that act by them, and when they end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from creneau_booking.domain.proxies import (
    ONESELF,
    Person,
    Proxy,
    end_of_minority,
    is_minor,
    majority_ending,
    require_may_decide,
)
from creneau_booking.domain.refusals.people import AccountOfTheirOwn
from creneau_booking.domain.refusals.proxies import ProxyEnded, ProxyOfAnother, UnknownProxy
from creneau_booking.handlers.people.accounts import tell
from creneau_booking.handlers.people.patients import require_more_than_asked
from creneau_booking.storage.agendas.rules import births_of
from creneau_booking.storage.people import accounts, identities, invitations
from creneau_booking.storage.people.patients import require_registered
from creneau_booking.storage.people.related_persons import (
    accepted,
    proxy_of,
    renounced,
    with_acceptance_of,
    with_majority,
)
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore, owned_by
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.security.rights import OWNER


class RelatedPersonStore(GenericStore):
    """Checks for every write whether the caller decides for the Patient, and updates the accounts that act by it."""

    def __init__(self, base_url: str) -> None:
        super().__init__("RelatedPerson", base_url, self._followed, self._known_to)

    def proxy(self, stored: Stored) -> Proxy:
        """Reads a stored RelatedPerson that is not deleted."""
        assert stored.content is not None
        return proxy_of(loads(stored.content), self._base_url)

    async def create(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        id_: str | None = None,
        *,
        belonging: Sequence[str] | None = None,
        awaits_majority: bool = False,
    ) -> Stored:
        """`awaits_majority`: of somebody without a birth date, it ends with a majority that is put down later."""
        said = await self._said(connection, context, resource, None, awaits_majority=awaits_majority)
        return await super().create(connection, context, said, id_, belonging=belonging)

    async def replace(
        self,
        connection: Connection,
        context: WriteContext,
        current: Stored,
        resource: Resource,
        *,
        belonging: Sequence[str] | None = None,
        keeping: bool = False,
    ) -> Stored:
        said = await self._said(connection, context, resource, current)
        return await super().replace(connection, context, current, said, belonging=belonging, keeping=keeping)

    async def delete(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        if current.content is not None:
            await self._require_may_decide(connection, context, self.proxy(current), None)
        return await super().delete(connection, context, current)

    async def require_may_invite(
        self, connection: Connection, context: WriteContext, current: Stored
    ) -> None:
        """Refuses a caller who may not give out a code for the locked RelatedPerson. Raises ProxyEnded if it has ended."""
        proxy = self.proxy(current)
        if context.role != "counsellor":
            await self._require_may_decide(connection, context, proxy, None)
        elif not context.may("register", proxy.patient):
            raise UnknownProxy(current.id)
        if proxy.has_ended(context.now):
            raise ProxyEnded()

    async def accept(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Records in a new version that an account has accepted the locked RelatedPerson, visible to both sides."""
        assert current.content is not None
        if (proxy := self.proxy(current)).is_oneself:
            await invitations.void_for_oneself(connection, proxy.patient)
        taken = accepted(loads(current.content), context.now)
        return await super().replace(connection, context.unlimited(), current, taken)

    async def renounce(self, connection: Connection, context: WriteContext, current: Stored) -> Stored:
        """Records that whoever acts by the locked RelatedPerson has renounced it."""
        assert current.content is not None
        left = renounced(loads(current.content))
        return await super().replace(connection, context.unlimited(), current, left)

    async def end_at_majority_of(self, connection: Connection, context: WriteContext, patient: str) -> None:
        """Adjusts RelatedPersons after a possible change of a Patient's (id) birth date: moves ends that depend on majority,
        and ends a parent's at majority if the Patient turns out to be under age."""
        rows = await connection.fetch(
            "SELECT id FROM related_person WHERE terms @> ARRAY['patient=Patient/' || $1] AND NOT deleted ORDER BY id",
            patient,
        )
        birth = (await births_of(connection, [patient])).get(patient)
        if birth is None:
            return
        for row in rows:
            current = await self.lock(connection, row["id"])
            if current is None or current.content is None:
                continue
            proxy, before = self.proxy(current), loads(current.content)
            if proxy.depends_on_birth_date or (proxy.ends_at_majority and is_minor(birth, context.now)):
                end: datetime | None = end_of_minority(birth)
            else:
                end = None if proxy.has_ended(context.now) else majority_ending(proxy, birth, context.now)
            if end is None:
                continue
            after = with_majority(before, end)
            if after != before:
                await super().replace(connection, context.unlimited(), current, after)

    async def depends_on_birth_date(
        self, connection: Connection, patient: str, *, relationships: frozenset[str]
    ) -> bool:
        """Whether somebody represents a Patient (id) until the majority, or has one of these relationships."""
        rows = await connection.fetch(
            "SELECT content FROM related_person WHERE terms @> ARRAY['patient=Patient/' || $1] AND NOT deleted",
            patient,
        )
        stated = [proxy_of(loads(row["content"]), self._base_url) for row in rows]
        return any(proxy.depends_on_birth_date or proxy.relationships & relationships for proxy in stated)

    async def _said(
        self,
        connection: Connection,
        context: WriteContext,
        resource: Resource,
        current: Stored | None,
        *,
        awaits_majority: bool = False,
    ) -> Resource:
        """Returns the resource to store, with the elements that the server states. Refuses a caller who may not write it."""
        stored = loads(current.content) if current is not None and current.content is not None else None
        before = proxy_of(stored, self._base_url) if stored is not None else None
        proxy = proxy_of(resource, self._base_url)
        await self._require_may_decide(connection, context, proxy, before)
        birth = (await births_of(connection, [proxy.patient])).get(proxy.patient)
        by_parent = context.people is not None and proxy.patient not in context.oneself
        end = majority_ending(proxy, birth, context.now, by_parent=by_parent)
        if before is not None:
            awaits_majority = before.ends_at_majority and before.until is None
        awaited = awaits_majority and proxy.until is None and not is_minor(birth, context.now)
        return with_majority(with_acceptance_of(resource, stored), end, awaited=awaited)

    async def _require_may_decide(
        self, connection: Connection, context: WriteContext, one: Proxy, other: Proxy | None
    ) -> None:
        patient = one.patient
        relationships = one.relationships if other is None else one.relationships | other.relationships
        if context.people is None:
            await self._require_practice_may_decide(connection, context, patient, relationships)
            return
        birth = (await births_of(connection, [patient])).get(patient)
        person = Person(is_minor(birth, context.now), await accounts.is_somebodys(connection, patient))
        require_may_decide(
            relationships,
            person,
            manages=context.may("manage", patient),
            is_person=patient in context.oneself,
        )

    async def _require_practice_may_decide(
        self, connection: Connection, context: WriteContext, patient: str, relationships: frozenset[str]
    ) -> None:
        """Raises KnownByRequest if the practice has not seen the patient, and AccountOfTheirOwn if it states the person's
        own account and they have one. The deployment may always decide."""
        if context.organizations is None:
            return
        await require_more_than_asked(connection, context, patient, "proxy")
        is_seen = await identities.is_of(connection, patient, owned_by(context.organizations))
        if ONESELF in relationships and is_seen and await accounts.is_somebodys(connection, patient):
            raise AccountOfTheirOwn()

    # -- hooks -----------------------------------------------------------------------------------------------

    async def _followed(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """Applies a written RelatedPerson to the accounts at once: new scopes and period, or its end."""
        proxy = proxy_of(resource, self._base_url) if resource is not None else None
        if proxy is None or not proxy.active:
            changed = await accounts.end_proxy(connection, stored.id)
        elif kind == "update":
            birth = (await births_of(connection, [proxy.patient])).get(proxy.patient)
            may = proxy.may(minor=is_minor(birth, context.now))
            changed = await accounts.follow(
                connection, stored.id, may=may, since=proxy.since, until=proxy.until
            )
        else:
            changed = []
        await tell(connection, changed, context.now, context.correlation_id)

    async def _known_to(
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
        if owners is None and context.organizations is None and not context.by_patient:
            # Other callers get the same refusal for a Patient of others and for one that does not exist.
            await require_registered(connection, (patient,), "proxy")
        if current is not None and current.content is not None and self.proxy(current).patient != patient:
            raise ProxyOfAnother()
        return list(owners or ())
