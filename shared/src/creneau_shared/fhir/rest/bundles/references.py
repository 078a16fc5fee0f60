"""References between the entries of a transaction: ids are given before anything is written, and references are rewritten
to them (FHIR R4 bundle.html#references, http.html#trules)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, CreneauError, PreconditionFailed
from creneau_shared.fhir.rest.bundles.entries import RequestEntry, located
from creneau_shared.fhir.rest.bundles.links import rewrite_links
from creneau_shared.fhir.rest.bundles.work import CONDITIONAL_REFERENCE, texts
from creneau_shared.fhir.rest.conditions import asked_condition
from creneau_shared.fhir.rest.exchange import json_object
from creneau_shared.fhir.rest.matching import Criteria, Query, matching_ids, read_criteria, take_turn
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.ids import new_id


async def give_ids(
    service: FhirService, connection: Connection, entries: list[RequestEntry]
) -> Mapping[str, str]:
    """Maps each entry's fullUrl to its reference once stored: `urn:uuid:…` → `Patient/0199…`.

    A POST gets its id here, so that references to it can be written before it is. A conditional create or update that
    finds its match refers to the match. Rivals with the same conditions wait from here to the end of the transaction, so
    that a later search finds the same.
    """
    criteria = _conditions(service, entries)
    await take_turn(connection, criteria.values())
    given: dict[str, str] = {}
    by_meaning: dict[str, str] = {}
    for entry in entries:
        request = entry.request
        if len(request.path) == 2 and request.method == "PUT":
            reference = "/".join(request.path)
        elif len(request.path) == 1 and request.method in ("POST", "PUT") and request.parsed is not None:
            await _designate(service, connection, entry, criteria.get(entry.index), by_meaning)
            reference = f"{request.path[0]}/{request.meant_id or request.given_id}"
        else:
            continue
        if entry.full_url:
            if entry.full_url in given:
                raise BadRequest(
                    f"Deux entrées portent le même fullUrl {entry.full_url}.",
                    f"Two entries have the same fullUrl {entry.full_url}.",
                    expression=f"Bundle.entry[{entry.index}].fullUrl",
                )
            given[entry.full_url] = reference
    return given


def _conditions(service: FhirService, entries: list[RequestEntry]) -> dict[int, Criteria]:
    """The conditions of the entries that write conditionally, by the index of the entry."""
    found: dict[int, Criteria] = {}
    for entry in entries:
        request = entry.request
        if len(request.path) != 1:
            continue
        try:
            resource_type = service.served(request.path[0]).store.resource_type
            query: Query | None = request.query
            if request.method == "POST":
                query = asked_condition(request, resource_type)
            elif request.method not in ("PUT", "PATCH", "DELETE"):
                query = None
            if query is not None:
                found[entry.index] = read_criteria(service, request, resource_type, query)
        except CreneauError as error:
            raise located(error, entry.index) from error
    return found


async def _designate(
    service: FhirService,
    connection: Connection,
    entry: RequestEntry,
    criteria: Criteria | None,
    by_meaning: dict[str, str],
) -> None:
    """Sets the id of the entry's resource: that of its match, or a new one. Entries with the same condition are about
    the same resource."""
    request = entry.request
    if criteria is None:
        request.given_id = new_id()
        return
    try:
        found = await matching_ids(service, connection, request, criteria)
    except CreneauError as error:
        raise located(error, entry.index) from error
    if len(found) > 1:
        return  # several matches: the entry is refused when its turn comes
    if found:
        request.meant_id = found[0]
        return
    own = (request.parsed or {}).get("id") if request.method == "PUT" else None
    request.given_id = request.meant_id = by_meaning.setdefault(criteria.meaning, own or new_id())


_RESTFUL = re.compile(r"^(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}\Z")


_VERSION = "/_history/"
_OF_THE_BUNDLE = ("urn:uuid:", "urn:oid:")
"""prefixes of references that can only lead to another entry of the same Bundle"""


async def rewrite(
    service: FhirService,
    connection: Connection,
    entry: RequestEntry,
    given: Mapping[str, str],
    found: dict[str, str],
) -> None:
    """Rewrite, in place, the references to other entries and the conditional references of one resource.

    A relative reference names the entry whose fullUrl it completes (FHIR R4 bundle.html#references). `found` has what the
    conditional references of the Bundle designate: each is searched for once.
    """
    root = _RESTFUL.match(entry.full_url or "")
    resource = json_object(entry.request.parsed)
    entry.refers_to |= rewrite_links(resource, given)
    for where, node, name, value in texts(resource):
        if name != "reference":
            continue
        if (meant := _entry_meant(value, root[1] if root else None, given)) is not None:
            node[name] = _of_version(value, meant)
            entry.refers_to.add(meant)
        elif match := CONDITIONAL_REFERENCE.match(value):
            try:
                if value not in found:
                    found[value] = await _resolve_condition(service, connection, entry, match[1], match[2])
                node[name] = found[value]
            except CreneauError as error:
                issues = [replace(issue, expression=(where,)) for issue in error.issues]
                raise located(type(error)(issues=issues, headers=error.headers), entry.index) from error
    if lost := lost_reference(resource):
        raise located(
            BadRequest(
                f"La référence « {lost[1]} » ne mène à aucune entrée de ce Bundle. Donnez ce fullUrl à l'entrée voulue, ou"
                " la référence d'une ressource enregistrée (Patient/12). Rien n'a été fait.",
                f"The reference “{lost[1]}” leads to no entry of this Bundle. Give that fullUrl to the entry that is meant,"
                " or the reference of a stored resource (Patient/12). Nothing was done.",
                code="value",
                expression=lost[0],
            ),
            entry.index,
        )


def _entry_meant(reference: str, root: str | None, given: Mapping[str, str]) -> str | None:
    """The entry that a reference, of whatever version, leads to, as it will be stored; `root` completes a relative one."""
    target = reference.partition(_VERSION)[0]
    return given.get(target) or (given.get(f"{root}{target}") if root else None)


def _of_version(reference: str, meant: str) -> str:
    """The reference as it is stored: a version of a resource that has its id already stays, one of a resource that gets its
    id here was the client's choice alone."""
    target, _, version = reference.partition(_VERSION)
    return f"{meant}{_VERSION}{version}" if version and f"/{target}".endswith(f"/{meant}") else meant


def lost_reference(resource: Resource) -> tuple[str, str] | None:
    """The first reference that could only lead to an entry: its path and text. None for a Bundle, which has its own."""
    if resource.get("resourceType") == "Bundle":
        return None
    named = ((where, value) for where, _, name, value in texts(resource) if name == "reference")
    return next(((where, value) for where, value in named if value.startswith(_OF_THE_BUNDLE)), None)


async def _resolve_condition(
    service: FhirService, connection: Connection, entry: RequestEntry, resource_type: str, query: str
) -> str:
    """The reference that a condition designates, among what this service holds or knows of other services."""
    if resource_type not in service.types and service.catalog.find(resource_type) is None:
        raise BadRequest(
            f"Cette transaction ne peut pas chercher parmi les {resource_type}. Cherchez d'abord la ressource"
            f" (GET {resource_type}?{query}), puis donnez sa référence ({resource_type}/12).",
            f"This transaction cannot search for {resource_type}. Search for the resource first"
            f" (GET {resource_type}?{query}), then give its reference ({resource_type}/12).",
            code="not-supported",
        )
    criteria = read_criteria(service, entry.request, resource_type, query)
    found = await matching_ids(service, connection, entry.request, criteria)
    if len(found) != 1:
        how_many_fr, how_many_en = (
            ("aucune ressource", "no resource") if not found else ("plusieurs", "several")
        )
        raise PreconditionFailed(
            f"La référence « {resource_type}?{query} » doit désigner exactement une ressource ; {how_many_fr} trouvée(s).",
            f"The reference “{resource_type}?{query}” must designate exactly one resource; {how_many_en} found.",
            code="multiple-matches" if found else "not-found",
        )
    return f"{resource_type}/{found[0]}"
