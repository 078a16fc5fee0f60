"""Books every minute for nobody: search, hold, book and cancel over HTTP, through the entrance, with the rights to this and
no more. Its agenda is shown to nobody else (`creneau_booking.domain.rehearsal`).
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import httpx
import orjson
import structlog
from prometheus_client import Gauge

from creneau_shared.http import health
from creneau_shared.http.health import Health
from creneau_shared.metrics import tell_process
from creneau_web.ops.settings import RehearsalSettings

Step = Literal["token", "search", "hold", "book", "cancel"]
STEPS: tuple[Step, ...] = get_args(Step)

NAME = "creneau-rehearsal"
"""id of the Organization, the Schedule and the Patient that are only for this"""
SLOTS = 12
TOKEN_SLACK_S = 60.0
SOONER = 4
"""the pause after a failure is shorter by this factor, so that its end is seen soon"""
FHIR_JSON = "application/fhir+json"

SUCCESS = Gauge(
    "creneau_rehearsal_success_timestamp_seconds", "When a rehearsed booking last succeeded; 0: never yet"
)
FAILING = Gauge(
    "creneau_rehearsal_failing_timestamp_seconds",
    "Since when every rehearsed booking fails; 0: the last one succeeded",
)
SECONDS = Gauge(
    "creneau_rehearsal_step_seconds", "How long a step of the last rehearsed booking took", ["step"]
)
FAILED = Gauge(
    "creneau_rehearsal_step_failed",
    "1 for the step at which the last rehearsed booking failed",
    ["step", "reason"],
)

log = structlog.get_logger(__name__)


class BrokenOffError(Exception):
    """A step did not succeed; `reason` is a status or the kind of a failure, never what somebody said."""

    def __init__(self, step: Step, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


@dataclass(slots=True)
class _Token:
    value: str = ""
    until: float = 0.0


@dataclass(slots=True)
class Rehearsal:
    """The loop of rehearsals. `now` gives seconds since 1970."""

    settings: RehearsalSettings
    http: httpx.AsyncClient
    now: Callable[[], float] = time.time
    _token: _Token = field(default_factory=_Token)
    _left: str | None = None
    """an appointment that could not be cancelled"""

    async def run(self, stop: asyncio.Event) -> None:
        """Rehearse at each interval until `stop` is set."""
        while not stop.is_set():
            began = time.monotonic()
            pause_s = self.settings.rehearsal_interval_s / (1 if await self.rehearse() else SOONER)
            left_s = max(0.0, pause_s - (time.monotonic() - began))
            try:
                async with asyncio.timeout(left_s):
                    await stop.wait()
            except TimeoutError:
                continue

    async def rehearse(self) -> bool:
        """Makes one booking, from the search to the cancellation; returns whether all of it succeeded."""
        FAILED.clear()
        try:
            await self._once()
        except BrokenOffError as broken:
            if not FAILING._value.get():
                FAILING.set(self.now())
            FAILED.labels(broken.step, broken.reason).set(1)
            log.error("rehearsal failed", step=broken.step, reason=broken.reason)
            return False
        SUCCESS.set(self.now())
        FAILING.set(0)
        return True

    async def _once(self) -> None:
        token = await self._step("token", self._have_token)
        if self._left is not None:
            await self._step("cancel", lambda: self._cancel(token, str(self._left)))
        slot = await self._step("search", lambda: self._search(token))
        self._left = await self._step("hold", lambda: self._hold(token, slot))
        left = self._left
        nothing = {"resourceType": "Parameters"}
        await self._step(
            "book", lambda: self._ask("book", token, "POST", f"/Appointment/{left}/$book", nothing)
        )
        await self._step("cancel", lambda: self._cancel(token, left))

    async def _step(self, step: Step, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.settings.rehearsal_timeout_s):
                return await work()
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise BrokenOffError(step, type(error).__name__) from None
        except (KeyError, IndexError, TypeError, ValueError):
            raise BrokenOffError(step, "unreadable") from None
        finally:
            SECONDS.labels(step).set(time.perf_counter() - began)

    async def _search(self, token: str) -> str:
        query = {
            "schedule": f"Schedule/{NAME}",
            "status": "free",
            "start": f"gt{datetime.now(UTC).isoformat(timespec='seconds')}",
            "_count": str(SLOTS),
        }
        found = await self._ask("search", token, "GET", "/Slot", params=query)
        slots = [
            entry["resource"]["id"]
            for entry in found.get("entry", ())
            if entry["resource"]["resourceType"] == "Slot"
        ]
        if not slots:
            raise BrokenOffError("search", "no-slot")
        return str(random.choice(slots))  # noqa: S311 - so that two who rehearse at once seldom meet

    async def _hold(self, token: str, slot: str) -> str:
        people = [{"actor": {"reference": f"Patient/{NAME}"}, "status": "accepted"}]
        wanted = {
            "resourceType": "Appointment",
            "status": "proposed",
            "slot": [{"reference": f"Slot/{slot}"}],
            "participant": people,
        }
        return str((await self._ask("hold", token, "POST", "/Appointment/$hold", wanted))["id"])

    async def _cancel(self, token: str, id_: str) -> None:
        change = [{"op": "replace", "path": "/status", "value": "cancelled"}]
        try:
            await self._ask(
                "cancel", token, "PATCH", f"/Appointment/{id_}", change, kind="application/json-patch+json"
            )
        except BrokenOffError as broken:
            if broken.reason not in ("404", "410", "409", "422"):  # gone, forgotten, or run out
                raise
        self._left = None

    async def _have_token(self) -> str:
        """The token of the client, asked for anew before it ends."""
        if self.now() >= self._token.until:
            issuer = self.settings.oidc_issuer.rstrip("/")
            discovery = (
                (await self.http.get(f"{issuer}/.well-known/openid-configuration")).raise_for_status().json()
            )
            secret = self.settings.rehearsal_client_secret.get_secret_value()
            answer = await self.http.post(
                str(discovery["token_endpoint"]),
                data={"grant_type": "client_credentials"},
                auth=(self.settings.rehearsal_client_id, secret),
            )
            if answer.status_code != 200:
                raise BrokenOffError("token", str(answer.status_code))
            said = answer.json()
            lifetime_s = float(said.get("expires_in", 300))
            self._token = _Token(str(said["access_token"]), self.now() + max(0.0, lifetime_s - TOKEN_SLACK_S))
        return self._token.value

    async def _ask(
        self, step: Step, token: str, method: str, path: str, body: object = None, *, params: dict[str, str] | None = None,
        kind: str = FHIR_JSON,
    ) -> dict[str, Any]:  # fmt: skip
        headers = {"Authorization": f"Bearer {token}", "Accept": FHIR_JSON}
        content = orjson.dumps(body) if body is not None else None
        if content is not None:
            headers["Content-Type"] = kind
        url = f"{self.settings.fhir_url.rstrip('/')}{path}"
        answer = await self.http.request(method, url, params=params, content=content, headers=headers)
        if answer.status_code == 401:
            self._token = _Token()
        if not answer.is_success:
            raise BrokenOffError(step, str(answer.status_code))
        return dict(orjson.loads(answer.content)) if answer.content else {}


class RehearsalApplication:
    """The loop as a process: it rehearses from its first moment to its last, and answers health and metrics."""

    def __init__(
        self, settings: RehearsalSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.settings = settings
        self.health = Health()
        self._stop = asyncio.Event()
        verify = ssl.create_default_context(cafile=settings.fhir_ca) if settings.fhir_ca else True
        self._http = httpx.AsyncClient(
            timeout=settings.rehearsal_timeout_s, transport=transport, verify=verify, trust_env=False
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http" and not await health.answer(self.health, scope, send):
            await health.respond(send, 404, b'{"status":"not found"}', "application/json")

    async def _lifespan(self, receive: Any, send: Any) -> None:
        tell_process("creneau-web", self.settings)
        async with self._http:
            await receive()
            running = asyncio.create_task(Rehearsal(self.settings, self._http).run(self._stop))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._stop.set()
            await running
        await send({"type": "lifespan.shutdown.complete"})
