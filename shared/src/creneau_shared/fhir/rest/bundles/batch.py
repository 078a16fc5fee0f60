"""batch Bundles (FHIR R4 http.html#transaction): requests that know nothing of each other, answered in their order; and where
batches and transactions (`transaction.py`) part."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from creneau_shared import functions
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.bounds import BundleAnswers
from creneau_shared.fhir.rest.bundles import transaction
from creneau_shared.fhir.rest.bundles.entries import RequestEntry, check_bundle, read_entry, refuse_key
from creneau_shared.fhir.rest.bundles.references import lost_reference
from creneau_shared.fhir.rest.bundles.response import told
from creneau_shared.fhir.rest.bundles.together import runs, write_together
from creneau_shared.fhir.rest.exchange import Answer, FhirRequest, json_object
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.service import FhirService

BATCH_PARALLEL = 4
"""entries of a batch, or runs of them (`together`), that are carried out at once"""


class Carrier(transaction.PartCarrier, Protocol):
    """Carries out the entries: the server that received the Bundle."""

    async def handle(self, request: FhirRequest) -> Answer:
        """Carry out an entry of a batch, as a request of its own."""
        ...


async def process(service: FhirService, carrier: Carrier, request: FhirRequest) -> Answer:
    """POST [base] with a Bundle of type batch or transaction; 200 with the response Bundle."""
    bundle = request.resource()
    check_bundle(bundle)
    entries = [read_entry(request, index, entry) for index, entry in enumerate(bundle.get("entry", []))]
    functions.tell(
        e.request.path[0] for e in entries if e.request.method not in ("GET", "HEAD") and e.request.path
    )
    if bundle["type"] == "transaction":
        return await transaction.process(service, carrier, request, entries)
    if not service.in_transaction:  # an asynchronous batch is one, and its key was kept when it was accepted
        refuse_key(request.headers)
    answers = await _Batch.of(service, carrier, request).answers(entries)
    for entry, answer in zip(entries, answers, strict=True):
        service.observe(entry.request, answer.status)
    return told("batch", entries, answers)


@dataclass(frozen=True, slots=True)
class _Batch:
    """One batch under way: who carries it out, and what has been answered so far."""

    service: FhirService
    carrier: Carrier
    answered: BundleAnswers

    @staticmethod
    def of(service: FhirService, carrier: Carrier, request: FhirRequest) -> _Batch:
        return _Batch(service, carrier, BundleAnswers(service.bounds.bundle_answer_bytes_max, request.meter))

    async def answers(self, entries: list[RequestEntry]) -> list[Answer]:
        """The answers of the entries, in their order."""
        refused = {entry.index: answer for entry in entries if (answer := _refused(entry)) is not None}
        carried_out = [entry for entry in entries if entry.index not in refused]
        answers = iter(await self._each(carried_out))
        return [refused.get(entry.index) or next(answers) for entry in entries]

    async def _each(self, entries: list[RequestEntry]) -> list[Answer]:
        """Carry out the entries, a few at once; their answers, in their order. Those after as much as one Bundle is answered
        are refused."""
        parts = [entries[part] for part in runs(self.service, [entry.request for entry in entries])]
        if self.service.in_transaction:
            return [answer for part in parts for answer in await self._run(part)]
        places = asyncio.Semaphore(BATCH_PARALLEL)

        async def one(part: list[RequestEntry]) -> list[Answer]:
            async with places:
                return await self._run(part)

        return [answer for answers in await asyncio.gather(*map(one, parts)) for answer in answers]

    async def _run(self, part: list[RequestEntry]) -> list[Answer]:
        """Carries out successive entries: together where possible, else one by one."""
        try:
            await self._require_room()
            answers = await write_together(self.service, [entry.request for entry in part])
        except Exception as error:
            return [failure(error, entry.request.language) for entry in part]
        given = []
        for entry, together in zip(part, answers, strict=True):
            answer = together or await self._apart(entry)
            self.answered.add(answer.content)
            given.append(answer)
        return given

    async def _require_room(self) -> None:
        """TooLarge after as much as one Bundle is answered; TooManyRequests while the caller owes for it, but not in a
        transaction: nobody waits for the count while holding a connection."""
        if self.service.in_transaction:
            self.answered.require_room()
        else:
            await self.answered.require_paid()

    async def _apart(self, entry: RequestEntry) -> Answer:
        """Carries out one entry; a failure undoes that entry alone, even in a shared transaction."""
        try:
            await self._require_room()
            if not self.service.in_transaction:
                return await self._handle(entry)
            async with self.service.transaction():
                return await self._handle(entry)
        except Exception as error:
            return failure(error, entry.request.language)

    async def _handle(self, entry: RequestEntry) -> Answer:
        """Carries out one entry as a request of its own, with the size limit of such a request."""
        if entry.request.parsed is not None:
            self.service.bounds.check_size(entry.request.parsed)
        return await self.carrier.handle(entry.request)


def _refused(entry: RequestEntry) -> Answer | None:
    """The refusal of an entry whose reference could only lead to another entry; None when it has none."""
    lost = lost_reference(json_object(entry.request.parsed))
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
