"""The eyes see: a page with one fault of each kind, on which each check has to tell its own."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.browser.looking import FOCUS, LOOKS, _axe

FAULTS = """<!doctype html><html><head><title></title><style>
a.skip { position: absolute; left: -999rem } a.skip:focus { position: static }
#wide { width: 3000px } #cut { width: 5rem; height: 1rem; overflow: hidden } #moves { transition: color 1s }
#over { position: absolute; top: 200px; left: 0 } #under { position: absolute; top: 202px; left: 0; z-index: 2 }
#tiny { height: 10px; padding: 0; font-size: 5px } #plain { outline: none }
</style></head><body><div class="skip"></div><main>
<p id="wide">wide</p><p id="cut">this is much too long for its box and is cut off below</p><p id="moves">moves</p>
<button id="over">covered by another one</button><button id="under">the one that covers</button>
<button id="tiny">small</button><a href="#x" id="plain">no outline</a><img src="data:,">
</main></body></html>"""


def test_each_fault_is_told(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.route("**/*", lambda route: route.fulfill(body=FAULTS, content_type="text/html"))
    page.goto("http://127.0.0.1:1/")
    found = page.evaluate(LOOKS)
    assert any("3000" in told or "#wide" in told or "wide" in told for told in found["scroll"])
    assert any("much too long" in told for told in found["clipped"])
    assert any("covered by" in told for told in found["overlap"])
    assert any("small" in told for told in found["small"])
    assert any("moves" in told for told in found["moving"])
    focus = "\n".join(page.evaluate(FOCUS))
    assert "skip link" in focus
    assert "covered by <button> the one" in focus
    assert "no outline does not show" in focus
    assert {told.partition(":")[0] for told in _axe(page)} >= {"document-title", "html-has-lang", "image-alt"}
    page.close()
