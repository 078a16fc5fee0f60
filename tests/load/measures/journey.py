"""People on the pages: they arrive at a steady rate, and each goes from the first page to a confirmed appointment.

What they ask for is what a browser asks for when all static files are in its cache. Their sessions are made before, with a
Patient of their own, so that logging in is no part of it; each wants a time that nobody else wants.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import asyncpg
import httpx
from tests.load.http_load import Load, http_request, run
from tests.load.measures.figures import CONNECTIONS, percentiles
from tests.load.system import System

from creneau_web.sessions.seal import Seal

COOKIE = "__Host-creneau"
SEARCHES = (
    ("médecin", "rennes"),
    ("dentiste", "rennes"),
    ("cardio", "rennes"),
    ("kiné", ""),
    ("sage-femme", "rennes"),
)
PAGE = 200
DEMONSTRATION = "demo-"
ROLE = "PractitionerRole/"
NUMBER = re.compile(r"\d+(?:[ \u00a0]?[h:][ \u00a0]?\d*)?")
CHECK, TAKEN = "verifier", "pris"
"""The last part of the address where a held time leads, and of that of one which somebody else has"""
STEPS = ("home", "results", "times", "choose", "held", "check", "confirm", "done")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a session, and the time that they want."""

    cookie: str
    form_key: str
    role: str
    slot: str


@dataclass
class Journeys:
    """What came of them: seconds by step, and what went wrong."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    done: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    lasted: float = 0.0

    def tell(self, rate: float) -> None:
        pages = sum(map(len, self.seconds.values()))
        print(
            f"{f'{rate:g} people/s through the pages':<34}{pages / self.lasted:>8.0f} pages/s   {self.done} booked"
            f"   {dict(self.failures) or ''}"
        )
        for step in STEPS:
            print(f"{'  … ' + step:<34}{percentiles(self.seconds[step])}", flush=True)


async def prepare(system: System, count: int) -> list[Person]:
    """So many people, registered and logged in, each with a free time of the demonstration data."""
    tokens = [system.token_of("patient", f"journey-{secrets.token_hex(8)}") for _ in range(count)]
    registered = await run(
        system.address,
        (
            http_request("POST", "/fhir/Patient", system.host, token, _patient(n))
            for n, token in enumerate(tokens)
        ),
        CONNECTIONS,
    )
    assert set(registered.statuses) == {201}, registered.statuses
    wanted = [time for _, time in zip(range(count), _free(system, tokens[0]), strict=False)]
    people, rows = [], []
    for number, (token, (role, slot)) in enumerate(zip(tokens, wanted, strict=True)):
        person = Person(secrets.token_urlsafe(24), secrets.token_urlsafe(16), role, slot)
        account = {"subject": f"journey-{number}", "access_token": token}
        seal = Seal(person.cookie)
        content = seal.close(json.dumps({"account": account}).encode())
        rows.append((seal.key_hash, person.form_key, content))
        people.append(person)
    connection = await asyncpg.connect(system.database("web"))
    try:
        await connection.executemany(
            "INSERT INTO session (key_hash, form_key, began_at, seen_at, content) VALUES ($1, $2, now(), now(), $3)",
            rows,
        )
    finally:
        await connection.close()
    return people


def _patient(number: int) -> bytes:
    return json.dumps(
        {
            "resourceType": "Patient",
            "name": [{"use": "official", "family": f"Arrivant{number}", "given": ["Dominique"]}],
            "birthDate": "1980-01-01",
            "telecom": [{"system": "email", "value": f"arrivant-{secrets.token_hex(6)}@exemple.fr"}],
        }
    ).encode()


def _free(system: System, token: str) -> Iterator[tuple[str, str]]:
    """Free times that an adult may book (ids of the PractitionerRole and the Slot), of all agendas in turn."""
    by_role: dict[str, list[str]] = defaultdict(list)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://{system.host}", headers=headers, timeout=60) as client:
        roles = {}
        for schedule in _every(client, f"/fhir/Schedule?_elements=actor&_count={PAGE}&_total=none"):
            actors = [actor["reference"] for actor in schedule["actor"]]
            own = [a.removeprefix(ROLE) for a in actors if a.startswith(ROLE)]
            if own and own[0].startswith(
                DEMONSTRATION
            ):  # not the agenda on which the service tries itself out
                roles[f"Schedule/{schedule['id']}"] = own[0]
        free = f"/fhir/Slot?status=free&bookable=whole&_count={PAGE}&_elements=schedule&_total=none"
        for slot in _every(client, free):
            if role := roles.get(slot["schedule"]["reference"]):
                by_role[role].append(slot["id"])
    for turn in itertools.zip_longest(*([(role, slot) for slot in slots] for role, slots in by_role.items())):
        yield from filter(None, turn)


def _every(client: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    """The matches of all pages of a search."""
    while path:
        bundle = client.get(path).raise_for_status().json()
        yield from (
            entry["resource"] for entry in bundle.get("entry", ()) if entry["search"]["mode"] == "match"
        )
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        parts = urlsplit(following)
        path = f"{parts.path}?{parts.query}" if following else ""


async def journeys(
    system: System, people: Sequence[Person], rate: float, *, looking: bool = True
) -> Journeys:
    """All of them, `rate` a second, however long the pages take. Not `looking`: each has found their time already."""
    found, began, walking = Journeys(), time.perf_counter(), []
    for number, person in enumerate(people):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        walking.append(
            asyncio.create_task(_walk(system, person, SEARCHES[number % len(SEARCHES)], found, looking))
        )
    await asyncio.gather(*walking)
    found.lasted = time.perf_counter() - began
    return found


async def _walk(
    system: System, person: Person, search: tuple[str, str], found: Journeys, looking: bool
) -> None:
    try:
        async for _ in steps(system, person, search, found, looking=looking):
            pass
        found.done += 1
    except NotAsWantedError as error:
        found.failures[str(error)] += 1


async def steps(
    system: System, person: Person, search: tuple[str, str], found: Journeys, *, looking: bool = True
) -> AsyncGenerator[str]:
    """One person's way, a step (STEPS) each time that it is asked for. NotAsWantedError where it ends."""
    browser = _Browser(*await asyncio.open_connection(*system.address), system.host, person, found)
    what, where = search
    times = f"/soignants/{person.role}/creneaux"
    try:
        if looking:
            yield await browser.get("home", "/", 200)
            yield await browser.get("results", f"/recherche?quoi={quote(what)}&ou={quote(where)}", 200)
            yield await browser.get("times", times, 200)
        yield (draft := await browser.post("choose", times, {"creneau": person.slot}))
        yield (check := await browser.get("held", draft, 303, leads_to=CHECK))
        yield await browser.get("check", check, 200)
        yield (appointment := await browser.post("confirm", check, {"message": ""}))
        yield await browser.get("done", appointment, 200)
    finally:
        browser.writer.close()


