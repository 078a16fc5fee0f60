"""`make review`: a picture of every page in every state, beside what a person has to judge about them.

    python -m tests.browser.review [--site http://127.0.0.1:8080] [--folder .creneau/review]

The walk is that of the tests (`stops.py`); each stop is taken wide and light, and at 320 px and dark. The folder then holds
one page, `index.html`, with the questions of docs/guides/review-list.md before the pictures. Nothing of it is committed.
"""

from __future__ import annotations

import argparse
import re
import sys
from contextlib import ExitStack
from html import escape
from pathlib import Path

from deploy.local.mail_store import MailStore
from playwright.sync_api import Page, ViewportSize, sync_playwright

from tests.browser.chromium import ARGUMENTS, LAUNCH_MS, installed
from tests.browser.letters import Letters
from tests.browser.practice import Practice
from tests.browser.stops import Walk
from tests.browser.tour import site_to_look_at
from tests.browser.visitor import Visitor, visiting
from tests.fixtures.broker import REPOSITORY

FOLDER = REPOSITORY / ".creneau" / "review"
QUESTIONS = REPOSITORY / "docs" / "guides" / "review-list.md"
WIDE: ViewportSize = {"width": 1100, "height": 800}
NARROW: ViewportSize = {"width": 320, "height": 640}
QUALITY = 60
STYLE = """
body { font: 1rem/1.5 sans-serif; margin: 2rem } pre { white-space: pre-wrap }
img { vertical-align: top; border: 1px solid #999; max-width: 70% }
"""


def main() -> int:
    """Take the pictures and write the page; 1 with a sentence where there is no browser."""
    parser = argparse.ArgumentParser(prog="make review", description=__doc__)
    parser.add_argument("--site", help="a running system with the demonstration data; none: one is started")
    parser.add_argument("--running-in", help="folder of that system, for the messages that it sends")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    chromium = installed()
    if chromium is None:
        print("No browser: install the package `chromium` (Debian: apt-get)", file=sys.stderr)
        return 1
    arguments.folder.mkdir(parents=True, exist_ok=True)
    taken: list[tuple[str, str]] = []
    with ExitStack() as stack:
        site, folder = stack.enter_context(site_to_look_at(arguments.site, arguments.running_in))
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS, timeout=LAUNCH_MS)
        stack.callback(browser.close)

        def visit(*who: object) -> Visitor:
            return stack.enter_context(visiting(browser, site, *who, viewport=WIDE))  # type: ignore[arg-type]

        for stop, visitor in Walk(visit, Letters(MailStore(folder.mail)), Practice(site, folder)).stops():
            name = f"{len(taken) + 1:02d}-{re.sub(r'[^a-z0-9]+', '-', stop.lower()).strip('-')}"
            _take(visitor.page, arguments.folder, name)
            taken.append((stop, name))
            print(f"  {name}", flush=True)
    (arguments.folder / "index.html").write_text(_page(taken))
    print(f"\n{len(taken)} pages: {arguments.folder / 'index.html'}")
    return 0


def _take(page: Page, folder: Path, name: str) -> None:
    """Wide and light, narrow and dark."""
    page.screenshot(path=folder / f"{name}.jpg", type="jpeg", quality=QUALITY, full_page=True)
    page.set_viewport_size(NARROW)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=folder / f"{name}-320.jpg", type="jpeg", quality=QUALITY, full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)


def _page(taken: list[tuple[str, str]]) -> str:
    """The questions, then each stop with its pictures."""
    stops = "".join(
        f"<section><h2>{escape(stop)}</h2>"
        f"<img src='{name}.jpg' alt='wide'> <img src='{name}-320.jpg' alt='320 px, dark'></section>"
        for stop, name in taken
    )
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Review list</title>"
        f"<style>{STYLE}</style><h1>Review list</h1><pre>{escape(QUESTIONS.read_text())}</pre>{stops}</html>"
    )


if __name__ == "__main__":
    sys.exit(main())
