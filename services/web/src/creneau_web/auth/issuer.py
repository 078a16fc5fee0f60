"""The deployment's own issuer: an ordinary OpenID provider, whose access token is the one for the FHIR base.

On a development machine `deploy.local.issuer`; elsewhere an identity server, which may itself lead people to others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creneau_shared.security.principal import ROLES
from creneau_web.auth.citizen import citizen
from creneau_web.auth.claims import text, words
from creneau_web.auth.facts import Identity
from creneau_web.auth.provider import Provider
from creneau_web.login_settings import LoginSettings

SCOPE = "openid profile email birth fhirUser"


def provider(settings: LoginSettings) -> Provider:
    return Provider(
        name="issuer",
        issuer=str(settings.oidc_issuer).removesuffix("/"),
        client_id=settings.oidc_client_id,
        client_secret=settings.oidc_client_secret.get_secret_value(),
        level=settings.oidc_level,
        scope=SCOPE,
        identity=identity_of,
        gives_our_tokens=True,
    )


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """Reads standard claims, and those of our roles. Without a known role the person is a patient, who has the fewest
    rights; the token gives the rights, not this."""
    role = text(claims, "creneau_role")
    said = citizen(claims)
    if said["usual_name"] == said["family_name"] or "@" in said["usual_name"]:
        said["usual_name"] = ""  # to most issuers, the name of the account
    return Identity(
        provider="issuer",
        subject=str(claims["sub"]),
        role=role if role in ROLES else "patient",
        level=text(claims, "acr"),
        national_id=text(claims, "SubjectNameID"),
        practitioner=text(claims, "creneau_practitioner"),
        organizations=words(claims.get("creneau_organizations")),
        **said,
    )
