"""Access to operations on a person's whole record: for the person themselves and the deployment's administration."""

from __future__ import annotations

from creneau_shared.errors import Forbidden
from creneau_shared.fhir.rest.operation import OperationCall
from creneau_shared.fhir.rest.reading import unknown_resource
from creneau_shared.security.access import Access
from creneau_shared.security.principal import Action


def access_to_person(call: OperationCall, action: Action) -> Access:
    """Returns the access of the person themselves or of the administration. Raises Forbidden for other callers.

    A representative sees only what the person shares with them; a practice has its own software. Raises NotFound for an
    account that does not act for the Patient.
    """
    assert call.id is not None
    access = call.request.access("Patient", action)
    rights = access.rights
    if rights.role == "system" or (rights.role == "patient" and call.id in rights.oneself):
        return access
    if rights.role == "patient" and call.id not in rights.people:
        raise unknown_resource("Patient", call.id)
    raise Forbidden(
        "Seule la personne concernée peut demander cela, par son propre compte ou auprès d'un humain.",
        "Only the person concerned can ask for this, by their own account or through a human being.",
        details_code="person-only",
    )
