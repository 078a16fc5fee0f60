"""The hooks of the directory's writes: refuse wrong entries, publish each change, check the accounts of
regulators."""

from __future__ import annotations

from collections.abc import Iterator

from creneau_directory.domain.communes import is_commune_code, remark_on, stated_communes
from creneau_directory.domain.identifiers import (
    CHECKS,
    FINESS,
    REGISTER_PROFILES,
    RPPS,
    RPPS_OF_BEFORE,
    finess_key_holds,
    has_form,
    is_finess,
)
from creneau_directory.domain.professionals import national_numbers, numbers_taken, relied_on_changes
from creneau_directory.domain.refusals import (
    AccountUnfit,
    DiscriminatingText,
    EntryFault,
    EntryUnfit,
    OwnNumbersChanged,
    PartOfItself,
    PatientsDevice,
    ProfessionalKnown,
    RegulatorKnown,
    ReliedOnByOthers,
    StillNamed,
    UnknownZone,
    WrongCommune,
    WrongNumber,
)
from creneau_directory.domain.regulators import account_lacks, is_account, numbers_of, without_numbers
from creneau_directory.domain.ror.capacities import StaleCapacity, capacities, stale_capacities
from creneau_directory.domain.ror.facets import facet_faults
from creneau_directory.domain.texts import discriminating_texts
from creneau_directory.publishing import resource_event
from creneau_directory.storage import care
from creneau_directory.storage.professionals import bearer_of, works_for_others
from creneau_directory.storage.references import named_by
from creneau_directory.storage.regulators import others_bearing
from creneau_directory.storage.wholes import OF_WHOLES, is_within
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import GenericStore
from creneau_shared.fhir.storage.store import ChangeKind, Resource, Stored, WriteContext
from creneau_shared.fhir.zones import unknown_zones
from creneau_shared.messaging.outbox import append
from creneau_shared.security.memberships import numbers_named


async def resource_changed(
    connection: Connection, context: WriteContext, kind: ChangeKind, stored: Stored, resource: Resource | None
) -> None:
    """The hook of every directory type, inside the transaction of the write. An entry that others name is not deleted: a
    role would lose its professional, an offer its place. It can be ended instead (`active`, `status`, `period`)."""
    if resource is not None:
        faults = [*entry_faults(resource, context.role), *await _stale(connection, context, stored, resource)]
        if faults:
            raise EntryUnfit(stored.resource_type, tuple(faults))
        await _require_no_circle(connection, stored, resource)
        if remarks := list(_remarks(resource, context)):
            context.effects.headers["Warning"] = ", ".join(f'199 - "{remark}"' for remark in remarks)
    elif others := await named_by(connection, stored.resource_type, stored.id):
        raise StillNamed(stored.resource_type, stored.id, tuple(others))
    await care.changed(connection, stored.resource_type, stored.id, stored.last_updated)
    await append(connection, [resource_event(stored, context.correlation_id)])


def entry_faults(resource: Resource, role: str) -> Iterator[EntryFault]:
    """Yields the contents of an entry that are wrong, or have no place in the directory, which is public. `role`: the role
    of the author."""
    yield from (wrong for wrong in wrong_numbers(resource) if not _is_only_told(wrong, resource, role))
    for stated in stated_communes(resource):
        if not is_commune_code(stated.code):
            yield WrongCommune(stated.element, stated.code)
    yield from facet_faults(resource)
    for index, name in unknown_zones(resource):
        yield UnknownZone(index, name)
    for element in discriminating_texts(resource):
        yield DiscriminatingText(element)
    if resource["resourceType"] == "Device" and "patient" in resource:
        yield PatientsDevice()


def _is_only_told(wrong: WrongNumber, resource: Resource, role: str) -> bool:
    """Whether a wrong key only gets a warning: the deployment itself takes the entry over from a national register."""
    profiles = resource.get("meta", {}).get("profile", ())
    claims = any(str(profile).startswith(REGISTER_PROFILES) for profile in profiles)
    return role == "system" and claims and has_form(wrong.register, wrong.value)


def _remarks(resource: Resource, context: WriteContext) -> Iterator[str]:
    """Yields remarks on an accepted entry, as texts of a Warning header (ASCII)."""
    for wrong in wrong_numbers(resource):
        yield f"identifier[{wrong.index}]: key of {wrong.register} {wrong.value} does not hold"
    for index, identifier in enumerate(resource.get("identifier", ())):
        value = str(identifier.get("value", ""))
        if identifier.get("system") == FINESS and is_finess(value) and not finess_key_holds(value):
            yield f"identifier[{index}]: key of FINESS {value} does not hold"
    for stated in stated_communes(resource):
        remark = remark_on(stated)
        if remark == "unknown":
            yield f"{stated.element}: {stated.code} is no commune of today; it may have merged"
        elif remark == "postal-code":
            yield f"{stated.element}: {stated.postal_code} is no postal code of {stated.code}"


