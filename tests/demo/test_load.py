"""The loader, against a small FHIR server of its own that keeps what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from io import StringIO
from itertools import count
from typing import Any

import httpx
import orjson
import pytest
from deploy.demo import load
from deploy.demo.feed import STALE_AFTER, synchronise
from deploy.demo.load import BATCH_ENTRIES, IN_FLIGHT, STAGES, Loader, LoadingError, Report, reason
from deploy.demo.progress import Progress
from deploy.demo.region import Region
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Verdict = Callable[[dict[str, Any]], tuple[int, str] | None]


class FakeServer:
    """Stores what a batch PUTs; `verdict` may refuse an entry with a status and a sentence."""

    def __init__(self, verdict: Verdict | None = None) -> None:
        self.stored: dict[str, dict[str, Any]] = {}
        self.batches: list[list[str]] = []
        self.headers: list[dict[str, str]] = []
        self.fail_first: list[Response] = []
        self._verdict = verdict or (lambda _: None)
        self.app = Starlette(
            routes=[
                Route("/fhir", self.batch, methods=["POST"]),
                Route("/fhir/{type}/{id}", self.read, methods=["GET"]),
            ]
        )

    async def batch(self, request: Request) -> Response:
        if self.fail_first:
            return self.fail_first.pop(0)
        bundle = orjson.loads(await request.body())
        assert bundle["resourceType"] == "Bundle"
        assert bundle["type"] == "batch"
        self.headers.append(dict(request.headers))
        self.batches.append([entry["resource"]["resourceType"] for entry in bundle["entry"]])
        return JSONResponse(
            {
                "resourceType": "Bundle",
                "type": "batch-response",
                "entry": [{"response": self._put(entry)} for entry in bundle["entry"]],
            }
        )

    def _put(self, entry: dict[str, Any]) -> dict[str, Any]:
        resource, request = entry["resource"], entry["request"]
        name = f"{resource['resourceType']}/{resource['id']}"
        assert request == {"method": "PUT", "url": name}
        refusal = self._verdict(resource)
        if refusal is not None:
            code, text = refusal
            issue = {
                "severity": "error",
                "code": "invalid",
                "details": {"text": text},
                "expression": ["Slot.start"],
            }
            return {"status": str(code), "outcome": {"resourceType": "OperationOutcome", "issue": [issue]}}
        status = "200 OK" if name in self.stored else "201 Created"
        self.stored[name] = resource
        return {"status": status}

    async def read(self, request: Request) -> Response:
        name = f"{request.path_params['type']}/{request.path_params['id']}"
        return JSONResponse(self.stored.get(name, {"resourceType": "OperationOutcome"}))


def a_region(slots: int = 5) -> Region:
    region: Region = {name: [{"resourceType": name, "id": "a"}] for stage in STAGES for name in stage.types}
    region["Slot"] = [{"resourceType": "Slot", "id": f"s{n}", "status": "free"} for n in range(slots)]
    return region


async def loaded(server: FakeServer, region: Region) -> Report:
    report = Report()
    transport = httpx.ASGITransport(server.app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://creneau", headers={"authorization": "Bearer t"}
    ) as client:
        await Loader(client, report).load(region)
    return report


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "RETRY_PAUSE_S", 0.001)


async def test_everything_is_stored_in_batches_of_at_most_two_hundred() -> None:
    """Directory first, then agendas, then slots, never more than BATCH_ENTRIES in one Bundle."""
    server = FakeServer()
    report = await loaded(server, a_region(slots=950))
    assert report == Report(stored=956)
    assert len(server.stored) == 956
    assert max(map(len, server.batches)) == BATCH_ENTRIES == 200
    order = [batch[0] for batch in server.batches]
    assert order[0] == "Organization"
    assert order.index("Schedule") > order.index("PractitionerRole")
    assert order[-5:] == ["Slot"] * 5
    assert server.headers[0]["authorization"] == "Bearer t"


async def test_loading_twice_changes_nothing() -> None:
    server = FakeServer()
    await loaded(server, a_region())
    before = dict(server.stored)
    report = await loaded(server, a_region())
    assert server.stored == before
    assert report.failures == []


async def test_a_refused_entry_is_told_with_its_reason_and_ends_the_loading() -> None:
    """The OperationOutcome's sentence and place reach the reader; later stages are not tried."""
    server = FakeServer(
        lambda resource: (422, "Agenda sans acteur.") if resource["resourceType"] == "Schedule" else None
    )
    report = await loaded(server, a_region())
    assert report.failures == ["Schedule/a : 422 – Agenda sans acteur. [Slot.start]"]
    assert not any(name.startswith("Slot/") for name in server.stored)


async def test_a_slot_booked_since_is_left_as_it_is() -> None:
    """409 on a slot that is there and no longer free is no failure; on one that is free it is."""
    server = FakeServer(
        lambda resource: (409, "Ce créneau est pris.") if resource["id"] in ("s1", "s2") else None
    )
    server.stored["Slot/s1"] = {"resourceType": "Slot", "id": "s1", "status": "busy"}
    server.stored["Slot/s2"] = {"resourceType": "Slot", "id": "s2", "status": "free"}
    report = await loaded(server, a_region())
    assert report.already_taken == 1
    assert report.failures == ["Slot/s2 : 409 – Ce créneau est pris. [Slot.start]"]


async def test_loading_stops_when_too_much_is_refused() -> None:
    """Ten thousand times the same refusal helps nobody."""
    server = FakeServer(lambda resource: (422, "Non.") if resource["resourceType"] == "Slot" else None)
    report = await loaded(server, a_region(slots=10_000))
    assert len(report.failures) <= BATCH_ENTRIES * IN_FLIGHT + load.FAILURES_MAX


