"""Recognises the SAS's searches (INT_R01, INT_R04), checks their criteria and translates them to stored resources."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.views.sas import codes
from creneau_shared.errors import BadRequest
from creneau_shared.national_numbers import NATIONAL_PERSON

Pairs = Sequence[tuple[str, str]]

PRACTITIONERS = "schedule.actor:Practitioner.identifier"
NUMBERS_MAX = 25
SLOTS_ON_A_PAGE = 1000
"""`_count` of the official addresses; slots read at a time, nearly always all of them"""
SLOTS_MAX = 4000
"""Slots of one answer: 25 professionals with a slot every quarter of an hour, twelve hours a day, three days"""
_LOWER, _UPPER = ("ge", "gt", "sa"), ("le", "lt", "eb")


def is_sas(query: Pairs, *, by_regulator: bool = False) -> bool:
    """Whether a Slot search is the SAS's: by `_profile`, else by a shape that no other guide uses.

    That shape is practitioners by national number together with both includes, the second of them iterating
    (GAP leaves `:iterate` out). A search for a profile of another family, or for other slots than free ones,
    is not the SAS's. Numbers without their system, and a regulator's search of this shape without any number, are the
    SAS's too: `check` then says what is wrong.
    """
    profiles = values_of(query, "_profile")
    if profiles:
        return codes.SLOT in (profile.partition("|")[0] for profile in profiles)
    if values_of(query, "status") not in ([], ["free"]):
        return False
    if ("_include", "Slot:schedule") not in query or ("_include:iterate", "Schedule:actor") not in query:
        return False
    return by_regulator or (
        any(name == PRACTITIONERS for name, _ in query)
        and all(
            value.partition("|")[0] in (NATIONAL_PERSON, "") or "|" not in value
            for value in values_of(query, PRACTITIONERS)
        )
    )


def check(query: Pairs) -> None:
    """Raises the 400 that names the first missing one of the four mandatory criteria."""
    check_free_slots(query)
    check_numbers(query, PRACTITIONERS, f"{NATIONAL_PERSON}|8", ("professionnels", "practitioners"))


def check_free_slots(query: Pairs, start: str = "start", status: str = "status") -> None:
    """Raises the 400 if the search lacks an end of its period, or asks for other slots than free ones."""
    starts = values_of(query, start)
    if not any(value.startswith(_LOWER) for value in starts):
        _refuse(start, f"le début de la période ({start}=ge…)", f"the beginning of the period ({start}=ge…)")
    if not any(value.startswith(_UPPER) for value in starts):
        _refuse(start, f"la fin de la période ({start}=le…)", f"the end of the period ({start}=le…)")
    if values_of(query, status) != ["free"]:
        _refuse(status, f"l'état des créneaux ({status}=free)", f"the state of the slots ({status}=free)")


def check_numbers(query: Pairs, parameter: str, example: str, whom: tuple[str, str]) -> None:
    """Raises the 400 if the search has no national numbers, numbers without the system of `example`, or more of them than
    one search takes. `whom`: those who have these numbers, in French and English."""
    numbers = values_of(query, parameter)
    fr, en = whom
    if not numbers:
        what = f"{parameter}={example}…"
        _refuse(parameter, f"les {fr} ({what})", f"the {en} ({what})")
    system = example.partition("|")[0]
    if not all(number.startswith(f"{system}|") and number.partition("|")[2] for number in numbers):
        what = f"{parameter}={example}…"
        _refuse(
            parameter,
            f"chaque identifiant avec son système ({what})",
            f"each identifier with its system ({what})",
        )
    if len(numbers) > NUMBERS_MAX:
        raise BadRequest(
            f"{len(numbers)} {fr} sont demandés ; une recherche en prend {NUMBERS_MAX} au plus.",
            f"{len(numbers)} {en} are asked for; one search takes {NUMBERS_MAX} at most.",
            code="too-costly",
            expression=f"http.{parameter}",
        )


def neutral(query: Pairs) -> list[tuple[str, str]]:
    """Returns the query over stored resources: without the profile."""
    pairs = [(name, text) for name, text in query if name != "_profile"]
    if not any(name == "_count" for name, _ in pairs):
        pairs.append(("_count", str(SLOTS_ON_A_PAGE)))
    return pairs


def values_of(query: Pairs, wanted: str) -> list[str]:
    """Returns the values of all occurrences of a parameter, without blanks around them."""
    return [part for name, text in query if name == wanted for part in parts_of(text)]


def parts_of(text: str) -> list[str]:
    """Returns the values of a list with commas, without blanks around them. Nothing between two commas is no value: a system
    without a number would mean all the numbers that it has."""
    return [value for part in text.split(",") if (value := part.strip())]


def _refuse(parameter: str, fr: str, en: str) -> None:
    raise BadRequest(
        f"Une recherche de créneaux du SAS doit indiquer {fr}.",
        f"A search for slots by the SAS must give {en}.",
        code="required",
        expression=f"http.{parameter}",
    )