def without_numbers(said: str) -> str:
    """The same for all refusals that differ in seconds, days or times of day alone, so that they are counted as one."""
    return NUMBER.sub("…", said)


class NotAsWantedError(Exception):
    """A step that was answered otherwise."""


@dataclass(frozen=True, slots=True)
class _Browser:
    """One keep-alive connection of one person."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    host: str
    person: Person
    found: Journeys

    async def get(self, step: str, path: str, wanted: int, *, leads_to: str = "") -> str:
        return await self._ask(step, f"GET {path} HTTP/1.1\r\n", b"", wanted, leads_to)

    async def post(self, step: str, path: str, form: dict[str, str]) -> str:
        body = urlencode({**form, "form_key": self.person.form_key}).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n"
        )
        return await self._ask(step, head, body, 303)

    async def _ask(self, step: str, head: str, body: bytes, wanted: int, leads_to: str = "") -> str:
        """The address to which the answer leads, empty for none. NotAsWantedError names the last part of it where it is not
        `leads_to`."""
        sent_at = time.perf_counter()
        whole = f"{head}Host: {self.host}\r\nCookie: {COOKIE}={self.person.cookie}\r\n\r\n"
        self.writer.write(whole.encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        names = {
            name.lower(): value
            for name, _, value in (line.partition(": ") for line in answer.split("\r\n")[1:])
        }
        page = await self.reader.readexactly(int(names["content-length"]))
        self.found.seconds[step].append(time.perf_counter() - sent_at)
        status, leads = int(answer[9:12]), names.get("location", "")
        led = urlsplit(leads).path.rpartition("/")[2]
        if status != wanted or led == TAKEN or (leads_to and led != leads_to):
            said = without_numbers(page.decode().partition('class="lead">')[2].partition("<")[0])
            raise NotAsWantedError(" ".join(filter(None, (f"{step}: {status}", led, said))))
        return leads


async def alone(system: System, path: str, cookie: str = "") -> Load:
    """One page again and again, as fast as it comes."""
    lines = f"GET {path} HTTP/1.1\r\nHost: {system.host}\r\n"
    request = (lines + (f"Cookie: {COOKIE}={cookie}\r\n" if cookie else "") + "\r\n").encode()
    return await run(system.address, itertools.repeat(request, 500), CONNECTIONS)
