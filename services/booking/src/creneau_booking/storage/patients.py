"""An id that was once a person's is never another's."""

from __future__ import annotations

from collections.abc import Sequence

from creneau_booking.domain.erasure import is_same_person
from creneau_booking.storage.erasures import erasure_of
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Gone
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.store import Resource, Stored


async def require_same_person(connection: Connection, deleted: Stored, resource: Resource) -> None:
    """Gone when the Patient was erased, Conflict when it was somebody else: a deleted Patient is restored as who they
    were."""
    if await erasure_of(connection, deleted.id) is not None:
        raise Gone(
            f"Patient/{deleted.id} a été effacé à la demande de la personne : ce numéro ne sert plus. Créez un nouveau"
            " Patient.",
            f"Patient/{deleted.id} was erased at the person's request: this id is used no more. Create a new Patient.",
            details_code="patient-erased",
            headers={"ETag": deleted.etag},
        )
    last = await connection.fetchval(
        "SELECT content FROM resource_history WHERE resource_type = 'Patient' AND id = $1"
        " AND content IS NOT NULL ORDER BY version DESC LIMIT 1",
        deleted.id,
    )
    if last is None or not is_same_person(_traits(loads(last)), _traits(resource)):
        raise Conflict(
            f"Patient/{deleted.id} était une autre personne : un numéro n'est jamais réattribué. Créez un nouveau"
            " Patient.",
            f"Patient/{deleted.id} was somebody else: an id is never given to another person. Create a new Patient.",
            expression="Patient.id",
            details_code="id-of-another-person",
        )


def family_names(patient: Resource) -> frozenset[str]:
    """Every family name of a Patient, former ones too."""
    return frozenset(str(name["family"]) for name in patient.get("name", ()) if name.get("family"))


def _traits(patient: Resource) -> tuple[frozenset[str], frozenset[str], str | None]:
    identifiers = frozenset(
        f"{i.get('system', '')}|{i['value']}" for i in patient.get("identifier", ()) if i.get("value")
    )
    return identifiers, family_names(patient), patient.get("birthDate")


async def unavailable_patients(connection: Connection, references: Sequence[str]) -> list[str]:
    """Those of the Patients of this base for whom nothing can be booked: deleted, inactive or deceased."""
    rows = await connection.fetch(
        "SELECT id FROM patient WHERE id = ANY($1)"
        " AND (deleted OR terms && ARRAY['active=false', 'deceased=true']) ORDER BY id",
        [reference.removeprefix("Patient/") for reference in references],
    )
    return [f"Patient/{row['id']}" for row in rows]
