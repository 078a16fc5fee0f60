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
from typing import cast


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


def repeated(request: bytes, until: float) -> Iterator[bytes]:
    """The same request until the clock says stop."""
    while time.perf_counter() < until:
        yield request


async def run(address: tuple[str, int], requests: Iterable[bytes], connections: int) -> Load:
    """Send every request once, `connections` at a time; each connection sends its next when it has its answer."""
    load, pending = Load(), iter(requests)
    loop = asyncio.get_running_loop()
    cpu_before, started = _cpu(), time.perf_counter()

    async def one() -> None:
        while True:
            _, connection = await loop.create_connection(lambda: _Connection(pending, load), *address)
            if await connection.ended:
                return

    await asyncio.gather(*(one() for _ in range(connections)))
    load.seconds = time.perf_counter() - started
    load.cpu_share = (_cpu() - cpu_before) / load.seconds
    return load


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Connection(asyncio.Protocol):
    """One keep-alive connection. `ended`: True when there is nothing left to send, False when the server closed it
    between two requests."""

    def __init__(self, pending: Iterator[bytes], load: Load) -> None:
        self._pending = pending
        self._load = load
        self._received = b""
        self._sent_at = 0.0
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send_next()

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        lower = received[:head].lower()
        start = lower.find(b"content-length:")
        if start >= 0:
            end = lower.find(b"\r", start)
            length = int(lower[start + 15 : end if end >= 0 else head])
            whole = len(received) >= head + 4 + length
        elif b"transfer-encoding: chunked" in lower:
            whole = received.endswith(b"0\r\n\r\n")
        else:
            whole = True
        if whole:
            self._load.latencies.append(time.perf_counter() - self._sent_at)
            self._load.statuses[int(received[9:12])] += 1
            self._received = b""
            self._send_next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(False)

    def _send_next(self) -> None:
        request = next(self._pending, None)
        if request is None:
            self.ended.set_result(True)
            self._transport.close()
            return
        self._sent_at = time.perf_counter()
        self._transport.write(request)


@dataclass(frozen=True, slots=True)
class Answer:
    """When one request was sent and answered: seconds since 1970."""

    status: int
    sent_at: float
    answered_at: float


async def paced(
    address: tuple[str, int], requests: Iterable[bytes], rate: float, connections: int
) -> list[Answer]:
    """Send `rate` requests a second, however long the answers take, as long as one of the `connections` is free;
    the answers in the order of the requests."""
    free: asyncio.Queue[_Turns] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(_Turns(*await asyncio.open_connection(*address)))
    began, asked = time.perf_counter(), []
    for number, request in enumerate(requests):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        asked.append(asyncio.create_task(_take_turn(free, request)))
    answers = list(await asyncio.gather(*asked))
    while not free.empty():
        free.get_nowait().writer.close()
    return answers


@dataclass(frozen=True, slots=True)
class _Turns:
    """A keep-alive connection that one after the other uses."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _take_turn(free: asyncio.Queue[_Turns], request: bytes) -> Answer:
    turns = await free.get()
    sent_at = time.time()
    turns.writer.write(request)
    head = (await turns.reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r")[0])
    await turns.reader.readexactly(length)
    answered_at = time.time()
    free.put_nowait(turns)
    return Answer(int(head[9:12]), sent_at, answered_at)
