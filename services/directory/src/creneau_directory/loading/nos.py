"""The NOS's code systems that files use: their addresses, labels, and closed codes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import creneau_french

MARK = "https://creneau.sante.fr/fhir/CodeSystem/load-mark"
"""system of the tags that loading puts on resources accepted with a remark: `deprecated-code`"""


def nos(name: str) -> str:
    """The address of a code system: of `TRE_R38-SpecialiteOrdinale`."""
    return f"https://mos.esante.gouv.fr/NOS/{name}/FHIR/{name.replace('_', '-')}"


PROFESSION = nos("TRE_G15-ProfessionSante")
PROFESSIONS = (
    PROFESSION,
    nos("TRE_R95-UsagerTitre"),
    nos("TRE_R94-ProfessionSocial"),
    nos("TRE_R96-AutreFonctionSanitaire"),
    nos("TRE_R291-AutreProfession"),
)
"""the code systems that share the codes of professions"""
CATEGORY = nos("TRE_R09-CategorieProfessionnelle")
SKILL_KIND = nos("TRE_R04-TypeSavoirFaire")
EXERCISE_MODE = nos("TRE_R23-ModeExercice")
SECTOR = nos("TRE_R02-SecteurActivite")
FUNCTION = nos("TRE_R21-Fonction")
ACTIVITY_KIND = nos("TRE_R22-GenreActivite")
ESTABLISHMENT = nos("TRE_R66-CategorieEtablissement")
STRUCTURE_ID = nos("TRE_G07-TypeIdentifiantStructure")
COMMUNE = nos("TRE_R13-CommuneOM")
SKILLS: Mapping[str, str] = {
    "S": nos("TRE_R38-SpecialiteOrdinale"),
    "C": nos("TRE_R39-Competence"),
    "CEX": nos("TRE_R40-CompetenceExclusive"),
    "DNQ": nos("TRE_R42-DESCnonQualifiant"),
    "CAPA": nos("TRE_R43-CapaciteSavoirFaire"),
}
"""kind of skill (TRE_R04) → the code system of its codes"""


@cache
def _systems() -> Mapping[str, Mapping[str, tuple[str, bool]]]:
    """Returns address → code → (label, whether the code is closed)."""
    return {
        row["url"]: {
            code: (display, bool(rest and rest[-1] == 1)) for code, display, *rest in row["concepts"]
        }
        for row in creneau_french.code_systems()
    }


def is_deprecated(system: str, code: str) -> bool:
    """Whether a code is closed, or not (or no longer) in its system. False if the system is not known here."""
    known = _systems().get(system)
    if known is None:
        return False
    return code not in known or known[code][1]


@cache
def profession_system(code: str) -> str:
    """The code system of a profession: the first that has the code open, else closed; TRE_G15 if none has it."""
    having = [system for system in PROFESSIONS if code in _systems().get(system, {})]
    return next((system for system in having if not is_deprecated(system, code)), (*having, PROFESSION)[0])


def coding(system: str, code: str) -> dict[str, Any]:
    """A Coding with the present label of the code, if it has one."""
    label = _systems().get(system, {}).get(code)
    return {"system": system, "code": code, **({"display": label[0]} if label else {})}
