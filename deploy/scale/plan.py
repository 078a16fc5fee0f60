"""Who practises where: how many of each kind in each commune. The same for everyone who gives the same seed and size.

Figures: `figures.csv`, ours, after DREES, CNOM, CNAM and others (column `figure`; an estimate says so). Communes, their
inhabitants and positions are those of the directory's own search.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from creneau_directory.domain.care.places import Commune, gazetteer

SPECIALISTS_ALSO_SERVE = 40_000
"""inhabitants around a town, for which its specialists are there too"""


@dataclass(frozen=True)
class Kind:
    """A way to practise. `count`: in France; `people_min`: inhabitants of a commune from which on there are some;
    `female`, `sector2`, `video`, `home`: shares."""

    key: str
    profession: str
    specialty: str
    activity: str
    label: str
    cabinet: str
    count: int
    people_min: int
    female: float
    sector2: float
    video: float
    home: float

    @property
    def doctor(self) -> bool:
        return self.profession in ("G15:10", "G15:40")


@dataclass(frozen=True)
class Seat:
    """So many of a kind in a commune."""

    commune: Commune
    kind: Kind
    count: int


@cache
def kinds() -> tuple[Kind, ...]:
    """The ways to practise, the most frequent first."""
    text = files("deploy.scale").joinpath("figures.csv").read_text(encoding="utf-8")
    return tuple(_kind(row) for row in csv.DictReader(text.splitlines(), delimiter=";"))


def _kind(row: dict[str, str]) -> Kind:
    return Kind(
        key=row["key"],
        profession=row["profession"],
        specialty=row["specialty"],
        activity=row["activity"],
        label=row["label"],
        cabinet=row["cabinet"],
        count=int(row["count"]),
        people_min=int(row["people_min"]),
        female=float(row["female"]),
        sector2=float(row["sector2"]),
        video=float(row["video"]),
        home=float(row["home"]),
    )


def communes() -> list[Commune]:
    """Communes with people; arrondissements instead of the three towns that have them."""
    places = gazetteer().communes.values()
    divided = {commune.part_of for commune in places if commune.part_of}
    found = [c for c in places if c.insee not in divided and c.population and c.latitude is not None]
    return sorted(found, key=lambda commune: (commune.department, commune.insee))


def seats(professionals: int, *, seed: int, within: Sequence[Commune] | None = None) -> Iterator[Seat]:
    """`professionals` of all kinds over France, in proportion to the figures and to the inhabitants, commune by commune.

    `within`: only these communes, with the share that is theirs; the seats of a département come together.
    """
    everywhere = communes()
    share = professionals / sum(kind.count for kind in kinds())
    wanted = None if within is None else {commune.insee for commune in within}
    found: dict[str, list[Seat]] = {}
    for number, kind in enumerate(kinds()):
        for commune, count in _spread(kind, everywhere, share, random.Random(seed * 1_000 + number)):  # noqa: S311
            if wanted is None or commune.insee in wanted:
                found.setdefault(commune.insee, []).append(Seat(commune, kind, count))
    for commune in everywhere:
        yield from found.get(commune.insee, ())


def _spread(
    kind: Kind, everywhere: Sequence[Commune], share: float, chance: random.Random
) -> Iterator[tuple[Commune, int]]:
    """Systematic sampling: the total is exact, each commune has its share to within one."""
    eligible = [commune for commune in everywhere if commune.population >= kind.people_min]
    weights = [
        commune.population + (SPECIALISTS_ALSO_SERVE if kind.people_min >= 10_000 else 0)
        for commune in eligible
    ]
    each = kind.count * share / sum(weights)
    filled, taken = chance.random(), 0
    for commune, weight in zip(eligible, weights, strict=True):
        filled += weight * each
        count = int(filled) - taken
        taken += count
        if count:
            yield commune, count
