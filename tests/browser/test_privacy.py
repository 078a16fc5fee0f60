"""X11, X15, X16: forms of other sites, cookies at the FHIR base, log-in and log-out, and what is left behind."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visiting
from tests.browser.visitor import Visitor
from tests.fixtures.local_run import LocalRun

ELSEWHERE = "http://127.0.0.1:1/"
"""another origin of the same site: browsers send even a `SameSite=Lax` cookie along with its forms"""
LOGS_MIN = 5


def test_x15_a_form_of_another_site_changes_nothing(patient: Visitor) -> None:
    """It has the key even, as if it had leaked; the browser says where it comes from."""
    patient.look_for_times()
    slot, key = patient.times.last.get_attribute("value"), patient.page.locator("[name=form_key]").first
    form = (
        f'<form method="post" action="{patient.page.url.partition("?")[0]}">'
        f'<input name="form_key" value="{key.input_value()}"><input name="creneau" value="{slot}"><button>Gagner</button></form>'
    )
    patient.page.route(ELSEWHERE, lambda route: route.fulfill(body=form, content_type="text/html"))
    patient.page.goto(ELSEWHERE)
    with patient.page.expect_navigation() as navigation:
        patient.page.get_by_role("button").click()
    assert navigation.value.status == 403
    assert navigation.value.request.headers.get("origin") == ELSEWHERE.rstrip("/")
    expect(patient.page.locator("h1")).to_be_visible()


def test_x15_a_form_without_its_key_changes_nothing(patient: Visitor) -> None:
    patient.look_for_times()
    url = patient.page.url.partition("?")[0]
    slot = patient.times.last.get_attribute("value") or ""
    forms: list[dict[str, str | float | bool]] = [{"creneau": slot}, {"creneau": slot, "form_key": "x" * 22}]
    for form in forms:
        assert patient.context.request.post(url, form=form, max_redirects=0).status == 403


def test_x15_the_fhir_base_knows_no_cookie(patient: Visitor) -> None:
    """Who has a session of the pages is a stranger there: the token stays on the server."""
    answer = patient.context.request.get(f"{patient.site}/fhir/Patient")
    assert answer.status in (401, 403)
    assert patient.who.family.lower() not in answer.text().lower()


def test_x15_another_key_at_log_in_and_none_after_log_out(visitor: Visitor) -> None:
    visitor.look_for_times()
    before = visitor.cookie["value"]
    visitor.log_in("/mes-rendez-vous")
    inside = visitor.cookie
    assert inside["value"] != before
    visitor.page.get_by_role("link", name="Se déconnecter").click()
    visitor.open("/mes-rendez-vous")
    assert visitor.path == "/connexion"
    for key in (before, inside["value"]):
        visitor.context.clear_cookies()
        visitor.context.add_cookies(
            [{"name": inside["name"], "value": key, "url": visitor.site.replace("http:", "https:"),
              "secure": True, "httpOnly": True}]
        )  # fmt: skip
        visitor.open("/mes-rendez-vous")
        assert visitor.path == "/connexion", "a key that was used once opens nothing any more"


def test_x15_another_person_finds_nothing_of_the_first(patient: Visitor, visitors: Visiting) -> None:
    appointment = patient.book()
    patient.look_for_times()
    patient.choose()
    draft = patient.path
    other = visitors()
    other.log_in()
    for path in (f"/rendez-vous/{appointment}", draft):
        assert other.open(path).status in (403, 404)
        assert patient.who.family not in other.page.content()


def test_x16_back_after_log_out_shows_nobody(patient: Visitor) -> None:
    patient.look_for_times()
    patient.choose()
    patient.identify()
    family = re.compile(patient.who.family, re.IGNORECASE)
    expect(patient.page.locator("main")).to_contain_text(family)
    patient.page.get_by_role("link", name="Se déconnecter").click()
    for _ in range(4):
        patient.page.go_back()
        expect(patient.page.locator("body")).not_to_contain_text(family)


def test_x16_no_log_names_anybody(patient: Visitor, local_run: LocalRun) -> None:
    """Nor a token, nor the cookie, after a booking with errors on the way."""
    patient.look_for_times()
    patient.choose()
    patient.page.locator("#courriel").fill(f"{patient.who.family}@")
    patient.press("Continuer")
    patient.page.locator("#courriel").fill(f"{patient.who.family}@exemple.fr".lower())
    patient.press("Continuer")
    patient.page.locator("#message").fill(f"De la part de {patient.who.family}")
    patient.confirm()
    words = [word.lower() for word in (*patient.who.words, patient.cookie["value"], "bearer ey")]
    logs = {
        part: local_run.log(part).lower()
        for part in local_run.processes()
        if local_run.folder.log(part).exists()
    }
    assert len(logs) >= LOGS_MIN
    assert not {part: word for part, text in logs.items() for word in words if word in text}
