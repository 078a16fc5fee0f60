"""Which searches are the SAS's (INT_R01, INT_R04), what they must say, and how they are searched here."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.views import sas_codes as codes
from creneau_booking.views.identifiers import NATIONAL_PERSON, person_tokens
from creneau_shared.errors import BadRequest

Pairs = Sequence[tuple[str, str]]

PRACTITIONERS = "schedule.actor:Practitioner.identifier"
PRACTITIONERS_MAX = 25
SLOTS_ON_A_PAGE = 1000
"""What the official addresses ask for (_count); a page of so many is nearly always the only one"""
_LOWER, _UPPER = ("ge", "gt", "sa"), ("le", "lt", "eb")


def is_sas(query: Pairs) -> bool:
    """Whether a Slot search is the SAS's: by `_profile`, else by the shape that no other guide gives it.

    That shape is practitioners by national number together with both includes, the second of them iterating
    (GAP leaves `:iterate` out). A search for a profile of another family, or for other slots than free ones,
    is not the SAS's.
    """
    profiles = _values(query, "_profile")
    if profiles:
        return codes.SLOT in (profile.partition("|")[0] for profile in profiles)
    asked = [value.strip() for name, text in query if name == PRACTITIONERS for value in text.split(",")]
    statuses = _values(query, "status")
    return (
        any(name == PRACTITIONERS for name, _ in query)
        and all(value.startswith(f"{NATIONAL_PERSON}|") for value in asked if value)
        and ("_include", "Slot:schedule") in query
        and ("_include:iterate", "Schedule:actor") in query
        and statuses in ([], ["free"])
    )


def check(query: Pairs) -> None:
    """Raise the 400 that names the first of the four mandatory criteria that is missing."""
    starts = _values(query, "start")
    if not any(start.startswith(_LOWER) for start in starts):
        _refuse("start", "le début de la période (start=ge…)", "the beginning of the period (start=ge…)")
    if not any(start.startswith(_UPPER) for start in starts):
        _refuse("start", "la fin de la période (start=le…)", "the end of the period (start=le…)")
    if _values(query, "status") != ["free"]:
        _refuse("status", "l'état des créneaux (status=free)", "the state of the slots (status=free)")
    number = len(_values(query, PRACTITIONERS))
    if number == 0:
        what = f"{PRACTITIONERS}={NATIONAL_PERSON}|8…"
        _refuse(PRACTITIONERS, f"les professionnels ({what})", f"the practitioners ({what})")
    if number > PRACTITIONERS_MAX:
        raise BadRequest(
            f"{number} professionnels sont demandés ; une recherche en prend {PRACTITIONERS_MAX} au plus.",
            f"{number} practitioners are asked for; one search takes {PRACTITIONERS_MAX} at most.",
            code="too-costly",
            expression=f"http.{PRACTITIONERS}",
        )


def neutral(query: Pairs) -> list[tuple[str, str]]:
    """The query over what is stored: without the profile, national numbers in every form that they may have."""
    pairs = [(name, _in_every_form(text) if name == PRACTITIONERS else text) for name, text in query]
    pairs = [(name, text) for name, text in pairs if name != "_profile"]
    if not any(name == "_count" for name, _ in pairs):
        pairs.append(("_count", str(SLOTS_ON_A_PAGE)))
    return pairs


def _in_every_form(text: str) -> str:
    tokens: list[str] = []
    for token in (part.strip() for part in text.split(",")):
        system, bar, value = token.partition("|")
        tokens += person_tokens(value) if bar and system == NATIONAL_PERSON else [token]
    return ",".join(dict.fromkeys(tokens))


def _values(query: Pairs, wanted: str) -> list[str]:
    """The values of a parameter, all its occurrences together, without blanks around them."""
    return [
        value for name, text in query if name == wanted for part in text.split(",") if (value := part.strip())
    ]


def _refuse(parameter: str, fr: str, en: str) -> None:
    raise BadRequest(
        f"Une recherche de créneaux du SAS doit indiquer {fr}.",
        f"A search for slots by the SAS must give {en}.",
        code="required",
        expression=f"http.{parameter}",
    )
