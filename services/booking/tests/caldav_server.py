"""A real CalDAV server (Radicale) as a process, over TLS: what a practitioner's own calendar is read from in tests."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from deploy.gateway.certificates import self_signed
from deploy.local.ports import LOOPBACK, free_port

from creneau_booking.handlers.outside.fetching import Address, Outside

HOST = "agenda.exemple.fr"
USER, PASSWORD = "docteur", "très secret : 42"
CALENDAR = f"/{USER}/personnel/"
COLLECTION = """<?xml version="1.0" encoding="utf-8"?>
<D:mkcol xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>
<C:supported-calendar-component-set><C:comp name="{component}"/></C:supported-calendar-component-set>
</D:prop></D:set></D:mkcol>"""


def is_loopback(address: Address) -> bool:
    return str(address) == LOOPBACK


async def resolve(host: str, _: int) -> list[Any]:
    """`exemple.fr` and what stands below it is here; every other name is a private address, if it is a name."""
    host.encode("idna")
    return [ipaddress.ip_address(LOOPBACK if host.endswith("exemple.fr") else "10.0.0.7")]


def outside(port: int, certificate: Path, **other: Any) -> Outside:
    """The internet, which stands behind one port of the loopback."""
    given: dict[str, Any] = {
        "bytes_max": 100_000,
        "timeout_s": 20.0,
        "allowed": is_loopback,
        "resolve": resolve,
        "port_of": lambda _: port,
        "trust": partial(ssl.create_default_context, cafile=str(certificate)),
    }
    return Outside(**{**given, **other})


@dataclass(frozen=True)
class Radicale:
    """The running server, with its owner's own client."""

    port: int
    certificate: Path
    owner: httpx.AsyncClient

    async def make(self, path: str, component: str = "VEVENT") -> None:
        """A calendar (path) of the owner's."""
        answer = await self.owner.request("MKCOL", path, content=COLLECTION.format(component=component))
        assert answer.status_code == 201, answer.text

    async def put(self, path: str, event: str) -> None:
        """An object (path) of a calendar, the lines of its event."""
        name = path.rpartition("/")[2]
        lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//FR", "BEGIN:VEVENT", f"UID:{name}",
                 "DTSTAMP:20261101T000000Z", *event.split("\n"), "END:VEVENT", "END:VCALENDAR", ""]  # fmt: skip
        answer = await self.owner.put(
            path, content="\r\n".join(lines), headers={"Content-Type": "text/calendar"}
        )
        assert answer.status_code == 201, answer.text

    async def delete(self, path: str) -> None:
        assert (await self.owner.delete(path)).status_code == 200


@asynccontextmanager
async def running_radicale(folder: Path) -> AsyncIterator[Radicale]:
    """Radicale over an empty folder, with one user."""
    certificate, key = self_signed(folder / "tls", HOST, "exemple.fr")
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n", encoding="utf-8")
    port = free_port()
    (folder / "config").write_text(
        f"""[server]
hosts = {LOOPBACK}:{port}
ssl = True
certificate = {certificate}
key = {key}
[auth]
type = htpasswd
htpasswd_filename = {folder / "users"}
htpasswd_encryption = plain
delay = 0
[storage]
filesystem_folder = {folder / "collections"}
[web]
type = none
""",
        encoding="utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "radicale", "--config", str(folder / "config"),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        trust = ssl.create_default_context(cafile=str(certificate))
        async with httpx.AsyncClient(
            base_url=f"https://{LOOPBACK}:{port}", auth=(USER, PASSWORD), verify=trust, trust_env=False
        ) as owner:
            await _answers(lambda: owner.request("PROPFIND", "/", headers={"Depth": "0"}))
            yield Radicale(port, certificate, owner)
    finally:
        process.terminate()
        await process.wait()


async def _answers(ask: Callable[[], Any]) -> None:
    for _ in range(150):
        try:
            await ask()
        except httpx.TransportError:
            await asyncio.sleep(0.2)
        else:
            return
    raise AssertionError("Radicale does not answer")
