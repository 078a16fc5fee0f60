"""Who is registered: a Patient that others refer to is there, and an id that was once a person's is never another's."""

from __future__ import annotations

from collections.abc import Collection

from creneau_booking.domain.erasure import is_same_person
from creneau_booking.storage.erasures import erasure_of
from creneau_shared.database.pool import Connection
from creneau_shared.errors import Conflict, Gone, Unprocessable
from creneau_shared.fhir.json import loads
from creneau_shared.fhir.storage.generic import owned_by
from creneau_shared.fhir.storage.store import Resource, Stored

UNAVAILABLE = """ARRAY(SELECT id FROM patient WHERE id = ANY({ids})
    AND (deleted OR terms && ARRAY['active=false', 'deceased=true']) ORDER BY id)"""
"""SQL: those of the Patients (ids) for whom nothing can be booked: deleted, inactive or deceased."""


async def require_registered(
    connection: Connection, ids: Collection[str], expression: str, owners: Collection[str] | None = None
) -> None:
    """As `require_all`, of what is stored."""
    if not ids:
        return
    rows = await connection.fetch(
        "SELECT id FROM patient WHERE id = ANY($1) AND NOT deleted AND ($2::text[] IS NULL OR terms && $2)",
        list(ids),
        None if owners is None else owned_by(owners),
    )
    require_all(ids, {row["id"] for row in rows}, expression, owners)


def require_all(
    ids: Collection[str], known: Collection[str], expression: str, owners: Collection[str] | None = None
) -> None:
    """Unprocessable when one of the Patients (ids) is not known: not there, or deleted; nothing is said of nobody. With
    `owners` (Organization ids), also when none of these practices knows them: booking for somebody opens no record."""
    unknown = set(ids) - set(known)
    if not unknown:
        return
    names = ", ".join(f"Patient/{id_}" for id_ in sorted(unknown))
    fr, en = ("n'est pas connu de votre cabinet", "is not known to your practice")
    if owners is None:
        fr, en = ("n'existe pas", "does not exist")
    raise Unprocessable(
        f"{names} {fr} : inscrivez d'abord cette personne (POST Patient).",
        f"{names} {en}: register that person first (POST Patient).",
        code="not-found",
        expression=expression,
        details_code="unknown-patient",
    )


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
