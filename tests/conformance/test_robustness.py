"""Input that no well-meaning client sends, through the gateway and past it: refused by name, never a 5xx, in order."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conformance.builders import Agenda, issue, unique
from tests.fixtures.stack import Stack

WITHIN_S = 60.0
PATIENT = '"resourceType":"Patient"'
AWKWARD: dict[str, tuple[bytes, set[int]]] = {
    "very deep arrays": (b'{"resourceType":"Patient","name":' + b"[" * 50_000 + b"]" * 50_000 + b"}", {400}),
    "very deep extensions": (
        b'{"resourceType":"Patient"' + b',"extension":[{"url":"urn:a"' * 5_000 + b"}]" * 5_000 + b"}",
        {400},
    ),
    "never closed": (b'{"resourceType":"Patient","name":' + b"[{" * 20_000, {400}),
    "a huge integer": (f'{{{PATIENT},"multipleBirthInteger":{"9" * 4_000}}}'.encode(), {400, 422}),
    "a huge exponent": (
        b'{"resourceType":"Location","position":{"longitude":1e999999999,"latitude":1}}',
        {400, 422},
    ),
    "a tiny exponent": (
        b'{"resourceType":"Location","position":{"longitude":1e-999999999,"latitude":1}}',
        {400, 422},
    ),
    "an endless decimal": (
        b'{"resourceType":"Location","position":{"longitude":0.' + b"3" * 100_000 + b',"latitude":1}}',
        {201, 400, 422},
    ),
    "NaN": (b'{"resourceType":"Location","position":{"longitude":NaN,"latitude":1}}', {400}),
    "a property twice": (f'{{{PATIENT},"active":true,"active":false}}'.encode(), {400}),
    "a type twice": (b'{"resourceType":"Patient","resourceType":"Appointment"}', {400}),
    "NUL escaped": (f'{{{PATIENT},"name":[{{"family":"A\\u0000B"}}]}}'.encode(), {400, 422}),
    "NUL itself": (f'{{{PATIENT},"name":[{{"family":"A\0B"}}]}}'.encode(), {400}),
    "a lone surrogate": (f'{{{PATIENT},"name":[{{"family":"\\ud800"}}]}}'.encode(), {400}),
    "a lone surrogate as a property": (f'{{{PATIENT},"\\udfff":1}}'.encode(), {400}),
    "bytes that are no UTF-8": (b'{"resourceType":"Patient","name":[{"family":"\xff\xfe"}]}', {400}),
    "UTF-16": (f"{{{PATIENT}}}".encode("utf-16"), {400}),
    "nothing": (b"", {400}),
    "a list": (b"[]", {400}),
    "a word": (b"null", {400}),
    "ten thousand names": (
        json.dumps({"resourceType": "Patient", "name": [{"family": "Exemple"}] * 10_000}).encode(),
        {201, 400, 413, 422},
    ),
    "a million brackets": (b"{" * 1_000_000, {400, 413}),
    "a name of a megabyte": (
        json.dumps({"resourceType": "Patient", "name": [{"family": "x" * 1_100_000}]}).encode(),
        {400, 413, 422},
    ),
}


@pytest.fixture(scope="module", params=["gateway", "service"])
def reached(request: pytest.FixtureRequest, stack: Stack) -> Iterator[httpx.Client]:
    """Software with every right, at the one entrance and at booking's own."""
    base = stack.fhir if request.param == "gateway" else f"{stack.service_url('booking')}/fhir"
    headers = {"Authorization": f"Bearer {stack.token('system')}", "Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=base, headers=headers, timeout=WITHIN_S) as client:
        yield client


@pytest.mark.parametrize("what", AWKWARD)
def test_awkward_bodies_are_refused_by_name(reached: httpx.Client, what: str) -> None:
    """With a reason that is an OperationOutcome; the connection and the service go on."""
    body, expected = AWKWARD[what]
    kind = "Location" if b'"Location"' in body else "Patient"
    for method, path in (
        ("POST", f"/{kind}"),
        ("PUT", f"/{kind}/{unique()}"),
        ("POST", f"/{kind}/$validate"),
    ):
        answer = reached.request(method, path, content=body)
        allowed = expected | ({200} if "$" in path else set()) | ({404, 405} if kind == "Location" else set())
        assert answer.status_code in allowed, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        if answer.status_code >= 400:
            assert issue(answer)["details"]["text"]
    assert reached.get("/metadata").status_code == 200


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_ten_thousand_entries(reached: httpx.Client, kind: str) -> None:
    """More than a Bundle may have: refused as a whole, and nothing of it is carried out."""
    entry = {"request": {"method": "GET", "url": "Slot?_count=0"}}
    answer = reached.post(
        "", content=json.dumps({"resourceType": "Bundle", "type": kind, "entry": [entry] * 10_000})
    )
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert issue(answer)["code"] in ("too-costly", "too-long")


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("many", {f"X-Many-{n}": "1" for n in range(400)}),
        ("long", {"X-Long": "x" * 60_000}),
        ("endless", {f"X-Endless-{n}": "x" * 1_000 for n in range(300)}),
        ("a long token", {"Authorization": "Bearer " + "a.b.c" * 5_000}),
        ("a broken token", {"Authorization": "Bearer \x80\xff"}),
        ("accept", {"Accept": ",".join(["application/x;q=0.1"] * 500)}),
        ("language", {"Accept-Language": ",".join(f"x{n};q=0.{n}" for n in range(900))}),
        ("prefer", {"Prefer": ", ".join(["return=representation"] * 300)}),
        ("since", {"If-Modified-Since": "Thu, 99 Foo 99999 99:99:99 GMT"}),
        ("none-match", {"If-None-Match": ",".join(f'W/"{n}"' for n in range(1000))}),
        ("match", {"If-Match": 'W/"99999999999999999999999999"'}),
        ("ranges", {"Range": "bytes=" + ",".join(f"{n}-{n}" for n in range(500))}),
        ("length", {"X-Request-Id": "x" * 5_000}),
    ],
)
def test_header_floods_and_nonsense(reached: httpx.Client, name: str, headers: dict[str, str]) -> None:
    """Served or refused: never a 5xx, never a connection that hangs."""
    raw = [(key.encode(), value.encode("latin-1")) for key, value in headers.items()]
    with httpx.Client(base_url=reached.base_url, timeout=WITHIN_S) as client:
        for path in ("/Slot?_count=1", "/Patient/personne"):
            answer = client.get(path, headers=raw)
            assert answer.status_code < 500, f"{name}: {answer.status_code} {answer.text[:300]}"
            if answer.status_code >= 400:
                assert issue(answer)["severity"] in ("error", "fatal")


