"""What notifications contributes to /metadata."""

from __future__ import annotations

from creneau_shared.fhir.rest.declaration import READ_ONLY, ServedType
from creneau_shared.fhir.rest.trail import served_trail
from creneau_shared.fhir.storage.audit_events import NameOf
from creneau_shared.fhir.storage.generic import GenericStore


def served_types(base_url: str, names: NameOf) -> list[ServedType]:
    """The types that notifications serves."""
    return [
        ServedType(
            GenericStore("Communication", base_url),
            interactions=READ_ONLY,
            documentation="What has been told to whom, by which way, and what is still to be told. Read only: "
            "messages come from what happens to appointments.",
        ),
        served_trail("creneau-notifications", names, "Who read which messages, when and why."),
    ]
