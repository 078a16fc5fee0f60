"""What the OperationDefinitions of this folder have in common."""

from __future__ import annotations

from creneau_shared.fhir.rest.definitions import parameter
from creneau_shared.fhir.storage.store import Resource


def returned_visits() -> Resource:
    """What the operations that write appointments return."""
    told = (
        "The Appointment. A Bundle where there may be several (a series, `scope`) and where it was asked for in Argonaut's or"
        " IHE's spelling (`appt-id`, `appointment-reference`, `appointment-resource`)."
    )
    return parameter("return", "Resource", use="out", minimum=1, documentation=told)
