"""The operator's page: closed without the scope, drawn from memory alone, nobody's data on it, each line with its way out."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from deploy.local.folder import REPOSITORY
from services.web.tests.wire import WireTo
from tests.docs.runbook import DRAWN, guide

from creneau_shared.clock import FixedClock
from creneau_web.app import WebApplication, create_app
from creneau_web.ops.judging.lines import RULES
from creneau_web.ops.memory import Look, Seen
from creneau_web.ops.reading import read
from creneau_web.settings import WebSettings

from .conftest import NOW, SITE, FhirBase, Person

LETTER = "booking-0f0e0d0c-0b0a-4900-8807-060504030201"
LETTERS = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "letter",
            "part": [
                {"name": "id", "valueString": LETTER},
                {"name": "topic", "valueString": "creneau.directory.resources"},
                {"name": "consumer", "valueString": "booking-directory-replica"},
                {"name": "type", "valueString": "fr.creneau.directory.resource.changed.v1"},
                {"name": "reason", "valueCode": "ValueError"},
                {"name": "attempts", "valueInteger": 3},
                {"name": "since", "valueInstant": "2026-11-30T07:00:00Z"},
            ],
        },
        {"name": "unavailable", "valueString": "notifications"},
    ],
}


def token(scope: str) -> str:
    """A token as the issuer writes it, as far as the pages look at it."""
    claims = base64.urlsafe_b64encode(orjson.dumps({"scope": scope, "sub": "exploitante"})).rstrip(b"=")
    return f"e30.{claims.decode()}.x"


OPERATOR = "openid creneau/operate"


async def enter(person: Person, scope: str = OPERATOR) -> None:
    """As somebody who has logged in with this scope."""
    await person.sign_in("exploitante")
    session = await person.app.site.sessions.find(
        person.client.cookies[person.app.site.settings.session_cookie]
    )
    assert session is not None
    assert session.account is not None
    account = session.account.model_copy(update={"access_token": token(scope)})
    session.content = session.content.model_copy(update={"account": account})
    await person.app.site.sessions.save(session)


def see(person: Person, name: str, text: str = "", *, looks: int = 2, answered: bool = True) -> None:
    """A process as the last looks saw it, with these numbers."""
    memory, now = person.app.site.collector.memory, NOW.timestamp()
    seen = memory.processes.setdefault(name, Seen())
    numbers = read(text, {line.partition("{")[0].partition(" ")[0] for line in text.splitlines()})
    for number in range(looks):
        seen.add(Look(now - 10 * (looks - 1 - number), answered), numbers if answered else None, now - 900)
    memory.looked_at = now


WELL = """creneau_rehearsal_success_timestamp_seconds {now}
creneau_rehearsal_failing_timestamp_seconds 0
creneau_rehearsal_step_seconds{{step="book"}} 0.04
creneau_process_info{{version="0.1.0",settings="ab12cd34",schema="0025"}} 1
process_start_time_seconds {now}
"""


@pytest.fixture
def well(person: Person) -> Person:
    see(person, "web-rehearsal", WELL.format(now=NOW.timestamp() - 60))
    see(
        person,
        "booking-worker",
        "creneau_double_bookings 0\ncreneau_relay_leads 1\ncreneau_outbox_lag_seconds 0\n",
    )
    return person


async def test_it_is_closed_without_the_scope(well: Person) -> None:
    """O6: nobody, a person, an operator without the scope; reading, pressing a button, and the guide."""
    for path in ("/ops", "/ops/que-faire", "/ops/"):
        assert (await well.open(path)).headers["location"].startswith("/connexion?retour=%2Fops")
    await enter(well, "openid patient/*.rs")
    for path in ("/ops", "/ops/que-faire"):
        assert (await well.open(path)).status_code == 403
    await well.open("/langue/fr")
    await well.open("/soignants/role-1/creneaux")
    refused = await well.send("/ops/messages-morts/rejouer", id=LETTER)
    assert refused.status_code == 403


async def test_it_says_that_all_is_well_and_where_its_figures_are_from(well: Person) -> None:
    """O1, O7, O8: one sentence, the source with its age, a line for each process with version, start, schema, settings."""
    await enter(well)
    text = (await well.open("/ops")).text
    assert "Tout fonctionne." in text
    assert "lus il y a 0 seconde" in text
    assert "Réussie il y a 1 minute" in text
    row = re.search(r'<th scope="row">web-rehearsal</th>(.*?)</tr>', text, re.DOTALL)
    assert row is not None
    for word in ("0.1.0", "0025", "ab12cd34", "il y a 1 minute"):
        assert word in row[1]
    assert "<script" not in text
    assert 'style="' not in text


async def test_what_is_bad_is_named_with_the_way_out(well: Person, clock: FixedClock) -> None:
    """O4, O5: in the sentence, in its line with its since, with a link to its heading."""
    await enter(well)
    see(well, "gateway", answered=False)
    see(
        well,
        "booking-worker",
        "creneau_double_bookings 2\ncreneau_feed_failing_timestamp_seconds"
        f'{{feed="logiciel-a",organization=""}} {NOW.timestamp() - 3600}\n',
    )
    text = (await well.open("/ops")).text
    sentence = text.partition('role="status"')[2].partition("</div>")[0]
    assert "Créneau ne fonctionne pas comme il faut\N{NO-BREAK SPACE}: gateway" in sentence
    assert "il y a 0 seconde" in sentence  # since the gateway is away
    assert (
        "il y a 1 heure" in text.partition("Agendas du logiciel logiciel-a</strong>")[2].partition("</li>")[0]
    )
    for anchor in (
        "a-process-does-not-answer",
        "two-appointments-have-one-slot",
        "a-softwares-agendas-are-refused",
    ):
        assert f'href="/ops/que-faire#{anchor}"' in text


async def test_a_page_that_sees_nothing_any_more_says_so(well: Person, clock: FixedClock) -> None:
    """O7: its own failure is the first thing that it says; what it shows is old, and it says how old."""
    await enter(well)
    well.app.site.collector.memory.failed = "KeyError"
    text = (await well.open("/ops")).text
    assert "Cette page ne voit plus rien" in text
    assert 'href="/ops/que-faire#the-page-is-blind"' in text


async def test_every_line_leads_to_a_heading_that_is_there(well: Person) -> None:
    """O5: links checked: those of the rules, and the guide as it is drawn is the guide as it is written."""
    await enter(well)
    shown = (await well.open("/ops/que-faire")).text
    ids = set(re.findall(r'<h2 id="([^"]+)"', shown))
    assert {rule.runbook for rule in RULES.values()} | {"the-page-is-blind"} <= ids
    for inner in re.findall(r'href="#([^"]+)"', shown):
        assert inner in ids | {"main"}
    assert DRAWN.read_text(encoding="utf-8") == guide(), "python -m tests.docs.runbook"


async def test_it_is_drawn_when_the_fhir_base_is_away(well: Person, fhir: FhirBase) -> None:
    """What it shows is in memory: it answers just when nothing else does."""
    await enter(well)
    fhir.on("POST", "/$dead-letters", {}, 503)
    answer = await well.open("/ops")
    assert answer.status_code == 200
    assert "ne les donne pas pour l'instant" in answer.text


# -- dead letters --------------------------------------------------------------------------------------------


@pytest.fixture
def letters(fhir: FhirBase) -> FhirBase:
    fhir.on("POST", "/$dead-letters", LETTERS)
    return fhir


async def test_letters_are_shown_with_two_buttons(well: Person, letters: FhirBase) -> None:
    await enter(well)
    text = (await well.open("/ops")).text
    for word in (
        LETTER,
        "ValueError",
        "creneau.directory.resources",
        "il y a 1 heure",
        "notifications ne répond pas",
    ):
        assert word in text
    assert letters.asked[-1].token == token(OPERATOR)


def states(state: str) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "state", "valueCode": state}]}


@pytest.mark.parametrize(
    ("state", "said"),
    [("replayed", "a été traité"), ("lost", "sur aucun sujet"), ("waiting", "attend toujours")],
)
async def test_one_is_handled_again(well: Person, letters: FhirBase, state: str, said: str) -> None:
    """The one whose button was pressed, with the operator's own token; what became of it is said."""
    await enter(well)
    letters.on("POST", "/$replay-dead-letter", states(state))
    await well.open("/ops")
    answer = await well.follow(await well.send("/ops/messages-morts/rejouer", id=LETTER))
    assert said in answer.text
    asked = next(one for one in letters.asked if one.path == "/$replay-dead-letter")
    assert asked.body["parameter"] == [{"name": "id", "valueString": LETTER}]
    assert asked.token == token(OPERATOR)


