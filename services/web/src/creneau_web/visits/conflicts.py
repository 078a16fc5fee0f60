"""Why a time cannot be had: somebody was faster, or the person is elsewhere at that hour."""

from __future__ import annotations

from creneau_web.fhir.refusal import Refusal

TAKEN = frozenset({"slot-taken", "slot-held", "group-full"})
OCCUPIED = "actor-occupied"
HAS_A_PLACE = "place-taken"
A_PATIENT = "Patient/"
"""how the diagnostics name a patient who is elsewhere"""


def is_own(refusal: Refusal) -> bool:
    """Whether the patient has another visit at that time, or a place in that group already."""
    return refusal.code == HAS_A_PLACE or (refusal.code == OCCUPIED and A_PATIENT in refusal.diagnostics)


def is_taken(refusal: Refusal) -> bool:
    """Whether somebody else has the time by now: the slot, or its professional in another agenda."""
    return refusal.code in TAKEN or (refusal.code == OCCUPIED and not is_own(refusal))


def words_of(refusal: Refusal) -> str:
    """What a page says of a refusal: its sentence, or our key if the person is elsewhere."""
    return "against.own" if is_own(refusal) else refusal.text
