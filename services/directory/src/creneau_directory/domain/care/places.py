"""Places by the names that people give them: communes, arrondissements, postal codes, départements, regions.

Names, postal codes and positions of communes come from `creneau_french`. `data/population.csv` has the inhabitants, and the
positions of arrondissements (ours, near each town hall). `data/departments.csv` has the départements with their regions.
Both follow INSEE, code officiel géographique 2026. `data/place_names.csv` (ours) has other names that people use: `bdx`,
towns that have merged, quarters, regions of before 2016.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from math import cos, hypot, inf, radians
from typing import Literal

from creneau_directory.domain.care.spelling import (
    SMALL,
    Alike,
    edits_allowed,
    joined,
    stem,
    undoubled,
)
from creneau_directory.domain.care.vocabulary import read_table
from creneau_french.communes import communes
from creneau_shared.postal_codes import postal_code as postal_code_in
from creneau_shared.postal_codes import postal_code_beginning
from creneau_shared.spelling import fold

PlaceKind = Literal["arrondissement", "commune", "postal-code", "department", "region"]

TYPED_WRONG_FROM = 2_000
"""fewest inhabitants of a commune that is found by a misspelt name"""
AREA_LETTERS_MIN = 6
"""fewest letters in the name of a département or region that is found when misspelt: `finistair`"""
NAMES_REMEMBERED_MAX = 16_384
NAME_LETTERS_MIN = 4
"""fewest letters in a misspelt name that is looked up"""
SHORT_NAME_LETTERS = 5
"""a shorter name with one letter wrong only means one of the `CITIES` largest communes"""
TOWN_FROM = 20_000
"""fewest inhabitants of a commune whose name is not taken for a part of a longer misspelt name"""
WHOLE_ELSEWHERE_FROM = 2_000
"""fewest inhabitants of a commune that is meant by its whole name beside an area where it is not: `Pornic Loire`. A smaller
one is rather a quarter, or a surname."""
SHORT_ELSEWHERE_FROM = 8_000
"""the same by the beginning of its name: `Chamonix Savoie`"""
KM_PER_DEGREE = 111.195
BESIDE_KM = 100.0
"""how far a town may be from a village that is called so in short for the town to be meant"""
NAMESAKE_FROM = 5_000
"""fewest inhabitants of a commune that is meant rather than the département around it that is called so: `Mayenne 53`, but not
`Corrèze 19`"""
COMMON_FROM = 4
"""a word is common if it follows the first word in so many names of towns: `seine`, `marne`, `bois`"""
CITIES = 60
"""number of the largest communes, which come before a département whose name is as near"""
SHORT_FROM = 3_000
"""fewest inhabitants of a commune that is found by the beginning of its name: `Carhaix` for Carhaix-Plouguer"""
_MUCH_LARGER = 10
"""a town called so in short (`Aix`) comes before a commune of exactly that name if it has so many times its inhabitants"""
_NUMBERED = {"75056": ("paris", 20), "13055": ("marseille", 16), "69123": ("lyon", 9)}
"""INSEE code of each commune with arrondissements → its name, how many it has"""
_ROMAN = [
    "i",
    "ii",
    "iii",
    "iv",
    "v",
    "vi",
    "vii",
    "viii",
    "ix",
    "x",
    "xi",
    "xii",
    "xiii",
    "xiv",
    "xv",
    "xvi",
    "xvii",
    "xviii",
    "xix",
    "xx",
]
_ORDINALS = ("", "e", "er", "eme", "ieme", "ème", "nd")
_IN_WORDS = {
    word: number
    for number, word in enumerate(
        [
            *(
                "premier",
                "deuxieme",
                "troisieme",
                "quatrieme",
                "cinquieme",
                "sixieme",
                "septieme",
                "huitieme",
            ),
            *(
                "neuvieme",
                "dixieme",
                "onzieme",
                "douzieme",
                "treizieme",
                "quatorzieme",
                "quinzieme",
                "seizieme",
            ),
            *("dixseptieme", "dixhuitieme", "dixneuvieme", "vingtieme"),
        ],
        start=1,
    )
} | {"second": 2, "seconde": 2, "premiere": 1}
_ROMAN_OR_WORD = frozenset(["i", "v", "x", "ii", "vi", "iv", "xi", "e", "er"])
"""Roman numerals and endings that, without a city, are too ambiguous to be an arrondissement of Paris"""
_BETWEEN = frozenset({"en", "sur", "sous", "et"})
"""words within a name that cannot be the last of a shortened one"""
_CEDEX = re.compile(r" (?:cedex|cdx)(?: ([0-9]{1,2}))?$")
"""the mark of an address of a large receiver of mail, with the number of its post office"""
_SAINTS = {"st": "saint", "ste": "sainte", "sts": "saints", "stes": "saintes"}
_ISLES = frozenset({"ile", "iles", "isle"})
_LOOKS_LARGER = 500
"""A city whose name differs from a hamlet's only in doubled or silent letters is meant (`rene`: Rennes) when it has more
than so many times the inhabitants: more people misspell the city than mean the hamlet."""
SHORT_LETTERS_MIN = 6
"""fewest letters in the beginning of a name that is found when misspelt: `carhais`"""


@dataclass(frozen=True, slots=True)
class Place:
    """A place: its key among the terms of the index (`c:35238`), its name, where it is (degrees, WGS 84)."""

    kind: PlaceKind
    key: str
    name: str
    latitude: float | None
    longitude: float | None
    population: int = 0
    department: str = ""

    @property
    def position(self) -> tuple[float, float] | None:
        if self.latitude is None or self.longitude is None:
            return None
        return self.latitude, self.longitude


@dataclass(frozen=True, slots=True)
class Commune:
    """A row of the table of communes; an arrondissement has the INSEE code of its commune in `part_of`."""

    insee: str
    name: str
    department: str
    postal_codes: tuple[str, ...]
    population: int
    latitude: float | None
    longitude: float | None
    part_of: str | None

    @property
    def place(self) -> Place:
        kind: PlaceKind = "arrondissement" if self.part_of else "commune"
        return Place(
            kind,
            f"c:{self.insee}",
            self.name,
            self.latitude,
            self.longitude,
            self.population,
            self.department,
        )


class Gazetteer:
    """Places by name. Its tables are built once and only read afterwards."""

    def __init__(
        self,
        communes: Sequence[Commune],
        departments: Sequence[Mapping[str, str]],
        other_names: Sequence[Mapping[str, str]],
    ) -> None:
        self.communes = {commune.insee: commune for commune in communes}
        self._by_name: dict[str, list[Commune]] = defaultdict(list)
        self._by_postal: dict[str, list[Commune]] = defaultdict(list)
        self._short: dict[str, Commune] = {}
        self._whole: dict[str, Commune] = {}
        self._arrondissements: dict[tuple[str, int], Commune] = {}
        self.region_of = {row["code"]: row["region_code"] for row in departments}
        self._areas = _areas(departments, other_names)
        self._areas_singular = {_singular(n): place for n, place in self._areas.items() if " " in n}
        largest_first = sorted(communes, key=lambda commune: -commune.population)
        for commune in largest_first:
            self._enter(commune)
        self._other_names = {
            _key_of_typed(row["name"]): self.communes[row["place"][2:]].place
            for row in other_names
            if row["place"].startswith("c:")
        }
        names = [name for name in self._by_name if self._by_name[name][0].population >= TYPED_WRONG_FROM]
        self._looking_larger = self._city_alike(names[:CITIES])
        self._city_from = self._by_name[names[CITIES - 1]][0].population
        self._meant = self._spellings(names)
        self._alike = Alike(tuple(self._meant), importance=6.0)
        self._cities = next(at for at, place in enumerate(self._meant.values()) if isinstance(place, Place))
        self._first_words = frozenset(name.split()[0] for name in names)
        ends = Counter(word for name in names for word in name.split()[1:])
        self._last_words = frozenset(word for word, number in ends.items() if number >= COMMON_FROM)
        self._found_misspelt = lru_cache(NAMES_REMEMBERED_MAX)(self._find_misspelt)
        self.longest = max(len(name.split()) for name in (*self._by_name, *self._areas))
        self._sorted = sorted((name, -found[0].population) for name, found in self._by_name.items())

    def _enter(self, commune: Commune) -> None:
        for code in commune.postal_codes:
            self._by_postal[code].append(commune)
        if commune.part_of:
            digits = "".join(c for c in commune.name if c.isdigit())
            self._arrondissements[_NUMBERED[commune.part_of][0], int(digits)] = commune
            return
        key, whole = place_key(commune.name), fold(commune.name)
        self._by_name[key].append(commune)
        if " " in whole:
            self._whole.setdefault(whole, commune)
        if commune.population >= SHORT_FROM:
            words = key.split()
            for length in range(1, len(words)):
                short = " ".join(words[:length])
                if short not in (
                    "saint",
                    "sainte",
                    "saints",
                    "pont",
                    "bois",
                    "mont",
                    "port",
                    "bourg",
                    "ville",
                    "grand",
                    "grande",
                    "val",
                    "ile",
                    "iles",
                    "cap",
                ):
                    self._short.setdefault(short, commune)

    def named(self, words: Sequence[str]) -> tuple[Place, float] | None:
        """The place of exactly this name (folded words, small ones left out), and how sure that is (0 to 1)."""
        name = " ".join(_SAINTS.get(word, word) for word in words)
        other = self._other_names.get(name)
        if other is not None:
            return other, 0.95
        area = self._areas.get(name) or self._areas_singular.get(_singular(name))
        communes = self._by_name.get(name)
        if area is not None and (communes is None or communes[0].population < 100_000):
            return area, 0.95
        short = self._short.get(name)
        if communes and (short is None or short.population < _MUCH_LARGER * communes[0].population):
            largest = communes[0]
            sure = 0.95 if largest.population >= 5_000 else 0.75 if largest.population >= 500 else 0.5
            if len(words) > 1:  # several words that match a hamlet's whole name mean it
                sure = max(sure, 0.75)
            return largest.place, sure
        if short is not None and len(name) >= 3:
            return short.place, 0.8 if short.population >= 10_000 else 0.6
        if len(words) == 1:
            return self._coded(words[0])
        return None

    def whole(self, words: Sequence[str]) -> Place | None:
        """The commune whose whole name of several words this is, small ones and articles too (folded): the largest."""
        commune = self._whole.get(" ".join(_SAINTS.get(word, word) for word in words))
        return commune.place if commune else None

    def of_name(self, name: str) -> Sequence[Commune]:
        """The communes of this name, the largest first."""
        return self._by_name.get(place_key(name), ())

    def _coded(self, word: str) -> tuple[Place, float] | None:
        """The place of a postal code or of the number of a département, and how sure that is."""
        if len(word) == 5 and word.isdigit() and word in self._by_postal:
            communes = self._by_postal[word]
            first = next((c for c in communes if c.part_of), communes[0])
            if len(communes) == 1 or first.part_of:
                return first.place, 1.0
            place = Place("postal-code", f"z:{word}", f"{word} {first.name}", first.latitude, first.longitude)
            return place, 1.0
        area = self._areas.get(f"#{word}")
        return (area, 0.6) if area is not None else None

    def arrondissement(self, city: str | None, number: str) -> Place | None:
        """The arrondissement for `lyon` and `3`, `3e`, `3eme`, `xv`; without a city an ordinal means Paris."""
        n = _ordinal(number)
        if n is None:
            return None
        if city is None:
            if number.isdigit() or number in _IN_WORDS or number in _ROMAN_OR_WORD:
                return None
            city = "paris"
        commune = self._arrondissements.get((city, n))
        return commune.place if commune else None

    def contains(self, area: Place, place: Place) -> bool:
        """Whether a commune or an arrondissement lies in an area, or is the area itself."""
        commune = self.communes[place.key.partition(":")[2]]
        keys = {f"c:{commune.insee}", f"c:{commune.part_of}", f"d:{commune.department}"}
        return area.key in keys | {f"r:{self.region_of.get(commune.department)}"}

    def within(self, place: Place, area: Place) -> Place | None:
        """The commune in an area that is called as this commune, or more fully: `Saint-Gilles`, La Réunion →
        Saint-Gilles-les-Bains, a quarter of Saint-Paul."""
        key = place_key(place.name)
        longer = [found for name, found in self._other_names.items() if name.startswith(f"{key} ")]
        at = bisect_left(self._sorted, (f"{key} ",))
        while at < len(self._sorted) and self._sorted[at][0].startswith(f"{key} "):
            longer += [commune.place for commune in self._by_name[self._sorted[at][0]]]
            at += 1
        longer.sort(key=lambda other: -other.population)
        same = [commune.place for commune in self.of_name(place.name)]
        return next((other for other in (*same, *longer) if self.contains(area, other)), None)

    def misspelt(self, words: Sequence[str]) -> tuple[Place, float] | None:
        """The commune, département or region whose name sounds the same or is spelt nearly so. An article before the name
        counts as one of the words. An island is only misspelt for another."""
        found = self._found_misspelt(joined(_SAINTS.get(word, word) for word in words))
        is_island = _ISLES.intersection(words)
        if found is not None and is_island and not _ISLES.intersection(fold(found[0].name).split()):
            return None
        return found

    def ends(self, word: str) -> bool:
        """Whether several town names have the word after their first: it is then no misspelt town (`seine`)."""
        return word in self._last_words

    def is_town(self, word: str) -> bool:
        """Whether the word is the whole name of a town (`TOWN_FROM`)."""
        communes = self._by_name.get(word)
        return communes is not None and communes[0].population >= TOWN_FROM

    def is_sure(self, place: Place, typed: Sequence[str], area: Place) -> bool:
        """Whether a commune is meant by its exactly typed name though an area is named where it is not: a town (`TOWN_FROM`)
        anywhere, a smaller commune on the same side of the sea. By a postal code it always is."""
        if place.population >= TOWN_FROM or typed[-1].isdigit():
            return True
        if _is_overseas(place) != _is_overseas(area):
            return False
        is_whole = _key_of_typed(" ".join(typed)) == place_key(place.name)
        return place.population >= (WHOLE_ELSEWHERE_FROM if is_whole else SHORT_ELSEWHERE_FROM)

    def is_town_beside(self, place: Place, other: Place) -> bool:
        """Whether a commune is meant by its name rather than the one in the area that is named, which is called so in short: a
        town (`TOWN_FROM`) near it, with much more inhabitants. People err in the département of a town that they know."""
        return (
            place_key(place.name) != place_key(other.name)
            and place.population >= max(TOWN_FROM, _MUCH_LARGER * other.population)
            and _km_between(place, other) <= BESIDE_KM
        )

    def namesake(self, department: Place, typed: Sequence[str], area: Place) -> Place | None:
        """The commune in an area that is called as this département, if its name is typed and not its number: `Vienne` in
        Isère. One in the département itself only if it is a town (`NAMESAKE_FROM`)."""
        same = (commune.place for commune in self.of_name(" ".join(typed)))
        return next(
            (
                place
                for place in same
                if self.contains(area, place)
                and (place.department != department.department or place.population >= NAMESAKE_FROM)
            ),
            None,
        )

    def is_large(self, place: Place) -> bool:
        """Whether the place is one of the `CITIES` largest communes."""
        return place.kind == "commune" and place.population >= self._city_from

    def begins(self, word: str) -> bool:
        """Whether the name of a town begins with the word: `saint`, `petit`."""
        return _SAINTS.get(word, word) in self._first_words

    def looking_larger(self, word: str) -> Place | None:
        """The city that is meant when somebody types this name of a hamlet (`rene`: Rennes)."""
        city = self._looking_larger.get(word)
        return city.place if city is not None else None

    def _city_alike(self, cities: Sequence[str]) -> Mapping[str, Commune]:
        by_letters = {_bare_letters(name): self._by_name[name][0] for name in reversed(cities)}
        found = {}
        for name, own in self._by_name.items():
            city = by_letters.get(_bare_letters(name))
            if city is not None and city.population > _LOOKS_LARGER * max(1, own[0].population):
                found[name] = city
        return found

    def _spellings(self, names: Sequence[str]) -> Mapping[str, str | Place]:
        """Spellings that a misspelt name is compared with, the more important first → a commune's name, or an area. Names
        with an article are there with it too: `lehavre`, `lemans`."""

        def communes_of(some: Sequence[str]) -> dict[str, str | Place]:
            found: dict[str, str | Place] = {}
            for name in some:
                for spelling in (name, fold(self._by_name[name][0].name)):
                    found.setdefault(undoubled(joined(spelling.split())), name)
            return found

        areas: dict[str, str | Place] = {
            undoubled(joined(name.split())): place
            for name, place in self._areas.items()
            if len(name) >= AREA_LETTERS_MIN
        }
        known = set(names)
        shorts: dict[str, str | Place] = {
            undoubled(joined(name.split())): name
            for name in self._short
            if len(name) >= SHORT_LETTERS_MIN and name not in known and name.split()[-1] not in _BETWEEN
        }
        found = communes_of(names[:CITIES])
        for more in (areas, communes_of(names[CITIES:]), shorts):
            found |= {spelling: meant for spelling, meant in more.items() if spelling not in found}
        return found

    def _find_misspelt(self, name: str) -> tuple[Place, float] | None:
        if len(name) < NAME_LETTERS_MIN or any(c.isdigit() for c in name):
            return None
        few = len(name) < SHORT_NAME_LETTERS
        most, among = (1, self._cities) if few else (edits_allowed(len(name)), None)
        for spelling in dict.fromkeys((undoubled(name), undoubled(_without_abbreviated_saint(name)))):
            if spelling in self._meant:
                return self._meant_by(spelling, 0.7)
            found = self._alike.nearest(spelling, most, among)
            if found is not None:
                return self._meant_by(found[0], 0.5 if found[1] else 0.4)
        return None

    def _meant_by(self, spelling: str, sure: float) -> tuple[Place, float] | None:
        meant = self._meant[spelling]
        if isinstance(meant, Place):
            return meant, sure
        found = self.named(meant.split())
        return (found[0], sure) if found is not None else None

    def beginning(self, text: str, most: int) -> list[Place]:
        """Communes whose name, or postal code (in any spelling: `97 4`), begins with the text; the largest first."""
        key = " ".join(_SAINTS.get(word, word) for word in place_key(text).split())
        if not key:
            return []
        digits = postal_code_beginning(text)
        if digits:
            codes = (
                [code for code in self._by_postal if code.startswith(digits)][:40] if len(digits) > 1 else []
            )
            found = {commune.insee: commune for code in codes for commune in self._by_postal[code]}
            return [c.place for c in sorted(found.values(), key=lambda c: -c.population)[:most]]
        at, hits = bisect_left(self._sorted, (key,)), []
        while at < len(self._sorted) and self._sorted[at][0].startswith(key):
            hits.append(self._sorted[at])
            at += 1
        hits.sort(key=lambda hit: hit[1])
        return [self._by_name[name][0].place for name, _ in hits[:most]]

    def is_postal_code(self, text: str) -> bool:
        """Whether the text is the postal code (five digits) of a commune."""
        return text in self._by_postal

    def insee_of(self, code: str | None, postal_code: str | None, city: str | None) -> str | None:
        """The INSEE code of an address: of its arrondissement in cities that have some, else of its commune. Mail for large
        receivers (`51003 REIMS CEDEX`) has a postal code that belongs to no commune."""
        town, office = _town_and_office(city or "")
        key = _key_of_typed(town)
        postal = postal_code_in(postal_code or "") or ""
        here = self._by_postal.get(postal, ())
        commune = self.communes.get(code or "")
        if commune is None:
            same = [c for c in here if _key_of_typed(c.name) == key] or list(here)
            commune = next((c for c in same if c.part_of), same[0]) if same else self._of_town(key, postal)
        if commune is not None and commune.insee in _NUMBERED:
            name = _NUMBERED[commune.insee][0]
            own = next((c for c in here if c.part_of == commune.insee), None)
            commune = own or self._arrondissements.get((name, office), commune)
        return commune.insee if commune else None

    def _of_town(self, key: str, postal: str) -> Commune | None:
        """The commune of this name in the département of a postal code that belongs to no commune; without a postal code the
        only one of that name."""
        same = self._by_name.get(key, ())
        if not postal:
            return same[0] if len(same) == 1 else None
        called = self.named(key.split())
        other = [self.communes[called[0].key[2:]]] if called and called[0].key.startswith("c:") else []
        beginning = postal[: 3 if postal.startswith(("97", "98")) else 2]
        return next(
            (c for c in (*same, *other) if any(own.startswith(beginning) for own in c.postal_codes)), None
        )


def _key_of_typed(name: str) -> str:
    """The key of a name in the form in which `named` looks it up."""
    return " ".join(_SAINTS.get(word, word) for word in place_key(name).split())


def _is_overseas(place: Place) -> bool:
    return place.department.startswith(("97", "98"))


def _town_and_office(city: str) -> tuple[str, int]:
    """`LYON CEDEX 03` → `lyon`, 3. In cities with arrondissements the post office has the number of its arrondissement;
    0 without one."""
    town = fold(city)
    found = _CEDEX.search(town)
    return (town[: found.start()], int(found[1] or 0)) if found else (town, 0)


def _without_abbreviated_saint(name: str) -> str:
    """`stbrieuc` → `saintbrieuc`"""
    return re.sub(r"^(ste?)(?=[a-z]{4})", lambda found: _SAINTS[found[1]], name)


def _bare_letters(name: str) -> str:
    """A name without doubled letters and the silent ones at its end: `rennes`, `rene` → `ren`."""
    return re.sub(r"(?<=..)e?s?$", "", undoubled(name))


def _km_between(one: Place, other: Place) -> float:
    """Roughly, in kilometres; infinite where a position is not known."""
    if one.position is None or other.position is None:
        return inf
    north, east = (here - there for here, there in zip(one.position, other.position, strict=True))
    return KM_PER_DEGREE * hypot(north, east * cos(radians(one.position[0])))


def place_key(name: str) -> str:
    """The words by which a place is found: `L'Haÿ-les-Roses` → `hay roses`."""
    words = fold(name).split()
    return " ".join([word for word in words if word not in SMALL] or words)


def _singular(name: str) -> str:
    """A name without the marks of a plural: `haut de seine`, `bouche du rhone`."""
    return " ".join(stem(word) for word in name.split())


def _ordinal(text: str) -> int | None:
    if text in _IN_WORDS:
        return _IN_WORDS[text]
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    if digits.isdigit() and text[len(digits) :] in _ORDINALS:
        return int(digits)
    for ending in ("", "e", "eme"):
        roman = text.removesuffix(ending) if ending else text
        if roman in _ROMAN:
            return _ROMAN.index(roman) + 1
    return None


def _areas(
    departments: Sequence[Mapping[str, str]], other_names: Sequence[Mapping[str, str]]
) -> dict[str, Place]:
    """Départements by name and by `#number`, regions by name, and both by their other names."""
    found: dict[str, Place] = {}
    regions: dict[str, Place] = {}
    for row in departments:
        latitude = float(row["latitude"]) if row["latitude"] else None
        longitude = float(row["longitude"]) if row["longitude"] else None
        place = Place(
            "department", f"d:{row['code']}", row["name"], latitude, longitude, department=row["code"]
        )
        found.setdefault(place_key(row["name"]), place)
        found[f"#{row['code'].lower()}"] = place
        region = Place("region", f"r:{row['region_code']}", row["region"], latitude, longitude)
        regions.setdefault(row["region_code"], region)
    for region in regions.values():
        found.setdefault(place_key(region.name), region)
    for row in other_names:
        kind, _, code = row["place"].partition(":")
        if kind != "c":
            area = regions[code] if kind == "r" else found[f"#{code.lower()}"]
            found.setdefault(place_key(row["name"]), area)
    return found


def _communes() -> list[Commune]:
    people = {row["insee_code"]: row for row in read_table("population.csv")}
    found = []
    for insee, commune in communes().items():
        row = people.get(insee, {})
        department = insee[:3] if insee.startswith(("97", "98")) else insee[:2]
        own = (float(row["latitude"]), float(row["longitude"])) if row.get("latitude") else None
        latitude, longitude = own or commune.position or (None, None)
        found.append(
            Commune(
                insee,
                commune.name,
                department,
                commune.postal_codes,
                int(row.get("population") or 0),
                latitude,
                longitude,
                row.get("part_of") or None,
            )
        )
    return found


@cache
def gazetteer() -> Gazetteer:
    """The places of the package."""
    return Gazetteer(_communes(), read_table("departments.csv"), read_table("place_names.csv"))