async def test_one_is_given_up_with_a_reason_only(well: Person, letters: FhirBase) -> None:
    await enter(well)
    letters.on("POST", "/$discard-dead-letter", states("discarded"))
    await well.open("/ops")
    answer = await well.follow(await well.send("/ops/messages-morts/abandonner", id=LETTER, reason=" "))
    assert "Dites pourquoi" in answer.text
    assert not [one for one in letters.asked if one.path == "/$discard-dead-letter"]
    answer = await well.follow(await well.send("/ops/messages-morts/abandonner", id=LETTER, reason="ancien"))
    assert "abandonné" in answer.text
    asked = next(one for one in letters.asked if one.path == "/$discard-dead-letter")
    assert {"name": "reason", "valueString": "ancien"} in asked.body["parameter"]


@pytest.mark.parametrize("reason", ["é" * 501, "ab"])
async def test_a_reason_that_will_not_do_is_shown_again_and_nothing_is_done(
    well: Person, letters: FhirBase, reason: str
) -> None:
    """What may be written is said before it is."""
    await enter(well)
    shown = (await well.open("/ops")).text
    assert "De 3 à 500 caractères" in shown
    assert 'maxlength="500"' in shown
    answer = await well.send("/ops/messages-morts/abandonner", id=LETTER, reason=reason)
    assert answer.status_code == 422
    assert f'value="{reason}"' in answer.text
    assert 'id="why-1-problem"' in answer.text
    assert 'aria-describedby="why-1-hint why-1-problem"' in answer.text
    assert not [one for one in letters.asked if one.path == "/$discard-dead-letter"]


