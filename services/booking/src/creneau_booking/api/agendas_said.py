"""When an agenda was last synchronised: added to each Schedule that is read or found, never stored in it.

Software that synchronises every few minutes would else make a version of the Schedule each time. Only a Schedule that
bears one of the two extensions is looked up: the first `$sync-slots` of an agenda puts one there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from creneau_booking.storage.availability.freshness import SYNCHRONISED_AT, synchronised_at
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.access import Access

_SAYS_SO = re.compile(rb"/schedule-(?:synchronised-at|stale-after)\"")


async def with_synchronisation(
    connection: Connection, access: Access, now: datetime, contents: Sequence[bytes]
) -> Sequence[bytes]:
    """Returns the Schedules (JSON), each with when its software last synchronised it, if it ever has."""
    said = {place: loads(content) for place, content in enumerate(contents) if _SAYS_SO.search(content)}
    if not said:
        return contents
    known = await synchronised_at(connection, [resource["id"] for resource in said.values()])
    completed = list(contents)
    for place, resource in said.items():
        if (moment := known.get(resource["id"])) is not None:
            completed[place] = dumps(_with(resource, moment))
    return completed


def _with(schedule: Resource, moment: datetime) -> Resource:
    others = [e for e in schedule.get("extension", ()) if e.get("url") != SYNCHRONISED_AT]
    said = {"url": SYNCHRONISED_AT, "valueInstant": exact_instant(moment)}
    return {**schedule, "extension": [*others, said]}