async def test_a_busy_server_is_asked_again() -> None:
    """503 and 429 are passing; a PUT may be repeated."""
    server = FakeServer()
    server.fail_first = [Response(status_code=503), Response(status_code=429, headers={"Retry-After": "0"})]
    report = await loaded(server, a_region())
    assert report.failures == []
    assert report.stored == 11


async def test_a_server_that_is_away_is_named() -> None:
    """The message has the address, not a stack of errors."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(refuse), base_url="http://127.0.0.1:9"
    ) as client:
        with pytest.raises(ExceptionGroup) as caught:
            await Loader(client, Report()).load(a_region())
    assert caught.group_contains(LoadingError, match=r"http://127\.0\.0\.1:9 ne répond pas")


async def test_a_refused_batch_is_a_failure_with_its_sentence() -> None:
    """A whole Bundle refused (401, 413 …) is told once, with the reason."""
    server = FakeServer()
    issue = {"severity": "error", "code": "login", "details": {"text": "Identifiez-vous."}}
    server.fail_first = [JSONResponse({"resourceType": "OperationOutcome", "issue": [issue]}, 401)]
    report = await loaded(server, a_region())
    assert report.failures == ["lot Organization/a … Organization/a : 401 – Identifiez-vous."]


async def test_an_entry_for_which_there_was_no_time_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy server refuses some entries of a batch with 503: they are not lost, and the others not sent twice."""
    monkeypatch.setattr(load, "RETRY_PAUSE_S", 0.0)
    busy = iter([(503, "Réessayez dans un instant.")])
    server = FakeServer(lambda _: next(busy, None))
    report = await loaded(server, a_region())
    assert report.failures == []
    assert report.stored == len(server.stored)
    assert sum(map(len, server.batches)) == len(server.stored) + 1


async def test_an_answer_that_leaves_entries_out_is_noticed() -> None:
    server = FakeServer()
    server.fail_first = [JSONResponse({"resourceType": "Bundle", "type": "batch-response", "entry": []})]
    with pytest.raises(ExceptionGroup) as caught:
        await loaded(server, a_region())
    assert caught.group_contains(LoadingError, match="0 réponses seulement")


def test_no_token_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("CRENEAU_TOKEN", raising=False)
    assert load.main() == 1
    assert "CRENEAU_TOKEN" in capsys.readouterr().err


async def test_the_exit_code_tells_whether_all_is_stored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 when everything is stored; 1, and the reason on stderr, when not."""

    def through(server: FakeServer) -> None:
        original = httpx.AsyncClient

        def client(**options: Any) -> httpx.AsyncClient:
            return original(transport=httpx.ASGITransport(server.app), **options)

        monkeypatch.setattr(httpx, "AsyncClient", client)

    monkeypatch.setattr(load, "build", lambda start: a_region())
    original = httpx.AsyncClient
    through(FakeServer())
    assert await load.run("http://creneau", "t") == 0
    monkeypatch.setattr(httpx, "AsyncClient", original)
    through(FakeServer(lambda resource: (422, "Non.")))
    assert await load.run("http://creneau", "t") == 1
    captured = capsys.readouterr()
    assert "11 ressources enregistrées" in captured.out
    assert "Organization/a : 422 – Non." in captured.err


async def test_one_agenda_is_synchronised_as_a_whole() -> None:
    """The last that has slots: it says how long it is believed, and all its slots are sent at once."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={})

    region = a_region(0)
    region["Schedule"] = [{"resourceType": "Schedule", "id": id_} for id_ in ("a", "b", "c")]
    region["Slot"] = [
        {"id": f"s{n}", "schedule": {"reference": "Schedule/b"}, "start": f"2026-12-01T0{n}:00:00+01:00"}
        for n in (8, 9)
    ]
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://creneau") as client:
        assert await synchronise(client, region) == []
    put, sync = sent
    assert orjson.loads(put.content)["extension"][0]["url"] == STALE_AFTER
    assert (sync.method, sync.url.path) == ("POST", "/fhir/Schedule/b/$sync-slots")
    assert [orjson.loads(line)["id"] for line in sync.content.splitlines()] == ["s8", "s9"]
    assert sync.url.params["to"] == "2026-12-01T09:00:01+01:00"


def test_a_reason_is_found_in_any_outcome() -> None:
    assert reason({"issue": [{"code": "invalid"}]}) == "invalid"
    assert reason({"issue": [{"diagnostics": "boom", "expression": ["Slot.end"]}]}) == "boom [Slot.end]"
    assert reason({}) == "sans explication"


class Terminal(StringIO):
    """A text stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [Terminal(), StringIO()])
def test_progress_redraws_one_line_on_a_terminal_and_writes_lines_elsewhere(out: StringIO) -> None:
    """A log file gets a line now and then, not a carriage return at each step."""
    moments = count(step=0.1)
    with Progress("Créneaux libres", 10_000, out, lambda: next(moments)) as progress:
        for _ in range(100):
            progress.advance(100)
    text = out.getvalue()
    assert ("\r" in text) is out.isatty()
    assert text.endswith("\n")
    assert "10\u202f000 / 10\u202f000" in text.splitlines()[-1]
    assert text.count("\n") == 1 if out.isatty() else text.count("\n") < 20


def test_every_type_of_the_region_has_its_stage() -> None:
    """A type that no stage names would silently not be loaded."""
    stages = Counter(name for stage in STAGES for name in stage.types)
    assert set(stages.values()) == {1}
    assert set(stages) == {
        "Organization",
        "Location",
        "HealthcareService",
        "Practitioner",
        "PractitionerRole",
        "Schedule",
        "Slot",
        "Patient",
        "Appointment",
    }
