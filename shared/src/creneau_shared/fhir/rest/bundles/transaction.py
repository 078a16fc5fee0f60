"""transaction Bundles (FHIR R4 http.html#transaction): one database transaction.

The entries run in FHIR's order (DELETE, POST, PUT and PATCH, GET and HEAD), references between them are rewritten to the ids
that were given, and one failure undoes it all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from creneau_shared.database.pool import Connection
from creneau_shared.errors import BadRequest, CreneauError
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.rest.bounds import BundleAnswers
from creneau_shared.fhir.rest.bundles.entries import RequestEntry, located
from creneau_shared.fhir.rest.bundles.references import give_ids, rewrite
from creneau_shared.fhir.rest.bundles.response import told
from creneau_shared.fhir.rest.bundles.together import runs, write_together
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.idempotency import check_key, remember, remembered
from creneau_shared.fhir.rest.reading import require_visible
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.principal import Action

METHOD_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}
GIVING_RIGHTS = frozenset({"Patient", "RelatedPerson"})
"""types whose creation may let its author do more: whoever registers a person acts for them from then on"""


class PartCarrier(Protocol):
    """Carries out the entries: the server that received the Bundle."""

    def judge(self, request: FhirRequest) -> None:
        """Raise what forbids an entry to its author, whose rights are known. Nothing is read or written."""
        ...

    async def take_part(self, connection: Connection, request: FhirRequest) -> Answer:
        """Carry out an entry, as a part of the transaction."""
        ...


async def process(
    service: FhirService, carrier: PartCarrier, outer: FhirRequest, entries: list[RequestEntry]
) -> Answer:
    """200 with the response Bundle: all or nothing, and once for each Idempotency-Key, where something is changed."""
    _require_distinct(entries)
    _require_held(service, entries)
    key, said = _key(outer, entries), outer.resource()
    _require_allowed(carrier, outer, entries)
    async with service.transaction() as connection:
        if key is not None:
            earlier = await remembered(connection, outer, key, said)
            if earlier is not None:
                await _require_still_visible(service, connection, outer, earlier)
                await service.audit_replay(connection, outer, "Bundle", earlier)
                return earlier
        answers = await _all(service, carrier, connection, outer, entries)
        answer = told("transaction", entries, answers)
        if key is not None:
            await remember(connection, outer, key, said, answer)
    for entry, one in zip(entries, answers, strict=True):
        service.observe(entry.request, one.status)
    return answer


def _key(outer: FhirRequest, entries: list[RequestEntry]) -> str | None:
    """The key with which the answer is kept. None where only reads are asked for, which can be asked for again, and of
    nobody, who shares no key with everybody, and may write nothing. BadRequest for a key that cannot be kept.
    """
    key = outer.headers.get("idempotency-key")
    if key is None:
        return None
    check_key(key)
    keeps = not outer.principal.anonymous and not all(entry.only_reads for entry in entries)
    return key if keeps else None


async def _all(
    service: FhirService,
    carrier: PartCarrier,
    connection: Connection,
    outer: FhirRequest,
    entries: list[RequestEntry],
) -> list[Answer]:
    """Carry out the entries of a transaction; their answers, in the order in which they were sent."""
    answers: list[Answer | None] = [None] * len(entries)
    given, found = await give_ids(service, connection, entries), dict[str, str]()
    for entry in entries:
        if entry.request.parsed is not None:
            await rewrite(service, connection, entry, given, found)
    answered = BundleAnswers(service.bounds.bundle_answer_bytes_max, outer.meter)
    written: dict[tuple[str, str], int] = {}
    ordered = _in_order(entries, given)
    for part in runs(service, [entry.request for entry in ordered]):
        done = await write_together(service, [entry.request for entry in ordered[part]])
        for entry, answer in zip(ordered[part], done, strict=True):
            answer = answer or await _take_part(carrier, connection, outer, entry, answered)
            answered.add(answer.content)
            answers[entry.index] = answer
            _require_once(entry, answer, written)
            if _may_give_rights(entry):
                await service.resolve_again(connection, outer)
                for other in entries:
                    other.request.rights = outer.rights
    return [answer for answer in answers if answer is not None]


async def _require_still_visible(
    service: FhirService, connection: Connection, request: FhirRequest, answer: Answer
) -> None:
    """NotFound unless the caller now reaches everything that a kept answer tells of. Rights that the transaction itself
    gave them count."""
    await service.resolve_again(connection, request)
    for resource_type, id_ in sorted(_told_of(service, loads(answer.content or b"{}"))):
        actions: tuple[Action, ...] = ("r", "c", "u")
        reached = (request.access_if_any(resource_type, action) for action in actions)
        access = next((access for access in reached if access is not None), None)
        store = service.types[resource_type].store
        await require_visible(connection, store, access or request.access(resource_type, "r"), id_)


def _told_of(service: FhirService, answered: Resource) -> set[tuple[str, str]]:
    """Types and ids of the resources that a response Bundle holds, or says were written."""
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
    carrier: PartCarrier,
    connection: Connection,
    outer: FhirRequest,
    entry: RequestEntry,
    answered: BundleAnswers,
) -> Answer:
    with _of_entry(outer, entry):
        answered.require_room()
        return await carrier.take_part(connection, entry.request)


@contextmanager
def _of_entry(outer: FhirRequest, entry: RequestEntry) -> Iterator[None]:
    """A refusal within is located in this entry, and traced as its refusal."""
    try:
        yield
    except CreneauError as error:
        outer.refused = entry.request
        raise located(error, entry.index) from error


def _may_give_rights(entry: RequestEntry) -> bool:
    return entry.request.method == "POST" and entry.request.path[0] in GIVING_RIGHTS


def _in_order(entries: list[RequestEntry], given: Mapping[str, str]) -> list[RequestEntry]:
    """FHIR's order of methods; an entry comes after the entries that it refers to."""
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


def _require_distinct(entries: list[RequestEntry]) -> None:
    """BadRequest when two writing entries name the same resource."""
    seen: dict[tuple[str, ...], int] = {}
    for entry in entries:
        if entry.request.method in ("PUT", "PATCH", "DELETE") and len(entry.request.path) == 2:
            earlier = seen.setdefault(entry.request.path, entry.index)
            if earlier != entry.index:
                raise _twice(earlier, entry.index)


def _require_once(entry: RequestEntry, answer: Answer | None, written: dict[tuple[str, str], int]) -> None:
    """BadRequest when two entries wrote the same resource. One that a search designated is known only afterwards."""
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
    """BadRequest that names the types of other services: a transaction is one database's. Nothing is done."""
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


def _require_allowed(carrier: PartCarrier, outer: FhirRequest, entries: list[RequestEntry]) -> None:
    """Refuses what the author may not do before anything is searched or locked for it. Where an entry may give them more
    rights, only such entries are judged now, and the others when their turn comes."""
    for entry in entries:
        entry.request.rights = outer.rights
    for entry in [entry for entry in entries if _may_give_rights(entry)] or entries:
        with _of_entry(outer, entry):
            carrier.judge(entry.request)
