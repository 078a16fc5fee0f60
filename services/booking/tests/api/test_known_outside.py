"""With a password at strangers' servers: where it goes, where it never goes, and how it is said."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deploy.gateway.certificates import self_signed
from services.booking.tests.caldav_server import HOST, PASSWORD, USER, outside

from creneau_booking.domain.not_read import (
    NotAllowedError,
    NotPublicError,
    NotReadError,
    StrayedError,
    UnreachableError,
)
from creneau_booking.handlers.outside.fetching import REDIRECTS_MAX, REQUESTS_MAX, OutsideAnswer
from creneau_booking.handlers.outside.known_outside import Credentials, Known, is_of_domain

CREDENTIALS = Credentials(USER, PASSWORD)
HOME = f"https://{HOST}/"
Said = tuple[int, Mapping[str, str]]


@dataclass
class Site:
    """A server over TLS on the loopback, and what was asked of it: path and Authorization."""

    port: int = 0
    certificate: Path = Path()
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, path: str) -> OutsideAnswer:
        async with outside(self.port, self.certificate).visit(Known(CREDENTIALS, HOME)) as visit:
            return await visit.ask("PROPFIND", f"https://{HOST}{path}", {"Depth": "0"}, b"<propfind/>")


@asynccontextmanager
async def site(folder: Path, answer: Callable[[str, str], Said]) -> AsyncIterator[Site]:
    """`answer`: path and Authorization → status and headers."""
    certificate, key = self_signed(folder, HOST, "exemple.fr")
    served = Site(certificate=certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"Content-Length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        told = re.search(r"Authorization: (.*)\r", head)
        path, authorization = head.split(" ")[1], told[1] if told else ""
        served.asked.append((path, authorization))
        status, headers = answer(path, authorization)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{lines}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(certificate, key)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=trust)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()


@pytest.mark.parametrize(
    ("elsewhere", "refused"),
    [
        ("https://127.0.0.1/secret", NotPublicError),
        ("https://autre-exemple.fr/secret", StrayedError),
        ("http://agenda.exemple.fr/secret", StrayedError),
        ("https://exemple.fr:8443/secret", NotPublicError),
        ("https://[exemple.fr/secret", NotPublicError),
        (f"https://{'a' * 64}.exemple.fr/", UnreachableError),
    ],
)
async def test_no_redirect_leads_a_password_astray(
    tmp_path: Path, elsewhere: str, refused: type[NotReadError]
) -> None:
    """Neither into our own network, nor to another domain, nor without encryption: nothing at all is asked there."""
    async with site(tmp_path, lambda *_: (307, {"Location": elsewhere})) as served:
        with pytest.raises(refused):
            await served.ask("/")
        assert [path for path, _ in served.asked] == ["/"]


async def test_a_name_that_leads_into_our_network_is_told_nothing(tmp_path: Path) -> None:
    """The host of an address may be of the right domain, and stand in a private network all the same."""
    async with site(tmp_path, lambda *_: (207, {})) as served:
        async with outside(served.port, served.certificate).visit(
            Known(CREDENTIALS, "https://nom.exemple.org/")
        ) as visit:
            with pytest.raises(NotPublicError):
                await visit.ask("PROPFIND", "https://nom.exemple.org/", {})
        assert served.asked == []


async def test_within_its_domain_a_password_follows(tmp_path: Path) -> None:
    async with site(
        tmp_path, lambda path, _: (207, {}) if path == "/dav" else (301, {"Location": "/dav"})
    ) as served:
        assert (await served.ask("/")).url == f"https://{HOST}/dav"
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        assert served.asked == [("/", f"Basic {basic}"), ("/dav", f"Basic {basic}")]


async def test_digest_is_spoken_where_it_is_asked_for(tmp_path: Path) -> None:
    """RFC 7616, as Baïkal asks for it; the challenge is answered once, and used again."""

    def answer(_: str, authorization: str) -> Said:
        if not authorization.startswith("Digest "):
            return 401, {"WWW-Authenticate": 'Digest realm="dav", qop="auth", nonce="n1", opaque="o"'}
        said = dict(re.findall(r'(\w+)="?([^",]*)"?', authorization))
        one = md5(f"{USER}:dav:{PASSWORD}")
        two = md5(f"PROPFIND:{said['uri']}")
        wanted = md5(f"{one}:n1:{said['nc']}:{said['cnonce']}:auth:{two}")
        return (207 if said["response"] == wanted else 403), {}

    async with site(tmp_path, answer) as served:
        async with outside(served.port, served.certificate).visit(Known(CREDENTIALS, HOME)) as visit:
            for path in ("", "a/"):
                assert (await visit.ask("PROPFIND", HOME + path, {})).status == 207
        assert [authorization.partition(" ")[0] for _, authorization in served.asked] == [
            "Basic",
            "Digest",
            "Digest",
        ]


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    "challenge",
    [
        "Digest",
        "Digest realm",
        'Basic realm="Digest x"',
        'Digest realm="x"',
        'Digest realm="x", nonce="n", qop="auth-int"',
        'Digest realm="x", nonce="n", algorithm=MD6',
    ],
)
async def test_a_challenge_that_cannot_be_read_is_a_refusal(tmp_path: Path, challenge: str) -> None:
    async with site(tmp_path, lambda *_: (401, {"WWW-Authenticate": challenge})) as served:
        async with outside(served.port, served.certificate).visit(Known(CREDENTIALS, HOME)) as visit:
            assert (await visit.ask("PROPFIND", HOME, {})).status == 401
            with suppress(NotAllowedError):
                assert (await visit.ask("PROPFIND", HOME, {})).status == 401
        assert len(served.asked) <= 4


async def test_a_visit_ends(tmp_path: Path) -> None:
    """Whoever leads on and on is not followed for ever."""
    async with site(tmp_path, lambda *_: (302, {"Location": "/"})) as served:
        with pytest.raises(NotReadError, match="redirects"):
            await served.ask("/")
        assert len(served.asked) == REDIRECTS_MAX + 1
    async with site(tmp_path, lambda *_: (207, {})) as served:
        with pytest.raises(NotReadError, match="requests"):
            await asks_for_ever(served)
        assert len(served.asked) == REQUESTS_MAX


async def asks_for_ever(served: Site) -> None:
    async with outside(served.port, served.certificate).visit(Known(CREDENTIALS, HOME)) as visit:
        while True:
            await visit.ask("PROPFIND", HOME, {})


def test_a_domain_is_the_hosts_own() -> None:
    for host, home in (
        ("caldav.icloud.com", "caldav.icloud.com"),
        ("p42-caldav.icloud.com", "caldav.icloud.com"),
        ("dav.fastmail.com", "fastmail.com"),
    ):
        assert is_of_domain(host, home)
    for host, home in (
        ("autre.fr", "agenda.fr"),
        ("evil-icloud.com", "icloud.com"),
        ("icloud.com.autre.fr", "caldav.icloud.com"),
        ("1.113.0.7", "203.113.0.7"),
        ("", "agenda.fr"),
    ):
        assert not is_of_domain(host, home)


def test_a_password_is_in_no_text() -> None:
    assert PASSWORD not in repr(CREDENTIALS)
