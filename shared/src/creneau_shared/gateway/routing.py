"""Which service serves which type: the same table as the gateway's nginx configuration."""

from __future__ import annotations

from typing import Literal

Service = Literal["booking", "directory", "notifications"]

SERVICE_OF: dict[str, Service] = {
    **dict.fromkeys(
        ("Organization", "Location", "HealthcareService", "Practitioner", "PractitionerRole", "Endpoint"),
        "directory",
    ),
    **dict.fromkeys(
        (
            "Schedule",
            "Slot",
            "Appointment",
            "AppointmentResponse",
            "Patient",
            "RelatedPerson",
            "AuditEvent",
            "Provenance",
        ),
        "booking",
    ),
    **dict.fromkeys(("Communication", "Subscription"), "notifications"),
}


def service_of(resource_type: str) -> Service | None:
    """The service that serves the type; None when none does."""
    return SERVICE_OF.get(resource_type)