async def _require_no_circle(connection: Connection, stored: Stored, resource: Resource) -> None:
    """Refuses an entry that would lie in itself (PartOfItself): where it is, and who speaks for it, would have no end."""
    said = str(resource.get("partOf", {}).get("reference", "")).split("/_history/")[0]
    kind, _, whole = "/".join(said.split("/")[-2:]).partition("/")
    if kind != stored.resource_type or kind not in OF_WHOLES or not whole:
        return
    if await is_within(connection, kind, whole, stored.id):
        raise PartOfItself(f"{kind}/{whole}")


async def _stale(
    connection: Connection, context: WriteContext, stored: Stored, resource: Resource
) -> list[StaleCapacity]:
    """The capacities of a place that changed without a new count, or were counted in the future."""
    if stored.resource_type != "Location" or not any(capacities(resource)):
        return []
    return list(stale_capacities(await _before(connection, stored), resource, context.now))


async def _before(connection: Connection, stored: Stored) -> Resource:
    """The content of the entry's previous version; empty if the entry is new or was deleted."""
    before = await connection.fetchval(
        "SELECT content FROM resource_history WHERE resource_type = $1 AND id = $2 AND version = $3",
        stored.resource_type,
        stored.id,
        stored.version - 1,
    )
    return loads(before) if before else {}


class PractitionerChanged:
    """The hook of Practitioner: that of every type, the elements that decide rights, and the rules of regulators' accounts
    (SAS, INT_R02)."""

    def __init__(self, base_url: str) -> None:
        self._accounts = GenericStore("Practitioner", base_url, resource_changed)

    async def __call__(
        self,
        connection: Connection,
        context: WriteContext,
        kind: ChangeKind,
        stored: Stored,
        resource: Resource | None,
    ) -> None:
        """Raises ReliedOnByOthers or OwnNumbersChanged if the caller may not make this change, AccountUnfit if an account
        has faults, RegulatorKnown if another account has one of its numbers, ProfessionalKnown if another entry has."""
        if resource is not None:
            await self._require_theirs_to_say(connection, context, stored, resource)
        if resource is not None and is_account(resource):
            if lacks := tuple(account_lacks(resource)):
                raise AccountUnfit(lacks)
            await self._take_numbers(connection, context, resource)
        elif resource is not None and context.role != "system":
            await self._require_first(connection, stored, resource)
        await resource_changed(connection, context, kind, stored, resource)

    async def _require_theirs_to_say(
        self, connection: Connection, context: WriteContext, stored: Stored, resource: Resource
    ) -> None:
        """Refuses changes to rights at other practices: who entered a professional does not decide who speaks for those."""
        if context.organizations is None:
            return
        before = await _before(connection, stored)
        changed = tuple(relied_on_changes(before, resource))
        if "identifier" in changed and _is_oneself(context, before):
            raise OwnNumbersChanged()
        if changed and await works_for_others(connection, stored.id, context.organizations, context.now):
            raise ReliedOnByOthers(stored.id, changed)

    async def _require_first(self, connection: Connection, stored: Stored, resource: Resource) -> None:
        """Refuses a second entry of one professional (ProfessionalKnown): their number would mean neither, and who enters it
        would choose where they work. The deployment itself, which loads the registers, knows what it does."""
        taken = numbers_taken(await _before(connection, stored), resource)
        if taken and (other := await bearer_of(connection, taken, stored.id)):
            raise ProfessionalKnown(other)

    async def _take_numbers(self, connection: Connection, context: WriteContext, account: Resource) -> None:
        """Takes the numbers of an active account from inactive accounts, which keep the rest. RegulatorKnown otherwise."""
        numbers = numbers_of(account)
        for other in await others_bearing(connection, numbers, account["id"]):
            bearer = loads(other.content or b"null")
            if bearer.get("active") is not False or not account["active"]:
                raise RegulatorKnown(other.id)
            await self._accounts.replace(connection, context, other, without_numbers(bearer, numbers))


def _is_oneself(context: WriteContext, before: Resource) -> bool:
    """Whether the entry, in its previous version, is that of the author."""
    numbers = numbers_named(context.national_id) if context.national_id else frozenset[tuple[str, str]]()
    return bool(before) and (
        context.practitioner == before["id"] or not numbers.isdisjoint(national_numbers(before))
    )


def wrong_numbers(resource: Resource) -> Iterator[WrongNumber]:
    """Yields each identifier whose value is wrong for its national system."""
    for index, identifier in enumerate(resource.get("identifier", ())):
        check = CHECKS.get(identifier.get("system", ""))
        value = identifier.get("value")
        of_rpps = identifier.get("system") in (RPPS, RPPS_OF_BEFORE)
        is_situation = resource["resourceType"] == "PractitionerRole" and of_rpps
        if check is not None and value is not None and not is_situation and not check[1](value):
            yield WrongNumber(index, value, check[0])
