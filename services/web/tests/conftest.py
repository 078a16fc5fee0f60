"""The pages over a database of their own and a FHIR base that is stood in for: what it was asked, and what it says."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import orjson
import pytest
from deploy.local.postgres import Postgres
from jinja2.bccache import Bucket, BytecodeCache
from services.web.tests.wire import WireTo

from creneau_shared.clock import FixedClock
from creneau_shared.database.migrations import find_migrations, migrate
from creneau_web.app import WebApplication, create_app
from creneau_web.sessions.session import Account, Content, Session
from creneau_web.settings import WebSettings

SITE = "https://creneau.example"
NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
FHIR = {"content-type": "application/fhir+json"}
HOUR = re.compile(rb"(?<=\d)\xc2\xa0h(?:\xc2\xa0(?=\d))?")
FORM_KEY = re.compile(r'name="form_key" value="([^"]+)"')


class Compiled(BytecodeCache):
    """What templates have been compiled to, for the applications of all tests."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._code:
            bucket.bytecode_from_string(self._code[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


COMPILED = Compiled()


@dataclass(frozen=True)
class Asked:
    """One request that the FHIR base got."""

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: httpx.Headers
    body: Any

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None


Says = Callable[[Asked], httpx.Response | None]


@dataclass
class FhirBase:
    """What answers instead of the FHIR base: the last rule that has something to say."""

    asked: list[Asked] = field(default_factory=list)
    rules: list[Says] = field(default_factory=list)

    def on(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """Answer a request in this way from now on."""

        def say(asked: Asked) -> httpx.Response | None:
            if (asked.method, asked.path) != (method, path):
                return None
            return httpx.Response(status, content=orjson.dumps(body), headers={**FHIR, **headers})

        self.rules.append(say)

    def refuse(
        self, method: str, path: str, status: int, code: str, text: str = "Non.", about: str | None = None
    ) -> None:
        """Refuse it with an OperationOutcome; `about`: its diagnostics."""
        issue = {
            "severity": "error",
            "code": "conflict",
            "details": {"coding": [{"code": code}], "text": text},
            **({"diagnostics": about} if about is not None else {}),
        }
        self.on(method, path, {"resourceType": "OperationOutcome", "issue": [issue]}, status)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        form = request.headers.get("content-type", "") == "application/x-www-form-urlencoded"
        query = parse_qsl(request.url.query.decode()) + (parse_qsl(request.content.decode()) if form else [])
        body = None if form or not request.content else orjson.loads(request.content)
        path = request.url.path.removeprefix("/fhir").rstrip("/")
        asked = Asked(request.method, path, query, request.headers, body)
        self.asked.append(asked)
        for rule in reversed(self.rules):
            answer = rule(asked)
            if answer is not None:
                return answer
        return self._nothing(asked)

    def _nothing(self, asked: Asked) -> httpx.Response:
        """What is asked of nobody: an empty searchset, or 404."""
        if "/" not in asked.path.strip("/") or asked.path.endswith("/_search"):
            return httpx.Response(200, content=orjson.dumps(searchset()), headers=FHIR)
        outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}
        return httpx.Response(404, content=orjson.dumps(outcome), headers=FHIR)


def searchset(*resources: dict[str, Any], total: int | None = None) -> dict[str, Any]:
    """A searchset of these."""
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "total": total or len(resources), "entry": entries}


@dataclass
class Person:
    """Somebody in front of the pages: keeps the cookie, sends the key of the form that was shown."""

    client: httpx.AsyncClient
    app: WebApplication
    form_key: str = ""
    """of the form that was shown last"""

    async def open(self, path: str, **headers: str) -> httpx.Response:
        return self._seen(await self.client.get(path, headers=headers))

    async def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of the page that is shown."""
        data = {"form_key": self.form_key, **fields}
        return self._seen(await self.client.post(path, data=data, headers={"Origin": SITE}))

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Go where an answer leads, to the end."""
        while answer.is_redirect:
            answer = await self.open(answer.headers["location"])
        return answer

    async def sign_in(self, subject: str = "camille", **said: Any) -> None:
        """As if they had come back from the provider."""
        account = Account(subject=subject, access_token=f"token of {subject}", **said)
        session = await self.app.site.sessions.begin(Content(account=account))
        assert session.key is not None
        self.client.cookies.set(self.app.site.settings.session_cookie, session.key, domain="creneau.example")

    async def session(self) -> Session:
        """Theirs, as it is kept."""
        found = await self.app.site.sessions.find(self.client.cookies[self.app.site.settings.session_cookie])
        assert found is not None
        return found

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        # No line ends within `9 h 20`; here it is read as people read it.
        answer._content = HOUR.sub(lambda found: found[0].replace(b"\xc2\xa0", b" "), answer.content)
        key = FORM_KEY.search(answer.text)
        if key:
            self.form_key = key[1]
        return answer


@pytest.fixture(scope="session")
async def migrated_web(postgres_server: Postgres) -> str:
    url = postgres_server.create_database("web_template")
    await migrate(find_migrations("creneau_web"), url)
    return "web_template"


@pytest.fixture
def fhir() -> FhirBase:
    return FhirBase()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@asynccontextmanager
async def running(
    url: str, transport: httpx.AsyncBaseTransport, clock: FixedClock, **said: Any
) -> AsyncIterator[WebApplication]:
    """The pages over this database and this way to a FHIR base, with these settings beside the usual ones."""
    usual = {"public_site_url": SITE, "fhir_url": f"{SITE}/fhir", "results_cache_s": 0}
    usual |= {"sms_sender": "log", "contact_keys": '{"keys": []}'}
    # How long a statement takes says what else the machine does.
    usual |= {"database_statement_timeout_s": 60, "database_pool_wait_s": 60}
    settings = WebSettings(database_url=url, _env_file=None, **{**usual, **said})
    app = create_app(settings, clock, WireTo(transport, f"{SITE}/fhir"))
    app.site.templates.bytecode_cache = COMPILED
    async with app.pages.router.lifespan_context(app.pages):
        yield app


@pytest.fixture
async def app(
    emptied_database: Any, migrated_web: str, fhir: FhirBase, clock: FixedClock
) -> AsyncIterator[WebApplication]:
    async with running(emptied_database(template=migrated_web), httpx.MockTransport(fhir), clock) as app:
        yield app


@pytest.fixture
async def person(app: WebApplication) -> AsyncIterator[Person]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=SITE) as client:
        yield Person(client, app)
