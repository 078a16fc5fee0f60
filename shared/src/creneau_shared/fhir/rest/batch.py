"""batch and transaction Bundles (FHIR R4 http.html#transaction).

A batch is a list of requests that know nothing of each other, answered in their order. A transaction is one
database transaction: its entries run in FHIR's order (DELETE, POST, PUT and PATCH, GET and HEAD), references
between them are rewritten to the ids that were given, and one failure undoes it all.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from creneau_shared import functions
from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, CreneauError, PreconditionFailed
from creneau_shared.fhir.audit import PURPOSE_HEADER
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.bounds import BUNDLE_ENTRIES_MAX
from creneau_shared.fhir.rest.conditions import EXPRESSION, asked_condition
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, json_object
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.idempotency import remember, remembered
from creneau_shared.fhir.rest.matching import Criteria, Query, matching_ids, read_criteria, take_turn
from creneau_shared.fhir.rest.reading import require_visible
from creneau_shared.fhir.rest.returning import done, is_written
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.rest.together import runs, write_together
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import check
from creneau_shared.ids import new_id
from creneau_shared.security.principal import Action

URL_PARAMETERS_MAX = 200
BATCH_PARALLEL = 4
"""entries of a batch, or runs of them (`together`), that are carried out at once"""
METHOD_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
GIVING_RIGHTS = frozenset({"Patient", "RelatedPerson"})
"""types whose creation may let its author do more: whoever registers a person acts for them from then on"""
PRECONDITIONS = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifModifiedSince": "if-modified-since",
    "ifNoneExist": "if-none-exist",
}


@dataclass
class RequestEntry:
    """One entry of the Bundle, with its place in it."""

    index: int
    full_url: str | None
    request: FhirRequest
    refers_to: set[str] = field(default_factory=set)
    """the other entries' resources that this one's refers to, as they will be called"""


class Carrier(Protocol):
    """Who carries out the entries: whoever was sent the Bundle."""

    async def handle(self, request: FhirRequest) -> Answer:
        """Carry out an entry of a batch, as a request of its own."""
        ...

    async def take_part(self, connection: Connection, request: FhirRequest) -> Answer:
        """Carry out an entry of a transaction, as a part of it."""
        ...


async def process(service: FhirService, carrier: Carrier, request: FhirRequest) -> Answer:
    """POST [base] with a Bundle of type batch or transaction; 200 with the response Bundle."""
    bundle = request.resource()
    check_bundle(bundle)
    entries = [_entry(request, index, entry) for index, entry in enumerate(bundle.get("entry", []))]
    functions.tell(
        e.request.path[0] for e in entries if e.request.method not in ("GET", "HEAD") and e.request.path
    )
    if bundle["type"] == "transaction":
        return await _transaction(service, carrier, request, entries)
    if not service.in_transaction:  # an asynchronous batch is one, and its key was kept when it was accepted
        refuse_key(request.headers)
    answers = await _batch(service, carrier, entries)
    _observe(service, entries, answers)
    return _told("batch", entries, answers)


def refuse_key(headers: Mapping[str, str]) -> None:
    """BadRequest for an Idempotency-Key on a batch: its entries are carried out apart, so that no key could be kept with
    all of them."""
    if "idempotency-key" in headers:
        raise BadRequest(
            "Un batch n'accepte pas d'Idempotency-Key : ses entrées s'exécutent chacune pour soi. Envoyez une transaction,"
            " ou chaque demande seule avec sa clé, ou le batch avec Prefer: respond-async s'il porte sur un seul service."
            " Rien n'a été fait.",
            "A batch takes no Idempotency-Key: its entries are carried out each for itself. Send a transaction, or each"
            " request alone with its key, or the batch with Prefer: respond-async if it is about one service."
            " Nothing was done.",
            code="not-supported",
            expression="http.idempotency-key",
        )


def entry_count(bundle: Resource) -> int:
    """How many entries a Bundle says it has, whatever else is wrong with it."""
    entries = bundle.get("entry")
    return min(len(entries), BUNDLE_ENTRIES_MAX) if isinstance(entries, list) else 0


def check_bundle(bundle: Resource) -> None:
    """Refuse what is no batch or transaction, what is too long, and entries without a usable request.

    The resources in the entries are checked when their turn comes, so that in a batch one bad entry fails alone.
    """
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") not in ("batch", "transaction"):
        raise BadRequest(
            "Cette adresse reçoit un Bundle de type batch ou transaction.",
            "This address takes a Bundle of type batch or transaction.",
            expression="Bundle.type",
            code="value",
        )
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise BadRequest("Bundle.entry est une liste.", "Bundle.entry is a list.", expression="Bundle.entry")
    if len(entries) > BUNDLE_ENTRIES_MAX:
        raise BadRequest(
            f"Un Bundle porte au plus {BUNDLE_ENTRIES_MAX} entrées ; celui-ci en a {len(entries)}.",
            f"A Bundle holds at most {BUNDLE_ENTRIES_MAX} entries; this one has {len(entries)}.",
            code="too-costly",
            expression="Bundle.entry",
        )
    check({**bundle, "entry": [_bare(entry) for entry in entries]} if entries else bundle, "Bundle")
    for index, entry in enumerate(entries):
        if "request" not in entry:
            raise BadRequest(
                f"L'entrée {index} n'a pas de request.",
                f"Entry {index} has no request.",
                code="required",
                expression=f"Bundle.entry[{index}].request",
            )


def _bare(entry: Any) -> Any:
    """The entry without its resource; one that held nothing else keeps something to be checked."""
    if not isinstance(entry, dict):
        return entry
    rest = {name: value for name, value in entry.items() if name != "resource"}
    return rest or {"request": None}


def _entry(outer: FhirRequest, index: int, entry: Resource) -> RequestEntry:
    wanted = entry["request"]
    path, query = split_url(wanted["url"], outer.base_url, index)
    headers = {
        name: value
        for name, value in outer.headers.items()
        if name in ("authorization", "accept-language", "prefer", PURPOSE_HEADER)
    }
    headers |= {
        header: _header_value(wanted[name], name, index)
        for name, header in PRECONDITIONS.items()
        if name in wanted
    }
    headers["content-type"] = "application/fhir+json"
    body = b""
    resource = entry.get("resource")
    if isinstance(resource, dict) and resource.get("resourceType") == "Binary":
        # JSON Patch travels in a Bundle as a Binary (FHIR R4 http.html#jsonpatch)
        headers["content-type"] = _header_value(str(resource.get("contentType", "")), None, index)
        body, resource = _base64(resource.get("data", ""), index), None
    request = replace(
        outer,
        method=wanted["method"],
        path=path,
        query=query,
        headers=headers,
        body=body,
        parsed=resource,
        rights=None,
    )
    return RequestEntry(index, entry.get("fullUrl"), request)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def _header_value(value: str, name: str | None, index: int) -> str:
    """What an entry gives in place of a header; BadRequest for what no header could hold (RFC 9110 5.5)."""
    if _CONTROL.search(value):
        where = f"request.{name}" if name else "resource.contentType"
        raise BadRequest(
            f"Bundle.entry[{index}].{where} contient un caractère de commande.",
            f"Bundle.entry[{index}].{where} holds a control character.",
            expression=f"Bundle.entry[{index}].{where}",
            code="value",
            details_code="control-character",
        )
    return value


def _base64(data: Any, index: int) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError) as error:
        raise BadRequest(
            "Binary.data n'est pas du base64.",
            "Binary.data is not base64.",
            expression=f"Bundle.entry[{index}].resource.data",
        ) from error


_ELSEWHERE = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:|//|\\)")
"""an address with a scheme or a host of its own (RFC 3986 4.2)"""


def split_url(url: str, base_url: str, index: int) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """The path segments and the parameters of an entry's `request.url`, which may be absolute in our own base."""
    below = url.removeprefix(base_url)
    if _ELSEWHERE.match(url) and (below == url or below[:1] not in ("/", "?", "")):
        raise BadRequest(
            f"L'adresse « {url} » n'est pas dans cette base ({base_url}) ; donnez-la relative : Slot/12.",
            f"The address “{url}” is not in this base ({base_url}); give it relative: Slot/12.",
            expression=f"Bundle.entry[{index}].request.url",
            code="value",
            details_code="foreign-address",
        )
    try:
        parts = urlsplit(below.lstrip("/"))
        query = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=URL_PARAMETERS_MAX)
    except ValueError as error:
        raise BadRequest(
            f"L'adresse « {url} » est illisible.",
            f"The address “{url}” is unreadable.",
            expression=f"Bundle.entry[{index}].request.url",
            code="value",
        ) from error
    return tuple(unquote(part) for part in parts.path.split("/") if part), query


