"""`/authorize`: an application sends somebody, who chooses who they are, and is sent back with a code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from deploy.local.issuer import pages
from deploy.local.issuer.answers import NO_STORE, form_of
from deploy.local.issuer.people import Person, invented, people
from deploy.local.issuer.provider import Provider
from deploy.local.issuer.scopes import granted

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
NONCE_LENGTH_MIN = 22
"""as FranceConnect wants it"""
NAME = re.compile(r"[^\W\d_](?:[\w '’.-]{0,58}[^\W_])?\Z")
"""a word of letters, figures, blanks, apostrophes and hyphens: enough for invented people"""
DATE = re.compile(r"(19|20)\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])\Z")


class Authorization:
    """The endpoint of one dialect, for people with a browser."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        dialect = provider.dialect
        self._people = {person.key: person for person in people().values() if person.role in dialect.roles}
        self._path = f"{dialect.path}/authorize"

    def routes(self) -> list[Route]:
        return [
            Route(self._path, self.ask, methods=["GET"]),
            Route(self._path, self.choose, methods=["POST"]),
        ]

    async def ask(self, request: Request) -> Response:
        """The page of people, or the error in the request. The application gets an error only at a registered address."""
        query = request.query_params
        client = self._provider.clients.get(query.get("client_id", ""))
        uri = query.get("redirect_uri", "")
        if client is None or not client.may_return_to(uri):
            return pages.refusal(pages.UNKNOWN_APPLICATION)
        error = self._wrong_with(query)
        if error:
            return self._back(uri, {"error": error[0], "error_description": error[1]}, query.get("state"))
        asked = {name: query.get(name, "") for name in ("scope", "state", "nonce", "acr_values")}
        kept = {**asked, "client": client.id, "uri": uri, "challenge": query["code_challenge"]}
        handle = self._provider.store.keep("request", kept, self._provider.lifetimes.request)
        return self._page(handle, uri)

    def _wrong_with(self, query: Mapping[str, str]) -> tuple[str, str] | None:
        if query.get("response_type") != "code":
            return "unsupported_response_type", "response_type must be code"
        if "openid" not in query.get("scope", "").split():
            return "invalid_scope", "scope must have openid"
        challenge = CHALLENGE.match(query.get("code_challenge", ""))
        if query.get("code_challenge_method") != "S256" or not challenge:
            return "invalid_request", "PKCE with S256 is required"
        if self._provider.dialect.is_strict:
            nonce = len(query.get("nonce", "")) >= NONCE_LENGTH_MIN
            if not (nonce and query.get("state") and query.get("acr_values")):
                return "invalid_request", "state, acr_values and a nonce of 22 characters are required"
        if "none" in query.get("prompt", "").split():
            return "login_required", "who logs in here always sees the page"
        return None

    async def choose(self, request: Request) -> Response:
        """Back to the application: with a code, or without when the person wants none."""
        form = await form_of(request)
        handle = form.get("request", "")
        kept = self._provider.store.read("request", handle)
        if kept is None:
            return pages.refusal(pages.TOO_LATE)
        asked = kept.value
        if "refuse" in form:
            return self._back(asked["uri"], {"error": "access_denied"}, asked["state"])
        person = self._chosen(form)
        if person is None:
            return self._page(handle, asked["uri"], typed=form, status=422)
        return self._back(asked["uri"], {"code": self._code(asked, person)}, asked["state"])

    def _chosen(self, form: Mapping[str, str]) -> Person | None:
        if "person" in form:
            return self._people.get(form["person"])
        given, family = (" ".join(form.get(name, "").split()) for name in ("given", "family"))
        born = form.get("birthdate") or "1990-01-01"
        whole = NAME.match(given) and NAME.match(family) and DATE.match(born)
        return invented(given, family, born) if whole and self._invents else None

    @property
    def _invents(self) -> bool:
        return "patient" in self._provider.dialect.roles

    def _code(self, asked: Mapping[str, Any], person: Person) -> str:
        """A code for this person; the session begins here, and ends should the code be used twice."""
        provider = self._provider
        dialect = provider.dialect
        scope = asked["scope"] if dialect.opaque_tokens else granted(asked["scope"], person.role)
        session = provider.begin(
            person,
            asked["client"],
            subject=dialect.subject(person, asked["client"]),
            scope=scope,
            level=dialect.level(asked["acr_values"]),
            nonce=asked["nonce"],
        )
        value = {"uri": asked["uri"], "challenge": asked["challenge"], "client": asked["client"]}
        return provider.store.keep("code", value, provider.lifetimes.code, session.name)

    def _page(
        self, handle: str, uri: str, typed: Mapping[str, str] | None = None, status: int = 200
    ) -> Response:
        body = pages.choice(
            self._path, handle, self._people.values(), self._provider.dialect.name, self._invents, typed
        )
        return pages.answer(body, status, form_action=_origin(uri))

    def _back(self, uri: str, said: dict[str, str], state: str | None) -> Response:
        more = {"state": state} if state else {}
        if self._provider.dialect.names_itself:
            more["iss"] = self._provider.issuer
        joint = "&" if "?" in uri else "?"
        return RedirectResponse(f"{uri}{joint}{urlencode(said | more)}", 303, headers=NO_STORE)


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"
