"""The loop that books for nobody: what it asks, what it leaves behind, and what it says of where it broke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from prometheus_client import REGISTRY

from creneau_web.ops.rehearsal import NAME, Rehearsal
from creneau_web.ops.settings import RehearsalSettings

ISSUER, FHIR = "https://issuer.example", "https://creneau.example/fhir"
SETTINGS = RehearsalSettings(
    oidc_issuer=ISSUER,
    fhir_url=FHIR,
    rehearsal_client_secret="secret",
    rehearsal_timeout_s=30,
)


@dataclass
class World:
    """The issuer and the FHIR base; `broken`: step → what happens instead."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    broken: dict[str, Callable[[], httpx.Response]] = field(default_factory=dict)
    now: float = 1_800_000_000.0
    held: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        step, answer = self._answer(request)
        self.asked.append((step, request.url.path))
        return self.broken[step]() if step in self.broken else answer

    def _answer(self, request: httpx.Request) -> tuple[str, httpx.Response]:
        path = request.url.path
        if request.url.host == "issuer.example":
            if path.endswith("openid-configuration"):
                return "discovery", httpx.Response(200, json={"token_endpoint": f"{ISSUER}/token"})
            assert request.content == b"grant_type=client_credentials"
            assert request.headers["authorization"].startswith("Basic ")
            return "token", httpx.Response(200, json={"access_token": f"t{self.now:.0f}", "expires_in": 600})
        assert request.headers["authorization"].startswith("Bearer t")
        if path == "/fhir/Slot":
            assert request.url.params["schedule"] == f"Schedule/{NAME}"
            slot = {"resource": {"resourceType": "Slot", "id": "s1"}}
            return "search", httpx.Response(200, json={"resourceType": "Bundle", "entry": [slot]})
        if path.endswith("$hold"):
            self.held += 1
            return "hold", httpx.Response(201, json={"resourceType": "Appointment", "id": f"a{self.held}"})
        if path.endswith("$book"):
            return "book", httpx.Response(200, json={"resourceType": "Appointment"})
        return "cancel", httpx.Response(200, json={"resourceType": "Appointment"})

    def rehearsal(self) -> Rehearsal:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return Rehearsal(SETTINGS, http, now=lambda: self.now)

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.asked]


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"creneau_rehearsal_{name}", labels)


async def test_search_hold_book_cancel_with_one_token() -> None:
    """Every step once, the token asked for once and again before it ends."""
    world = World()
    rehearsal = world.rehearsal()
    assert await rehearsal.rehearse()
    assert world.steps == ["discovery", "token", "search", "hold", "book", "cancel"]
    assert gauge("success_timestamp_seconds") == world.now
    assert gauge("failing_timestamp_seconds") == 0
    world.now += 300
    assert await rehearsal.rehearse()
    assert world.steps.count("token") == 1
    world.now += 300
    assert await rehearsal.rehearse()
    assert world.steps.count("token") == 2


def _away() -> httpx.Response:
    raise httpx.ConnectError("no")


@pytest.mark.parametrize(
    ("step", "happens", "said"),
    [
        ("token", lambda: httpx.Response(401), ("token", "401")),
        ("discovery", _away, ("token", "ConnectError")),
        ("search", lambda: httpx.Response(200, json={"resourceType": "Bundle"}), ("search", "no-slot")),
        ("search", lambda: httpx.Response(200, content=b"<html>"), ("search", "unreadable")),
        ("hold", lambda: httpx.Response(409, json={}), ("hold", "409")),
        ("book", lambda: httpx.Response(503, json={}), ("book", "503")),
        ("cancel", lambda: httpx.Response(500, json={}), ("cancel", "500")),
    ],
)
async def test_where_it_broke_and_since_when(
    step: str, happens: Callable[[], httpx.Response], said: tuple[str, str]
) -> None:
    """The step and a status or a kind, never what somebody said; since the first failure; gone with the next success."""
    world = World(broken={step: happens})
    rehearsal = world.rehearsal()
    assert not await rehearsal.rehearse()
    began = world.now
    assert gauge("step_failed", step=said[0], reason=said[1]) == 1
    world.now += 40
    assert not await rehearsal.rehearse()
    assert gauge("failing_timestamp_seconds") == began
    world.broken.clear()
    assert await rehearsal.rehearse()
    assert gauge("failing_timestamp_seconds") == 0
    assert gauge("step_failed", step=said[0], reason=said[1]) is None


async def test_what_it_left_is_cancelled_first() -> None:
    """A booking whose cancellation failed does not keep its slot: it goes before the next begins; once."""
    world = World(broken={"book": lambda: httpx.Response(503, json={})})
    rehearsal = world.rehearsal()
    await rehearsal.rehearse()
    world.broken.clear()
    world.asked.clear()
    assert await rehearsal.rehearse()
    assert world.asked[0] == ("cancel", "/fhir/Appointment/a1")
    assert [path for step, path in world.asked if step == "cancel"][1:] == ["/fhir/Appointment/a2"]


@pytest.mark.parametrize("status", [404, 410, 409, 422])
async def test_what_is_gone_by_itself_is_no_failure(status: int) -> None:
    """A hold that ran out, or an appointment that booking has forgotten meanwhile."""
    world = World(broken={"book": lambda: httpx.Response(503, json={})})
    rehearsal = world.rehearsal()
    await rehearsal.rehearse()
    del world.broken["book"]
    answers = iter([httpx.Response(status, json={})])
    world.broken["cancel"] = lambda: next(answers, httpx.Response(200, json={}))
    assert await rehearsal.rehearse()


async def test_a_token_that_is_refused_is_asked_for_anew() -> None:
    world = World()
    rehearsal = world.rehearsal()
    await rehearsal.rehearse()
    world.broken["search"] = lambda: httpx.Response(401, json={})
    assert not await rehearsal.rehearse()
    world.broken.clear()
    assert await rehearsal.rehearse()
    assert world.steps.count("token") == 2
