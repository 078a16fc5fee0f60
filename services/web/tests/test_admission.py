"""Too much at once: whoever holds a time or finishes something is let in before whoever looks, and nobody is left hanging."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from creneau_shared.clock import FixedClock
from creneau_shared.errors import Unavailable
from creneau_web.admission.gate import Queue
from creneau_web.admission.kinds import kind_of
from creneau_web.admission.rule import Kind, Limits, Room
from creneau_web.app import WebApplication
from creneau_web.pages import home, professional, results, routers, times
from creneau_web.pages.booking.draft import Draft, Held
from creneau_web.sessions.session import Account, Content

from .conftest import NOW, SITE, FhirBase, Person, running, searchset
from .samples import PLACE, PRACTITIONER, ROLE, appointment

# -- the rule ---------------------------------------------------------------------------------------------------

LIMITS = Limits(looking_below=2, finishing_below=4, waiting_max=2)
steps = st.lists(st.sampled_from(["looking", "finishing", "leave", "give up looking", "give up finishing"]))


@given(steps)
def test_who_finishes_is_never_kept_out_before_who_looks(taken: list[str]) -> None:
    """Whatever comes and goes: nobody looks beyond their part, nobody waits where there is room, and each is counted."""
    room, inside = Room(LIMITS), 0
    for step in taken:
        match step:
            case "looking" | "finishing":
                before, verdict = room.in_progress, room.ask(step)
                inside += verdict == "in"
                if verdict == "in":
                    assert before < LIMITS.below(step)
                if verdict != "in" and step == "finishing":
                    assert before == LIMITS.finishing_below
            case "leave" if inside:
                waited = dict(room.waiting)
                called = room.leave()
                inside += -1 + (called is not None)
                if called == "looking":
                    assert not waited["finishing"]
            case "give up looking" | "give up finishing":
                kind: Kind = "looking" if step.endswith("looking") else "finishing"
                if room.waiting[kind]:
                    room.give_up(kind)
        assert room.in_progress == inside <= LIMITS.finishing_below
        assert not (room.waiting["finishing"] and room.in_progress < LIMITS.finishing_below)
        assert not (room.waiting["looking"] and room.in_progress < LIMITS.looking_below)
        assert all(0 <= count <= LIMITS.waiting_max for count in room.waiting.values())


def test_those_who_wait_are_called_in_turn_and_who_finishes_first() -> None:
    room = Room(Limits(looking_below=1, finishing_below=1, waiting_max=2))
    assert [room.ask("looking") for _ in range(4)] == ["in", "wait", "wait", "away"]
    assert room.ask("finishing") == "wait"
    assert [room.leave() for _ in range(4)] == ["finishing", "looking", "looking", None]


def test_limits_that_would_turn_the_order_around_are_none() -> None:
    with pytest.raises(ValueError, match="those who finish"):
        Limits(looking_below=5, finishing_below=4, waiting_max=1)


async def test_whoever_goes_away_while_they_wait_takes_nobody_s_place() -> None:
    """A browser that is closed: cancelled before and after it was its turn, no place is lost."""
    queue = Queue(Limits(looking_below=1, finishing_below=1, waiting_max=5), 10)
    assert await queue.enter("looking")
    gone, called, last = (asyncio.create_task(queue.enter("looking")) for _ in range(3))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    queue.leave()
    called.cancel()  # it was let in, and does not know yet
    assert await last
    queue.leave()
    assert (queue.room.in_progress, queue.room.waiting["looking"]) == (0, 0)


# -- which request is of which kind -----------------------------------------------------------------------------


def _ways(router: Any) -> Iterator[tuple[str, str]]:
    for route in router.routes:
        assert isinstance(route, APIRoute)
        for method in sorted(route.methods or ()):
            path = route.path
            for name in route.param_convertors:
                path = path.replace(f"{{{name}}}", "x-1")
            yield method, path


LOOKS = (home.router, results.router, professional.router, times.router)
ALL = [(router in LOOKS, *way) for router in routers() for way in _ways(router)]


@pytest.mark.parametrize(("looks", "method", "path"), ALL, ids=[f"{m} {p}" for _, m, p in ALL])
def test_only_what_looks_is_of_those_who_look(looks: bool, method: str, path: str) -> None:
    """A new screen is one of those that go first, unless it is listed."""
    apart = path.startswith(("/ops", "/static", "/auth/deconnexion"))
    assert kind_of(method, path) == (None if apart else "looking" if looks else "finishing")


# -- the whole ----------------------------------------------------------------------------------------------------


@dataclass
class Slow:
    """A FHIR base that answers when it may."""

    fhir: FhirBase
    may: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        await self.may.wait()
        return self.fhir(request)


@pytest.fixture
def slow(fhir: FhirBase) -> Slow:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Appointment/a-1", appointment("booked"))
    return Slow(fhir)


@pytest.fixture
async def app(
    request: pytest.FixtureRequest, new_database: Any, migrated_web: str, slow: Slow, clock: FixedClock
) -> AsyncIterator[WebApplication]:
    """Three pages for those who look, eight for all; by default they wait less than a page takes here."""
    said = {"admission_looking_below": 3, "admission_finishing_below": 8, "admission_waiting_max": 2}
    url = new_database(template=migrated_web)
    async with running(
        url, httpx.MockTransport(slow), clock, admission_wait_s=getattr(request, "param", 0.3), **said
    ) as app:
        yield app


TIMES = "/soignants/role-1/creneaux"


def measured(series: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"creneau_pages_{series}", labels) or 0.0


async def once(in_progress: int, waiting: int = 0) -> None:
    """Go on when so many pages are being made, and so many who look wait."""
    for _ in range(1000):
        if (measured("in_progress"), measured("waiting", kind="looking")) == (in_progress, waiting):
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{measured('in_progress')} in progress")


async def busy(app: WebApplication, count: int) -> list[asyncio.Task[int]]:
    """So many who look: three of their pages are being made, the others wait."""

    async def look() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client:
            return (await client.get(TIMES)).status_code

    tasks = [asyncio.create_task(look()) for _ in range(count)]
    await once(3, count - 3)
    return tasks


async def holding(app: WebApplication, person: Person, clock: FixedClock) -> None:
    """The person has chosen a time, and it is kept for them."""
    account = Account(subject="camille", access_token="token of camille")
    session = await app.site.sessions.begin(Content(account=account, language="simple"))
    assert session.key is not None
    person.client.cookies.set(app.site.settings.session_cookie, session.key, domain="creneau.example")
    held = Held(appointment="held", patient="camille", until=clock.now() + timedelta(minutes=10))
    draft = Draft(role="role-1", slot="s-1", start=NOW, end=NOW, held=held)
    await app.site.sessions.keep_draft(session, draft.id, draft.model_dump(mode="json"))


async def test_who_looks_waits_and_is_asked_to_come_back_and_who_holds_a_time_is_let_in(
    app: WebApplication, slow: Slow, person: Person, clock: FixedClock
) -> None:
    """Many at once: three pages are being made, two more wait, the next is told at once; a time that is kept opens the
    same page, and so does what is no looking."""
    before = measured("turned_away_total", kind="looking")
    making = await busy(app, 5)
    assert measured("in_progress") == 3
    away = await person.open(TIMES)
    assert away.status_code == 503
    assert 10 <= int(away.headers["retry-after"]) <= 20
    assert away.headers["refresh"] == away.headers["retry-after"]
    assert f"dans {away.headers['retry-after']} secondes" in away.text.replace("\xa0", " ")
    assert f'href="{TIMES}"' in away.text
    assert away.headers["cache-control"] == "no-store"
    assert "content-security-policy" in away.headers
    assert "<script" not in away.text
    assert "Many people" in (await person.open("/", **{"Accept-Language": "en"})).text
    await holding(app, person, clock)
    mine_ = [asyncio.create_task(person.open(path)) for path in (TIMES, "/rendez-vous/a-1")]
    waited = await asyncio.gather(*making[3:])
    assert waited == [503, 503], "within the wait nobody left"
    assert not any(task.done() for task in (*making[:3], *mine_))
    slow.may.set()
    assert [answer.status_code for answer in await asyncio.gather(*mine_)] == [200, 200]
    assert await asyncio.gather(*making[:3]) == [200] * 3
    assert measured("turned_away_total", kind="looking") == before + 4
    assert measured("in_progress") == 0
    assert (await person.open(TIMES)).status_code == 200, "and everybody again afterwards"


@pytest.mark.parametrize("app", [60.0], indirect=True)
async def test_who_waits_is_let_in_as_soon_as_there_is_room(app: WebApplication, slow: Slow) -> None:
    making = await busy(app, 5)
    slow.may.set()
    assert await asyncio.gather(*making) == [200] * 5


async def test_far_later_a_form_is_refused_too_and_is_not_sent_by_itself(
    app: WebApplication, slow: Slow, person: Person, clock: FixedClock
) -> None:
    """Eight at once are too many for anybody: what was written is not lost, nothing is repeated without the person, and it
    is said in the language that they read."""
    await holding(app, person, clock)
    making = [asyncio.create_task(person.open("/rendez-vous/a-1")) for _ in range(8)]
    await once(len(making))
    refused = await person.send("/rendez-vous/a-1/annuler", raison="pat")
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    assert "refresh" not in refused.headers
    assert "validez encore" in refused.text
    assert "avez écrit est gardé" not in refused.text, "no form of ours"
    person.form_key = (await person.session()).form_key
    kept = await person.send("/rendez-vous/a-1/annuler", raison="pat")
    assert "avez écrit est gardé" in kept.text
    assert 'href="/rendez-vous/a-1/annuler"' in kept.text
    unsent = (await person.session()).content.unsent
    assert unsent is not None
    assert (unsent.page, unsent.text("raison")) == ("/rendez-vous/a-1/annuler", "pat")
    slow.may.set()
    assert {answer.status_code for answer in await asyncio.gather(*making)} == {200}


async def test_operators_are_let_in_whatever_happens(app: WebApplication, slow: Slow, person: Person) -> None:
    making = await busy(app, 5)
    assert (await person.open("/ops")).status_code != 503
    slow.may.set()
    await asyncio.gather(*making)


async def test_a_database_that_does_not_answer_makes_nobody_wait_for_it(
    app: WebApplication, slow: Slow, person: Person, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they hold a time cannot be told then: they are one of those who look, and get a page."""
    await holding(app, person, clock)

    async def silent(_: object) -> None:
        raise Unavailable("rien", "nothing")

    making = await busy(app, 3)
    monkeypatch.setattr(app.site.sessions, "find", silent)
    assert (await person.open(TIMES)).status_code == 503
    slow.may.set()
    await asyncio.gather(*making)
