"""create, update, patch and delete, plain and conditional (FHIR R4 http.html#create … #delete).

Every function runs on a connection inside a transaction that the caller opened and that commits before the
answer leaves; a batch entry and a transaction entry go through the same functions.
"""

from __future__ import annotations

from dataclasses import replace

from creneau_shared.database.barrier import commit_barrier
from creneau_shared.database.pool import Connection
from creneau_shared.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    PreconditionFailed,
    Unprocessable,
)
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.patch import apply_patch
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.rest.conditions import EXPRESSION, asked_condition
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.idempotency import remember, remembered
from creneau_shared.fhir.rest.matching import designated
from creneau_shared.fhir.rest.negotiation import entity_versions
from creneau_shared.fhir.rest.reading import (
    ID,
    UUID,
    read_current,
    require_still_visible,
    require_visible,
    unknown_resource,
)
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.search.index import index_resource
from creneau_shared.fhir.storage.store import (
    CompletesPatches,
    MovesByItself,
    Resource,
    ResourceStore,
    Stored,
    WriteContext,
)
from creneau_shared.fhir.summary import require_whole
from creneau_shared.fhir.validation import check
from creneau_shared.security.access import COMPARTMENT, Access
from creneau_shared.security.rights import person_terms


def write_context(request: FhirRequest, access: Access) -> WriteContext:
    return WriteContext(
        now=request.now,
        subject=request.principal.subject,
        issuer=request.principal.issuer,
        role=request.principal.role,
        client=request.principal.client,
        practitioner=request.principal.practitioner,
        national_id=request.principal.national_id,
        patient_ids=access.patient_ids,
        people=access.rights.people if access.by_patient else None,
        oneself=access.rights.oneself,
        required=access.required,
        organizations=access.organizations,
        own_organizations=access.own_organizations,
        correlation_id=request.correlation_id,
    )


async def create(
    service: FhirService, connection: Connection, request: FhirRequest, access: Access, store: ResourceStore
) -> Answer:
    """POST [type]: 201 with Location; with If-None-Exist the 0/1/many rules; with Idempotency-Key once only."""
    resource = checked(service, request, store)
    condition = asked_condition(request, store.resource_type)
    if condition is not None:
        found = await designated(
            service, connection, request, store.resource_type, condition, "If-None-Exist"
        )
        require_meant(request, found)
        if found is not None:
            stored = await read_current(connection, store, access, found)
            await commit_barrier(connection)
            await service.audit(connection, request, "R", stored)
            return written(service, access, stored, 200)
    key = request.headers.get("idempotency-key")
    if key is not None:
        earlier = await remembered(connection, request, key, resource)
        if earlier is not None:
            await require_still_visible(connection, store, access, earlier)
            await service.audit_replay(connection, request, store.resource_type, earlier)
            return earlier
    answer = await _create(service, connection, request, access, store, resource)
    if key is not None:
        await remember(connection, request, key, resource, answer)
    return answer


async def update(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    access: Access,
    store: ResourceStore,
    id_: str,
) -> Answer:
    """PUT [type]/[id]: 200, or 201 when it created, with Location; If-Match and If-None-Match: * honoured."""
    resource = checked_as(service, request, store, id_)
    return await _put(service, connection, request, store, access, id_, resource)


