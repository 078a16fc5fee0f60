"""A name without a hyphen or a space, longer than a narrow window takes, scrolls nothing sideways (WCAG 1.4.10)."""

from __future__ import annotations

from importlib.resources import files

from playwright.sync_api import Browser, ViewportSize

from tests.browser.looking import LOOKS, SPACED_TEXT, STYLED

STYLE = "".join((files("creneau_web") / "static" / name).read_text() for name in ("tokens.css", "style.css"))
ZOOMED: ViewportSize = {"width": 320, "height": 256}
NAME = "Wolfeschlegelsteinhausenb"
CHOICE = f"""<!doctype html><html lang="fr"><head><title>Pour qui</title><style>{STYLE}</style></head><body><main>
<form><fieldset><legend>Pour qui ?</legend><div class="radio"><input type="radio" name="qui" id="qui-1">
<label for="qui-1">{NAME} {NAME} <span class="hint">né le 20 septembre 2018</span></label></div></fieldset></form>
</main></body></html>"""


def test_a_long_name_among_those_for_whom_one_books(browser: Browser) -> None:
    page = browser.new_page(viewport=ZOOMED)
    page.route("**/*", lambda route: route.fulfill(body=CHOICE, content_type="text/html"))
    page.goto("http://127.0.0.1:1/")
    for style in ("", SPACED_TEXT):
        page.evaluate(STYLED, style)
        assert page.evaluate(LOOKS)["scroll"] == [], style
    page.close()