# -- several requests in one write -------------------------------------------------------------------------------


class Wire:
    """One connection, and the answers that come through it."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self.host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=WITHIN_S)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def write(self, text: bytes) -> None:
        self._socket.sendall(text)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        fields = {"Host": self.host, "Content-Length": str(len(body)), **headers}
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{name.replace('_', '-')}: {v}" for name, v in fields.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self._file.readline().split()[1])
        fields: dict[str, str] = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(": ")
            fields[name.lower()] = value
        if fields.get("transfer-encoding") != "chunked":
            return status, fields, self._file.read(int(fields.get("content-length", "0")))
        body = b""
        while size := int(self._file.readline(), 16):
            body += self._file.read(size + 2)[:-2]
        self._file.readline()
        return status, fields, body

    def ended(self) -> bool:
        try:
            return self._file.read(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture(params=["gateway", "service"])
def wire(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Wire]:
    with Wire(stack.url if request.param == "gateway" else stack.service_url("booking")) as wire:
        yield wire


def test_requests_in_one_write_get_their_own_answers(stack: Stack, agenda: Agenda, wire: Wire) -> None:
    """In order, each with its own id; one of them cannot be read, one books, one comes too late."""
    slot = agenda.slot()
    headers = {"Authorization": f"Bearer {stack.token('system')}", "Content_Type": "application/fhir+json"}
    booking: dict[str, Any] = {
        "resourceType": "Appointment",
        "status": "booked",
        "start": slot["start"],
        "end": slot["end"],
        "slot": [{"reference": f"Slot/{slot['id']}"}],
        "participant": [{"actor": {"reference": agenda.practitioner}, "status": "accepted"}],
    }
    body = json.dumps(booking).encode()
    asked = [
        ("GET", f"/fhir/Slot/{slot['id']}", b"", 200),
        ("POST", "/fhir/Appointment", body, 201),
        ("POST", "/fhir/Appointment", body[:-1], 400),
        ("POST", "/fhir/Appointment", body, 409),
        ("GET", "/fhir/Slot/personne", b"", 404),
        ("GET", f"/fhir/Slot/{slot['id']}", b"", 200),
    ]
    ids = [unique() for _ in asked]
    wire.write(
        b"".join(
            wire.request(method, path, content, X_Request_Id=id_, **headers)
            for (method, path, content, _), id_ in zip(asked, ids, strict=True)
        )
    )
    answers = [wire.answer() for _ in asked]
    assert [status for status, _, _ in answers] == [status for *_, status in asked]
    assert [fields["x-request-id"] for _, fields, _ in answers] == ids
    assert [json.loads(answers[at][2])["status"] for at in (0, 5)] == ["free", "busy"]


def test_what_is_no_http_ends_the_connection_and_not_the_answers_before_it(
    agenda: Agenda, wire: Wire
) -> None:
    """An answer is never mistaken for that of another request."""
    slot = agenda.slot()
    good = wire.request("GET", f"/fhir/Slot/{slot['id']}")
    wire.write(good + good + b"\x16\x03\x01 / HTTP/1.1\r\n\r\n" + good)
    assert [wire.answer()[0] for _ in range(2)] == [200, 200]
    status, _, body = wire.answer()
    assert (status, json.loads(body)["resourceType"]) == (400, "OperationOutcome")
    assert wire.ended()


def test_a_length_that_contradicts_itself_is_refused(wire: Wire) -> None:
    """Request smuggling: two lengths, or a length beside chunks, are never guessed at."""
    smuggled = b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n"
    head = f"POST /fhir/Slot/_search HTTP/1.1\r\nHost: {wire.host}\r\n".encode()
    wire.write(head + b"Content-Length: 4\r\nContent-Length: 0\r\n\r\n" + smuggled)
    assert wire.answer()[0] == 400
    assert wire.ended()


def test_headers_need_not_be_ascii_on_their_way_through_the_gateway(system: httpx.Client) -> None:
    """An entity tag, a language, a token in Latin-1: refused or left aside, wherever they are looked at."""
    for name in ("If-None-Match", "Accept-Language", "Prefer", "X-Request-Id"):
        for address in ("/AuditEvent", "/AuditEvent/none", "/_history?_count=1", "/?_type=Slot&_count=1"):
            answer = system.get(address, headers={name.encode(): "Ç".encode("latin-1")})
            assert answer.status_code in (200, 404), (name, address, answer.text)
