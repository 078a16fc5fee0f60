"""Accounts of regulators, as the SAS platform sends them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from creneau_directory.domain.regulators import NATIONAL, PROFILE, SOURCE

TYPES = "http://interopsante.org/fhir/CodeSystem/fr-v2-0203"


def national(value: str | None = None) -> dict[str, Any]:
    """An identifier of the national kind that software gives: structure, then number."""
    value = value or f"3456780581/{uuid4().hex[:10]}"
    return {"type": {"coding": [{"system": TYPES, "code": "IDNPS"}]}, "system": NATIONAL, "value": value}


def internal(value: str | None = None) -> dict[str, Any]:
    """An identifier that SAS gives itself."""
    value = value or str(uuid4())
    return {"type": {"coding": [{"system": TYPES, "code": "INTRN"}]}, "system": SOURCE, "value": value}


def account(id_: str | None = None, *identifiers: dict[str, Any], **members: Any) -> dict[str, Any]:
    """An account; with no identifiers, one of the national kind that nobody else has."""
    return {
        "resourceType": "Practitioner",
        **({"id": id_} if id_ else {}),
        "meta": {"source": SOURCE, "profile": [PROFILE]},
        "identifier": list(identifiers) or [national()],
        "active": True,
        "name": [{"family": "Exemple", "given": ["Camille"]}],
        "telecom": [{"system": "email", "value": "camille@exemple.fr"}],
        **members,
    }
