"""A practitioner's own calendar that is read over CalDAV, on a real server (Radicale), with a password that nobody sees again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from services.booking.tests.caldav_server import (
    CALENDAR,
    HOST,
    PASSWORD,
    USER,
    Radicale,
    outside,
    running_radicale,
)
from services.booking.tests.client import Caller, code, serving
from services.booking.tests.conftest import Callers, settings_for
from services.booking.tests.factories import appointment, unique
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Agenda, Practice
from services.booking.tests.surgery import hear, open_surgery

from creneau_booking.app import calendar_passwords, create_app
from creneau_booking.handlers.outside.external_calendars import FAILING, ExternalCalendars
from creneau_booking.handlers.outside.fetching import Visit
from creneau_booking.messaging.directory_replica import RESOURCE_CHANGED
from creneau_booking.settings import BookingSettings
from creneau_booking.storage.outside.followed_calendars import leave_calendar
from creneau_booking.topics import DIRECTORY
from creneau_shared.messaging.events import ReceivedEvent

SECRET = "seals passwords of calendars"


@pytest.fixture(scope="module")
async def radicale(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Radicale]:
    async with running_radicale(tmp_path_factory.mktemp("radicale")) as server:
        await server.make(CALENDAR)
        await server.make(f"/{USER}/taches/", "VTODO")
        yield server


@pytest.fixture(scope="module")
async def following(practice: Practice) -> AsyncIterator[Callers]:
    """The API of an installation that follows calendars, with or without a password; none yet."""
    # Tests of other files have left some, and whoever is busy because of them.
    for row in await practice.database.pool.fetch("SELECT schedule FROM external_calendar"):
        async with practice.database.transaction() as connection:
            await leave_calendar(connection, row["schedule"], practice.clock.now())
    async with (
        running_issuer() as issuer,
        serving(create_app(settings(practice, issuer.url), practice.clock)) as client,
    ):
        yield Callers(client, issuer, practice.clock)


def settings(practice: Practice, issuer: str | None = None, secret: str = SECRET) -> BookingSettings:
    given = settings_for(str(practice.settings.database_url), issuer).model_dump()
    return BookingSettings(**{**given, "external_calendars": True, "calendar_secret": secret})


def reader(practice: Practice, radicale: Radicale, secret: str = SECRET) -> ExternalCalendars:
    """The worker's part."""
    return ExternalCalendars(
        practice.database,
        practice.clock,
        outside(radicale.port, radicale.certificate),
        calendar_passwords(settings(practice, secret=secret)),
        timedelta(minutes=15),
        timedelta(days=60),
    )


def stated(**values: Any) -> dict[str, Any]:
    kinds = {"url": "valueUrl", "remove": "valueBoolean"}
    parts = [{"name": name, kinds.get(name, "valueString"): value} for name, value in values.items()]
    return {"resourceType": "Parameters", **({"parameter": parts} if parts else {})}


async def follow(caller: Caller, agenda: Agenda, path: str = CALENDAR, **other: Any) -> None:
    given = {"url": f"https://{HOST}{path}", "user": USER, "password": PASSWORD, **other}
    answer = await caller.post(f"Schedule/{agenda.id}/$follow-calendar", stated(**given))
    assert answer.status_code == 200, answer.text
    assert PASSWORD not in answer.text
    assert [part["valueString"] for part in answer.json()["parameter"]] == [HOST]


async def how_it_stands(caller: Caller, agenda: Agenda) -> dict[str, Any]:
    answer = await caller.post(f"Schedule/{agenda.id}/$follow-calendar", stated())
    assert answer.status_code == 200, answer.text
    return {
        part["name"]: next(v for k, v in part.items() if k != "name") for part in answer.json()["parameter"]
    }


def at(agenda: Agenda, first: int, last: int, more: str = "") -> str:
    """An event from one slot of the agenda to another."""

    def stamp(moment: datetime) -> str:
        return moment.strftime("%Y%m%dT%H%M%SZ")

    return f"DTSTART:{stamp(agenda.at(first))}\nDTEND:{stamp(agenda.at(last))}\nSUMMARY:Dentiste des enfants{more}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of servers: method and path."""
    asked: list[str] = []
    send = Visit._send

    async def noting(self: Visit, method: str, url: str, *given: Any) -> Any:
        asked.append(f"{method} {url.removeprefix(f'https://{HOST}')}")
        return await send(self, method, url, *given)

    monkeypatch.setattr(Visit, "_send", noting)
    return asked


