"""How the supervisor knows that a part is ready."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from deploy.local import broker
from deploy.local.ports import LOOPBACK

Probe = Callable[[], Awaitable[bool]]

ANSWER_WITHIN_S = 5.0

_ANY_CERTIFICATE = ssl.create_default_context()
_ANY_CERTIFICATE.check_hostname = False
_ANY_CERTIFICATE.verify_mode = ssl.CERT_NONE


async def http_status(port: int, path: str, host: str = LOOPBACK, *, tls: bool = False) -> int | None:
    """The status of a GET, or None when nobody answers. With TLS any certificate: the process is local."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host, port, ssl=_ANY_CERTIFICATE if tls else None)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                status_line = await reader.readline()
                return int(status_line.split()[1])
            finally:
                writer.close()
    except (OSError, IndexError, ValueError, TimeoutError):
        return None


def http(port: int, path: str = "/health/ready", host: str = LOOPBACK, *, tls: bool = False) -> Probe:
    """Ready when a GET is answered 200."""

    async def probe() -> bool:
        return await http_status(port, path, host, tls=tls) == 200

    return probe


def kafka(port: int) -> Probe:
    """Ready when a Kafka broker answers."""
    return lambda: asyncio.to_thread(broker.answers, port)


def blocking(check: Callable[[], bool]) -> Probe:
    """A probe from a function that blocks for a moment."""
    return lambda: asyncio.to_thread(check)
