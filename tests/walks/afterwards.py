"""When the walks are over: what pages say of appointments and what the FHIR base has of them are one truth."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.walks.sheet import Sheet
from tests.walks.walker import Walker

HELD_UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/held-until"
WAITING_SINCE = "https://creneau.sante.fr/fhir/StructureDefinition/waiting-since"
HELD_MAX = timedelta(minutes=31)
"""longest that somebody may keep a time while they make up their mind, with all extensions"""
TAKING = ("proposed", "pending", "booked", "arrived", "checked-in")
"""statuses of an appointment that takes its slots"""
VISIT = re.compile(r"/(?:rendez-vous|liste-attente)/([\w.-]+)$")
LISTED_MAX = 20
"""pages of a list that are turned"""


class Base:
    """The FHIR base as the deployment sees it."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def found(self, type_: str, **query: str) -> list[dict[str, Any]]:
        """All of a search."""
        bundle = self._client.get(f"/{type_}", params={"_count": "200", **query}).raise_for_status().json()
        entries = list(bundle.get("entry", ()))
        while following := next((li["url"] for li in bundle["link"] if li["relation"] == "next"), None):
            bundle = self._client.get(following).raise_for_status().json()
            entries += bundle.get("entry", ())
        return [entry["resource"] for entry in entries]


def disagreements(base: Base, walkers: list[Walker]) -> Iterator[str]:
    """What is not as it ought to be, in sentences."""
    visits: list[dict[str, Any]] = []
    for walker in walkers:
        patients = base.found("Patient", family=walker.family)
        own = [v for p in patients for v in base.found("Appointment", patient=f"Patient/{p['id']}")]
        yield from listed_otherwise(walker, own)
        visits += own
    yield from held_for_ever(visits, datetime.now(UTC))
    yield from slots_that_disagree(base, visits)


def listed_otherwise(walker: Walker, visits: list[dict[str, Any]]) -> Iterator[str]:
    """Every visit that stands, and everything that is waited for, is on its patient's list; nobody else's is."""
    walker.become_oneself()
    shown = set(listed(walker))
    standing = {v["id"] for v in visits if v["status"] in ("booked", "waitlist")}
    missing, known = standing - shown, {v["id"] for v in visits}
    if missing:
        yield f"{walker.family}: not on the list: {missing}"
    if not any(who == walker.family for who, _ in walker.town.acting) and shown - known:
        yield f"{walker.family}: on the list, and not theirs: {shown - known}"


def listed(walker: Walker) -> Iterator[str]:
    """The ids of all visits on the pages of one's list."""
    waiting, turned = ["/mes-rendez-vous"], set[str]()
    while waiting and len(turned) < LISTED_MAX:
        address = waiting.pop()
        turned.add(address)
        sheet: Sheet = walker.window.open(address)
        assert (sheet.status, sheet.path) == (200, "/mes-rendez-vous"), (sheet.status, sheet.url)
        yield from (found[1] for link in sheet.links if (found := VISIT.search(urlsplit(link).path)))
        more = [str(a.get("href")) for a in sheet.root.xpath("//a[@rel='next']")]
        waiting += [one for one in more if one not in turned]


def held_for_ever(visits: list[dict[str, Any]], now: datetime) -> Iterator[str]:
    """What is kept while somebody makes up their mind runs out soon; what the waiting list offers lasts longer."""
    for visit in visits:
        said = {one["url"]: one for one in visit.get("extension", ())}
        if visit["status"] == "pending" and HELD_UNTIL in said and WAITING_SINCE not in said:
            until = datetime.fromisoformat(said[HELD_UNTIL]["valueInstant"])
            asked = any(p["status"] == "needs-action" for p in visit["participant"])
            if until - now > HELD_MAX and not asked:
                yield f"{visit['id']} is held until {until}"


def slots_that_disagree(base: Base, visits: list[dict[str, Any]]) -> Iterator[str]:
    """A slot is taken if, and only if, as many as it has places take it."""
    by_slot: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for visit in visits:
        for slot in visit.get("slot", ()):
            by_slot[slot["reference"].partition("/")[2]].append(visit)
    for id_, ours in by_slot.items():
        found = base.found("Slot", _id=id_)
        taking = [v for v in base.found("Appointment", slot=f"Slot/{id_}") if v["status"] in TAKING]
        for slot in found:
            is_group = any(one["url"].endswith("slot-places-left") for one in slot.get("extension", ()))
            if len(taking) > 1 and not is_group and not slot.get("overbooked"):
                yield f"Slot/{id_} is taken {len(taking)} times"
            if taking and slot["status"] == "free" and not is_group:
                yield f"Slot/{id_} is free, and taken by {[v['id'] for v in taking]}"
            if not taking and slot["status"] != "free":
                yield f"Slot/{id_} is {slot['status']}, and nobody takes it: {[(v['id'], v['status']) for v in ours]}"