async def _batch(service: FhirService, carrier: Carrier, entries: list[RequestEntry]) -> list[Answer]:
    refused = {entry.index: answer for entry in entries if (answer := _refused_in_batch(entry)) is not None}
    carried_out = [entry for entry in entries if entry.index not in refused]
    answers = iter(await _each(service, carrier, carried_out))
    return [refused.get(entry.index) or next(answers) for entry in entries]


async def _each(service: FhirService, carrier: Carrier, entries: list[RequestEntry]) -> list[Answer]:
    """Carry out the entries of a batch, a few at once; their answers, in their order."""
    parts = [entries[part] for part in runs(service, [entry.request for entry in entries])]
    if service.in_transaction:
        return [answer for part in parts for answer in await _run(service, carrier, part)]
    places = asyncio.Semaphore(BATCH_PARALLEL)

    async def one(part: list[RequestEntry]) -> list[Answer]:
        async with places:
            return await _run(service, carrier, part)

    return [answer for answers in await asyncio.gather(*map(one, parts)) for answer in answers]


async def _run(service: FhirService, carrier: Carrier, part: list[RequestEntry]) -> list[Answer]:
    """Entries of a batch that follow each other: together as far as can be, else one by one."""
    try:
        answers = await write_together(service, [entry.request for entry in part])
    except Exception as error:
        return [failure(error, entry.request.language) for entry in part]
    return [
        answer or await _apart(service, carrier, entry) for entry, answer in zip(part, answers, strict=True)
    ]


