"""The requests of the story: each is told, and each must be answered as expected."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import httpx
import orjson

from deploy.demo.load import reason
from deploy.demo.story.errors import StoryError
from deploy.demo.story.narrator import Narrator
from deploy.demo.story.reading import Resource, next_page

FHIR_JSON = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer: status, headers (lower case), and the JSON of its body (an empty object for none)."""

    status: int
    headers: httpx.Headers
    body: Resource


class Dialogue:
    """Speaks to the gateway in FHIR JSON and in French, and tells the narrator."""

    def __init__(self, client: httpx.Client, narrator: Narrator) -> None:
        self._client = client
        self._narrator = narrator

    @property
    def url(self) -> str:
        """The origin of the gateway."""
        return str(self._client.base_url).rstrip("/")

    def get(
        self, path: str, query: Query = (), *, token: str | None = None, accept: str = FHIR_JSON
    ) -> Reply:
        """A search or a read that must succeed."""
        return self._tell("GET", path, query, token=token, accept=accept, expected=(200,))

    def post(
        self, path: str, resource: Resource, *, token: str | None = None, expected: Sequence[int] = (200, 201)
    ) -> Reply:
        """Create a resource, or call an operation."""
        return self._tell("POST", path, (), content=resource, token=token, expected=expected)

    def patch(self, path: str, changes: list[Resource], *, token: str) -> Reply:
        """A JSON Patch (RFC 6902) that must succeed."""
        return self._tell(
            "PATCH", path, (), content=changes, token=token, content_type=JSON_PATCH, expected=(200,)
        )

    def look(
        self, path: str, query: Query = (), *, token: str | None = None, accept: str = FHIR_JSON
    ) -> Reply:
        """A read that is not told, for looking again and again."""
        return self._send("GET", path, query, None, _headers(token, accept, None))

    def submit(self, path: str, fields: dict[str, str]) -> None:
        """Sends what a browser sends when a button of the page at `path` is pressed; must succeed."""
        self._narrator.request("POST", path, ())
        started = time.perf_counter()
        answer = self._client.post(path, data=fields, headers={"accept-language": "fr"})
        self._narrator.answer(answer.status_code, 1000 * (time.perf_counter() - started))
        if answer.status_code != 200:
            raise StoryError(f"POST {path} a répondu {answer.status_code} au lieu de 200.")

    def pages(self, bundle: Resource, accept: str = FHIR_JSON) -> Iterator[Resource]:
        """The page at hand, then those behind its `next` links, each read when it is asked for; not told."""
        yield bundle
        while address := next_page(bundle):
            reply = self.look(address, accept=accept)
            if reply.status != 200:
                raise StoryError(f"La page suivante a répondu {reply.status} : {reason(reply.body)}")
            bundle = reply.body
            yield bundle

    def _tell(
        self,
        method: str,
        path: str,
        query: Query,
        *,
        content: object = None,
        token: str | None,
        accept: str = FHIR_JSON,
        content_type: str = FHIR_JSON,
        expected: Sequence[int],
    ) -> Reply:
        self._narrator.request(method, path, query)
        headers = _headers(token, accept, content_type if content is not None else None)
        started = time.perf_counter()
        reply = self._send(method, path, query, content, headers)
        self._narrator.answer(reply.status, 1000 * (time.perf_counter() - started))
        if reply.status not in expected:
            wanted = " ou ".join(map(str, expected))
            raise StoryError(
                f"{method} {path} a répondu {reply.status} au lieu de {wanted} : {reason(reply.body)}"
            )
        return reply

    def _send(self, method: str, path: str, query: Query, content: object, headers: dict[str, str]) -> Reply:
        body = None if content is None else orjson.dumps(content)
        # An address that the server gave keeps its own query.
        parameters = httpx.QueryParams(list(query)) if query else None
        answer = self._client.request(method, path, params=parameters, content=body, headers=headers)
        try:
            parsed = orjson.loads(answer.content) if answer.content else {}
        except orjson.JSONDecodeError as error:
            raise StoryError(f"{method} {path} ({answer.status_code}) n'a pas répondu en JSON.") from error
        return Reply(answer.status_code, answer.headers, parsed if isinstance(parsed, dict) else {})


def _headers(token: str | None, accept: str, content_type: str | None) -> dict[str, str]:
    headers = {"accept": accept, "accept-language": "fr"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    if content_type is not None:
        headers["content-type"] = content_type
    return headers
