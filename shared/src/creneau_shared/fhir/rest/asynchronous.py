"""`Prefer: respond-async` (FHIR R4 async.html; ISiK demands it of `$book`): accepted now, carried out by a worker.

`accepting.py` checks first who asks, whether they may, and whether address and body are readable. Then the request is
recorded here and answered with 202 and `Content-Location`, the address of its own later answer. `async_runner.py`
carries it out.
"""

from __future__ import annotations

from uuid import UUID

from creneau_shared.database.barrier import commit_barrier
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Issue, NotFound, TooManyRequests, Unprocessable
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import operation_outcome
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest
from creneau_shared.fhir.rest.idempotency import check_key
from creneau_shared.fhir.rest.packing import digest, pack, rights_digest
from creneau_shared.fhir.rest.service import FhirService
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.storage import async_requests
from creneau_shared.fhir.storage.async_requests import Holdings, Owner, Progress, Reach, reach_of
from creneau_shared.limits.callers import Counted, Limit

PATH = "_async"
"""`[base]/_async/<service>/<id>`: the gateway finds the service by it"""
POLL_AGAIN_S = 1
KEPT_AGAIN_S = 3600
"""as often as answers that are past keeping are removed"""


class AsyncRequests:
    """Accepts asynchronous requests, and answers those who come back for them. One a process."""

    def __init__(self, service: str, settings: AsyncSettings) -> None:
        """`service` is the word by which the gateway knows the service: `booking`."""
        self.service = service
        self._settings = settings
        self._polls = Limit("polls", settings.async_polls_per_s, settings.async_polls_burst)

    async def accept(self, service: FhirService, request: FhirRequest) -> Answer:
        """202, once the request is recorded."""
        owner = _owner(request)
        async with service.transaction() as connection:
            id_ = await self._add(connection, owner, request)
        said = Issue(
            "informational",
            "La demande est enregistrée ; sa réponse sera à l'adresse que donne Content-Location.",
            "The request is recorded; its answer will stand at the address that Content-Location gives.",
            severity="information",
        )
        headers = {
            "Content-Location": f"{service.base_url}/{PATH}/{self.service}/{id_}",
            "Preference-Applied": "respond-async",
            "Retry-After": str(POLL_AGAIN_S),
        }
        return Answer(202, dumps(operation_outcome([said], request.language)), headers)

    async def poll(self, service: FhirService, request: FhirRequest, id_: str) -> Answer:
        """GET of the address: 202 while the request is under way, then its own answer, as often as wanted. The caller must
        have the same rights as then, and still reach the same people."""
        owner = _owner(request)
        key = service.limits.callers.key("poll", owner.issuer, owner.subject, id_)
        await service.limits.limiter.take([Counted(key, self._polls)], 1)
        async with service.connection() as connection:
            found = await _progress(connection, owner, id_)
            if found.answer is not None and not found.answer.is_for(_reach(request)):
                raise _unknown()
            if found.answer is None:
                return _under_way(found, request)
            answer = Answer(found.answer.status, found.answer.content, dict(found.answer.headers))
            await service.audit_replay(connection, request, "Bundle", answer)
        return answer

    async def cancel(self, service: FhirService, request: FhirRequest, id_: str) -> Answer:
        """DELETE of the address. A request that has not begun never will, a finished one is forgotten: 202. One that is
        being carried out cannot be called back: 409."""
        owner = _owner(request)
        async with service.transaction() as connection:
            await _progress(connection, owner, id_)
            removed = await async_requests.remove(connection, owner, UUID(id_))
        if not removed:
            raise Conflict(
                "La demande est en cours d'exécution et ne peut plus être annulée ; sa réponse va suivre.",
                "The request is being carried out and can no longer be cancelled; its answer will follow.",
                headers={"Retry-After": str(POLL_AGAIN_S)},
            )
        said = Issue(
            "informational", "La demande est retirée.", "The request is withdrawn.", severity="information"
        )
        return Answer(202, dumps(operation_outcome([said], request.language)))

    async def _add(self, connection: Connection, owner: Owner, request: FhirRequest) -> UUID:
        """The id of the request, or of the one recorded before it under the same Idempotency-Key."""
        key, said = _key(request), digest(request)
        if key is not None:
            earlier = await async_requests.find_by_key(connection, owner, key)
            if earlier is not None:
                await commit_barrier(connection)
                return _same(earlier, said)
        self._require_room(await async_requests.holdings(connection, owner))
        id_ = await async_requests.add(connection, owner, key, said, pack(request), _body(request))
        if id_ is not None:
            return id_
        assert key is not None
        rival = await async_requests.find_by_key(connection, owner, key)
        if rival is None:
            raise Conflict(
                "La demande de même Idempotency-Key vient d'être retirée ; recommencez.",
                "The request with the same Idempotency-Key was withdrawn just now; send it again.",
            )
        return _same(rival, said)

    def _require_room(self, holdings: Holdings) -> None:
        """TooManyRequests once as much is under way, or is kept, as one account may have. Answers of what is under way are
        kept beyond that: what was done is told."""
        settings = self._settings
        if holdings.unfinished >= settings.async_unfinished_per_subject_max:
            raise TooManyRequests(
                "Trop de vos demandes sont encore en cours ; attendez leurs réponses.",
                "Too many of your requests are still under way; wait for their answers.",
                headers={"Retry-After": "5"},
            )
        if (
            holdings.kept >= settings.async_kept_per_subject_max
            or holdings.kept_bytes >= settings.async_kept_bytes_per_subject_max
        ):
            raise TooManyRequests(
                "Trop de réponses à vos demandes sont encore gardées ici : retirez (DELETE) celles que vous avez lues ;"
                f" les autres s'effacent après {settings.async_answer_kept_h:g} heures.",
                "Too many answers to your requests are still kept here: take away (DELETE) those that you have read;"
                f" the others go after {settings.async_answer_kept_h:g} hours.",
                headers={"Retry-After": str(KEPT_AGAIN_S)},
                details_code="answers-kept",
            )