async def test_a_calendar_over_caldav_blocks_time(
    practice: Practice, following: Callers, radicale: Radicale, asked: list[str]
) -> None:
    """By the address of the server alone: what it says is busy here, is read again only when it has changed, and is free
    again when it is gone. Of what is in it nothing stays."""
    agenda, software = await practice.open_agenda(4), following.software()
    await radicale.put(f"{CALENDAR}{agenda.id}.ics", at(agenda, 1, 2, "\nRRULE:FREQ=DAILY;COUNT=3"))
    await follow(software, agenda, "/")
    calendars = reader(practice, radicale)
    assert await calendars.read_all() == 1
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy-unavailable", "free", "free"]
    for word in ("Dentiste", PASSWORD):
        assert await tables_that_hold(practice, word) == []
    first = len(asked)
    assert asked[first - 1] == f"REPORT {CALENDAR}"

    practice.clock.advance(timedelta(minutes=16))
    assert await calendars.read_all() == 1
    assert asked[first:] == [f"PROPFIND /{USER}/"], "unchanged, it costs one request"
    assert await practice.slot_statuses(agenda.slots) == ["free", "busy-unavailable", "free", "free"]

    practice.clock.advance(timedelta(days=1))
    assert await calendars.read_all() == 1
    assert asked[first + 1 :] == [f"PROPFIND /{USER}/", f"REPORT {CALENDAR}"], "the time ahead has moved"

    await radicale.delete(f"{CALENDAR}{agenda.id}.ics")
    practice.clock.advance(timedelta(minutes=16))
    assert await calendars.read_all() == 1
    assert await practice.slot_statuses(agenda.slots) == ["free"] * 4
    told = await how_it_stands(software, agenda)
    assert {"following": True, "host": HOST}.items() <= told.items()
    assert "problem" not in told

    answer = await software.post(f"Schedule/{agenda.id}/$follow-calendar", stated(remove=True))
    assert answer.status_code == 200
    assert await how_it_stands(software, agenda) == {"following": False}


async def tables_that_hold(practice: Practice, word: str) -> list[str]:
    """Where in the whole database it stands, in texts or in bytes: the trail, events and answers that are kept among it."""
    tables = await practice.database.pool.fetch(
        "SELECT format('%I', tablename) AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'slot'"
    )
    held = []
    for name in (row["name"] for row in tables):
        found = await practice.database.pool.fetchval(
            f"SELECT EXISTS (SELECT FROM {name} AS one WHERE strpos(one::text, $1) + strpos(one::text, $2) > 0)",
            word,
            word.encode().hex(),
        )
        held += [name] if found else []
    return held


async def test_a_visit_that_goes_leaves_its_professional_busy(
    practice: Practice, following: Callers, radicale: Radicale, asked: list[str]
) -> None:
    """What a visit had within a busy period is busy again when the visit is cancelled, though nothing has changed there."""
    agenda, software = await practice.open_agenda(3), following.software()
    visit = await practice.create(
        appointment(
            "booked",
            slots=[agenda.slots[1]],
            patient=await practice.new_patient(),
            actors=[agenda.practitioner],
        )
    )
    await radicale.put(f"{CALENDAR}{agenda.id}.ics", at(agenda, 0, 3))
    await follow(software, agenda)
    calendars = reader(practice, radicale)
    await calendars.read_all()
    assert await practice.slot_statuses(agenda.slots) == ["busy-unavailable", "busy", "busy-unavailable"]
    await practice.change(visit.id, status="cancelled")
    practice.clock.advance(timedelta(minutes=16))
    await calendars.read_all()
    assert await practice.slot_statuses(agenda.slots) == ["busy-unavailable"] * 3
    assert sum(request.startswith("REPORT") for request in asked) == 1
    await software.post(f"Schedule/{agenda.id}/$follow-calendar", stated(remove=True))
    await radicale.delete(f"{CALENDAR}{agenda.id}.ics")


async def test_any_address_of_the_calendar_will_do(
    practice: Practice, following: Callers, radicale: Radicale, asked: list[str]
) -> None:
    """That of the calendar itself, as of its owner; what is in it is expanded as an .ics file's is, exceptions and all."""
    agenda, software = await practice.open_agenda(4), following.software()
    weekly = at(agenda, 0, 1, f"\nRRULE:FREQ=DAILY\nEXDATE:{agenda.at(0):%Y%m%dT%H%M%SZ}")
    await radicale.put(f"{CALENDAR}{agenda.id}.ics", weekly)
    await radicale.put(f"{CALENDAR}{agenda.id}-2.ics", at(agenda, 2, 4))
    await radicale.put(f"{CALENDAR}{agenda.id}-3.ics", at(agenda, 0, 2, "\nTRANSP:TRANSPARENT"))
    for path in (CALENDAR, f"/{USER}/", "/.well-known/caldav"):
        await follow(software, agenda, path)
        assert await reader(practice, radicale).read_all() == 1
        assert "problem" not in await how_it_stands(software, agenda)
        statuses = await practice.slot_statuses(agenda.slots)
        assert statuses == ["free", "free", "busy-unavailable", "busy-unavailable"]
        await software.post(f"Schedule/{agenda.id}/$follow-calendar", stated(remove=True))
    assert asked[:2] == [f"PROPFIND {CALENDAR}", f"REPORT {CALENDAR}"], "its own address costs no search"


async def test_what_is_wrong_is_told(
    practice: Practice, following: Callers, radicale: Radicale, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the practice in words and to the operator as a number, each kind apart; what was read before stays busy."""
    agenda, software = await practice.open_agenda(2), following.software()
    await radicale.put(f"{CALENDAR}{agenda.id}.ics", at(agenda, 0, 1))
    await follow(software, agenda)
    await reader(practice, radicale).read_all()
    missing, tasks = f"/{USER}/nulle-part/", f"/{USER}/taches/"
    for expected, path, given, secret in (
        ("calendar-not-allowed", CALENDAR, {"password": "autre"}, SECRET),
        ("calendar-unreadable", tasks, {}, SECRET),
        ("calendar-led-away", CALENDAR, {"url": f"https://prive.exemple.org{CALENDAR}"}, SECRET),
        ("calendar-password-lost", CALENDAR, {}, "another secret"),
    ):
        await follow_anything(software, agenda, path, **given)
        await reader(practice, radicale, secret).read_all()
        told = await how_it_stands(software, agenda)
        assert told["problem"]["issue"][0]["details"]["coding"][0]["code"] == expected
        assert FAILING.labels(expected.removeprefix("calendar-"))._value.get() == 1
        assert await practice.slot_statuses(agenda.slots) == ["busy-unavailable", "free"]
    await follow(software, agenda, missing)
    small = outside(radicale.port, radicale.certificate, bytes_max=100)
    await replace(reader(practice, radicale), outside=small).read_all()
    told = await how_it_stands(software, agenda)
    assert told["problem"]["issue"][0]["details"]["coding"][0]["code"] == "calendar-too-large"
    await software.post(f"Schedule/{agenda.id}/$follow-calendar", stated(remove=True))
    await reader(practice, radicale).read_all()
    assert FAILING.labels("too-large")._value.get() == 0
    logged = capsys.readouterr()
    assert "calendar not read" in logged.out
    for word in (PASSWORD, USER, "exemple"):
        assert word not in logged.out + logged.err


async def follow_anything(caller: Caller, agenda: Agenda, path: str, **other: Any) -> None:
    given = {"url": f"https://{HOST}{path}", "user": USER, "password": PASSWORD, **other}
    answer = await caller.post(f"Schedule/{agenda.id}/$follow-calendar", stated(**given))
    assert answer.status_code == 200, answer.text


async def test_nobody_elses_calendar_is_seen_or_changed(
    practice: Practice, following: Callers, radicale: Radicale
) -> None:
    """Two practices: neither learns of the other's calendar, nor gives it another address, nor takes it back; and none of
    them reads with the other's password."""
    ours, theirs = await open_surgery(practice), await open_surgery(practice)
    us = following.staff(ours.organization, role="software")
    them = following.staff(theirs.organization, role="software")
    path = f"Schedule/{ours.agenda}/$follow-calendar"
    given = {"url": f"https://{HOST}{CALENDAR}", "user": USER, "password": PASSWORD}
    assert (await us.post(path, stated(**given))).status_code == 200
    kept = await row(practice, ours.agenda)
    for body in (stated(), stated(remove=True), stated(**given | {"password": "leur"})):
        assert (await them.post(path, body)).status_code == 403
    assert await row(practice, ours.agenda) == kept
    await practice.database.pool.execute(
        "INSERT INTO external_calendar (schedule, url, credentials, due_at) VALUES ($1, $2, $3, $4)",
        theirs.agenda,
        kept["url"],
        kept["credentials"],
        practice.clock.now(),
    )
    await reader(practice, radicale).read_all()
    copied = await row(practice, theirs.agenda)
    assert copied["problem"] == "password-lost", "what is sealed for one agenda opens for no other"
    for caller, agenda in ((us, ours.agenda), (them, theirs.agenda)):
        answer = await caller.post(f"Schedule/{agenda}/$follow-calendar", stated(remove=True))
        assert answer.status_code == 200


async def test_the_password_goes_with_the_agenda_and_with_the_professional(
    practice: Practice, following: Callers
) -> None:
    software = following.software()
    deleted, left = await practice.open_agenda(1), await practice.open_agenda(1)
    shared, stays = await practice.open_agenda(1), await practice.open_agenda(1)
    colleague = f"Practitioner/{unique('prat')}"
    for one in (left.practitioner, colleague):
        await hear(practice, practitioner_resource(one))
    for agenda in (shared, stays):
        read = (await software.get(f"Schedule/{agenda.id}")).json()
        people = {shared: (left.practitioner, colleague), stays: (colleague,)}[agenda]
        actors = [{"reference": one} for one in people]
        assert (await software.put(f"Schedule/{agenda.id}", {**read, "actor": actors})).status_code == 200
    for agenda in (deleted, left, shared, stays):
        await follow(software, agenda)
    assert (await software.delete(f"Schedule/{deleted.id}")).status_code in (200, 204)
    assert await row(practice, deleted.id) is None
    await forget(practice, left.practitioner)
    assert await row(practice, left.id) is None
    assert await row(practice, shared.id) is not None, "a colleague has the agenda, too"
    await forget(practice, colleague)
    assert await row(practice, shared.id) is None
    assert await row(practice, stays.id) is None


async def row(practice: Practice, agenda: str) -> Any:
    sql = "SELECT * FROM external_calendar WHERE schedule = $1"
    return await practice.database.pool.fetchrow(sql, agenda)


def practitioner_resource(reference: str) -> dict[str, Any]:
    meta = {"versionId": "1", "lastUpdated": "2026-11-16T08:00:00Z"}
    return {"resourceType": "Practitioner", "id": reference.partition("/")[2], "meta": meta}


async def forget(practice: Practice, practitioner: str) -> None:
    """The directory deletes somebody."""
    gone = ReceivedEvent(
        topic=DIRECTORY,
        key=practitioner,
        type=RESOURCE_CHANGED,
        subject=practitioner,
        source="/creneau/directory",
        data={},
        time=practice.clock.now() + timedelta(days=1),
        partition=0,
        offset=0,
        raw=None,
    )
    async with practice.database.transaction() as connection:
        await practice.replica().apply(connection, gone)


@pytest.mark.parametrize(
    ("given", "status", "refused"),
    [
        ({"user": USER}, 400, None),
        ({"password": PASSWORD}, 400, None),
        ({"user": "a:b", "password": PASSWORD}, 400, None),
        ({"user": USER, "password": "two\r\nlines"}, 400, None),
        ({"user": USER, "password": PASSWORD, "url": f"http://{HOST}/"}, 422, "password-unencrypted"),
        ({"user": USER, "password": PASSWORD, "url": "https://10.0.0.7/"}, 422, "address-not-public"),
    ],
)
async def test_what_is_no_password_is_refused(
    practice: Practice, following: Callers, given: dict[str, Any], status: int, refused: str | None
) -> None:
    agenda = await practice.open_agenda(1)
    path = f"Schedule/{agenda.id}/$follow-calendar"
    answer = await following.software().post(path, stated(**{"url": f"https://{HOST}/", **given}))
    assert answer.status_code == status
    assert refused is None or code(answer) == refused
    assert PASSWORD not in answer.text
    assert await row(practice, agenda.id) is None


async def test_a_password_in_an_address_is_refused(practice: Practice, following: Callers) -> None:
    """Addresses are logged on their way; its practice is to hear of it before it has become a habit."""
    agenda = await practice.open_agenda(1)
    path = f"Schedule/{agenda.id}/$follow-calendar?user={USER}&password=lisible"
    answer = await following.software().post(path, stated(url=f"https://{HOST}/"))
    assert answer.status_code == 400


async def test_without_the_secret_passwords_are_refused_and_files_are_not(
    practice: Practice, following: Callers
) -> None:
    agenda = await practice.open_agenda(1)
    path, address = f"Schedule/{agenda.id}/$follow-calendar", f"https://{HOST}/a.ics"
    without = settings(practice, following.issuer.url, secret="")
    async with serving(create_app(without, practice.clock)) as client:
        software = Callers(client, following.issuer, practice.clock).software()
        answer = await software.post(path, stated(url=address, user=USER, password=PASSWORD))
        assert (answer.status_code, code(answer)) == (422, "calendar-passwords-off")
        assert (await software.post(path, stated(url=address))).status_code == 200
        assert (await software.post(path, stated(remove=True))).status_code == 200