async def _apart(service: FhirService, carrier: Carrier, entry: RequestEntry) -> Answer:
    """One entry of a batch; what fails undoes itself alone, also where it shares its transaction with the others."""
    try:
        if not service.in_transaction:
            return await _handle(service, carrier, entry)
        async with service.transaction():
            return await _handle(service, carrier, entry)
    except Exception as error:
        return failure(error, entry.request.language)


async def _handle(service: FhirService, carrier: Carrier, entry: RequestEntry) -> Answer:
    """One entry, as a request of its own; its resource is no larger than such a request's could be."""
    if entry.request.parsed is not None:
        service.bounds.check_size(entry.request.parsed)
    return await carrier.handle(entry.request)


async def _transaction(
    service: FhirService, carrier: Carrier, outer: FhirRequest, entries: list[RequestEntry]
) -> Answer:
    """All or nothing, once for each Idempotency-Key."""
    _require_distinct(entries)
    _require_held(service, entries)
    key, said = outer.headers.get("idempotency-key"), outer.resource()
    async with service.transaction() as connection:
        if key is not None:
            earlier = await remembered(connection, outer, key, said)
            if earlier is not None:
                await _require_still_visible(service, connection, outer, earlier)
                await service.audit_replay(connection, outer, "Bundle", earlier)
                return earlier
        answers = await _all(service, carrier, connection, outer, entries)
        answer = _told("transaction", entries, answers)
        if key is not None:
            await remember(connection, outer, key, said, answer)
    _observe(service, entries, answers)
    return answer


async def _all(
    service: FhirService,
    carrier: Carrier,
    connection: Connection,
    outer: FhirRequest,
    entries: list[RequestEntry],
) -> list[Answer]:
    """Carry out the entries of a transaction; their answers, in the order in which they were sent."""
    answers: list[Answer | None] = [None] * len(entries)
    for entry in entries:
        entry.request.rights = outer.rights
    given = await _give_ids(service, connection, entries)
    for entry in entries:
        if entry.request.parsed is not None:
            await _rewrite(service, connection, entry, given)
    written: dict[tuple[str, str], int] = {}
    ordered = _in_order(entries, given)
    for part in runs(service, [entry.request for entry in ordered]):
        done = await write_together(service, [entry.request for entry in ordered[part]])
        for entry, answer in zip(ordered[part], done, strict=True):
            answers[entry.index] = answer or await _take_part(carrier, connection, outer, entry)
            _require_once(entry, answers[entry.index], written)
            if entry.request.method == "POST" and entry.request.path[0] in GIVING_RIGHTS:
                await service.resolve_again(connection, outer)
                for other in entries:
                    other.request.rights = outer.rights
    return [answer for answer in answers if answer is not None]


