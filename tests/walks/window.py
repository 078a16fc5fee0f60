"""One browser of one person, without the browser: a cookie, redirects that are followed, pages that were seen before."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlencode, urljoin, urlsplit

import httpx

from tests.walks.sheet import Sheet

ANSWER_MAX_S = 30.0
"""as long as an answer of the FHIR base may take (`FHIR_TIMEOUT_S`): a page takes no longer"""
LEADS_MAX = 12
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class LedAstrayError(Exception):
    """A redirect that a person cannot follow: to nowhere, in a circle, or to another site."""


class Window:
    """`site`: where the pages are; `issuer`: the one other place to which people are led."""

    def __init__(self, site: str, issuer: str) -> None:
        self.site, self.issuer = site, issuer
        self.cookies: dict[str, str] = {}
        self.slowest_s = 0.0
        self.followed: Callable[[str, str, int], None] = lambda method, url, status: None
        """told of each request"""
        self._client = httpx.Client(timeout=ANSWER_MAX_S, follow_redirects=False)

    def close(self) -> None:
        self._client.close()

    def open(self, url: str) -> Sheet:
        """A page, after all redirects. LedAstrayError, httpx.HTTPError."""
        return self._lead("GET", urljoin(self.site, url), None)

    def send(self, method: str, url: str, sent: list[tuple[str, str]]) -> Sheet:
        """A form."""
        if method == "get":
            query = urlencode(sent)
            return self.open(url.partition("?")[0] + (f"?{query}" if query else ""))
        return self._lead("POST", url, sent)

    def is_ours(self, url: str) -> bool:
        return url == self.site or url.startswith(f"{self.site}/")

    def _lead(self, method: str, url: str, sent: list[tuple[str, str]] | None) -> Sheet:
        for _ in range(LEADS_MAX):
            answer = self._ask(method, url, sent)
            if answer.status_code not in REDIRECTS:
                kind = answer.headers.get("content-type", "")
                text = answer.text if kind.startswith("text/") else ""
                return Sheet(url, answer.status_code, text, kind)
            method, sent, url = "GET", None, urljoin(url, answer.headers["location"])
            if not (self.is_ours(url) or url.startswith(self.issuer)):
                raise LedAstrayError(f"to another site: {url}")
        raise LedAstrayError(f"in a circle: {url}")

    def _ask(self, method: str, url: str, sent: list[tuple[str, str]] | None) -> httpx.Response:
        headers = {"Accept": "text/html", "Accept-Language": "fr"}
        if self.is_ours(url):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            parts = urlsplit(url)
            headers["Origin"] = f"{parts.scheme}://{parts.netloc}"
        content = urlencode(sent).encode() if sent is not None else None
        began = time.monotonic()
        answer = self._client.request(method, url, headers=headers, content=content)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if self.is_ours(url):
            self._take_cookies(answer)
        self.followed(method, url, answer.status_code)
        return answer

    def _take_cookies(self, answer: httpx.Response) -> None:
        """The standard library's jar keeps a secure cookie from HTTP, even of this machine; browsers do not."""
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            value = rest.partition(";")[0].strip('"')
            if value and "max-age=0" not in line.lower():
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
