"""What was sent to somebody: a Communication in plain words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from creneau_web.fhir.values import instant

STATES = {
    "completed": "sent",
    "in-progress": "sending",
    "preparation": "planned",
    "stopped": "stopped",
    "not-done": "not_sent",
}
UNCONFIRMED = "L’adresse n’a pas été confirmée"
"""beginning of the reason of a message kept back"""
CHANNELS = {"EMAILWRIT": "email", "SMSWRIT": "sms"}


@dataclass(frozen=True, slots=True)
class Message:
    """One Communication."""

    at: datetime | None
    what: str | None
    channel: str | None
    """`email`, `sms`; None for others"""
    state: str
    why: str | None
    """why it was not sent, in the service's words"""
    appointment: str | None
    patient: str | None = None
    """id of the Patient about whom it is"""
    updated: str = ""
    """last change, as the server writes it"""

    @property
    def went(self) -> bool:
        """Whether it was, is or will be sent: of a message withdrawn or not sent no channel is told."""
        return self.state not in ("stopped", "not_sent")

    @property
    def is_unconfirmed(self) -> bool:
        """Whether it was kept back because nobody has confirmed the address."""
        return self.state == "not_sent" and (self.why or "").startswith(UNCONFIRMED)


def message_of(communication: Mapping[str, Any]) -> Message:
    """What a Communication tells."""
    sent = communication.get("sent")
    medium = [c.get("code") for m in communication.get("medium", ()) for c in m.get("coding", ())]
    about = [str(a.get("reference", "")) for a in communication.get("about", ())]
    topic = communication.get("topic") or {}
    return Message(
        at=instant(sent) if sent else None,
        what=topic.get("text"),
        channel=next((CHANNELS[code] for code in medium if code in CHANNELS), None),
        state=STATES.get(communication.get("status", ""), "planned"),
        why=(communication.get("statusReason") or {}).get("text"),
        patient=_patient_of(communication),
        updated=communication.get("meta", {}).get("lastUpdated", ""),
        appointment=next((r.partition("/")[2] for r in about if r.startswith("Appointment/")), None),
    )


def _patient_of(communication: Mapping[str, Any]) -> str | None:
    reference = str((communication.get("subject") or {}).get("reference", ""))
    return reference.removeprefix("Patient/") if reference.startswith("Patient/") else None