async def _require_still_visible(
    service: FhirService, connection: Connection, request: FhirRequest, answer: Answer
) -> None:
    """NotFound unless all that a kept answer tells of lies within what the caller reaches now; what the transaction itself
    has given them, since they asked, counts."""
    await service.resolve_again(connection, request)
    for resource_type, id_ in sorted(_told_of(service, loads(answer.content or b"{}"))):
        actions: tuple[Action, ...] = ("r", "c", "u")
        reached = (request.access_if_any(resource_type, action) for action in actions)
        access = next((access for access in reached if access is not None), None)
        store = service.types[resource_type].store
        await require_visible(connection, store, access or request.access(resource_type, "r"), id_)


def _told_of(service: FhirService, answered: Resource) -> set[tuple[str, str]]:
    """Types and ids of what a response Bundle holds, or says that it has written."""
    found: set[tuple[str, str]] = set()
    pending: list[Any] = [answered]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending += node
        elif isinstance(node, dict):
            if node.get("resourceType") in service.types:
                found.add((node["resourceType"], str(node.get("id"))))
                continue
            if isinstance(location := node.get("location"), str):
                resource_type, _, id_ = location.partition("/_history/")[0].rpartition("/")
                found.add((resource_type.rpartition("/")[2], id_))
            pending += node.values()
    return {(resource_type, id_) for resource_type, id_ in found if resource_type in service.types}


async def _take_part(
    carrier: Carrier, connection: Connection, outer: FhirRequest, entry: RequestEntry
) -> Answer:
    try:
        return await carrier.take_part(connection, entry.request)
    except CreneauError as error:
        outer.refused = entry.request
        raise _located(error, entry.index) from error


def _in_order(entries: list[RequestEntry], given: Mapping[str, str]) -> list[RequestEntry]:
    """FHIR's order of methods; among those that write, what another entry refers to stands before it."""
    named = {given[entry.full_url]: entry for entry in entries if entry.full_url and entry.full_url in given}
    ordered: list[RequestEntry] = []
    begun: set[int] = set()

    def place(first: RequestEntry) -> None:
        pending = [(first, iter(sorted(first.refers_to)))]
        begun.add(first.index)
        while pending:
            entry, needs = pending[-1]
            needed = next((named[name] for name in needs if named[name].index not in begun), None)
            if needed is None:
                ordered.append(entry)
                pending.pop()
            else:
                begun.add(needed.index)
                pending.append((needed, iter(sorted(needed.refers_to))))

    for entry in sorted(entries, key=lambda entry: METHOD_ORDER.get(entry.request.method, 3)):
        if entry.index not in begun:
            place(entry)
    return ordered


def _located(error: CreneauError, index: int) -> CreneauError:
    """The same failure, said to be that of one entry."""
    where = f"Bundle.entry[{index}]"
    issues = [
        replace(issue, expression=tuple(_within(where, e) for e in issue.expression) or (where,))
        for issue in error.issues
    ]
    return type(error)(issues=issues, headers=error.headers)


def _within(where: str, expression: str) -> str:
    """`Patient.name` → `Bundle.entry[0].resource.name`; what is about the address (`http.…`) → its request.url."""
    if expression.startswith("Bundle."):
        return expression
    if expression == EXPRESSION:
        return f"{where}.request.ifNoneExist"
    head, _, rest = expression.partition(".")
    if not head[:1].isupper():
        return f"{where}.request.url"
    return f"{where}.resource.{rest}" if rest else f"{where}.resource"


def _require_distinct(entries: list[RequestEntry]) -> None:
    """The same resource may be named by one writing entry only."""
    seen: dict[tuple[str, ...], int] = {}
    for entry in entries:
        if entry.request.method in ("PUT", "PATCH", "DELETE") and len(entry.request.path) == 2:
            earlier = seen.setdefault(entry.request.path, entry.index)
            if earlier != entry.index:
                raise _twice(earlier, entry.index)


