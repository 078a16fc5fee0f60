"""What the region is made of, read from the files in `data/`: communes, professions, names."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Commune:
    """A real commune: code, place (degrees, WGS 84), time zone, and how many professionals to put there."""

    insee_code: str
    name: str
    department: str
    postal_code: str
    latitude: float
    longitude: float
    time_zone: ZoneInfo
    professionals: int

    @property
    def overseas(self) -> bool:
        return self.department.startswith("97")


@dataclass(frozen=True)
class Profession:
    """A way to practise: its codes, how long its visits are and how its agendas fill.

    `minutes`: durations of a visit; each professional keeps one. `openness`: share of the visits that are free far ahead;
    nearer than `median_wait_days` (days) most are taken. `video`, `home`, `walk_in`: shares of the sessions. `unscheduled`:
    share of an ordinary session's visits that is kept for the regulators of unscheduled care. `weeks`: opening patterns, see
    `agenda.parse_week`. `ages`: of its patients, years, both included. `change_hours`: until how many hours before the visit
    patients cancel or move online (0: until it begins). `confirms`: the practice must agree to what a patient books.
    """

    key: str
    count: int
    service: str
    cabinet: str
    profession: tuple[str, str, str]
    minutes: tuple[int, ...]
    median_wait_days: float
    openness: float
    weeks: tuple[str, ...]
    reasons: tuple[str, ...]
    specialty: tuple[str, str] | None = None
    activity: tuple[str, str] | None = None
    doctor: bool = False
    primary: bool = False
    town: bool = False
    video: float = 0.0
    home: float = 0.0
    unscheduled: float = 0.0
    walk_in: float = 0.0
    ages: tuple[int, int] | None = None
    change_hours: int = 0
    confirms: bool = False


@dataclass(frozen=True)
class People:
    """Names, languages, streets and the names of practices, to be combined."""

    families: tuple[str, ...]
    given: dict[str, tuple[str, ...]]
    languages: tuple[tuple[str, str], ...]
    streets: tuple[str, ...]
    practice_names: tuple[str, ...]


def _read(name: str) -> str:
    return files("deploy.demo").joinpath("data", name).read_text(encoding="utf-8")


def _frozen(value: Any) -> Any:
    """`value` with tuples for lists, so that it cannot change."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


@cache
def communes() -> tuple[Commune, ...]:
    """Every commune of the demonstration."""
    return tuple(
        Commune(
            insee_code=row["insee_code"],
            name=row["name"],
            department=row["department"],
            postal_code=row["postal_code"],
            latitude=float(row["latitude"]),
            longitude=float(row["longitude"]),
            time_zone=ZoneInfo(row["time_zone"]),
            professionals=int(row["professionals"]),
        )
        for row in csv.DictReader(_read("communes.csv").splitlines())
    )


@cache
def professions() -> tuple[Profession, ...]:
    """Every profession of the demonstration."""
    return tuple(Profession(**_frozen(row)) for row in json.loads(_read("professions.json")))


@cache
def people() -> People:
    """The names to combine."""
    return People(**_frozen(json.loads(_read("people.json"))))
