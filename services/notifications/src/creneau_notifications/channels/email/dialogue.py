"""Handing messages to a mail server, on a connection that has been opened (greeted, encrypted, logged in).

Where the server allows it (PIPELINING, RFC 2920), the sender, the recipient and the wish to send go in one packet:
two waits a message instead of four.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import dataclass

OK = frozenset({250, 251})
GO_ON = 354
REPLY_BYTES_MAX = 64 * 1024
_UNSAFE = re.compile(r"[\x00-\x20\x7f<>]")
_LONE_BREAK = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered to one command."""

    code: int
    text: str


class Refusal(Exception):  # noqa: N818 - not an error of ours
    """The server said no: `what` is `sender`, `recipient` or `content`. The dialogue can go on."""

    def __init__(self, what: str, reply: Reply) -> None:
        super().__init__(reply.text)
        self.what = what
        self.reply = reply


class Dialogue(asyncio.Protocol):
    """One connection, one message at a time. `extensions`: what the server said it can (lower case)."""

    def __init__(self, transport: asyncio.Transport, extensions: frozenset[str], timeout_s: float) -> None:
        self._transport = transport
        self._pipelining = "pipelining" in extensions
        self._size = "size" in extensions
        self._timeout_s = timeout_s
        self._buffer = b""
        self._lines: list[str] = []
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False
        transport.set_protocol(self)

    @property
    def is_ready(self) -> bool:
        """Whether another message can be handed over: a server that says something unasked is about to hang up."""
        return self._is_open and not self._replies

    @property
    def _is_open(self) -> bool:
        return not self._lost and not self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()

    async def hand_over(self, sender: str, recipient: str, content: bytes) -> None:
        """Return once the server has taken the message over. Raises Refusal; ConnectionError, TimeoutError or ValueError
        when nobody knows what became of it and the connection is of no use any more."""
        content = travelling(content)
        size = f" SIZE={len(content)}" if self._size else ""
        envelope = (f"MAIL FROM:<{_safe(sender)}>{size}", f"RCPT TO:<{_safe(recipient)}>", "DATA")
        replies = await self._ask(envelope) if self._pipelining else await self._ask_one_by_one(envelope)
        for what, reply in zip(("sender", "recipient"), replies, strict=False):
            if reply.code not in OK:
                await self._take_back(replies)
                raise Refusal(what, reply)
        if replies[-1].code != GO_ON:
            await self._take_back(replies)
            raise Refusal("content", replies[-1])
        self._write(content + b".\r\n")
        reply = await self._reply()
        if reply.code not in OK:
            raise Refusal("content", reply)

    async def _ask(self, commands: tuple[str, ...]) -> list[Reply]:
        self._write("".join(f"{command}\r\n" for command in commands).encode("ascii"))
        return [await self._reply() for _ in commands]

    async def _ask_one_by_one(self, commands: tuple[str, ...]) -> list[Reply]:
        replies: list[Reply] = []
        for command in commands:
            replies += await self._ask((command,))
            if replies[-1].code not in OK:
                break
        return replies

    async def _take_back(self, replies: list[Reply]) -> None:
        """Make the server forget the message that it has refused a part of."""
        if replies[-1].code == GO_ON:
            self._write(b".\r\n")
            await self._reply()
        await self._ask(("RSET",))

    # -- bytes -----------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        if not self._is_open:
            raise ConnectionError("Connection lost")
        self._transport.write(data)

    async def _reply(self) -> Reply:
        if not self._replies:
            if self._lost:
                raise ConnectionError("Connection lost")
            self._waiter = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(self._timeout_s):
                await self._waiter
            if not self._replies:
                raise ConnectionError("Connection lost")
        return self._replies.popleft()

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > REPLY_BYTES_MAX or len(self._lines) > REPLY_BYTES_MAX:
            self._transport.abort()
        for line in lines:
            self._lines.append(line[4:].strip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                code = int(line[:3]) if line[:3].isdigit() else 0
                self._replies.append(Reply(code, "\n".join(self._lines)))
                self._lines = []
        if self._replies:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def travelling(content: bytes) -> bytes:
    """The content as it goes over the line: lines end with CRLF, and none of them is a lone point."""
    breaks = content.count(b"\r\n")
    if breaks != content.count(b"\n") or breaks != content.count(b"\r"):
        # What one server takes for the end of a message and the next does not would let a second one in.
        content = _LONE_BREAK.sub(b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    return content.replace(b"\r\n.", b"\r\n..")


def _safe(address: str) -> str:
    if _UNSAFE.search(address) or not address.isascii():
        raise ValueError("an address of an envelope has no spaces, brackets or line breaks")
    return address
