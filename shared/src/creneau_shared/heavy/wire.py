"""The messages between the two processes: a length, then a pickle. Parent and child use a pair of pipes that no other
process has."""

from __future__ import annotations

import pickle
import struct
from asyncio.subprocess import Process
from typing import Any, Final

LENGTH: Final = struct.Struct("!Q")


def packed(value: Any) -> bytes:
    """One message."""
    content = pickle.dumps(value, protocol=5)
    return LENGTH.pack(len(content)) + content


async def answered(process: Process, message: bytes) -> bytes:
    """The content of the child's answer to one message. asyncio.IncompleteReadError or OSError when the child ends before; if
    it raises anything, the child may answer later, and must be given nothing more."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(message)
    await process.stdin.drain()
    (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
    return await process.stdout.readexactly(length)


def unpacked(content: bytes) -> Any:
    """The value in a message's content."""
    return pickle.loads(content)  # noqa: S301 (written by our own other half)
