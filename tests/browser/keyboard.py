"""A person without a pointer: Tab until what they want has the focus, which must be seen, then a key."""

from __future__ import annotations

from playwright.sync_api import Page

TABS_MAX = 300
IS_IN = "(selector) => document.activeElement.matches(selector)"
SEEN = """
() => {
  const element = document.activeElement;
  const box = element.getBoundingClientRect();
  const style = getComputedStyle(element);
  if (element.type === "date") return true;  // of its parts, the browser shows the focus itself
  return box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth
    && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
}
"""


class Keyboard:
    """Only `page.keyboard`; what has the focus is asked of the page."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def enter(self) -> None:
        """Enter, and the page to which it leads."""
        with self._page.expect_navigation():
            self._page.keyboard.press("Enter")

    def skip_link(self) -> None:
        """The first Tab finds it, and it leads to the content."""
        self._page.keyboard.press("Tab")
        assert self._page.evaluate(IS_IN, ".skip"), "the first thing with the focus is the skip link"
        assert self._page.evaluate(SEEN)
        self.enter()
        assert self._page.evaluate(IS_IN, "main")

    def go_to(self, selector: str) -> None:
        """Tab to the first thing that matches; every stop on the way shows where one is."""
        for _ in range(TABS_MAX):
            self._page.keyboard.press("Tab")
            assert self._page.evaluate(SEEN), self._page.evaluate("() => document.activeElement.outerHTML")
            if self._page.evaluate(IS_IN, selector):
                return
        raise AssertionError(f"{selector} cannot be reached by Tab on {self._page.url}")

    def type_into(self, selector: str, text: str) -> None:
        self.go_to(selector)
        self._page.keyboard.type(text)

    def activate(self, selector: str) -> None:
        """Go there and press Enter; wait for what comes."""
        self.go_to(selector)
        self.enter()
