"""P20: anybody reports a page, the operator reads it, and nobody floods it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from creneau_shared.clock import FixedClock
from creneau_web.storage.reports import Report, Reports

from .conftest import NOW, Person


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
    page = await person.open("/ops/signalements")
    assert "CMU refusée" in page.text
    assert "quoi=x" not in page.text


async def test_a_flood_is_refused(person: Person) -> None:
    """A hundred at once are no more than may come."""
    reports = Reports(person.app.site.reports._database, keep=timedelta(days=1), most=5)
    for _ in range(5):
        assert await reports.add(Report(NOW, "/", "other", ""))
    assert not any(await asyncio.gather(*(reports.add(Report(NOW, "/", "other", "")) for _ in range(20))))


async def test_what_was_kept_long_enough_goes(person: Person, clock: FixedClock) -> None:
    reports = person.app.site.reports
    await reports.add(Report(NOW, "/", "other", ""))
    clock.advance(timedelta(days=366))
    await reports.sweep(clock.now())
    assert await reports.latest(5) == []
