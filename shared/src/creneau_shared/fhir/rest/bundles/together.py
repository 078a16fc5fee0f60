"""Writes of one type that follow each other in a Bundle, carried out with a few statements.

A run is made of plain creates and updates by id of a type whose store can write many (`store.WritesMany`). Each is
checked as it would be alone, and those that pass are written together. The caller carries out all others alone, so that
they are refused, or done, as usual:

- writes that a check refuses, before anything is written;
- writes that the store finds unusual, or would refuse, while it holds the locks;
- the whole run, undone, when the database refuses one of its statements: it does not say because of which write.

The outcome is the same as one by one: no two writes of a run are about one resource, so that none depends on another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from creneau_shared.database.failures import UNREACHABLE
from creneau_shared.database.pool import Connection
from creneau_shared.errors import CreneauError
from creneau_shared.fhir.audit import check_purpose
from creneau_shared.fhir.rest.conditions import HEADER
from creneau_shared.fhir.rest.declaration import Interaction
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.reading import with_small_ids
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.rest.writing import checked, checked_as, chooses_ids, write_context, written
from creneau_shared.fhir.storage.store import Stored, Write, WritesMany
from creneau_shared.ids import new_id
from creneau_shared.logging import describe
from creneau_shared.security.access import Access

RUN_MIN = 3
"""from this many writes on, a run needs no more statements than the writes alone"""
RUN_MAX = 250
"""most writes of one run: other bookings in the same agendas wait for it"""
_CONDITIONS = frozenset({HEADER, "if-match", "if-none-match", "if-modified-since", "idempotency-key"})

log = structlog.get_logger(__name__)


class _NotTogetherError(Exception):
    """The database refused the run: nothing of it was written."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    index: int
    write: Write


def runs(service: FhirService, requests: Sequence[FhirRequest]) -> Iterator[slice]:
    """Cuts the requests, in their order, into runs; a request that fits into none stands alone."""
    offered = _offered(service, requests)
    start, kind, ids = 0, None, set[str]()
    for index, request in enumerate(requests):
        wanted = _interaction(request)
        own, id_ = wanted[0] if wanted in offered else None, _id(request)
        if index > start and (own is None or own != kind or id_ in ids or index - start == RUN_MAX):
            yield slice(start, index)
            start, ids = index, set()
        kind = own
        if id_ is not None:
            ids.add(id_)
    if requests:
        yield slice(start, len(requests))


def _offered(service: FhirService, requests: Sequence[FhirRequest]) -> set[tuple[str, Interaction]]:
    """The types whose stores can write many, each paired with the interactions (create, update) that it offers."""
    named = {request.path[0] for request in requests if request.path}
    served = [service.types[name] for name in named if name in service.types]
    return {
        (one.name, interaction)
        for one in served
        if isinstance(one.store, WritesMany)
        for interaction in one.interactions & {"create", "update"}
    }


def _interaction(request: FhirRequest) -> tuple[str, Interaction] | None:
    """The type and the interaction of a plain create or update by id; None for other requests."""
    plain = isinstance(request.parsed, dict) and not request.query and _CONDITIONS.isdisjoint(request.headers)
    match request.method, request.path:
        case "POST", (name,) if plain:
            return name, "create"
        case "PUT", (name, _) if plain:
            return name, "update"
    return None


def _id(request: FhirRequest) -> str | None:
    return with_small_ids(request.path)[1] if len(request.path) == 2 else None


def _access(request: FhirRequest) -> Access:
    """The caller's access to the type, for what the request does."""
    return request.access(request.path[0], "c" if _id(request) is None else "u")


async def write_together(service: FhirService, requests: Sequence[FhirRequest]) -> list[Answer | None]:
    """The answers to the requests of one run of one caller; None for each that is to be carried out alone.

    They form a transaction, or a part of the one that is under way. After an error nothing was written, or it is unknown
    whether it was, as with a single write.
    """
    answers: list[Answer | None] = [None] * len(requests)
    if len(requests) < RUN_MIN:
        return answers
    prepared = await _prepare(service, requests)
    if len(prepared) < RUN_MIN:
        return answers
    try:
        async with service.transaction() as connection:
            for one, stored in zip(
                prepared, await _write(service, connection, requests, prepared), strict=True
            ):
                if stored is not None:
                    request = requests[one.index]
                    answers[one.index] = await _answer(service, connection, request, one.write, stored)
    except _NotTogetherError:
        return [None] * len(requests)
    return answers


async def _prepare(service: FhirService, requests: Sequence[FhirRequest]) -> list[_Prepared]:
    """The writes of the requests, without those that a check refuses."""
    try:
        await service.resolve(requests[0])
    except CreneauError:
        return []
    prepared = []
    for index, request in enumerate(requests):
        request.rights = requests[0].rights
        write = _checked(service, request)
        if write is not None:
            prepared.append(_Prepared(index, write))
        await asyncio.sleep(0)  # others have their turn between two checks
    return prepared


def _checked(service: FhirService, request: FhirRequest) -> Write | None:
    """The write of the request; None when it is refused, or when its caller may write only about themselves."""
    store, id_ = service.types[request.path[0]].store, _id(request)
    try:
        check_purpose(request)
        access = _access(request)
        resource = (
            checked(service, request, store) if id_ is None else checked_as(service, request, store, id_)
        )
    except CreneauError:
        return None
    if access.reach == "own":
        return None
    context = write_context(request, access)
    if id_ is None:
        return Write(context, resource, request.given_id or new_id(), is_new=True)
    return Write(
        context,
        resource,
        id_,
        is_new=False,
        may_create=chooses_ids(access, store),
        required=access.required,
    )


async def _write(
    service: FhirService,
    connection: Connection,
    requests: Sequence[FhirRequest],
    prepared: Sequence[_Prepared],
) -> Sequence[Stored | None]:
    store = service.types[requests[0].path[0]].store
    assert isinstance(store, WritesMany)
    try:
        return await store.write_many(connection, [one.write for one in prepared])
    except UNREACHABLE:
        raise
    except Exception as error:
        log.warning("written one by one", type=store.resource_type, error=describe(error))
        raise _NotTogetherError from error


async def _answer(
    service: FhirService, connection: Connection, request: FhirRequest, write: Write, stored: Stored
) -> Answer:
    created = stored.version == 1
    await service.audit(connection, request, "C" if created else "U", stored)
    return written(service, _access(request), stored, 201 if created else 200, write.context)