def _require_once(entry: RequestEntry, answer: Answer | None, written: dict[tuple[str, str], int]) -> None:
    """The same for entries whose resource a search designated: it is known once they have been carried out."""
    stored = answer.stored if answer is not None else None
    if stored is None or entry.request.method in ("GET", "HEAD"):
        return
    if entry.request.method == "POST" and answer is not None and answer.status != 201:
        return  # a conditional create that found its match has written nothing
    earlier = written.setdefault((stored.resource_type, stored.id), entry.index)
    if earlier != entry.index:
        raise _twice(earlier, entry.index)


def _twice(earlier: int, later: int) -> BadRequest:
    return BadRequest(
        f"Les entrées {earlier} et {later} portent sur la même ressource.",
        f"Entries {earlier} and {later} are about the same resource.",
        expression=f"Bundle.entry[{later}].request.url",
    )


def _require_held(service: FhirService, entries: list[RequestEntry]) -> None:
    """A transaction is one database's: types that live elsewhere are named, and nothing is done."""
    elsewhere = sorted(
        {e.request.path[0] for e in entries if e.request.path and e.request.path[0] not in service.types}
    )
    if elsewhere:
        raise BadRequest(
            f"Une transaction ne peut porter que sur les types d'un même service ; hors de celui-ci : {', '.join(elsewhere)}."
            " Envoyez un batch, ou une transaction par service.",
            f"A transaction can only be about the types of one service; not of this one: {', '.join(elsewhere)}."
            " Send a batch, or one transaction a service.",
            code="not-supported",
            expression="Bundle.entry",
        )


