"""The visits of a Patient whose record ends: it is inactive, it was replaced by another, or the person has died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DECEASED, NO_LONGER_IN_USE = "pat-dec", "other"
"""why a visit is cancelled: codes of CANCELLATION_REASONS"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a record has ended: why its visits are cancelled, or the record that replaces it, to which they go."""

    reason: str
    replaced: bool = False
    successor: str | None = None
    """id of the Patient that replaces it; None also if that one is not of this base"""


def ended(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Ended | None:
    """How this change ends the record; None if the record goes on, or had ended before."""
    if (before is not None and _is_over(before)) or not _is_over(after):
        return None
    if _is_dead(after):
        return Ended(DECEASED)
    return Ended(NO_LONGER_IN_USE, is_replaced(after), successor_of(after))


def is_replaced(patient: Mapping[str, Any]) -> bool:
    """R4 Patient.link: the record "must no longer be used", even if it does not state that it is inactive."""
    return bool(_successors(patient))


def successor_of(patient: Mapping[str, Any]) -> str | None:
    """The Patient (id) of this base that replaces a record, whose links are plain (`with_known_links`)."""
    return next((o.removeprefix("Patient/") for o in _successors(patient) if o.startswith("Patient/")), None)


def _is_over(patient: Mapping[str, Any]) -> bool:
    return patient.get("active") is False or _is_dead(patient) or is_replaced(patient)


def _successors(patient: Mapping[str, Any]) -> list[str]:
    """What replaces a record: references, empty for those that are named otherwise."""
    others = (link.get("other", {}) for link in patient.get("link", ()) if link.get("type") == "replaced-by")
    return [str(other.get("reference", "")) for other in others]


def _is_dead(patient: Mapping[str, Any]) -> bool:
    return patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient
