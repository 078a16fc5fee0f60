"""P20: anybody reports a page, the operator reads it, and nobody floods it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from creneau_shared.clock import FixedClock
from creneau_web.storage.reports import Report, Reports

from .conftest import NOW, Person
from .test_ops_page import enter


async def test_p20_anybody_reports_and_the_operator_reads(person: Person) -> None:
    await person.open("/signaler?page=/soignants/role-1?x=y")
    missing = await person.send("/signaler", page="/soignants/role-1", texte="CMU refusée")
    assert missing.status_code == 422
    assert "CMU refusée" in missing.text
    sent = await person.send(
        "/signaler", page="/soignants/role-1?quoi=x", raison="discrimination", texte="CMU refusée"
    )
    assert sent.headers["location"] == "/soignants/role-1"
    assert (await person.open("/ops/signalements")).headers["location"].startswith("/connexion")
    await person.sign_in("patient")
    assert (await person.open("/ops/signalements")).status_code == 403
    await person.sign_in("marc", identity={"role": "operator"})
    assert (await person.open("/ops/signalements")).status_code == 403, (
        "their right has ended since they logged in"
    )
    await enter(person)
    board = (await person.open("/ops")).text
    assert "1 signalement, le dernier il y a" in board
    assert 'href="/ops/signalements"' in board
    page = await person.open("/ops/signalements")
    assert "CMU refusée" in page.text
    assert "quoi=x" not in page.text


@pytest.mark.parametrize("path", ["/accessibilite", "/aide"])
async def test_p20_who_cannot_use_a_page_finds_where_to_say_so(person: Person, path: str) -> None:
    assert f'href="/signaler?page={path}"' in (await person.open(path)).text


async def test_when_it_was_reported_is_told_by_the_clock_of_paris(person: Person) -> None:
    """What somebody has typed is kept whatever it holds."""
    at = datetime(2026, 7, 1, 21, 30, tzinfo=UTC)
    assert await person.app.site.reports.add(Report(at, "/aide", "other", "Faux\0 numéro"), None)
    await enter(person)
    page = await person.open("/ops/signalements")
    assert "23 h 30" in page.text
    assert "Faux numéro" in page.text


async def test_a_flood_is_refused(person: Person) -> None:
    """A hundred at once are no more than may come."""
    reports = Reports(person.app.site.reports._database, keep=timedelta(days=1), most=5, most_of_one=1)
    flood = (reports.add(Report(NOW, "/", "other", ""), f"192.0.2.{n}") for n in range(40))
    told = await asyncio.gather(
        *flood, return_exceptions=True
    )  # some find no connection in time, where all wait
    assert [one for one in told if one is True] == [True] * 5


async def test_one_person_does_not_use_up_everybodys_reports(person: Person) -> None:
    """A few from one network, and no more: neither by one request after the other nor by another address of a household."""
    database = person.app.site.reports._database
    reports = Reports(database, keep=timedelta(days=1), most=20, most_of_one=3)
    report = Report(NOW, "/", "other", "")
    taken = [await reports.add(report, f"2001:db8::{n}") for n in range(9)]
    assert taken == [True] * 3 + [False] * 6
    assert await reports.add(report, "192.0.2.1")
    assert [await reports.add(report, None) for _ in range(9)] == [True] * 9  # from where, nobody knows


async def test_what_was_kept_long_enough_goes(person: Person, clock: FixedClock) -> None:
    reports = person.app.site.reports
    await reports.add(Report(NOW, "/", "other", ""), None)
    clock.advance(timedelta(days=366))
    await reports.sweep(clock.now())
    assert await reports.latest(5) == []
