"""Addresses as they are written to, counted and compared: two spellings of one letter box are one."""

from __future__ import annotations

from dataclasses import dataclass


class InvalidAddressError(Exception):
    """What was given is no address of the channel: nothing can ever be sent to it."""


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
