"""Whose right an operation on a person's whole record is: the person's own, and the deployment's administration's."""

from __future__ import annotations

from creneau_shared.errors import Forbidden
from creneau_shared.fhir.rest.declaration import OperationCall
from creneau_shared.security.access import Access
from creneau_shared.security.principal import Action


async def access_to_person(call: OperationCall, action: Action) -> Access:
    """The access of a person's own account, or of the administration; Forbidden for whoever works for a practice.

    A person's account is then held to its own compartment by whoever reads.
    """
    principal = call.request.principal
    access = await call.server.policy.access(principal, "Patient", action)
    if access.patient_ids is None and principal.level("Patient", action) != "system":
        raise Forbidden(
            "Seule la personne concernée peut demander cela, par son propre compte ou auprès d'un humain.",
            "Only the person concerned can ask for this, by their own account or through a human being.",
            details_code="person-only",
        )
    return access
