"""FranceConnect v2: citizens, by their pivot identity (FranceConnect's documentation for service providers).

Userinfo is a JWT that it signs. Its access token is for its own userinfo. The level eidas1 is its default; eidas2 and
eidas3 belong to FranceConnect+, which also encrypts, and is not spoken here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from creneau_web.auth.citizen import citizen
from creneau_web.auth.claims import text
from creneau_web.auth.facts import Identity
from creneau_web.auth.provider import Provider
from creneau_web.login_settings import LoginSettings

SCOPE = "openid identite_pivot preferred_username email"


def provider(settings: LoginSettings) -> Provider:
    return Provider(
        name="franceconnect",
        issuer=str(settings.franceconnect_issuer).removesuffix("/"),
        client_id=settings.franceconnect_client_id,
        client_secret=settings.franceconnect_client_secret.get_secret_value(),
        level=settings.franceconnect_level,
        scope=SCOPE,
        identity=identity_of,
        signed_userinfo=True,
        # It refuses parameters that it does not know; the nonce protects the code there.
        challenge_if_published=True,
    )


def identity_of(claims: Mapping[str, Any]) -> Identity:
    """`sub` is for this client alone: another service of the State gets another one for the same person."""
    return Identity(
        provider="franceconnect",
        subject=str(claims["sub"]),
        role="patient",
        level=text(claims, "acr"),
        **citizen(claims),
    )
