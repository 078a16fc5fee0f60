"""Addresses as they are written to, counted and compared: two spellings of one letter box are one."""

from __future__ import annotations

from dataclasses import dataclass


class InvalidAddressError(Exception):
    """Nothing can ever be sent to what was given. `reason`: as the Communication says it."""

    def __init__(self, reason: str = "invalid-address") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one channel, in normal form."""

    channel: str
    value: str
    """as it is written to"""
    exact: str
    """what is confirmed"""
    mailbox: str
    """what is counted: where it arrives"""
