"""How the two processes speak: a pickle behind its length. They are parent and child over a pair of pipes that nobody
else holds."""

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
    """What a message's content says."""
    return pickle.loads(content)  # noqa: S301 (written by our own other half)