async def conditional_update(
    service: FhirService, connection: Connection, request: FhirRequest, access: Access, store: ResourceStore
) -> Answer:
    """PUT [type]?search: none → create (with the client's id when it gives one that is free; with If-Match 412), one →
    update, many → 412."""
    resource = checked(service, request, store)
    found = await designated(service, connection, request, store.resource_type, request.query, "PUT")
    require_meant(request, found)
    id_ = resource.get("id")
    if found is None:
        if "if-match" in request.headers:
            raise PreconditionFailed(
                "Aucune ressource ne correspond à la recherche : il n'y a pas de version à laquelle comparer If-Match."
                " Rien n'a été écrit.",
                "No resource matches the search: there is no version that If-Match could be compared with. Nothing was"
                " written.",
            )
        if id_ is not None:
            return await _put(service, connection, request, store, access, id_, resource, free=True)
        access = request.access(store.resource_type, "c")
        return await _create(service, connection, request, access, store, resource)
    if id_ is not None and id_ != found:
        raise BadRequest(
            f"La recherche désigne {store.resource_type}/{found}, mais le contenu porte l'identifiant {id_}.",
            f"The search designates {store.resource_type}/{found}, but the body has the id {id_}.",
            expression=f"{store.resource_type}.id",
        )
    return await _put(service, connection, request, store, access, found, {**resource, "id": found})


async def conditional_patch(
    service: FhirService, connection: Connection, request: FhirRequest, access: Access, store: ResourceStore
) -> Answer:
    """PATCH [type]?search: none → 404, one as usual, many → 412."""
    found = await designated(service, connection, request, store.resource_type, request.query, "PATCH")
    if found is None:
        raise NotFound("Aucune ressource ne correspond à la recherche.", "No resource matches the search.")
    return await patch(service, connection, request, access, store, found)


async def patch(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    access: Access,
    store: ResourceStore,
    id_: str,
) -> Answer:
    """PATCH [type]/[id]: JSON Patch, FHIRPath Patch or XML Patch; the result is checked anew.

    A person patches only what they may see, since `test` and `copy` would tell of the rest. The store puts the rest back.
    """
    current = await read_current(connection, store, access, id_, lock=True)
    await _over(request, connection, store, current, {})
    seen = service.as_shown(access, current).content if access.reach == "own" else current.content
    assert seen is not None
    if request.parsed is not None:
        content_type, body = "application/fhir+json", dumps(request.parsed)
    else:
        content_type, body = request.headers.get("content-type", ""), request.body
    patched = apply_patch(content_type, body, loads(seen))
    if isinstance(store, CompletesPatches):
        patched = await store.completed(connection, patched)
    _check(service, patched, store)
    return await _replace(service, connection, request, store, access, current, patched)


async def delete(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    access: Access,
    store: ResourceStore,
    id_: str,
) -> Answer:
    """DELETE [type]/[id]: 204, also when the resource is already gone or never existed."""
    try:
        current = await read_current(connection, store, access, id_, lock=True)
    except Gone as gone:
        return Answer(204, headers=dict(gone.headers))
    except NotFound:
        return Answer(204)
    _require_version(request, current)
    context = write_context(request, access)
    stored = await store.delete(connection, context, current)
    await service.audit(connection, request, "D", stored)
    return Answer(204, headers={"ETag": stored.etag}, stored=stored)


async def conditional_delete(
    service: FhirService, connection: Connection, request: FhirRequest, access: Access, store: ResourceStore
) -> Answer:
    """DELETE [type]?search: none or one as usual, many → 412 (conditionalDelete: single)."""
    found = await designated(service, connection, request, store.resource_type, request.query, "DELETE")
    return Answer(204) if found is None else await delete(service, connection, request, access, store, found)


async def _create(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    access: Access,
    store: ResourceStore,
    resource: Resource,
) -> Answer:
    """Creates a resource under a new id, or the id that its transaction has given it."""
    require_compartment(access, store, resource, request)
    context = write_context(request, access)
    stored = await store.create(connection, context, resource, request.given_id)
    await service.audit(connection, request, "C", stored)
    await audit_besides(service, connection, request, context)
    return written(service, access, stored, 201, context)