async def test_who_was_slower_is_told(well: Person, letters: FhirBase) -> None:
    await enter(well)
    letters.refuse("POST", "/$replay-dead-letter", 409, "letter-closed")
    await well.open("/ops")
    answer = await well.follow(await well.send("/ops/messages-morts/rejouer", id=LETTER))
    assert "déjà été traité" in answer.text


# -- open, for a local run -----------------------------------------------------------------------------------


@pytest.fixture
async def open_to_all(
    new_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Person]:
    monkeypatch.setenv("OPS_OPEN", "on")
    settings = WebSettings(
        database_url=new_database(template=migrated_web),
        public_site_url=SITE,
        fhir_url=f"{SITE}/fhir",
        results_cache_s=0,
        _env_file=None,
    )
    app: WebApplication = create_app(settings, clock, WireTo(httpx.MockTransport(fhir), f"{SITE}/fhir"))
    async with (
        app.pages.router.lifespan_context(app.pages),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=SITE) as client,
    ):
        yield Person(client, app)


async def test_open_to_all_means_to_read(open_to_all: Person, letters: FhirBase) -> None:
    """In a local run nobody logs in to look; letters and their buttons are an operator's all the same."""
    see(open_to_all, "web-rehearsal", WELL.format(now=NOW.timestamp()))
    answer = await open_to_all.open("/ops")
    assert answer.status_code == 200
    assert LETTER not in answer.text
    assert "set-cookie" not in answer.headers
    await open_to_all.open("/soignants/role-1/creneaux")
    pressed = await open_to_all.send("/ops/messages-morts/rejouer", id=LETTER)
    assert pressed.status_code in (303, 403)
    assert not [one for one in letters.asked if "dead-letter" in one.path]


async def test_in_every_language(open_to_all: Person) -> None:
    """O3 and X17: the same page in English and in the simple version."""
    see(open_to_all, "web-rehearsal", WELL.format(now=NOW.timestamp()))
    for language, word in (("en", "Everything works."), ("simple", "Tout fonctionne.")):
        await open_to_all.open(f"/langue/{language}?retour=/ops")
        text = (await open_to_all.open("/ops")).text
        assert word in text
        assert f'<html lang="{"en" if language == "en" else "fr"}"' in text


def test_no_name_of_a_person_is_a_label() -> None:
    """O6: what is measured is labelled by things: no metric has a label that could name somebody."""
    sources = [*REPOSITORY.glob("shared/src/**/*.py"), *REPOSITORY.glob("services/*/src/**/*.py")]
    declared = re.compile(r'(?:Counter|Gauge|Histogram)\(\s*"creneau_[^)]*?\[([^\]]*)\]', re.DOTALL)
    labels = {
        label
        for source in sources
        for found in declared.findall(source.read_text(encoding="utf-8"))
        for label in re.findall(r'"(\w+)"', found)
    }
    assert labels == {
        *(
            "change",
            "channel",
            "consumer",
            "data_class",
            "feed",
            "function",
            "job",
            "kind",
            "limit",
            "method",
            "organization",
            "provider",
        ),
        *(
            "outcome",
            "problem",
            "reason",
            "resource",
            "result",
            "schema",
            "settings",
            "status",
            "step",
            "task",
            "topic",
        ),
        *("type", "version"),
    }
