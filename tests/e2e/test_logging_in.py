"""A person logs in and out in a real browser: the pages, nginx, the development issuer, each a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.fixtures.stack import Stack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DEMONSTRATION = "Connexion de démonstration"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: no browser test")


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    """A narrow window without JavaScript, with a name of its own for each test's cookies."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_context(
            java_script_enabled=False, locale="fr-FR", viewport={"width": 320, "height": 640}
        )
        browser.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    context.clear_cookies()
    page = context.new_page()
    yield page
    page.close()


@pytest.fixture
def stack(full_stack: Stack) -> Stack:
    """The whole system, which runs for other tests here: none is started for logging in alone."""
    return full_stack


def log_in(page: Page, stack: Stack, given: str, path: str = "/mes-rendez-vous") -> None:
    """By the page of test people, as somebody of whom nobody knew."""
    page.goto(f"{stack.url}{path}")
    page.get_by_role("main").get_by_role("link", name=DEMONSTRATION).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(DEMONSTRATION)
    assert urlsplit(page.url).netloc == urlsplit(stack.issuer.url).netloc
    page.get_by_label("Prénom").fill(given)
    page.get_by_label("Nom de naissance").fill("Essai")
    page.get_by_role("button", name="Se connecter sous ce nom").click()


def test_a_person_logs_in_and_out(page: Page, stack: Stack) -> None:
    """P5, X8, X15, X16: without JavaScript, at 320 px, back to the page that was asked for."""
    log_in(page, stack, "Ange")
    assert page.url == f"{stack.url}/mes-rendez-vous"
    (cookie,) = page.context.cookies(stack.url)
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("__Host-creneau", True, "Lax")
    page.get_by_role("link", name="Se déconnecter").click()
    assert urlsplit(page.url)._replace(query="").geturl() == f"{stack.url}/"
    expect(page.get_by_role("status")).to_have_text("La session est fermée.")
    (after,) = page.context.cookies(stack.url)
    assert after["value"] != cookie["value"]
    page.goto(f"{stack.url}/mes-rendez-vous")
    assert urlsplit(page.url).path == "/connexion"


def test_the_browsers_cookie_never_reaches_the_fhir_base(page: Page, stack: Stack) -> None:
    """X15: who is logged in in the pages is nobody to `/fhir`."""
    log_in(page, stack, "Ange")
    (cookie,) = page.context.cookies(stack.url)
    header = {"Cookie": f"{cookie['name']}={cookie['value']}"}
    assert httpx.get(f"{stack.fhir}/Patient", headers=header).status_code == 401
    answer = httpx.get(f"{stack.url}/mes-rendez-vous", headers=header)
    assert answer.status_code == 200, "which is the same cookie that opens the pages"
    assert answer.headers["cache-control"] == "no-store"


def test_who_goes_back_without_logging_in_is_told_what_to_do(page: Page, stack: Stack) -> None:
    page.goto(f"{stack.url}/connexion")
    page.get_by_role("main").get_by_role("link", name=DEMONSTRATION).click()
    page.get_by_role("button", name="Revenir sans se connecter").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("La connexion n'a pas eu lieu")
    assert "code=" not in page.url
    page.get_by_role("link", name="Recommencer la connexion").click()
    expect(page.get_by_role("main").get_by_role("link", name=DEMONSTRATION)).to_be_visible()


def test_the_page_of_test_people_is_for_everybody(page: Page, stack: Stack) -> None:
    """X4: nothing wider than a narrow window; X5: one heading, a title, labels."""
    page.goto(f"{stack.url}/connexion")
    page.get_by_role("main").get_by_role("link", name=DEMONSTRATION).click()
    expect(page).to_have_title(f"{DEMONSTRATION} – Créneau")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    for person in ("Camille MARTIN", "Karim HADDAD", "Océane PAYET", "Sophie GARNIER", "Nadia ROUSSEL"):
        expect(page.get_by_role("button", name=person)).to_be_visible()
    widest = max(box["x"] + box["width"] for box in boxes(page))
    assert widest <= 320


def boxes(page: Page) -> list[dict[str, float]]:
    """Where everything that can be pressed or filled in stands."""
    found = page.locator("button, input:not([type=hidden]), a, h1, h2, p").all()
    return [dict(box) for one in found if (box := one.bounding_box())]  # type: ignore[arg-type]
