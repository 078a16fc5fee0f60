"""`make tour`: a browser is led through one booking on a system of its own, and leaves the pictures of the guides; then it
takes one for a child, and looks at what an operator sees.

    python -m tests.browser.tour [--site http://127.0.0.1:8080] [--folder docs/pictures]

The pictures are WebP of the pages as they are, at the width of a telephone or a desk; each at most 60 KB.
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.folder import Folder
from playwright.sync_api import ViewportSize, sync_playwright

from tests.browser.chromium import ARGUMENTS, LAUNCH_MS, installed
from tests.browser.people import Somebody
from tests.browser.visitor import Visitor, visiting
from tests.fixtures.broker import REPOSITORY
from tests.fixtures.local_run import LocalRun

PICTURES = REPOSITORY / "docs" / "pictures"
PICTURE_MAX = 60_000
"""bytes"""
QUALITIES = (80, 60, 40, 25)
DESK: ViewportSize = {"width": 1000, "height": 750}
TELEPHONE: ViewportSize = {"width": 360, "height": 740}

CAMILLE = Somebody("Camille", "Durand", "1988-05-14")


class Album:
    """Where the pictures go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._number = 0

    def take(self, visitor: Visitor, name: str, said: str) -> None:
        """The page from its top, as large as it is, at most two windows high; in as good a quality as the size allows."""
        page = visitor.page
        size = page.viewport_size
        assert size is not None
        page.evaluate("() => { document.activeElement?.blur(); scrollTo(0, 0); }")
        height = min(page.evaluate("() => document.documentElement.scrollHeight"), 2 * size["height"])
        session = visitor.context.new_cdp_session(page)
        clip = {"x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1}
        for quality in QUALITIES:
            shot = session.send(
                "Page.captureScreenshot",
                {"format": "webp", "quality": quality, "clip": clip, "captureBeyondViewport": True},
            )
            picture = base64.b64decode(shot["data"])
            if len(picture) <= PICTURE_MAX:
                break
        session.detach()
        assert len(picture) <= PICTURE_MAX, f"{name}: {len(picture)} bytes"
        self._number += 1
        file = self._folder / f"{self._number:02d}-{name}.webp"
        file.write_bytes(picture)
        print(f"  {file.name:<24}{len(picture) / 1000:5.1f} KB   {said}", flush=True)


def booking(visitor: Visitor, album: Album) -> None:
    """From the first page to the appointment, as somebody does it who is here for the first time."""
    visitor.open("/")
    album.take(visitor, "home", "Trois champs, et le téléphone")
    visitor.search("dermato", "renes")
    album.take(visitor, "results", "Les premiers libres d'abord")
    visitor.page.locator(".card:has(button[name=creneau]) h2 a").first.click()
    album.take(visitor, "professional", "Où, comment joindre, pour quels motifs")
    visitor.page.locator("main button[type=submit], main a.button").first.click()
    album.take(visitor, "times", "Une semaine de créneaux")
    visitor.choose()
    album.take(visitor, "sign-in", "Qui êtes-vous ?")
    visitor.page.locator("main a.button").first.click()
    visitor.be()
    album.take(visitor, "identity", "Seulement ce qui manque")
    visitor.identify()
    album.take(visitor, "check", "Il reste une étape")
    visitor.confirm()
    album.take(visitor, "done", "Le rendez-vous")
    visitor.open("/mes-rendez-vous")
    album.take(visitor, "appointments", "Mes rendez-vous")


def caring(visitor: Visitor, album: Album) -> None:
    """A parent takes an appointment for a child, and sees for whom they act."""
    visitor.search("dentiste", "rennes")
    visitor.times.last.click()
    visitor.page.locator(".recap button[value=pour-qui]").click()
    visitor.page.locator("#qui-0").check()
    visitor.press("Continuer")
    visitor.page.locator("#lien-enfant").check()
    child = {"prenom": "Lou", "nom_de_naissance": CAMILLE.family, "jour": "20", "mois": "9", "annee": "2018"}
    for name, text in child.items():
        visitor.page.locator(f"#{name}").fill(text)
    visitor.press("Continuer")
    album.take(visitor, "for-a-child", "Pour son enfant")
    visitor.open("/mes-proches")
    album.take(visitor, "relatives", "Qui peut agir pour qui")


def operating(visitor: Visitor, album: Album) -> None:
    """Who runs it looks whether it works."""
    visitor.open("/ops")
    album.take(visitor, "operator", "Créneau fonctionne-t-il ?")


def other_looks(visitor: Visitor, album: Album) -> None:
    """The same pages on a telephone, dark, and in the simple version."""
    visitor.page.set_viewport_size(TELEPHONE)
    visitor.search("dermato", "rennes")
    album.take(visitor, "telephone", "Sur un téléphone")
    visitor.page.emulate_media(color_scheme="dark")
    visitor.open("/langue/simple?retour=/")
    album.take(visitor, "simple-dark", "Version simple, sombre")


@contextmanager
def site_to_look_at(given: str | None, folder: str | None = None) -> Iterator[tuple[str, Folder]]:
    """The address of a running system and its folder: that which was named (`folder`: where it runs), or one of our own
    with the demonstration data."""
    if given:
        yield given.rstrip("/"), Folder(Path(folder) if folder else REPOSITORY / ".creneau")
        return
    root = Path(tempfile.mkdtemp(prefix="creneau-tour-"))
    run = LocalRun(root / "folder")
    try:
        print("Starting a system with the demonstration data (about a minute) …", flush=True)
        run.start()
        yield run.url, run.folder
    finally:
        run.stop_if_running()
        shutil.rmtree(root, ignore_errors=True)


def main() -> int:
    """Make the pictures; 1 with a sentence where there is no browser."""
    parser = argparse.ArgumentParser(prog="make tour", description=__doc__)
    parser.add_argument("--site", help="a running system with the demonstration data; none: one is started")
    parser.add_argument("--folder", type=Path, default=PICTURES)
    arguments = parser.parse_args()
    chromium = installed()
    if chromium is None:
        print("No browser: install the package `chromium` (Debian: apt-get)", file=sys.stderr)
        return 1
    with site_to_look_at(arguments.site) as (site, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS, timeout=LAUNCH_MS)
        with visiting(browser, site, CAMILLE, viewport=DESK, color_scheme="light") as visitor:
            album = Album(arguments.folder)
            booking(visitor, album)
            caring(visitor, album)
            operating(visitor, album)
            other_looks(visitor, album)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