async def _put(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    store: ResourceStore,
    access: Access,
    id_: str,
    resource: Resource,
    *,
    free: bool = False,
) -> Answer:
    """Writes under an id; Conflict when the id has to be `free` and is not."""
    _require_id(store, id_)
    current = await store.lock(connection, id_)
    if current is not None:
        await require_visible(connection, store, access, id_, current, advice=not chooses_ids(access, store))
    if current is not None and not current.deleted:
        if free:
            raise Conflict(
                f"{store.resource_type}/{id_} existe déjà et ne correspond pas à la recherche. Corrigez la recherche, ou"
                " envoyez un autre identifiant, ou aucun. Rien n'a été écrit.",
                f"{store.resource_type}/{id_} exists already and does not match the search. Correct the search, or send"
                " another id, or none. Nothing was written.",
                code="duplicate",
                expression=f"{store.resource_type}.id",
            )
        if request.headers.get("if-none-match", "").strip() == "*":
            raise PreconditionFailed(
                f"{store.resource_type}/{id_} existe déjà.", f"{store.resource_type}/{id_} exists already."
            )
        resource = await _over(request, connection, store, current, resource)
        return await _replace(service, connection, request, store, access, current, resource)
    _require_client_ids(access, store, id_)
    if "if-match" in request.headers:
        raise PreconditionFailed(
            f"{store.resource_type}/{id_} n'existe pas : aucune version à laquelle comparer If-Match.",
            f"{store.resource_type}/{id_} does not exist: no version that If-Match could be compared with.",
        )
    context = replace(write_context(request, access), names_new=True)
    stored = (
        await store.create(connection, context, resource, id_)
        if current is None
        else await store.replace(connection, context, current, resource)
    )
    await service.audit(connection, request, "C", stored)
    await audit_besides(service, connection, request, context)
    return written(service, access, stored, 201, context)


async def _replace(
    service: FhirService,
    connection: Connection,
    request: FhirRequest,
    store: ResourceStore,
    access: Access,
    current: Stored,
    resource: Resource,
) -> Answer:
    require_compartment(access, store, resource, request)
    context = write_context(request, access)
    stored = await store.replace(connection, context, current, resource)
    await service.audit(connection, request, "U", stored)
    await audit_besides(service, connection, request, context)
    return written(service, access, stored, 200, context)


async def audit_besides(
    service: FhirService, connection: Connection, request: FhirRequest, context: WriteContext
) -> None:
    """Leaves the traces of what a write has created and changed besides."""
    for one in context.effects.besides:
        await service.audit(connection, request, "C" if one.version == 1 else "U", one)


def written(
    service: FhirService, access: Access, stored: Stored, status: int, context: WriteContext | None = None
) -> Answer:
    """The answer to a write: the address of the version that is now current, and that version, as far as the caller may see
    it."""
    address = service.location(stored)
    stored = service.as_shown(access, stored)
    more = context.effects.headers if context is not None else {}
    if context is not None and stored.id in context.effects.undecided:
        status = 202
    return Answer.of(stored, status, **{"Location": address, "Content-Location": address}, **more)


def checked(service: FhirService, request: FhirRequest, store: ResourceStore) -> Resource:
    """The resource in the body, after the checks of what may be stored of the type."""
    resource = request.resource()
    require_whole(resource)
    _check(service, resource, store)
    return resource


def checked_as(service: FhirService, request: FhirRequest, store: ResourceStore, id_: str) -> Resource:
    """As `checked`, for a resource to be stored under an id, which its body has to state."""
    resource = checked(service, request, store)
    if UUID.match(id_) and resource.get("id", "").lower() == id_:
        resource["id"] = id_
    if resource.get("id") != id_:
        raise BadRequest(
            f"L'identifiant du contenu ({resource.get('id') or 'absent'}) doit être celui de l'adresse ({id_}).",
            f"The id in the body ({resource.get('id') or 'none'}) must be that of the address ({id_}).",
            expression=f"{store.resource_type}.id",
        )
    _require_id(store, id_)
    return resource


def _require_id(store: ResourceStore, id_: str) -> None:
    if not ID.match(id_):
        raise BadRequest(
            f"« {id_} » n'est pas un identifiant FHIR (1 à 64 lettres, chiffres, tirets ou points).",
            f"“{id_}” is not a FHIR id (1 to 64 letters, digits, hyphens or dots).",
            expression=f"{store.resource_type}.id",
            code="value",
        )


