"""The Annuaire Santé's open extraction: pipes, no quotes, a pipe at the end of each line; one line for each professional,
skill and place (PS_LibreAcces_Personne_activite), or for each skill (…_SavoirFaire).

Headers identify the columns, whatever their order, accents and edition. Codes are read, labels are not.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from creneau_directory.domain.communes import StatedCommune, is_commune_code, remark_on
from creneau_directory.domain.identifiers import (
    FINESS,
    NATIONAL_PERSON_ID,
    NATIONAL_STRUCTURE_ID,
    RPPS,
    SIRENE,
    is_rpps,
)
from creneau_directory.loading.nos import (
    ACTIVITY_KIND,
    CATEGORY,
    EXERCISE_MODE,
    FUNCTION,
    MARK,
    SECTOR,
    SKILL_KIND,
    SKILLS,
    STRUCTURE_ID,
    coding,
    is_deprecated,
    profession_system,
)
from creneau_directory.loading.pieces import Fragment, Line, Piece, Refused, Remark, Resource
from creneau_directory.loading.places import a_place, concept
from creneau_directory.loading.text_lines import decoded, files_of, opened, raw_lines

_COLUMNS: Final = {
    "type d'identifiant pp": "id_type",
    "identifiant pp": "id",
    "identification nationale pp": "idnps",
    "code civilite d'exercice": "title",
    "code civilite exercice": "title",
    "code civilite": "civility",
    "nom d'exercice": "family",
    "prenom d'exercice": "given",
    "code profession": "profession",
    "code categorie professionnelle": "category",
    "code type savoir-faire": "skill_kind",
    "code savoir-faire": "skill",
    "code mode exercice": "mode",
    "numero siret site": "siret",
    "numero siren site": "siren",
    "numero finess site": "finess",
    "numero finess etablissement juridique": "finess_legal",
    "identifiant technique de la structure": "structure",
    "raison sociale site": "name",
    "enseigne commerciale site": "sign",
    "complement destinataire": "addressee",
    "complement point geographique": "spot",
    "numero voie": "house",
    "indice repetition voie": "repeat",
    "code type de voie": "street_code",
    "libelle type de voie": "street_type",
    "libelle voie": "street",
    "mention distribution": "distribution",
    "bureau cedex": "office",
    "code postal": "postal",
    "code commune": "commune",
    "libelle commune": "town",
    "code pays": "country",
    "telephone": "phone",
    "telephone 2": "phone2",
    "telecopie": "fax",
    "adresse e-mail": "email",
    "ancien identifiant de la structure": "idnst",
    "code secteur d'activite": "sector",
    "code role": "function",
    "code fonction": "function",
    "code genre activite": "activity_kind",
    "code genre d'activite": "activity_kind",
}
"""header as `_normal` writes it → our name"""
_NEEDED: Final = frozenset({"id_type", "id", "idnps", "family"})
_PLACE_OF_ACTIVITY: Final = frozenset({"structure", "idnst", "finess", "siret", "postal", "commune"})
_KIND_OF_ACTIVITY: Final = frozenset({"mode", "function", "activity_kind"})
_ACTIVITY: Final = _PLACE_OF_ACTIVITY | _KIND_OF_ACTIVITY | {"profession", "skill_kind", "skill"}
"""columns that a file of activities must have: without one of them, entries would be others than those of the file before"""
_EDITION_2021: Final = 52
"""columns of the edition that has neither a role nor a kind of activity"""
_SOURCE: Final = "https://annuaire.esante.gouv.fr"
_V2_0203: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
_FRANCE: Final = ("", "99000")
_CODE: Final = re.compile(r"[0-9A-Za-z\-]{0,12}")
_MODE: Final = re.compile(r"[A-Z]?")


@dataclass(frozen=True, slots=True)
class Annuaire:
    """The files of the Annuaire Santé."""

    bytes_max: int
    name: str = "annuaire"
    merges: bool = True

    def lines(self, path: Path) -> Iterator[Line]:
        """Yields one Line for each line after a header. In a folder, reads all files that have professions (some editions
        give skills in a file of their own). ValueError if the header is not of the Annuaire, or for a file of skills alone:
        all activities would be missing."""
        if not path.is_dir():
            yield from self._file(path, 0, alone=True)
            return
        number = 0
        for file in files_of(path):
            for line in self._file(file, number, alone=False):
                number = line.number
                yield line

    def _file(self, path: Path, before: int, *, alone: bool) -> Iterator[Line]:
        with opened(path) as file:
            lines = raw_lines(file, self.bytes_max)
            columns, width = _header(next(lines, b""))
            if alone and "structure" not in columns:
                raise ValueError("a file without activities: load it in one folder with Personne_activite")
            if "profession" not in columns:
                return
            for number, raw in enumerate(lines, before + 2):
                if raw:
                    yield Line(number, tuple(_pieces(raw, columns, width)))


def _header(raw: bytes) -> tuple[Mapping[str, int], int]:
    """Returns our name → position, and the number of columns (without the empty one after the last pipe). ValueError if a
    column is missing by which entries are known."""
    text, _ = decoded(raw)
    titles = text.removesuffix("|").split("|")
    columns: dict[str, int] = {}
    for position, title in enumerate(titles):
        name = _COLUMNS.get(_normal(title))
        if name is not None:
            columns.setdefault(name, position)
    needed = _NEEDED
    if columns.keys() & (_PLACE_OF_ACTIVITY | _KIND_OF_ACTIVITY):
        absent = {"function", "activity_kind"} if len(titles) == _EDITION_2021 else set()
        needed |= _ACTIVITY - absent
    if missing := sorted(needed - columns.keys()):
        raise ValueError(f"no header of the Annuaire Santé: {', '.join(missing)} missing")
    return columns, len(titles)


def _normal(title: str) -> str:
    """The title in small letters, without accents and parentheses, with single blanks."""
    plain = unicodedata.normalize("NFKD", title.casefold().replace("’", "'"))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.sub(r"\([^)]*\)", "", plain).split())


def _pieces(raw: bytes, columns: Mapping[str, int], width: int) -> Iterator[Piece]:
    text, foreign = decoded(raw)
    fields = text.split("|")
    if len(fields) == width + 1 and fields[-1] == "":
        fields.pop()
    if len(fields) != width:
        yield Refused("columns", f"{len(fields)} columns instead of {width}")
        return
    row = {name: fields[position].strip() for name, position in columns.items()}
    shift = _shifted(row)
    if shift is not None:
        yield Refused("shift", f"what stands under {shift} is nothing of the kind")
        return
    if foreign:
        yield Remark("encoding", "no UTF-8: read as Windows-1252")
    if row["id_type"] == "8" and not is_rpps(row["id"]):
        yield Remark("key", f"the key of RPPS {row['id']} does not hold")
    deprecated = [
        f"{system.rpartition('/')[2]}#{code}" for system, code in _coded(row) if is_deprecated(system, code)
    ]
    if deprecated:
        yield Remark("deprecated-code", ", ".join(deprecated))
    yield from _resources(row, marked=bool(deprecated))


def _shifted(row: Mapping[str, str]) -> str | None:
    """The first column with a value that does not fit it (the line has shifted); None if all fit."""
    if row["id_type"] not in ("0", "8"):
        return "id_type"
    if not row["id"] or row["idnps"] != row["id_type"] + row["id"]:
        return "idnps"
    if row["id_type"] == "8" and not re.fullmatch(r"[0-9]{11}", row["id"]):
        return "id"
    if not row["family"]:
        return "family"
    for name in ("profession", "category", "skill_kind", "skill", "sector", "function", "activity_kind"):
        if not _CODE.fullmatch(row.get(name, "")):
            return name
    if not _MODE.fullmatch(row.get("mode", "")):
        return "mode"
    for name, pattern in (
        ("siret", r"[0-9]{14}"),
        ("finess", r"[0-9][0-9A-Z][0-9]{7}"),
        ("commune", r"[0-9AB]{5}"),
    ):
        if row.get(name) and not re.fullmatch(pattern, row[name]):
            return name
    return None


def _coded(row: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    skill_system = SKILLS.get(row.get("skill_kind", ""))
    of_health = row.get("category", "C") in ("", "C", "E", "M")
    for system, name in (
        (profession_system(row["profession"]) if of_health else None, "profession"),
        (skill_system, "skill"),
        (EXERCISE_MODE, "mode"),
        (SECTOR, "sector"),
        (FUNCTION, "function"),
        (ACTIVITY_KIND, "activity_kind"),
    ):
        if system is not None and row.get(name):
            yield system, row[name]


def _resources(row: Mapping[str, str], *, marked: bool) -> Iterator[Piece]:
    meta: dict[str, Any] = {"source": _SOURCE}
    if marked:
        meta["tag"] = [{"system": MARK, "code": "deprecated-code"}]
    person = f"idnps-{row['idnps']}"
    yield Fragment(_practitioner(row, person, meta))
    structure = _structure_id(row)
    if structure is None:
        return
    organization, place = _structure(row, structure), _place(row, structure)
    yield Fragment(organization)
    references = {"practitioner": person, "organization": organization["id"]}
    if place is not None:
        yield from _commune_remark(row)
        yield Fragment(place)
        references["location"] = place["id"]
    yield Fragment(_role(row, references, meta))


def _practitioner(row: Mapping[str, str], id_: str, meta: Mapping[str, Any]) -> Resource:
    kind, system = ("RPPS", RPPS) if row["id_type"] == "8" else ("ADELI", "https://adeli.esante.gouv.fr")
    name: Resource = {"family": row["family"]}
    if row.get("given"):
        name["given"] = [row["given"]]
    if prefix := row.get("title") or row.get("civility"):
        name["prefix"] = [prefix]
    qualification: list[Resource] = (
        [{"code": {"coding": [coding(profession_system(row["profession"]), row["profession"])]}}]
        if row["profession"]
        else []
    )
    if row["profession"] and row.get("category"):
        qualification[0]["code"]["coding"].insert(0, coding(CATEGORY, row["category"]))
    if row.get("skill"):
        codings = [coding(SKILL_KIND, row["skill_kind"])] if row.get("skill_kind") else []
        skill_system = SKILLS.get(row.get("skill_kind", ""))
        codings.append(coding(skill_system, row["skill"]) if skill_system else {"code": row["skill"]})
        qualification.append({"code": {"coding": codings}})
    return {
        "resourceType": "Practitioner",
        "id": id_,
        "meta": dict(meta),
        "identifier": [
            {
                "use": "official",
                "type": concept(_V2_0203, "IDNPS"),
                "system": NATIONAL_PERSON_ID,
                "value": row["idnps"],
            },
            {"type": concept(_V2_0203, kind), "system": system, "value": row["id"]},
        ],
        "active": True,
        "name": [name],
        **({"qualification": qualification} if qualification else {}),
    }


def _structure_id(row: Mapping[str, str]) -> str | None:
    """The id of the structure: by its FINESS, which other files give too, else by its number in the RASS."""
    if row.get("finess"):
        return f"finess-{row['finess']}"
    number = row.get("structure") or row.get("idnst") or (row.get("siret") and f"C{row['siret']}")
    return f"rass-{number}" if number and re.fullmatch(r"[A-Za-z0-9]{1,40}", number) else None


def _structure(row: Mapping[str, str], id_: str) -> Resource:
    identifiers: list[Resource] = []
    for code, system, value in (
        ("40", NATIONAL_STRUCTURE_ID, row.get("idnst")),
        ("1", FINESS, row.get("finess")),
        ("3", SIRENE, row.get("siret")),
        (
            "4",
            "https://rppsrang.esante.gouv.fr",
            (row.get("structure") or "")[1:] if (row.get("structure") or "").startswith("R") else "",
        ),
    ):
        if value:
            identifiers.append(
                {
                    "type": {"coding": [{"system": STRUCTURE_ID, "code": code}]},
                    "system": system,
                    "value": value,
                }
            )
    resource: Resource = {"resourceType": "Organization", "id": id_, "meta": {"source": _SOURCE}}
    if identifiers:
        resource["identifier"] = identifiers
    resource["active"] = True
    if row.get("sector"):
        resource["type"] = [{"coding": [coding(SECTOR, row["sector"])]}]
    resource["name"] = row.get("name") or row.get("sign") or id_
    if row.get("sign") and row["sign"] != resource["name"]:
        resource["alias"] = [row["sign"]]
    return resource


def _place(row: Mapping[str, str], structure: str) -> Resource | None:
    if not (row.get("postal") or row.get("commune") or row.get("street")):
        return None
    street = " ".join(
        filter(
            None,
            (
                row.get("house"),
                row.get("repeat"),
                row.get("street_type") or row.get("street_code"),
                row.get("street"),
            ),
        )
    )
    lines = [
        line for line in (row.get("addressee"), row.get("spot"), street, row.get("distribution")) if line
    ]
    office = (row.get("office") or "").partition(" ")[2]
    telecom = [
        {"system": system, "value": row[name]}
        for name, system in (("phone", "phone"), ("phone2", "phone"), ("fax", "fax"), ("email", "email"))
        if row.get(name)
    ]
    abroad = row.get("country", "") not in _FRANCE
    return a_place(
        f"site-{structure}",
        name=row.get("sign") or row.get("name") or structure,
        lines=lines,
        town=row.get("town") or office,
        postal=row.get("postal", ""),
        commune="" if abroad else row.get("commune", ""),
        country=row.get("country", "") if abroad else "",
        organization=structure,
        telecom=telecom,
        source=_SOURCE,
    )


def _commune_remark(row: Mapping[str, str]) -> Iterator[Remark]:
    code = row.get("commune", "")
    if code and not is_commune_code(code):
        yield Remark("commune", f"{code} is no commune's code")
    elif code and (remark := remark_on(StatedCommune("", code, row.get("postal") or None))):
        yield Remark("commune", f"{code} {row.get('postal', '')}: {remark}")


def _role(row: Mapping[str, str], references: Mapping[str, str], meta: Mapping[str, Any]) -> Resource:
    """One situation. The open file has no numbers of situations: a digest of what tells them apart is the id."""
    parts: tuple[str, ...] = (row["idnps"], row.get("structure") or row.get("idnst", ""), row["profession"])
    parts += tuple(row.get(name, "") for name in ("skill", "mode", "function", "activity_kind"))
    key = hashlib.sha256("|".join(parts).encode()).hexdigest()[:24]
    codes = [
        {"coding": [coding(system, row[name])]}
        for system, name in (
            (profession_system(row["profession"]), "profession"),
            (EXERCISE_MODE, "mode"),
            (FUNCTION, "function"),
            (ACTIVITY_KIND, "activity_kind"),
        )
        if row.get(name)
    ]
    skill_system = SKILLS.get(row.get("skill_kind", ""))
    role: Resource = {
        "resourceType": "PractitionerRole",
        "id": f"situation-{key}",
        "meta": dict(meta),
        "active": True,
        "practitioner": {"reference": f"Practitioner/{references['practitioner']}"},
        "organization": {"reference": f"Organization/{references['organization']}"},
    }
    if codes:
        role["code"] = codes
    if row.get("skill") and skill_system:
        role["specialty"] = [{"coding": [coding(skill_system, row["skill"])]}]
    if "location" in references:
        role["location"] = [{"reference": f"Location/{references['location']}"}]
    return role
