"""The messages between the two processes: a length, then a pickle. Parent and child use a pair of pipes that no other
process has."""

from __future__ import annotations

import pickle
import struct
from typing import Any, Final

LENGTH: Final = struct.Struct("!Q")


def packed(value: Any) -> bytes:
    """One message."""
    content = pickle.dumps(value, protocol=5)
    return LENGTH.pack(len(content)) + content


def unpacked(content: bytes) -> Any:
    """The value in a message's content."""
    return pickle.loads(content)  # noqa: S301 (written by our own other half)
