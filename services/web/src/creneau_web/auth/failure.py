"""Why a log-in fails."""

from __future__ import annotations

from typing import Literal

Reason = Literal["declined", "stale", "level", "untrusted", "silent"]
"""`declined`: the person, or the provider, did not want to. `stale`: this log-in is not one that was begun here, or took
too long. `level`: the provider is not sure enough. `untrusted`: what came back does not hold together. `silent`: the
provider does not answer."""


class LoginError(Exception):
    """A log-in that comes to nothing. `detail` is for the log, and holds nothing of the person."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail
