"""The visits of a Patient whose record ends: it is inactive, it was replaced by another, or the person has died."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DECEASED, NO_LONGER_IN_USE = "pat-dec", "other"
"""why a visit is cancelled: codes of CANCELLATION_REASONS"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a record has ended: why its visits are cancelled, or the Patient (id) to whom they go."""

    reason: str
    successor: str | None = None


def ended(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Ended | None:
    """How this change ends the record; None if the record goes on, or had ended before."""
    if (before is not None and _is_over(before)) or not _is_over(after):
        return None
    if _is_dead(after):
        return Ended(DECEASED)
    links = [link for link in after.get("link", ()) if link.get("type") == "replaced-by"]
    others = [str(link.get("other", {}).get("reference", "")) for link in links]
    successor = next((o.rpartition("/")[2] for o in others if "Patient/" in o), None)
    return Ended(NO_LONGER_IN_USE, successor)


def _is_over(patient: Mapping[str, Any]) -> bool:
    return patient.get("active") is False or _is_dead(patient) or _is_replaced(patient)


def _is_replaced(patient: Mapping[str, Any]) -> bool:
    """R4 Patient.link: the record "must no longer be used", even if it does not state that it is inactive."""
    return any(link.get("type") == "replaced-by" for link in patient.get("link", ()))


def _is_dead(patient: Mapping[str, Any]) -> bool:
    return patient.get("deceasedBoolean") is True or "deceasedDateTime" in patient
