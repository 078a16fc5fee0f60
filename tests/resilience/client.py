"""One client of the gateway: a connection of its own, and the patience of a well-written program."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

AWAY = frozenset({502, 503, 504})
"""Answers that say: not now, ask again."""
AGAIN_AFTER_S = 0.2
ANSWER_WITHIN_S = 60.0


@dataclass(frozen=True)
class Answer:
    """Status and body of an answer; `attempts`, how often it was asked for."""

    status: int
    content: bytes
    attempts: int = 1
    retry_after_s: int | None = None
    """as the header says"""

    @property
    def body(self) -> dict[str, Any]:
        return dict(json.loads(self.content))


class Client:
    """HTTP/1.1 over one connection, opened again when it breaks."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def connect(self) -> None:
        """Open the connection before there is anything to ask."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)

    async def post(self, path: str, resource: dict[str, Any], key: str | None = None) -> Answer:
        """Ask once. Raises OSError, EOFError or TimeoutError when no whole answer comes."""
        body = json.dumps(resource).encode()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self.connect()
                assert self._streams is not None
                self._streams[1].write(self._head(path, len(body), key) + body)
                answer, closing = await _read(self._streams[0])
        except BaseException:
            self._close()
            raise
        if closing:
            self._close()
        return answer

    async def post_until_told(self, path: str, resource: dict[str, Any], within_s: float) -> Answer:
        """Ask, with one Idempotency-Key, until there is an answer that is about the request and not about now."""
        key, deadline, attempts = str(uuid4()), time.monotonic() + within_s, 0
        while True:
            attempts += 1
            try:
                answer = await self.post(path, resource, key)
            except (OSError, EOFError):  # TimeoutError is an OSError
                last = "no answer"
            else:
                if answer.status not in AWAY:
                    return Answer(answer.status, answer.content, attempts)
                last = str(answer.status)
            assert time.monotonic() < deadline, f"{path}: {last} after {attempts} attempts"
            await asyncio.sleep(AGAIN_AFTER_S)

    async def post_when_there_is_room(self, path: str, resource: dict[str, Any], within_s: float) -> Answer:
        """Ask, and again after each time that the service says to have too many requests at the moment, when it says; it
        has done nothing then. A race whose machine is busy with something else is slower, and no other."""
        deadline, attempts = time.monotonic() + within_s, 0
        while True:
            attempts += 1
            answer = await self.post(path, resource)
            if answer.status != 503:
                return Answer(answer.status, answer.content, attempts)
            # No deadlock, and no statement that took too long: those are not a matter of room.
            assert answer.body["issue"][0]["code"] == "throttled", answer.content
            assert answer.retry_after_s, answer.content
            assert time.monotonic() < deadline, f"{path}: no room after {attempts} attempts"
            await asyncio.sleep(answer.retry_after_s)

    def _head(self, path: str, length: int, key: str | None) -> bytes:
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: 127.0.0.1:{self._port}",
            f"Authorization: Bearer {self._token}",
        ]
        lines += ["Content-Type: application/fhir+json", f"Content-Length: {length}"]
        lines += [f"Idempotency-Key: {key}"] if key else []
        return "\r\n".join([*lines, "", ""]).encode()

    def _close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    """One answer, and whether the server closes the connection behind it."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in head[1:] if line)
    if fields.get("transfer-encoding") == "chunked":
        content = b""
        while size := int(await reader.readline(), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        content = await reader.readexactly(int(fields.get("content-length", "0")))
    later = fields.get("retry-after", "")
    answer = Answer(int(head[0].split()[1]), content, retry_after_s=int(later) if later.isdigit() else None)
    return answer, fields.get("connection") == "close"