async def _give_ids(
    service: FhirService, connection: Connection, entries: list[RequestEntry]
) -> Mapping[str, str]:
    """What each entry's fullUrl will be called once stored: `urn:uuid:…` → `Patient/0199…`.

    A POST becomes a PUT under the id that is given here, so that references to it can be written before it is;
    a conditional create or update that finds its match refers to the match. Rivals of the conditions wait from here to
    the end of the transaction, so that what is found now is what will be found.
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
    """The conditions of the entries that write by one."""
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
            raise _located(error, entry.index) from error
    return found


async def _designate(
    service: FhirService,
    connection: Connection,
    entry: RequestEntry,
    criteria: Criteria | None,
    by_meaning: dict[str, str],
) -> None:
    """Say by which id the entry's resource will be known: that of its match, or one that is given to it here. Entries
    with the same condition are about the same resource."""
    request = entry.request
    if criteria is None:
        request.given_id = new_id()
        return
    try:
        found = await matching_ids(service, connection, request, criteria)
    except CreneauError as error:
        raise _located(error, entry.index) from error
    if len(found) > 1:
        return  # which the entry is refused for, when its turn comes
    if found:
        request.meant_id = found[0]
        return
    own = (request.parsed or {}).get("id") if request.method == "PUT" else None
    request.given_id = request.meant_id = by_meaning.setdefault(criteria.meaning, own or new_id())


_RESTFUL = re.compile(r"^(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}\Z")
_CONDITIONAL_REFERENCE = re.compile(r"^([A-Z][A-Za-z]+)\?(.+)$")


_OF_THE_BUNDLE = ("urn:uuid:", "urn:oid:")
"""what a reference to another entry begins with, which leads nowhere but within its Bundle"""


def _texts(resource: Resource) -> Iterator[tuple[str, Resource, str, str]]:
    """Every text of a resource: where it stands, in which element, by which name, and the text."""
    pending: list[tuple[str, Any]] = [(str(resource.get("resourceType")), resource)]
    while pending:
        where, node = pending.pop()
        if isinstance(node, list):
            pending += ((f"{where}[{index}]", item) for index, item in enumerate(node))
        elif isinstance(node, dict):
            for name, value in node.items():
                if isinstance(value, str):
                    yield f"{where}.{name}", node, name, value
                else:
                    pending.append((f"{where}.{name}", value))


async def _rewrite(
    service: FhirService, connection: Connection, entry: RequestEntry, given: Mapping[str, str]
) -> None:
    """Rewrite, in place, the references to other entries and the conditional references of one resource.

    A relative reference names the entry whose fullUrl it completes (FHIR R4 bundle.html#references).
    """
    root = _RESTFUL.match(entry.full_url or "")
    resource = json_object(entry.request.parsed)
    for where, node, name, value in _texts(resource):
        if value in given and name in ("reference", "url", "valueUri", "valueUrl", "uri"):
            node[name] = given[value]
            entry.refers_to.add(given[value])
        elif name == "reference" and root and f"{root[1]}{value}" in given:
            node[name] = given[f"{root[1]}{value}"]
            entry.refers_to.add(node[name])
        elif name == "reference" and (match := _CONDITIONAL_REFERENCE.match(value)):
            try:
                node[name] = await _resolve_condition(service, connection, entry, match[1], match[2])
            except CreneauError as error:
                issues = [replace(issue, expression=(where,)) for issue in error.issues]
                raise _located(type(error)(issues=issues, headers=error.headers), entry.index) from error
    if lost := _lost_reference(resource):
        raise _located(
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


def _lost_reference(resource: Resource) -> tuple[str, str] | None:
    """The first reference that could only lead to an entry, and where it stands. A Bundle has entries of its own."""
    if resource.get("resourceType") == "Bundle":
        return None
    texts = ((where, value) for where, _, name, value in _texts(resource) if name == "reference")
    return next(((where, value) for where, value in texts if value.startswith(_OF_THE_BUNDLE)), None)


def _refused_in_batch(entry: RequestEntry) -> Answer | None:
    """The answer to an entry of a batch that refers to another, or to none."""
    lost = _lost_reference(json_object(entry.request.parsed))
    if lost is None:
        return None
    refusal = BadRequest(
        f"La référence « {lost[1]} » ne mène à rien : les entrées d'un batch ne se connaissent pas. Envoyez une transaction,"
        " ou la référence d'une ressource enregistrée (Patient/12).",
        f"The reference “{lost[1]}” leads nowhere: the entries of a batch know nothing of each other. Send a transaction,"
        " or the reference of a stored resource (Patient/12).",
        code="value",
        expression=lost[0],
    )
    return failure(refusal, entry.request.language)


async def _resolve_condition(
    service: FhirService, connection: Connection, entry: RequestEntry, resource_type: str, query: str
) -> str:
    """The reference to what a condition designates, among what this service has or knows of another's."""
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


def _observe(service: FhirService, entries: list[RequestEntry], answers: list[Answer]) -> None:
    for entry, answer in zip(entries, answers, strict=True):
        service.observe(entry.request, answer.status)


def _told(kind: str, entries: list[RequestEntry], answers: list[Answer]) -> Answer:
    """200 with the response Bundle."""
    told = [_response(entry.request, answer) for entry, answer in zip(entries, answers, strict=True)]
    return Answer(200, response_bundle(kind, told))


def _response(request: FhirRequest, answer: Answer) -> dict[str, Any]:
    """The response entry, with the stored bytes spliced in. `Prefer: return` is about what is written, not what is read."""
    response: dict[str, Any] = {"status": str(answer.status)}
    if location := answer.headers.get("Location"):
        response["location"] = location
    if etag := answer.headers.get("ETag"):
        response["etag"] = etag
    if answer.stored is not None:
        response["lastModified"] = instant(answer.stored.last_updated)
    returning = "representation" if request.method in ("GET", "HEAD") else request.prefer.returning
    part: dict[str, Any] = {}
    if answer.content is not None and answer.status >= 400:
        response["outcome"] = orjson.Fragment(answer.content)
    elif returning == "OperationOutcome" and is_written(answer):
        response["outcome"] = orjson.Fragment(done(answer, request.language))
    elif answer.content is not None and not (returning == "minimal" and answer.stored is not None):
        part["resource"] = orjson.Fragment(answer.content)
    part["response"] = response
    return part


def response_bundle(kind: str, parts: list[dict[str, Any]]) -> bytes:
    """The Bundle of type batch-response or transaction-response."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "id": new_id(), "type": f"{kind}-response"}
    if parts:
        bundle["entry"] = parts
    return orjson.dumps(bundle)