def _owner(request: FhirRequest) -> Owner:
    principal = request.principal
    return Owner(principal.issuer, principal.subject, rights_digest(principal))


def _reach(request: FhirRequest) -> Reach:
    return reach_of(request.rights) if request.rights is not None else Reach()


def _key(request: FhirRequest) -> str | None:
    """The Idempotency-Key, if there is one, with the client: two clients of one person may choose the same key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    check_key(key)
    return dumps([request.principal.client, key]).decode()


def _body(request: FhirRequest) -> bytes:
    """The body to record; none for a search, whose form is among the parameters already."""
    return b"" if "_search" in request.path else request.body


def _same(earlier: tuple[UUID, bytes], said: bytes) -> UUID:
    id_, before = earlier
    if before != said:
        raise Unprocessable(
            "Cette clé Idempotency-Key a déjà servi pour une autre demande : prenez-en une nouvelle.",
            "This Idempotency-Key was already used for another request: take a new one.",
            code="duplicate",
        )
    return id_


async def _progress(connection: Connection, owner: Owner, id_: str) -> Progress:
    """How far the owner's request is; NotFound if it is unknown, forgotten, somebody else's, or asked with other rights."""
    try:
        found = await async_requests.progress(connection, owner, UUID(id_))
    except ValueError:
        found = None
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound(
        "Il n'y a pas, ou plus, de demande à cette adresse.",
        "There is no request at this address, or no longer.",
    )


def _under_way(found: Progress, request: FhirRequest) -> Answer:
    fr, en = ("en cours", "in progress") if found.begun else ("en attente", "waiting")
    said = Issue("informational", f"Demande {fr}.", f"Request {en}.", severity="information")
    headers = {"Retry-After": str(POLL_AGAIN_S), "X-Progress": fr if request.language == "fr" else en}
    return Answer(202, dumps(operation_outcome([said], request.language)), headers)
