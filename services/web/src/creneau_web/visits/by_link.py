"""What a message's link shows before its question is answered: when and where, not who or why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

AGREED_BY_ONE = frozenset({"proposed", "pending"})


@dataclass(frozen=True, slots=True)
class LinkedVisit:
    """The visit of a link, by the clock of its place."""

    status: str
    zone: ZoneInfo
    start: datetime | None
    """None: somebody waits for a time"""
    kept_until: datetime | None
    """until when what the waiting list offers is kept"""
    place: str | None
    address: str | None
    phone: str | None
    tries_left: int | None
    """None: nothing can be done by this link any more (the visit is cancelled)"""

    @property
    def is_asked(self) -> bool:
        """Whether somebody has still to agree to it."""
        return self.status in AGREED_BY_ONE


@dataclass(frozen=True, slots=True)
class Opened:
    """What a right answer gives."""

    appointment: str
    access_token: str
    expires: datetime


def linked_visit(parameters: Mapping[str, Any]) -> LinkedVisit:
    """What `$open-link` shows."""
    said = _values(parameters)
    zone = ZoneInfo(said.get("timezone") or "Europe/Paris")
    return LinkedVisit(
        status=said["status"],
        zone=zone,
        start=_moment(said, "start", zone),
        kept_until=_moment(said, "until", zone),
        place=said.get("place"),
        address=said.get("address"),
        phone=(said.get("phone") or {}).get("value"),
        tries_left=said.get("tries-left"),
    )


def opened(parameters: Mapping[str, Any]) -> Opened | None:
    """What a right answer gives; None before."""
    said = _values(parameters)
    if "access-token" not in said:
        return None
    return Opened(
        said["appointment"]["reference"].partition("/")[2],
        said["access-token"],
        datetime.fromisoformat(said["expires"]),
    )


def _moment(said: Mapping[str, Any], name: str, zone: ZoneInfo) -> datetime | None:
    return datetime.fromisoformat(said[name]).astimezone(zone) if name in said else None


def _values(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Name → value of each parameter, whatever its type."""
    found: dict[str, Any] = {}
    for parameter in parameters.get("parameter", ()):
        value = next((v for name, v in parameter.items() if name.startswith("value")), None)
        found[parameter["name"]] = value
    return found