def _check(service: FhirService, resource: Resource, store: ResourceStore) -> None:
    """The size, the type's definition and invariants, then the profiles that the resource declares."""
    service.bounds.check(resource)
    check(resource, store.resource_type)
    broken = [issue for issue in profile_issues(resource) if issue.severity == "error"]
    if broken:
        raise Unprocessable(issues=broken)


async def _over(
    request: FhirRequest, connection: Connection, store: ResourceStore, current: Stored, resource: Resource
) -> Resource:
    """Returns what to write over `current` when a client sends `resource` (a patch: nothing). PreconditionFailed when
    somebody else has changed it since the version in If-Match; changes by the server itself do not count."""
    header = request.headers.get("if-match")
    if header is not None and header.strip() != "*" and isinstance(store, MovesByItself):
        [version, *others] = sorted(entity_versions(header, "If-Match"))
        if not others and version < current.version:
            rebased = await store.rebased(connection, current, version, resource or None)
            if rebased is not None:
                return rebased
    _require_version(request, current)
    return resource


def _require_version(request: FhirRequest, current: Stored) -> None:
    header = request.headers.get("if-match")
    if header is None or header.strip() == "*":
        return
    if current.version not in entity_versions(header, "If-Match"):
        raise PreconditionFailed(
            f"{current.resource_type}/{current.id} a changé : sa version est {current.version}, vous avez lu {header}."
            " Relisez-la et recommencez.",
            f"{current.resource_type}/{current.id} has changed: its version is {current.version}, you had read {header}."
            " Read it again and retry.",
            headers={"ETag": current.etag},
        )


def chooses_ids(access: Access, store: ResourceStore) -> bool:
    """Whether the caller may choose ids: for types about persons, only the deployment itself may."""
    return access.reach == "all" or store.resource_type not in COMPARTMENT


def _require_client_ids(access: Access, store: ResourceStore, id_: str) -> None:
    """NotFound for a caller who may not choose ids, as for somebody else's resource: no id tells whether it is in use."""
    if not chooses_ids(access, store):
        raise unknown_resource(store.resource_type, id_, advice=True)


def require_meant(request: FhirRequest, found: str | None) -> None:
    """Conflict when a conditional entry of a transaction designates something else than when the references to it were
    written: somebody, or an earlier entry, wrote meanwhile. So no reference leads nowhere."""
    if request.meant_id is None or (found or request.given_id) == request.meant_id:
        return
    raise Conflict(
        "Ce que la condition désigne a changé pendant la transaction : rien n'a été écrit. Renvoyez-la.",
        "What the condition designates has changed during the transaction: nothing was written. Send it again.",
        expression=EXPRESSION if request.method == "POST" else "http.url",
        details_code="designated-meanwhile",
    )


def require_compartment(
    access: Access, store: ResourceStore, resource: Resource, request: FhirRequest
) -> None:
    """Forbidden unless a person writes only about themselves or people whom they represent; by a link, only about its one
    appointment. A practice's writes are judged where the owner is known (`generic.require_owned`)."""
    if access.reach != "own" or store.resource_type == "Patient":
        return
    terms = index_resource(store.resource_type, resource, base_url=request.base_url).terms
    about = {term.partition("=Patient/")[2] for term in person_terms(store.resource_type, terms)}
    by_link = access.principal.appointment is not None and access.action == "c"
    beyond = by_link and set(access.required or ()).isdisjoint(terms)
    if beyond or not about or not about <= (access.patient_ids or frozenset()):
        raise Forbidden(
            "Vous ne pouvez écrire que ce qui vous concerne, vous ou une personne que vous représentez.",
            "You can only write what concerns you or someone you represent.",
            expression=store.resource_type,
            details_code="not-yours",
        )
