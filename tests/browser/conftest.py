"""One browser and one running system for this folder.

The browser keeps an event loop of its own running from its first test on, so that these tests come after all others of
the same process (`make test` gives them one of their own).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Error

from tests.browser.chromium import ARGUMENTS, LAUNCH_MS, installed
from tests.browser.letters import Letters
from tests.browser.people import Somebody
from tests.browser.practice import Practice
from tests.browser.visitor import Visitor, visiting
from tests.fixtures.local_run import LocalRun

Visiting = Callable[..., Visitor]
VISITORS = pytest.StashKey[list[Visitor]]()
"""of a test, or of all tests of a file"""
LOOK_MS = 2_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure goes what its visitors saw: a page that says why it is not the expected one."""
    report = yield
    if report.when != "teardown" and report.failed:
        visitors = [visitor for node in item.listchain() for visitor in node.stash.get(VISITORS, [])]
        report.sections += [("page", _seen(visitor)) for visitor in visitors]
    return report


def _seen(visitor: Visitor) -> str:
    try:
        return f"{visitor.path}\n{visitor.page.locator('body').inner_text(timeout=LOOK_MS)}"
    except Error as error:
        return f"not to be seen any more: {error.message}"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium that is installed; nothing is downloaded."""
    found = installed()
    if found is None:
        pytest.skip(
            "NO BROWSER: the pages were not looked at; install the package `chromium` (Debian: apt-get)"
        )
    return found


@pytest.fixture(scope="session")
def browser_type_launch_args(chromium: str) -> dict[str, Any]:
    return {"executable_path": chromium, "args": ARGUMENTS, "timeout": LAUNCH_MS}


@pytest.fixture(scope="session")
def site(chromium: str, local_run: LocalRun) -> str:
    """The address of the pages of a running system with the demonstration data."""
    return local_run.url


@pytest.fixture(scope="session")
def letters(local_run: LocalRun) -> Letters:
    """What the system has sent."""
    return Letters(local_run.mail)


@pytest.fixture(scope="session")
def practice(local_run: LocalRun) -> Practice:
    """The software of its practices."""
    return Practice(local_run.url, local_run.folder)


@pytest.fixture
def visitors(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Visiting]:
    """Makes visitors, each with a browser of their own: `visitors()`, `visitors(java_script_enabled=True)`."""
    made = request.node.stash[VISITORS] = []
    with ExitStack() as stack:

        def visit(who: Somebody | None = None, **options: Any) -> Visitor:
            made.append(stack.enter_context(visiting(browser, site, who, **options)))
            return made[-1]

        yield visit


@pytest.fixture
def visitor(visitors: Visiting) -> Visitor:
    """Nobody known yet, without scripts."""
    return visitors()


@pytest.fixture
def patient(visitors: Visiting) -> Visitor:
    """Somebody who has logged in."""
    visitor = visitors()
    visitor.log_in()
    return visitor
