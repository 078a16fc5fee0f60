"""X2–X7, X9–X11, X16: every page in every state is opened once and looked at from all sides; one test a criterion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Response

from creneau_web.headers import CONTENT_SECURITY_POLICY
from tests.browser.conftest import VISITORS, Visiting
from tests.browser.letters import Letters
from tests.browser.looking import Findings, look_at
from tests.browser.markup import problems_of
from tests.browser.people import Somebody
from tests.browser.practice import Practice
from tests.browser.stops import Walk
from tests.browser.visitor import ERROR, Visitor, visiting

FIRST_VIEW_MAX = 150_000
FIRST_VIEW_REQUESTS_MAX = 6
NEXT_VIEW_MAX = 40_000
"""bytes over the wire (X10)"""
SCRIPT_MAX = 6_000

ISSUER_PATHS = ("/authorize", "/franceconnect/", "/psc/")
"""where the development issuer shows its own page, at an origin of its own"""


@dataclass
class Seen:
    """What the walk has gathered."""

    findings: Findings = field(default_factory=Findings)
    pages: dict[str, str] = field(default_factory=dict)
    """stop → its HTML"""
    titles: dict[str, str] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    weights: dict[str, tuple[int, int]] = field(default_factory=dict)
    """stop → requests and bytes of what the person waited for there"""
    visitors: list[Visitor] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def visit(request: pytest.FixtureRequest, browser: Browser, site: str) -> Iterator[Visiting]:
    """Makes visitors who stay until the end: a walk that stops is shown with what stood there."""
    made = request.node.stash[VISITORS] = []
    with ExitStack() as stack:

        def visit(who: Somebody | None = None) -> Visitor:
            # axe is a script; what is looked at has none of its own (X9 says so).
            made.append(stack.enter_context(visiting(browser, site, who, java_script_enabled=True)))
            return made[-1]

        yield visit


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest, visit: Visiting, letters: Letters, practice: Practice) -> Seen:
    """The walk, once."""
    seen = Seen(visitors=request.node.stash[VISITORS])
    walk = Walk(visit, letters, practice)
    for stop, visitor in walk.stops():
        answers = _since_the_last_page(visitor.answers)
        seen.weights[stop] = len(answers), sum(map(_bytes, answers))
        seen.pages[stop] = answers[0].text()
        seen.titles[stop] = visitor.page.title()
        seen.addresses[stop] = visitor.page.url
        look_at(visitor.page, stop, seen.findings)
    seen.unseen = walk.unseen
    return seen


def _since_the_last_page(answers: list[Response]) -> list[Response]:
    """The page that is shown, and what it has asked for."""
    last = max(i for i, answer in enumerate(answers) if answer.request.resource_type == "document")
    return [answer for answer in answers[last:] if not answer.from_service_worker]


def _bytes(answer: Response) -> int:
    sizes = answer.request.sizes()
    return sizes["responseBodySize"] + sizes["responseHeadersSize"]


@pytest.mark.parametrize(
    ("criterion", "kind"),
    [
        ("X2", "focus"),
        ("X3", "axe"),
        ("X4", "scroll"),
        ("X4", "clipped"),
        ("X4", "overlap"),
        ("X5", "structure"),
        ("X6", "small"),
        ("X7", "moving"),
        ("X7", "print"),
        ("X11", "kept"),
    ],
)
def test_every_page(seen: Seen, criterion: str, kind: str) -> None:
    wrong = sorted(set(seen.findings.of[kind]))
    assert not wrong, f"{criterion}, {kind}, {len(wrong)}:\n" + "\n".join(wrong)


def test_every_page_was_looked_at(seen: Seen) -> None:
    """A page that nobody reaches by links or steps is not in the walk: give it a stop in tests/browser/stops.py."""
    assert not seen.unseen


def test_x3_html_is_valid(seen: Seen, site: str) -> None:
    assert not problems_of(seen.pages)


def test_x5_titles_are_unique(seen: Seen) -> None:
    """Two pages by one title cannot be told apart in a list of tabs."""
    paths = {title: {urlsplit(seen.addresses[s]).path for s, t in seen.titles.items() if t == title}
             for title in seen.titles.values()}  # fmt: skip
    assert not {title: at for title, at in paths.items() if len(at) > 1}


def test_x5_errors_are_announced_in_the_title(seen: Seen) -> None:
    titles = {stop: title for stop, title in seen.titles.items() if stop.endswith(": errors")}
    assert len(titles) >= 3
    assert not {
        stop: title
        for stop, title in titles.items()
        if not title.replace("\N{NO-BREAK SPACE}", " ").startswith(ERROR)
    }


def test_x9_no_page_needs_a_script(seen: Seen) -> None:
    """None is within a page; of our own there are 6 KB at the most. The journeys are made with scripts off."""
    assert not [stop for stop, html in seen.pages.items() if "<script>" in html or " onclick=" in html]
    scripts = {
        answer.url: _bytes(answer)
        for visitor in seen.visitors
        for answer in visitor.answers
        if answer.request.resource_type == "script"
    }
    assert sum(scripts.values()) <= SCRIPT_MAX


def test_x10_weight(seen: Seen) -> None:
    requests, size = seen.weights["home"]
    assert (requests <= FIRST_VIEW_REQUESTS_MAX, size <= FIRST_VIEW_MAX) == (True, True), (requests, size)
    heavy = {
        stop: weight for stop, weight in seen.weights.items() if weight[1] > NEXT_VIEW_MAX and stop != "home"
    }
    assert not heavy
    heaviest = max(seen.weights, key=lambda stop: seen.weights[stop][1])
    print(
        f"\nfirst view {size:,} bytes in {requests} requests; heaviest: {heaviest}, {seen.weights[heaviest][1]:,}"
    )


def test_x10_caching(seen: Seen) -> None:
    """Static files are kept for ever under names of their own; a page by nobody; both are compressed."""
    wrong = Counter[str]()
    for visitor in seen.visitors:
        for answer in visitor.answers:
            headers, path = answer.headers, urlsplit(answer.url).path
            if not answer.url.startswith(visitor.site) or answer.status in (303, 304):
                continue
            is_static = path.startswith("/static/")
            if ("immutable" if is_static else "no-store") not in headers.get("cache-control", ""):
                wrong[f"{path}: cached {headers.get('cache-control')}"] += 1
            # nginx compresses what was found, forbidden or missing (200, 403, 404) and nothing else.
            compresses = answer.status in (200, 403, 404)
            is_long = int(headers.get("content-length", 9999)) > 1500
            if compresses and is_long and "gzip" not in headers.get("content-encoding", ""):
                wrong[f"{path}: not compressed"] += 1
    assert not wrong


def test_x11_nothing_leaves_the_origin(seen: Seen, site: str) -> None:
    asked = {asked.url for visitor in seen.visitors for asked in visitor.requests}
    assert not [
        url
        for url in asked
        if not url.startswith(f"{site}/") and not urlsplit(url).path.startswith(ISSUER_PATHS)
    ]
    assert not [complaint for visitor in seen.visitors for complaint in visitor.complaints]


def test_x11_policy_on_every_page(seen: Seen, site: str) -> None:
    documents = [
        answer
        for visitor in seen.visitors
        for answer in visitor.answers
        if answer.request.resource_type == "document" and answer.url.startswith(site) and answer.status != 303
    ]
    assert len(documents) >= len(seen.pages)
    assert {answer.headers.get("content-security-policy") for answer in documents} == {
        CONTENT_SECURITY_POLICY
    }
    assert {answer.headers.get("x-content-type-options") for answer in documents} == {"nosniff"}
    assert {answer.headers.get("referrer-policy") for answer in documents} == {"same-origin"}


def test_x11_one_cookie(seen: Seen, site: str) -> None:
    """The session's, which no script reads and no other site sends along."""
    for visitor in seen.visitors:
        cookie = visitor.cookie
        assert (cookie["name"], cookie["httpOnly"], cookie["secure"], cookie["sameSite"], cookie["path"]) == (
            "__Host-creneau", True, True, "Lax", "/",
        )  # fmt: skip
        assert cookie["expires"] == -1, "it ends with the browser"


def test_x16_nobody_is_named_in_an_address_or_a_title(seen: Seen) -> None:
    """Nor in a referrer: what the browser's history and others' logs keep."""
    words = [word.lower() for visitor in seen.visitors for word in visitor.who.words]
    kept = [asked.url for visitor in seen.visitors for asked in visitor.requests]
    kept += [asked.headers.get("referer", "") for visitor in seen.visitors for asked in visitor.requests]
    kept += seen.titles.values()
    assert not [text for text in kept if any(word in text.lower() for word in words)]
