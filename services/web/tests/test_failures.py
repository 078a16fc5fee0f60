"""What is told when something does not work is so: what was written is kept, and the reason is the true one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from creneau_shared.errors import Unavailable

from .conftest import Asked, FhirBase, Person, searchset
from .samples import CAMILLE, PLACE, PRACTITIONER, ROLE, SCHEDULE, SLOT


@pytest.fixture(autouse=True)
def base(fhir: FhirBase) -> None:
    fhir.on("GET", "/PractitionerRole", searchset(ROLE, PRACTITIONER, PLACE))
    fhir.on("GET", "/Slot", searchset(SLOT, SCHEDULE))
    fhir.on("GET", "/Slot/slot-1", SLOT)
    fhir.on("POST", "/Patient/_search", searchset(CAMILLE))
    fhir.on("GET", "/Patient/camille", CAMILLE)


def dead(asked: Asked) -> httpx.Response | None:
    """The base is not there."""
    raise httpx.ConnectError("no")


async def test_what_was_written_while_the_base_is_away_is_kept_for_its_page(
    person: Person, fhir: FhirBase
) -> None:
    await person.sign_in()
    await person.open("/mes-donnees/camille")
    fhir.rules.append(dead)
    lost = await person.send("/mes-donnees/camille", nom_utilise="Durand-Ferrier", courriel="c@exemple.fr")
    assert lost.status_code == 503
    assert "est gardé" in lost.text
    assert '<a class="button" href="/mes-donnees/camille">' in lost.text
    assert "Durand-Ferrier" not in lost.text
    fhir.rules.remove(dead)
    again = await person.open("/mes-donnees/camille")
    assert 'value="Durand-Ferrier"' in again.text
    assert 'value="c@exemple.fr"' in again.text


async def test_of_a_fault_of_ours_too(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever broke: the form is read by then, and its page has it."""

    async def broken(*_: Any) -> bool:
        raise RuntimeError

    await person.open("/signaler?page=/aide")
    monkeypatch.setattr(person.app.site.reports, "add", broken)
    monkeypatch.setattr(person.client._transport, "raise_app_exceptions", False)
    lost = await person.send("/signaler", page="/aide", raison="wrong", texte="Numéro faux")
    assert lost.status_code == 500
    assert "est gardé" in lost.text
    assert '<a class="button" href="/signaler">' in lost.text
    assert "Numéro faux" in (await person.open("/signaler")).text


async def test_what_cannot_be_kept_is_shown_and_not_said_to_be_kept(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await person.open("/signaler?page=/aide")

    async def silent(*_: Any) -> None:
        raise Unavailable("rien", "nothing")

    monkeypatch.setattr(person.app.site.sessions, "change", silent)
    monkeypatch.setattr(person.app.site.reports, "add", silent)
    lost = await person.send("/signaler", page="/aide", raison="wrong", texte="Numéro faux")
    assert lost.status_code == 503
    assert "est gardé" not in lost.text
    assert "Numéro faux" in lost.text


@pytest.mark.parametrize(
    ("status", "shown", "told"),
    [(500, 503, "ne répond pas"), (503, 503, "ne répond pas"), (429, 429, "Attendez trois minutes.")],
)
async def test_what_the_base_does_later_is_not_told_as_impossible(
    person: Person, fhir: FhirBase, status: int, shown: int, told: str
) -> None:
    """A fault of the base, or too much at once: what was written is kept, and the page can be asked for again."""
    await person.sign_in()
    await person.open("/mes-donnees/camille")
    fhir.refuse("GET", "/Patient/camille", status, "transient", "Attendez trois minutes.")
    lost = await person.send("/mes-donnees/camille", nom_utilise="Durand-Ferrier", courriel="c@exemple.fr")
    read = await person.open("/mes-donnees/camille")
    for page in (lost, read):
        assert page.status_code == shown
        assert told in page.text
        assert "pas possible" not in page.text
        assert '<a class="button" href="/mes-donnees/camille">' in page.text
    assert "est gardé" in lost.text
    assert "est gardé" not in read.text
    fhir.on("GET", "/Patient/camille", CAMILLE)
    assert 'value="Durand-Ferrier"' in (await person.open("/mes-donnees/camille")).text


async def test_what_the_base_never_does_is_not_to_be_tried_again(person: Person, fhir: FhirBase) -> None:
    await person.sign_in()
    fhir.refuse("GET", "/Patient/camille", 501, "not-supported", "Ce serveur ne le fait pas.")
    page = await person.open("/mes-donnees/camille")
    assert (page.status_code, "Réessayer" in page.text) == (501, False)


async def test_a_page_that_could_not_be_read_is_asked_for_again(person: Person, fhir: FhirBase) -> None:
    fhir.rules.append(dead)
    away = await person.open("/soignants/role-1/creneaux?motif=Suivi")
    assert away.status_code == 503
    assert '<a class="button" href="/soignants/role-1/creneaux?motif=Suivi">Réessayer</a>' in away.text
    assert "est gardé" not in away.text


async def test_a_form_of_another_site_leaves_nothing(person: Person, fhir: FhirBase) -> None:
    """Neither when it is refused, nor when the base is away."""
    await person.sign_in()
    await person.open("/mes-donnees/camille")
    fhir.rules.append(dead)
    data = {"form_key": person.form_key, "nom_utilise": "Forgé"}
    await person.client.post("/mes-donnees/camille", data=data, headers={"Origin": "https://other.example"})
    assert (await person.session()).content.unsent is None


async def test_who_takes_no_cookies_is_told_so_and_how_it_goes_on(person: Person) -> None:
    """And not that a page has expired, again and again."""
    await person.open("/soignants/role-1/creneaux")
    person.client.cookies.clear()
    refused = await person.send("/soignants/role-1/creneaux", creneau="slot-1")
    assert refused.status_code == 403
    assert "a expiré" not in refused.text
    assert "refuse les cookies" in refused.text
    assert 'href="/soignants/role-1/creneaux"' in refused.text
    assert 'href="tel:' in refused.text


async def test_whose_session_is_over_is_told_that(person: Person) -> None:
    await person.open("/soignants/role-1/creneaux")
    person.client.cookies.set("__Host-creneau", "of yesterday", domain="creneau.example")
    refused = await person.send("/soignants/role-1/creneaux", creneau="slot-1")
    assert "a expiré" in refused.text
    assert "refuse les cookies" not in refused.text
