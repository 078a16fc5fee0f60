"""The one clock. Nothing else in Créneau asks for the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Protocol
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
"""The zone of a query date that names none (FHIR R4 search: the server's local time zone)."""
ZONES = frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split()) - {"Factory", "localtime"}
"""The zones of the IANA database in the pinned release of `tzdata`: a machine's own list has names that PostgreSQL does not
know, and those of its links. `Factory` means that no zone was set."""
CLOCKS_APART = timedelta(seconds=5)
"""how far the clocks of a service's machines may be apart"""


def zone_named(name: object) -> ZoneInfo | None:
    """The zone of that name; None when the IANA database has no such zone."""
    return ZoneInfo(name) if isinstance(name, str) and name in ZONES else None


def shown(moment: datetime) -> str:
    """An instant as a sentence says it, by the clocks of Paris: `2026-11-28 09:00 (Europe/Paris)`."""
    return f"{moment.astimezone(PARIS):%Y-%m-%d %H:%M} (Europe/Paris)"


def _in_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Clock(Protocol):
    """Tells the present instant."""

    def now(self) -> datetime:
        """The present instant, in UTC, with its zone, in whole milliseconds: the precision of what a resource shows
        (`meta.lastUpdated`), so that what is stored, what is shown and the place of a page link are one instant."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return _in_milliseconds(datetime.now(UTC))


class FixedClock:
    """A clock that stands still until it is moved: for tests."""

    def __init__(self, instant: datetime) -> None:
        if instant.tzinfo is None:
            raise ValueError("a clock needs an instant with a zone")
        self.instant = instant.astimezone(UTC)

    def now(self) -> datetime:
        return _in_milliseconds(self.instant)

    def advance(self, by: timedelta) -> None:
        self.instant += by
