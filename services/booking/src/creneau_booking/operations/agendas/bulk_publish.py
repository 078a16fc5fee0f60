"""`$bulk-publish`: the manifest of the files of all free slots (SMART Scheduling Links; Bulk Data publish)."""

from __future__ import annotations

import json
from datetime import timedelta

from creneau_booking.handlers.outside.publication import since
from creneau_booking.storage.outside.publication import last_publication
from creneau_shared.errors import NotFound
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer, http_date, parse_http_date
from creneau_shared.fhir.rest.operation import Operation, OperationCall

DEFINITION = operation_definition(
    "bulk-publish",
    "Publish free slots in bulk",
    "The manifest of NDJSON files of every open agenda: Location, PractitionerRole, HealthcareService, Schedule, and Slot"
    " by week, of what a patient could book when it was made. With ETag and Cache-Control; the files are named by their"
    " content and never change.",
    [parameter("_since", "instant", documentation="Only files that have changed after this.")],
    affects_state=False,
)


class BulkPublishOperation:
    """`$bulk-publish` on the base."""

    def __init__(self, interval: timedelta) -> None:
        self._max_age_s = int(interval.total_seconds())

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        request = call.request
        request.access("Slot", "s")
        moment = request.instant_parameter("_since")
        async with call.service.connection() as connection:
            last = await last_publication(connection)
        if last is None:
            raise NotFound(
                "Rien n'est encore publié en masse ici.",
                "Nothing is published in bulk here yet.",
                details_code="not-published",
            )
        headers = {
            "ETag": last.etag,
            "Last-Modified": http_date(last.published_at),
            "Cache-Control": f"public, max-age={self._max_age_s}",
        }
        tags = {t.strip().removeprefix("W/") for t in request.headers.get("if-none-match", "").split(",")}
        asked = parse_http_date(request.headers.get("if-modified-since", ""))
        if tags & {last.etag, "*"} or (
            "" in tags and asked and last.published_at.replace(microsecond=0) <= asked
        ):
            return Answer(304, headers=headers)
        manifest = json.loads(last.manifest)
        if moment is not None:
            manifest = since(manifest, moment)
        return Answer(200, dumps(manifest), {**headers, "Content-Type": "application/json; charset=utf-8"})
