"""Who practises where: professionals, their practices and their posts, the same at every run."""

from __future__ import annotations

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from deploy.demo.agenda import OVERSEAS_DAY_STARTS_EARLIER, Session, earlier, parse_week
from deploy.demo.catalogue import Commune, Profession, communes, people, professions
from deploy.demo.identifiers import finess, rpps, siret

SEED = 20261122
TOWN_SEATS = 8
"""From this number of professionals on, a commune is a town where specialists settle."""
SECOND_PLACE_WEEKDAYS = frozenset({2, 4})
"""A professional with two places is in the second on Wednesdays and Fridays."""


@dataclass(frozen=True)
class Practice:
    """A place of care: `category` is its TRE_R66 code and label, none for a plain cabinet."""

    id: str
    name: str
    commune: Commune
    street: str
    latitude: float
    longitude: float
    phone: str
    category: tuple[str, str] | None
    finess: str | None
    siret: str | None


@dataclass(frozen=True)
class Professional:
    """A fictional professional. `minutes`: how long a visit lasts."""

    id: str
    family: str
    given: str
    gender: str
    rpps: str
    profession: Profession
    minutes: int
    languages: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Post:
    """A professional in one place. Becomes a PractitionerRole and a Schedule with the same id."""

    id: str
    professional: Professional
    practice: Practice
    sessions: tuple[Session, ...]


@dataclass(frozen=True)
class Population:
    """Everyone and every place of the region."""

    practices: tuple[Practice, ...]
    professionals: tuple[Professional, ...]
    posts: tuple[Post, ...]


def slug(text: str) -> str:
    """`Le Goff` → `le-goff`: lower case, no accents, what a FHIR id allows."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def populate() -> Population:
    """The whole population, from the files and a fixed seed only."""
    chance = random.Random(SEED)  # noqa: S311 - the same demonstration for everyone, not a secret
    names = _names(chance)
    practices: list[Practice] = []
    professionals: list[Professional] = []
    posts: list[Post] = []
    for commune, wanted in _seats(chance).items():
        for kind, members in _groups(commune, wanted, chance):
            practice = _practice(kind, members[0], commune, len(practices) + 1, chance)
            practices.append(practice)
            for profession in members:
                person = _professional(profession, len(professionals) + 1, next(names), chance)
                professionals.append(person)
                posts.append(Post(f"{person.id}-1", person, practice, _sessions(person, commune, chance)))
    seconds = _second_posts(posts, chance)
    shared = {post.professional.id for post in seconds}
    posts = [_first_place_days(post) if post.professional.id in shared else post for post in posts]
    return Population(tuple(practices), tuple(professionals), (*posts, *seconds))


def _names(chance: random.Random) -> Iterator[tuple[str, str, str]]:
    """Family name, given name and gender, no pair twice."""
    pairs = [
        (family, given, gender)
        for family in people().families
        for gender, givens in people().given.items()
        for given in givens
    ]
    chance.shuffle(pairs)
    yield from pairs


def _seats(chance: random.Random) -> dict[Commune, list[Profession]]:
    """Give everyone a commune: a GP to each, the specialists to the towns, then the rest where room is."""
    general, *others = professions()
    seats = {commune: [general] for commune in communes()}
    free = [commune for commune in communes() for _ in range(commune.professionals - 1)]
    chance.shuffle(free)
    for profession in sorted(others, key=lambda profession: not profession.town):
        for _ in range(profession.count):
            place = next(
                commune for commune in free if not profession.town or commune.professionals >= TOWN_SEATS
            )
            free.remove(place)
            seats[place].append(profession)
    for place in free:
        seats[place].append(general)
    return seats


def _groups(
    commune: Commune, wanted: list[Profession], chance: random.Random
) -> Iterator[tuple[str, list[Profession]]]:
    """Split the professionals of a commune into practices: kind (centre, maison, cabinet) and members."""
    rest = list(wanted)
    if commune.professionals >= 2 * TOWN_SEATS:
        members = rest[1:8]
        rest = rest[:1] + rest[8:]
        yield "centre", members
    primary = [profession for profession in rest if profession.primary]
    if len(primary) >= 3:
        members = primary[: chance.randint(3, 7)]
        for profession in members:
            rest.remove(profession)
        yield "maison", members
    by_profession: dict[str, list[Profession]] = defaultdict(list)
    for profession in rest:
        by_profession[profession.key].append(profession)
    for alike in by_profession.values():
        while alike:
            size = chance.randint(1, 3)
            yield "cabinet", alike[:size]
            del alike[:size]


def _practice(
    kind: str, profession: Profession, commune: Commune, number: int, chance: random.Random
) -> Practice:
    label, category = {
        "centre": ("Centre de santé", ("124", "Centre de Santé")),
        "maison": ("Maison de santé", ("603", "Maison de santé (L.6223-3)")),
        "cabinet": (profession.cabinet, None),
    }[kind]
    spread = 0.012 if commune.professionals >= TOWN_SEATS else 0.005
    return Practice(
        id=f"demo-{slug(commune.name)}-{number}",
        name=f"{label} {chance.choice(people().practice_names)}",
        commune=commune,
        street=f"{chance.randint(1, 98)} {chance.choice(people().streets)}",
        latitude=round(commune.latitude + chance.uniform(-spread, spread), 5),
        longitude=round(commune.longitude + chance.uniform(-spread, spread), 5),
        phone=_phone(commune, number),
        category=category,
        finess=finess(commune.department, number) if category else None,
        siret=None if category else siret(number),
    )


def _phone(commune: Commune, number: int) -> str:
    """A number of the ranges that the regulator (ARCEP) keeps for fiction."""
    if commune.overseas:
        return f"+3363998{number:04d}"
    return f"+3319900{number:04d}" if commune.department == "75" else f"+3326191{number:04d}"


def _professional(
    profession: Profession, number: int, name: tuple[str, str, str], chance: random.Random
) -> Professional:
    family, given, gender = name
    spoken = chance.sample(people().languages, k=chance.choice((0, 0, 1, 1, 2)))
    return Professional(
        id=f"demo-{slug(family)}-{number}",
        family=family,
        given=given,
        gender=gender,
        rpps=rpps(number),
        profession=profession,
        minutes=chance.choice(profession.minutes),
        languages=(("fr", "Français"), *spoken),
    )


def _sessions(person: Professional, commune: Commune, chance: random.Random) -> tuple[Session, ...]:
    sessions = parse_week(chance.choice(person.profession.weeks))
    if commune.overseas:
        return tuple(earlier(session, OVERSEAS_DAY_STARTS_EARLIER) for session in sessions)
    return sessions


def _second_posts(posts: list[Post], chance: random.Random) -> list[Post]:
    """A second place, in the same département, for one specialist in three and a few of the others."""
    found = []
    for post in posts:
        likely = 0.33 if post.professional.profession.town else 0.06
        department = post.practice.commune.department
        places = [
            other.practice
            for other in posts
            if other.practice.commune.department == department and other.practice != post.practice
        ]
        sessions = tuple(session for session in post.sessions if session.weekday in SECOND_PLACE_WEEKDAYS)
        splits = 0 < len(sessions) < len(post.sessions)
        if places and splits and chance.random() < likely:
            practice = chance.choice(places)
            found.append(Post(f"{post.professional.id}-2", post.professional, practice, sessions))
    return found


def _first_place_days(post: Post) -> Post:
    """`post` without the days that its professional spends in a second place."""
    kept = tuple(session for session in post.sessions if session.weekday not in SECOND_PLACE_WEEKDAYS)
    return replace(post, sessions=kept)
