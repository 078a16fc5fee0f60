"""Free slots published in bulk, in the form of SMART Scheduling Links: files of NDJSON, and the manifest that names them.

A file is named by its content, so it never changes: an equal file keeps its name and its time, and a client with the
manifest of a minute ago still finds all its files. nginx serves the files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from creneau_booking.domain.openings.days_off import code_of, part_of_code
from creneau_booking.storage.outside.publication import (
    Publication,
    PublishedAgenda,
    is_ours_to_publish,
    keep_publication,
    last_publication,
    published_agendas,
    published_named,
    published_slots,
)
from creneau_shared.database.pool import Connection, Database
from creneau_shared.fhir.current import current
from creneau_shared.fhir.datatypes import exact_instant
from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.storage.store import Resource

EXTENSIONS = "http://fhir-registry.smarthealthit.org/StructureDefinition/"
DEEP_LINK, PHONE, AVAILABILITY = (
    f"{EXTENSIONS}{name}" for name in ("booking-deep-link", "booking-phone", "has-availability")
)
WEEK = timedelta(days=7)
MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class PublicationPlace:
    """The folder of the files, the URL under which they are read, and the site to whose pages slots link."""

    folder: Path
    files_url: str
    site_url: str
    days: int
    kept: timedelta


@dataclass(slots=True)
class _File:
    """A file of NDJSON that is being written."""

    out: IO[bytes]
    digest: Any = field(default_factory=hashlib.sha256)
    lines: int = 0

    def add(self, line: bytes) -> None:
        self.out.write(line + b"\n")
        self.digest.update(line)
        self.lines += 1


class BulkPublication:
    """Writes the published files, and removes those that no manifest names any more."""

    def __init__(self, database: Database, place: PublicationPlace) -> None:
        self._database = database
        self._place = place

    async def publish(self, now: datetime) -> int | None:
        """Publishes the free slots; returns how many, None if another process is publishing."""
        self._place.folder.mkdir(parents=True, exist_ok=True)
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read"),
        ):
            if not await is_ours_to_publish(connection):
                return None
            before = await last_publication(connection)
            known = _changed_at(before)
            outputs, slots = await self._write_all(connection, now, known)
            manifest = {
                "transactionTime": exact_instant(now),
                "request": f"{self._place.site_url}/fhir/$bulk-publish",
                "requiresAccessToken": False,
                "output": outputs,
                "error": [],
            }
            names = "\n".join(output["url"] for output in outputs)
            etag = f'"{hashlib.sha256(names.encode()).hexdigest()[:DIGEST_CHARACTERS]}"'
            await keep_publication(
                connection, Publication(now, etag, json.dumps(manifest, ensure_ascii=False))
            )
        self._clear({output["url"].rpartition("/")[2] for output in outputs}, now)
        return slots

    async def _write_all(
        self, connection: Connection, now: datetime, known: Mapping[str, str]
    ) -> tuple[list[Resource], int]:
        agendas = await published_agendas(connection, now)
        phones, states = _Phones(now), set[str]()
        outputs: list[Resource] = []

        async def places() -> AsyncIterator[bytes]:
            there = {place for agenda in agendas for place in agenda.places}
            async for content in published_named(connection, "Location", there):
                place = loads(content)
                phones.note("Location", place)
                states.update(_state(place))
                yield content

        async def roles() -> AsyncIterator[bytes]:
            led_to = {agenda.role for agenda in agendas if agenda.role is not None}
            async for content in published_named(connection, "PractitionerRole", led_to):
                phones.note("PractitionerRole", loads(content))
                yield content

        files: list[tuple[str, str, AsyncIterator[bytes]]] = [
            ("Location", "locations", places()),
            ("PractitionerRole", "practitioner-roles", roles()),
            ("HealthcareService", "healthcare-services", published_named(connection, "HealthcareService")),
        ]
        for type_, name, lines in files:
            outputs += await self._write(type_, name, lines, known, now)
        links = {agenda.key: self._extensions(agenda, phones) for agenda in agendas}
        offering: set[int] = set()
        count = 0
        for start, end in _weeks(now, self._place.days):

            async def slots(start: datetime = start, end: datetime = end) -> AsyncIterator[bytes]:
                async for key, content in published_slots(connection, now, start, end):
                    if key in links:
                        offering.add(key)
                        yield _linked(content, links[key])

            week = f"slots-{start:%G-W%V}"
            written = await self._write("Slot", week, slots(), known, now)
            count += sum(int(output["count"]) for output in written)
            outputs += written

        async def schedules() -> AsyncIterator[bytes]:
            for agenda in agendas:
                yield dumps(_schedule(agenda, agenda.key in offering))

        outputs += await self._write("Schedule", "schedules", schedules(), known, now)
        for output in outputs:
            output["extension"]["state"] = sorted(states)
        return outputs, count

    async def _write(
        self, type_: str, name: str, lines: AsyncIterator[bytes], known: Mapping[str, str], now: datetime
    ) -> list[Resource]:
        """Writes one file and returns its manifest entry, as a list; empty if there are no lines."""
        with self._draft() as (draft, written):
            async for line in lines:
                written.add(line)
            written.out.flush()
            if not written.lines:
                return []
            file = f"{name}-{written.digest.hexdigest()[:DIGEST_CHARACTERS]}.ndjson"
            draft.replace(self._place.folder / file)
        url = f"{self._place.files_url}/{file}"
        said = {"lastModified": known.get(url) or exact_instant(now)}
        return [{"type": type_, "url": url, "count": written.lines, "extension": said}]

    @contextmanager
    def _draft(self) -> Iterator[tuple[Path, _File]]:
        """A draft file under a name that no manifest has; deleted afterwards, unless it was renamed."""
        draft = self._place.folder / f".draft-{os.getpid()}"
        try:
            with draft.open("wb") as out:
                draft.chmod(0o644)
                yield draft, _File(out)
        finally:
            draft.unlink(missing_ok=True)

    def _extensions(self, agenda: PublishedAgenda, phones: _Phones) -> list[Resource]:
        """The extensions that tell where to book the agenda: on the page of its role, or by telephone."""
        said: list[Resource] = []
        if agenda.role is not None:
            said.append({"url": DEEP_LINK, "valueUrl": f"{self._place.site_url}/soignants/{agenda.role}"})
        phone = phones.of(agenda)
        if phone is not None:
            said.append({"url": PHONE, "valueString": phone})
        return said

    def _clear(self, named: set[str], now: datetime) -> None:
        """Removes the files that no manifest has named for `kept`."""
        oldest = (now - self._place.kept).timestamp()
        for path in self._place.folder.glob("*.ndjson"):
            if path.name in named:
                os.utime(path, (now.timestamp(), now.timestamp()))
            elif path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)


class _Phones:
    """The first telephone number currently in use of each role and place."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._known: dict[str, str] = {}

    def note(self, type_: str, resource: Resource) -> None:
        for point in current(resource.get("telecom", ()), self._now):
            if point.get("system") == "phone" and point.get("value"):
                self._known[f"{type_}/{resource['id']}"] = point["value"]
                return

    def of(self, agenda: PublishedAgenda) -> str | None:
        names = [f"PractitionerRole/{agenda.role}", *(f"Location/{place}" for place in agenda.places)]
        return next((self._known[name] for name in names if name in self._known), None)


