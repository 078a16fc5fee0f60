"""Pro Santé Connect: professionals, by their national identifier (`SubjectNameID`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from creneau_web.auth.claims import rows, text
from creneau_web.auth.facts import Exercise, Identity
from creneau_web.auth.failure import LoginError
from creneau_web.auth.provider import Provider
from creneau_web.login_settings import LoginSettings

SCOPE = "openid scope_all"


def provider(settings: LoginSettings) -> Provider:
    return Provider(
        name="psc",
        issuer=str(settings.psc_issuer).removesuffix("/"),
        client_id=settings.psc_client_id,
        client_secret=settings.psc_client_secret.get_secret_value(),
        level=settings.psc_level,
        scope=SCOPE,
        identity=identity_of,
    )


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """The national identifier is `SubjectNameID`, with which `sub` ends. `sub` itself identifies no professional, and
    `preferred_username` is no name."""
    national_id, subject = text(claims, "SubjectNameID"), str(claims["sub"])
    if not national_id or not subject.endswith(f":{national_id}"):
        raise LoginError("untrusted", "SubjectNameID")
    return Identity(
        provider="psc",
        subject=subject,
        role="practitioner",
        level=text(claims, "acr"),
        given_names=tuple(text(claims, "given_name").split()),
        family_name=text(claims, "family_name"),
        email=text(claims, "email"),
        national_id=national_id,
        exercises=tuple(_exercises(claims)),
    )


def _exercises(claims: Mapping[str, Any]) -> Iterator[Exercise]:
    """Yields one for each activity of each exercise: somebody may practise in several places."""
    reference = claims.get("SubjectRefPro")
    for exercise in rows(reference.get("exercices") if isinstance(reference, dict) else None):
        for activity in rows(exercise.get("activities")) or [{}]:
            yield Exercise(
                profession=text(exercise, "codeProfession"),
                specialty=text(exercise, "codeSavoirFaire"),
                place=text(activity, "raisonSocialeSite") or text(activity, "enseigneCommercialeSite"),
                structure=text(activity, "identifiantTechniqueDeLaStructure"),
                finess=text(activity, "numeroFinessSite"),
                siret=text(activity, "numeroSiretSite"),
            )
