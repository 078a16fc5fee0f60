"""Everything that is looked at on one page, in the state in which it stands: nothing is loaded anew.

Light and dark, wide and at 400 % zoom (320 × 256), at 200 % text, with the spacing of WCAG 1.4.12, printed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

FOLDER = Path(__file__).parent
LOOKS = (FOLDER / "looks.js").read_text()
FOCUS = (FOLDER / "focus.js").read_text()

AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""the rules that may come out otherwise in another scheme"""
WIDE, ZOOMED = {"width": 1280, "height": 900}, {"width": 320, "height": 256}

LARGE_TEXT = "html { font-size: 200% !important; }"
SPACED_TEXT = """
* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
p { margin-bottom: 2em !important; }
"""
STYLED = """
css => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  document.adoptedStyleSheets = css ? [sheet] : [];
}
"""
"""a sheet that no policy of the page forbids"""

TITLE = re.compile(r"\S.* – Créneau")
LANDMARKS = {"header.site": 1, "main": 1, "footer.site": 1, "h1": 1, "[lang=''], html:not([lang])": 0}


@dataclass
class Findings:
    """What is wrong at each stop: kind of check → sentences that begin with the name of the stop."""

    of: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, stop: str, sentences: list[str]) -> None:
        self.of[kind] += [f"{stop}: {sentence}" for sentence in sentences]


def look_at(page: Page, stop: str, findings: Findings) -> None:
    """All checks on the page as it stands."""
    findings.add("structure", stop, _structure(page))
    _looks(page, f"{stop} (wide)", findings)
    findings.add("focus", stop, page.evaluate(FOCUS))
    findings.add("axe", f"{stop} (light)", _axe(page))
    page.emulate_media(color_scheme="dark")
    findings.add("axe", f"{stop} (dark)", _axe(page, {"type": "rule", "values": COLOURS}))
    page.emulate_media(color_scheme="light", forced_colors="active")
    findings.add("axe", f"{stop} (forced colours)", _without_borders(page))
    page.emulate_media(forced_colors="none")
    page.evaluate(STYLED, LARGE_TEXT)
    _looks(page, f"{stop} (200 % text)", findings)
    page.set_viewport_size(ZOOMED)  # type: ignore[arg-type]
    page.evaluate(STYLED, SPACED_TEXT)
    _looks(page, f"{stop} (320 px, spaced)", findings)
    page.evaluate(STYLED, "")
    _looks(page, f"{stop} (320 px)", findings)
    findings.add("focus", f"{stop} (320 px)", page.evaluate(FOCUS))
    page.emulate_media(media="print")
    findings.add("print", stop, _printed(page))
    page.emulate_media(media="screen")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def _looks(page: Page, stop: str, findings: Findings) -> None:
    for kind, sentences in page.evaluate(LOOKS).items():
        findings.add(kind, stop, sentences)


def _axe(page: Page, rules: dict[str, Any] | None = None) -> list[str]:
    options = {"runOnly": rules or {"type": "tag", "values": AXE_TAGS}, "resultTypes": ["violations"]}
    results: dict[str, Any]
    if rules is None:
        results = Axe().run(page, options=options).response
    else:  # axe is in the page already, from the first run; to read its half a megabyte again takes longer than to run it
        results = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['id']}: {node['html'][:120]} – {node.get('failureSummary', '')[:200]}"
        for violation in results["violations"]
        for node in violation["nodes"][:3]
    ]


def _structure(page: Page) -> list[str]:
    """One h1, landmarks, a title that says where one is, a language, and no word that was left as a key."""
    wrong = [
        f"{found} × {selector}"
        for selector, wanted in LANDMARKS.items()
        if (found := page.locator(selector).count()) != wanted
    ]
    title = page.title()
    if not TITLE.fullmatch(title):
        wrong.append(f"title {title!r}")
    if page.locator("html").get_attribute("lang") not in ("fr", "en", "fr-FR", "en-GB"):
        wrong.append("language of the page")
    unnamed = page.locator("nav:not([aria-label]):not([aria-labelledby])").count()
    return wrong + (["a nav without a name"] if unnamed else [])


def _without_borders(page: Page) -> list[str]:
    """Where colours are the reader's own, a button is known by its border."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll('button:not(.link), .button, input:not([type=hidden]), select, textarea')]
                .filter(e => e.checkVisibility() && !['radio', 'checkbox'].includes(e.type))
                .filter(e => parseFloat(getComputedStyle(e).borderTopWidth) < 1)
                .map(e => `no border: ${e.outerHTML.slice(0, 80)}`).slice(0, 3)"""
        )
    )


def _printed(page: Page) -> list[str]:
    """On paper: the heading, and neither navigation nor buttons."""
    wrong = [] if page.locator("h1").is_visible() else ["the heading is not printed"]
    controls = page.locator("nav:visible, button:visible, .skip:visible").evaluate_all(
        "all => all.map(e => `printed: ${e.outerHTML.slice(0, 80)}`)"
    )
    return wrong + list(controls)[:3]
