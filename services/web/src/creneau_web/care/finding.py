"""From the three fields of the home page to professionals: who, where, and how.

The one module that knows how the directory is asked: by its search for people, in everyday words (`$find-care`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

from creneau_shared.clock import Clock
from creneau_web.care.directory import Directory
from creneau_web.care.kept import Kept
from creneau_web.care.model import Availability, Card, Opening, Professional
from creneau_web.care.reading import professionals_of
from creneau_web.care.soonest import FIRST, first_openings, roles_with_agenda
from creneau_web.care.towns import Town, choices_of, town_of
from creneau_web.care.understood import Told, parameters_of, told_of
from creneau_web.fhir.client import Fhir
from creneau_web.fhir.refusal import RefusedError, UnreachableError, is_about_who_asks

Mode = Literal["", "sur-place", "video", "domicile"]
MODES: dict[Mode, str] = {"": "", "sur-place": "AMB", "video": "VR", "domicile": "HH"}

FIND, SUGGEST = "$find-care", "$suggest"
TEXT_MAX = 300
"""characters of a text that the directory reads"""
ASKED = 60
"""professionals whose first free times are compared"""
PAGE = 10
SOON = timedelta(minutes=1)
"""a time that begins earlier is not offered"""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search: either `choices` (which town is meant?) or people."""

    people: tuple[Professional, ...] = ()
    """by first free time; who is at several places has several entries"""
    total: int = 0
    """how many people are on the list, with those beyond who were not compared"""
    known: int = 0
    """how many people fit by the directory, free in the wished way or not"""
    compared: int = 0
    """how many people's first free times were compared"""
    told: Told = field(default_factory=Told)
    town: Town | None = None
    choices: tuple[Town, ...] = ()
    town_unknown: bool = False
    typed: str = ""
    narrowed: bool = False
    """whether only times are shown when the person would like to come"""
    unmet: bool = False
    """whether nobody is free then, so that other times are shown"""
    cards: tuple[Card, ...] = ()
    """of the page that is shown"""

    @property
    def who(self) -> str | None:
        """What the page is about: a kind of care, or a name as it was typed."""
        return self.told.who or (self.typed if self.told.named else None)

    @property
    def nobody_free(self) -> bool:
        """Whether people were compared, and none of them is free in the wished way."""
        return bool(self.compared) and not self.people

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.people) // PAGE))


