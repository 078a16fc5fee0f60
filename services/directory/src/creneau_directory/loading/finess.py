"""Reads both published forms of FINESS: the historic CSV (`structureet`, `geolocalisation`; or with a header of its own),
and the JSON of FINESS+ (`pmej[]`, each with its establishments `ege[]`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from creneau_directory.domain.communes import StatedCommune, is_commune_code, remark_on
from creneau_directory.domain.identifiers import FINESS, NATIONAL_STRUCTURE_ID, SIRENE, finess_key_holds
from creneau_directory.loading.json_records import BrokenArrayError, records
from creneau_directory.loading.nos import ESTABLISHMENT, MARK, STRUCTURE_ID, coding, is_deprecated
from creneau_directory.loading.pieces import Entry, Fragment, Line, Piece, Refused, Remark, Resource
from creneau_directory.loading.places import a_place
from creneau_directory.loading.projections import projection
from creneau_directory.loading.text_lines import BOM, decoded, opened, raw_lines, storable

_START_BYTES: Final = 4096
_SOURCE: Final = "https://finess.esante.gouv.fr"
_NUMBER: Final = re.compile(r"[0-9][0-9A-Z][0-9]{7}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_STRUCTURE: Final = (
    "record", "nofinesset", "nofinessej", "rs", "rslongue", "complrs", "compldistrib", "numvoie", "typvoie", "voie",
    "compvoie", "lieuditbp", "commune", "departement", "libdepartement", "ligneacheminement", "telephone", "telecopie",
    "categetab", "libcategetab", "categagretab", "libcategagretab", "siret", "codeape", "codemft", "libmft", "codesph",
    "libsph", "dateouv", "dateautor", "datemaj", "numuai",
)  # fmt: skip
_PLACED: Final = ("record", "nofinesset", "coordx", "coordy", "sourcecoordet", "datemaj")
_NEEDED: Final = (frozenset(_STRUCTURE[1:18]) | {"categetab", "siret"}) - {"libdepartement"}
"""columns that a file with a header of its own must have; `cog` replaces `commune`"""
_OVERSEAS: Final = {"9A": "971", "9B": "972", "9C": "973", "9D": "974", "9E": "975", "9F": "976"}
"""overseas codes in the column `departement` → number of the département"""
_REGISTERED: Final = {
    "9701": "971", "9702": "972", "9703": "973", "9704": "974", "9705": "975", "9805": "976",
}  # fmt: skip
"""how overseas numbers begin → number of the département"""


@dataclass(frozen=True, slots=True)
class Finess:
    """The files of FINESS; the first bytes of a file tell its form. `day`: what closes later is open."""

    bytes_max: int
    day: date
    name: str = "finess"
    merges: bool = True

    def lines(self, path: Path) -> Iterator[Line]:
        """Yields the lines or entities of a file. ValueError if it is not a file of FINESS."""
        with opened(path) as file:
            start = file.read(_START_BYTES).removeprefix(BOM).lstrip()
        if start.startswith(b"{"):
            yield from self._of_json(path)
        else:
            yield from self._of_csv(path)

    def _of_csv(self, path: Path) -> Iterator[Line]:
        with opened(path) as file:
            titles: Sequence[str] | None = None
            for number, raw in enumerate(raw_lines(file, self.bytes_max), 1):
                if not raw:
                    continue
                text, foreign = decoded(raw)
                fields = text.split(";")
                if number == 1:
                    titles = _titles(fields)
                    continue
                pieces = list(_of_fields(fields, titles))
                if foreign and isinstance(pieces[0], Fragment):
                    pieces.append(Remark("encoding", "no UTF-8: read as Windows-1252"))
                yield Line(number, tuple(pieces))

    def _of_json(self, path: Path) -> Iterator[Line]:
        number = 0
        with opened(path) as file:
            try:
                for number, entity in enumerate(records(file, "pmej", self.bytes_max), 1):
                    yield Line(number, tuple(_of_entity(storable(entity), self.day)))
            except BrokenArrayError as error:
                yield Line(number + 1, (Refused("broken-file", str(error), breaks_off=True),))


def _titles(fields: Sequence[str]) -> Sequence[str] | None:
    """The names of the columns if the first line has them; None: those of `structureet` and `geolocalisation`."""
    if fields[0] == "finess":
        return None
    titles = [field.strip().lower() for field in fields]
    if "nofinesset" not in titles:
        raise ValueError("no file of FINESS: the first line says neither finess nor nofinesset")
    known = {*titles, "commune"} if "cog" in titles else set(titles)
    if missing := sorted(_NEEDED - known):
        raise ValueError(f"no file of FINESS that can be read: it has no column {', '.join(missing)}")
    return titles


def _of_fields(fields: Sequence[str], titles: Sequence[str] | None) -> Iterator[Piece]:
    placing = titles is None and fields[0] == "geolocalisation"
    names = titles if titles is not None else _PLACED if placing else _STRUCTURE
    if titles is None and fields[0] not in ("structureet", "geolocalisation"):
        yield Refused("record", f"unknown kind of record: {fields[0][:40]}")
        return
    at = names.index("nofinesset")
    entries = () if placing else _entries(fields[at].strip()) if at < len(fields) else None
    if len(fields) != len(names):
        yield Refused("columns", f"{len(fields)} columns instead of {len(names)}", entries)
        return
    row = {name: field.strip() for name, field in zip(names, fields, strict=True)}
    if not _NUMBER.fullmatch(row["nofinesset"]):
        yield Refused("shift", "what stands under nofinesset is no FINESS number", entries)
        return
    if placing:
        yield from _position(row)
        return
    for name, pattern in (
        ("nofinessej", _NUMBER),
        ("categetab", re.compile(r"[0-9A-Z]{0,4}")),
        ("siret", re.compile(r"([0-9]{14})?")),
    ):
        if row.get(name) and not pattern.fullmatch(row[name]):
            yield Refused("shift", f"what stands under {name} is nothing of the kind", entries)
            return
    department = _OVERSEAS.get(row["departement"], row["departement"])
    commune = row.get("cog") or _commune(department, row.get("commune", ""))
    postal, _, town = row["ligneacheminement"].partition(" ")
    yield from _establishment(
        number=row["nofinesset"],
        legal=row["nofinessej"],
        name=row["rslongue"] or row["rs"],
        short=row["rs"],
        category=row["categetab"],
        siret=row["siret"],
        lines=_filled(
            row["complrs"],
            row["compldistrib"],
            _street(row["numvoie"], row["typvoie"], row["voie"]),
            row["compvoie"],
            row["lieuditbp"],
        ),
        commune=commune,
        postal=row.get("codepostal") or postal,
        town=row.get("libelle_routage") or town,
        phones=(("phone", row["telephone"]), ("fax", row["telecopie"])),
        position=_metres(department, row.get("coordx"), row.get("coordy"), row.get("sourcegeocod")),
        active=True,
    )


def _entries(number: str) -> tuple[Entry, ...] | None:
    """The entries that a line about the structure of this number gives; None if it is not a FINESS number."""
    if not _NUMBER.fullmatch(number):
        return None
    return ("Organization", f"finess-{number}"), ("Location", f"site-finess-{number}")


def _commune(department: str, part: str) -> str:
    """INSEE code of a commune from its département and its own three digits (two overseas)."""
    return f"{department}{part[-2:] if len(department) == 3 else part}" if part else ""


def _registered_in(number: str) -> str:
    """The département of a FINESS number; empty if it is none of those known."""
    mainland = "" if number.startswith(("97", "98")) else number[:2]
    return _REGISTERED.get(number[:4]) or _OVERSEAS.get(number[:2]) or mainland


def _metres(department: str, x: str | None, y: str | None, source: str | None) -> tuple[float, float] | None:
    """Returns (latitude, longitude) in degrees; None if there are no coordinates, or nobody says in which projection."""
    known = projection(source or "", department)
    try:
        return _degrees(*known(float(x or ""), float(y or ""))) if known else None
    except (ValueError, ArithmeticError):
        return None


def _position(row: Mapping[str, str]) -> Iterator[Piece]:
    """Yields the position of a place, which has a line of its own after all structures."""
    department = _registered_in(row["nofinesset"])
    position = _metres(department, row["coordx"], row["coordy"], row["sourcecoordet"])
    if position is None:
        yield Refused("position", "no coordinates of a known projection", entries=())
        return
    latitude, longitude = position
    found = {"longitude": round(longitude, 6), "latitude": round(latitude, 6)}
    place = {"resourceType": "Location", "id": f"site-finess-{row['nofinesset']}", "position": found}
    yield Fragment(place, completes=True)


def _of_entity(entity: Any, day: date) -> Iterator[Piece]:
    if not isinstance(entity, dict):
        yield Refused("shape", "a pmej that is no object")
        return
    said = _object(entity.get("informationsGeneralesPMEJ"))
    number = str(said.get("numFinessPm") or "")
    if not _NUMBER.fullmatch(number):
        yield Refused("shift", "a pmej without a FINESS number")
        return
    closed = _is_closed(entity, said, day)
    name = said.get("denominationLonguePmSmsse") or said.get("denominationPm") or number
    yield Fragment(
        _organization(number, str(name), None, str(said.get("siren") or ""), "", not closed, legal=None),
        gone=closed,
    )
    for establishment in entity.get("ege") or ():
        if isinstance(establishment, dict):
            yield from _of_establishment(establishment, number, day)
        else:
            yield Refused("shape", "an ege that is no object")


def _is_closed(entity: Mapping[str, Any], said: Mapping[str, Any], day: date) -> bool:
    """Whether an entity is no longer active, or its day of closing has come (one that is no date has)."""
    closes = str(said.get("dateFermeture") or "")[:10]
    later = bool(_DAY.fullmatch(closes)) and closes > day.isoformat()
    return entity.get("etatObjet") not in (None, "A") or (bool(closes) and not later)


def _of_establishment(establishment: Mapping[str, Any], legal: str, day: date) -> Iterator[Piece]:
    said = _object(establishment.get("informationsGeneralesEGE"))
    number = str(said.get("numFinessEge") or "")
    if not _NUMBER.fullmatch(number):
        yield Refused("shift", "an ege without a FINESS number")
        return
    address = _first_object(establishment.get("adresse"))
    where = _object(address.get("coordonneesGeographique"))
    telecom = _object(_first_object(establishment.get("contact")).get("telecom"))
    street = _street(*(str(address.get(name) or "") for name in ("numeroVoie", "typeVoie", "libelleVoie")))
    yield from _establishment(
        number=number,
        legal=legal,
        name=str(said.get("nomEgeLong") or said.get("nomEgeCourt") or number),
        short=str(said.get("nomEgeCourt") or ""),
        category=str(establishment.get("categorieentiteGeographiqueExercice") or ""),
        siret=str(said.get("siret") or ""),
        lines=_filled(
            address.get("complementPointGeographique"),
            street,
            address.get("complementVoie"),
            address.get("lieuDit"),
        ),
        commune=str(address.get("cogCommune") or ""),
        postal=str(address.get("codePostal") or ""),
        town=str(address.get("ligneAcheminement") or ""),
        phones=tuple(
            (kind, str(telecom.get(name) or ""))
            for name, kind in (("telephone", "phone"), ("telecopie", "fax"), ("courriel", "email"))
        ),
        position=_degrees(where.get("coordonneeY"), where.get("coordonneeX")),
        active=not _is_closed(establishment, said, day),
    )


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _first_object(values: Any) -> Mapping[str, Any]:
    """The first object of a list, or the object itself if it is not in a list; empty if there is none."""
    return _object(values[0] if isinstance(values, list) and values else values)


def _degrees(latitude: Any, longitude: Any) -> tuple[float, float] | None:
    """Returns (latitude, longitude) in degrees; None if out of range, or 0/0, which files write for an unknown place."""
    try:
        found = float(latitude), float(longitude)
    except (TypeError, ValueError):
        return None
    on_the_globe = abs(found[0]) <= 90 and abs(found[1]) <= 180  # False for NaN
    return found if on_the_globe and found != (0.0, 0.0) else None


def _filled(*texts: Any) -> list[str]:
    return [str(text).strip() for text in texts if text and str(text).strip()]


def _street(number: str, kind: str, name: str) -> str:
    return " ".join(filter(None, (number, kind, name)))


def _establishment(
    *,
    number: str,
    legal: str,
    name: str,
    short: str,
    category: str,
    siret: str,
    lines: Sequence[str],
    commune: str,
    postal: str,
    town: str,
    phones: Sequence[tuple[str, str]],
    position: tuple[float, float] | None,
    active: bool,
) -> Iterator[Piece]:
    if not finess_key_holds(number):
        yield Remark("key", f"the key of FINESS {number} does not hold")
    if category and is_deprecated(ESTABLISHMENT, category):
        yield Remark("deprecated-code", f"TRE-R66#{category}")
    if commune and not is_commune_code(commune):
        yield Remark("commune", f"{commune} is no commune's code")
    elif commune and (remark := remark_on(StatedCommune("", commune, postal or None))):
        yield Remark("commune", f"{commune} {postal}: {remark}")
    organization = _organization(number, name, short, siret, category, active, legal=legal)
    yield Fragment(organization, gone=not active)
    place = a_place(
        f"site-finess-{number}",
        name=name,
        lines=lines,
        town=town,
        postal=postal,
        commune=commune,
        country="",
        organization=organization["id"],
        telecom=[{"system": kind, "value": value} for kind, value in phones if value],
        source=_SOURCE,
        position=position,
    )
    yield Fragment(place, gone=not active)


def _organization(
    number: str, name: str, short: str | None, siret: str, category: str, active: bool, *, legal: str | None
) -> Resource:
    identifiers: list[Resource] = []
    for code, system, value in (
        ("40", NATIONAL_STRUCTURE_ID, f"1{number}"),
        ("1", FINESS, number),
        ("3" if len(siret) == 14 else "2", SIRENE, siret),
    ):
        if value:
            identifiers.append(
                {
                    "type": {"coding": [{"system": STRUCTURE_ID, "code": code}]},
                    "system": system,
                    "value": value,
                }
            )
    meta: Resource = {"source": _SOURCE}
    if category and is_deprecated(ESTABLISHMENT, category):
        meta["tag"] = [{"system": MARK, "code": "deprecated-code"}]
    resource: Resource = {
        "resourceType": "Organization",
        "id": f"finess-{number}",
        "meta": meta,
        "identifier": identifiers,
    }
    resource["active"] = active
    if category:
        resource["type"] = [{"coding": [coding(ESTABLISHMENT, category)]}]
    resource["name"] = name or number
    if short and short != name:
        resource["alias"] = [short]
    if legal and legal != number and _NUMBER.fullmatch(legal):
        resource["partOf"] = {"reference": f"Organization/finess-{legal}"}
    return resource
