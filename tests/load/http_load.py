"""A cheap load generator: prebuilt requests over raw keep-alive connections, latencies kept, nothing parsed.

It shares the machine with what it measures, so it does as little as it can and says what share it took.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass
class Load:
    """What one run gave. Latencies in seconds, unordered; `cpu_share` of one core taken by the generator."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    cpu_share: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return sum(self.statuses.values()) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Latency below which `share` of the answers came, milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else 0.0


def http_request(method: str, path: str, host: str, token: str | None, body: bytes = b"") -> bytes:
    """The bytes of one HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Accept: application/fhir+json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/fhir+json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def run(address: tuple[str, int], requests: Iterable[bytes], connections: int) -> Load:
    """Send every request once, `connections` at a time; each connection sends its next when it has its answer."""
    load, pending = Load(), iter(requests)
    cpu_before, started = _cpu(), time.perf_counter()
    await asyncio.gather(*(_connection(address, pending, load) for _ in range(connections)))
    load.seconds = time.perf_counter() - started
    load.cpu_share = (_cpu() - cpu_before) / load.seconds
    return load


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def _connection(address: tuple[str, int], pending: Iterator[bytes], load: Load) -> None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        for request in pending:
            started = time.perf_counter()
            writer.write(request)
            status, closed = await _answer(reader)
            load.latencies.append(time.perf_counter() - started)
            load.statuses[status] += 1
            if closed:
                writer.close()
                reader, writer = await asyncio.open_connection(*address)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Status of one answer, and whether the server closes the connection after it."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    status = int(head[9:12])
    start = lower.find(b"content-length:")
    if start >= 0:
        length = int(lower[start + 15 : lower.index(b"\r\n", start)])
        if length:
            await reader.readexactly(length)
    elif b"transfer-encoding: chunked" in lower:
        while size := int((await reader.readline()).strip() or b"0", 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return status, b"connection: close" in lower