class Finding:
    """Searches for people. Who fits is kept for some seconds; when they are free is asked each time. What several callers
    ask at the same moment is asked once: these questions depend on nobody's rights."""

    def __init__(self, clock: Clock, directory: Directory, kept_s: float) -> None:
        self._clock = clock
        self._directory = directory
        self._fitting: Kept[Found] = Kept(kept_s, is_personal=is_about_who_asks)
        self._openings: Kept[dict[str, tuple[Opening, ...]]] = Kept(0, is_personal=is_about_who_asks)
        self._agendas: Kept[frozenset[str]] = Kept(0, is_personal=is_about_who_asks)

    async def find(self, fhir: Fhir, what: str, where: str, mode: Mode = "", page: int = 1) -> Found:
        """Everybody who fits, and a page of them with their first free times."""
        public = fhir.as_(None)
        found = await self._fitting.get(
            (what, where, fhir.language), lambda: self._search(public, what.strip(), where.strip())
        )
        if not found.people:
            return found
        self._directory.remember(found.people)
        begin, end = (page - 1) * PAGE, page * PAGE
        # One page of people: all times at once. More: first one time each, to sort them.
        few = len(found.people) <= PAGE
        wishes = found.told.wishes
        try:
            first = await self._free(public, found.people, mode, FIRST if few else 1, wishes)
            unmet = bool(wishes) and not first
            if unmet:
                wishes = ()
                first = await self._free(public, found.people, mode, FIRST if few else 1)
            everybody = once_each(found.people, first)
            fitting = _soonest_first(everybody, first, only_free=bool(mode or wishes))
            shown, connected = await self._with_agendas(public, fitting[begin:end], found.people, first)
            free = tuple(p for p in shown if p.id in first)
            openings = first if few else await self._free(public, free, mode, FIRST, wishes)
        except (UnreachableError, RefusedError) as error:
            if isinstance(error, RefusedError) and error.refusal.status < 500:
                raise
            # Who is there, and their telephone numbers, help while the agendas cannot be asked.
            unknown = Availability(known=False)
            people = once_each(found.people, {})
            return replace(found, people=people, cards=tuple(Card(p, unknown) for p in people[begin:end]))
        return replace(
            found,
            people=fitting,
            total=_how_many(fitting) if mode or wishes else found.known,
            narrowed=bool(wishes),
            unmet=unmet,
            cards=tuple(
                Card(p, Availability(openings.get(p.id, ())[:FIRST], connected=p.id in connected))
                for p in shown
            ),
        )

    async def _free(
        self,
        fhir: Fhir,
        people: Sequence[Professional],
        mode: Mode,
        count: int,
        wishes: tuple[str, ...] = (),
    ) -> dict[str, tuple[Opening, ...]]:
        after = self._clock.now() + SOON
        asked = (tuple(professional.id for professional in people), mode, count, wishes)
        return await self._openings.get(
            asked, lambda: first_openings(fhir, people, after, MODES[mode], count, wishes)
        )

    async def _with_agendas(
        self,
        fhir: Fhir,
        shown: Sequence[Professional],
        people: Sequence[Professional],
        openings: Mapping[str, Sequence[Opening]],
    ) -> tuple[tuple[Professional, ...], frozenset[str]]:
        """Returns the professionals as they are shown, and the ids of those who have an agenda.

        A professional without free times who has several roles in a place is shown in the first role that has an agenda,
        because only that role's page offers the waiting list. `people`: everybody found, with all their roles."""
        same: dict[tuple[str, str], list[Professional]] = defaultdict(list)
        for one in people:
            same[_whom_and_where(one)].append(one)
        full = {one.id: same[_whom_and_where(one)] for one in shown if one.id not in openings}
        roles = tuple(role for roles in full.values() for role in roles)
        connected = frozenset(openings)
        if roles:
            asked = tuple(role.id for role in roles)
            connected |= await self._agendas.get(asked, lambda: roles_with_agenda(fhir, roles))
        return tuple(_by_agenda(one, full.get(one.id, ()), connected) for one in shown), connected

    async def _search(self, fhir: Fhir, what: str, where: str) -> Found:
        """Who fits, in the directory's order."""
        text = f"{what} à {where}" if where else what
        bundle = await fhir.search(
            f"PractitionerRole/{FIND}", [("text", text[:TEXT_MAX]), ("_count", str(ASKED))]
        )
        parameters, told = parameters_of(bundle), told_of(bundle)
        if where:
            suggested = await fhir.search(
                f"PractitionerRole/{SUGGEST}", [("text", where[:TEXT_MAX]), ("_count", "8")]
            )
            choices = choices_of(parameters, suggested, where)
            town = town_of(parameters)
            if choices or town is None:
                return Found(told=told, choices=tuple(choices), town_unknown=not choices)
        people = tuple(professionals_of(bundle, fhir.at))
        compared = _how_many(people)
        # Of those beyond only the number of their roles is known.
        known = bundle.get("total", len(people)) - len(people) + compared
        return Found(people, known, known, compared, told, town_of(parameters), typed=what)


def once_each(
    people: Sequence[Professional], openings: Mapping[str, Sequence[Opening]]
) -> tuple[Professional, ...]:
    """Returns each professional once in a place, with the specialities of all their roles there. `openings`: role (id) →
    its free times, soonest first.

    Roles with the same first free slot are one; roles without free times are left out where another role of the
    professional has some. The Annuaire Santé has a role for each skill, and an agenda may be of any of them, or of the person
    alone."""
    free = {_whom_and_where(one) for one in people if one.id in openings}
    same: dict[tuple[tuple[str, str], str | None], list[Professional]] = defaultdict(list)
    for one in people:
        key = _whom_and_where(one)
        if one.id in openings:
            same[key, openings[one.id][0].slot].append(one)
        elif key not in free:
            same[key, None].append(one)
    return tuple(_joined(roles) for roles in same.values())


def _joined(roles: Sequence[Professional]) -> Professional:
    """The first of these roles, with the specialities of all."""
    return replace(roles[0], specialties=tuple(dict.fromkeys(s for one in roles for s in one.specialties)))


def _by_agenda(one: Professional, roles: Sequence[Professional], connected: Collection[str]) -> Professional:
    """The first of these roles that has an agenda, with the specialities of all; without one, who stands for them."""
    role = next((role for role in roles if role.id in connected), one)
    return replace(role, specialties=one.specialties)


def _how_many(roles: Sequence[Professional]) -> int:
    """The number of people who have these roles, each once whatever the places; who is not known counts for each role."""
    return len({one.practitioner or f"PractitionerRole/{one.id}" for one in roles})


def _whom_and_where(one: Professional) -> tuple[str, str]:
    """The professional and the place; the role itself if one of them is not known."""
    return (one.practitioner, one.place.id) if one.practitioner and one.place else (one.id, "")


def _soonest_first(
    people: Sequence[Professional], openings: Mapping[str, Sequence[Opening]], *, only_free: bool
) -> tuple[Professional, ...]:
    """Sorts people by first free time, then by name. Who has none comes last, or is left out."""

    def key(one: Professional) -> tuple[bool, float, str]:
        free = openings.get(one.id)
        return (not free, free[0].start.timestamp() if free else 0.0, one.name)

    return tuple(sorted((p for p in people if p.id in openings or not only_free), key=key))
