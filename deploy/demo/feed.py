"""Synchronises one agenda of the demonstration as a whole. The agenda states how long to believe it; `$sync-slots` sends its
slots again and changes nothing that the loading has stored."""

from __future__ import annotations

from datetime import datetime, timedelta

import httpx
import orjson

from deploy.demo.codes import Resource
from deploy.demo.region import Region

STALE_AFTER = "https://creneau.sante.fr/fhir/StructureDefinition/schedule-stale-after"
DAYS_BELIEVED = 365
"""so long that a demonstration is shown again after months; real software says minutes or hours"""


def fed_agenda(region: Region) -> tuple[Resource, list[Resource]] | None:
    """The region's last agenda that has slots, and its slots; or None."""
    for schedule in reversed(region["Schedule"]):
        reference = f"Schedule/{schedule['id']}"
        slots = [s for s in region["Slot"] if s.get("schedule", {}).get("reference") == reference]
        if slots:
            return schedule, slots
    return None


async def synchronise(client: httpx.AsyncClient, region: Region) -> list[str]:
    """Synchronise that agenda; a sentence for what was refused."""
    fed = fed_agenda(region)
    if fed is None:
        return []
    schedule, slots = fed
    believed = {"value": DAYS_BELIEVED, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d"}
    extensions = [*schedule.get("extension", []), {"url": STALE_AFTER, "valueDuration": believed}]
    path = f"/fhir/Schedule/{schedule['id']}"
    put = await client.put(path, content=orjson.dumps({**schedule, "extension": extensions}))
    if put.status_code not in (200, 201):
        return [f"{path} : {put.status_code}"]
    answer = await client.post(
        f"{path}/$sync-slots",
        params={"from": slots[0]["start"], "to": _after(max(slot["start"] for slot in slots))},
        content=b"\n".join(orjson.dumps(slot) for slot in slots),
        headers={"content-type": "application/fhir+ndjson"},
    )
    return [] if answer.status_code == 200 else [f"{path}/$sync-slots : {answer.status_code}"]


def _after(instant: str) -> str:
    """One second later, to end a half-open period."""
    return (datetime.fromisoformat(instant) + timedelta(seconds=1)).isoformat()