def since(manifest: Resource, moment: datetime) -> Resource:
    """The manifest with only the files that have changed after a moment."""
    later = [
        output
        for output in manifest["output"]
        if datetime.fromisoformat(output["extension"]["lastModified"]) > moment
    ]
    return {**manifest, "output": later}


def _changed_at(before: Publication | None) -> dict[str, str]:
    """URL of a file → since when it is published."""
    if before is None:
        return {}
    outputs = json.loads(before.manifest)["output"]
    return {output["url"]: output["extension"]["lastModified"] for output in outputs}


def _weeks(now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
    """Half-open weeks (UTC) from now on, each whole, so that a slot stays in its file."""
    start = MONDAY + ((now - MONDAY) // WEEK) * WEEK
    while start < now + timedelta(days=days):
        yield start, start + WEEK
        start += WEEK


def _schedule(agenda: PublishedAgenda, offers: bool) -> Resource:
    """The Schedule with its place as first actor, as SMART Scheduling Links requires."""
    schedule = loads(agenda.content)
    actors = schedule.get("actor", [])
    named = [a for a in actors if str(a.get("reference", "")).startswith("Location/")]
    places = named or [{"reference": f"Location/{place}"} for place in agenda.places]
    others = [a for a in actors if a not in named]
    said = {"url": AVAILABILITY, "valueCode": "some" if offers else "none"}
    return {**schedule, "actor": [*places, *others], "extension": [*schedule.get("extension", ()), said]}


def _linked(content: bytes, said: list[Resource]) -> bytes:
    """Adds extensions to a slot; inserts them without parsing if the slot has none."""
    if not said:
        return content
    if b'"extension"' not in content:
        return content[:-1] + b',"extension":' + json.dumps(said).encode() + b"}"
    slot = loads(content)
    return dumps({**slot, "extension": [*slot.get("extension", ()), *said]})


def _state(place: Resource) -> Iterator[str]:
    """The département of a place, used as `state` of the specification."""
    code = code_of(place.get("address"))
    if code is not None:
        yield part_of_code(code)
