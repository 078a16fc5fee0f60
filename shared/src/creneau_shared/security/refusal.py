"""The refusal of an invalid token (RFC 6750, RFC 9449)."""

from __future__ import annotations

from creneau_shared.errors import Unauthenticated

ALGORITHMS = ["ES256", "RS256", "PS256", "ES384", "EdDSA"]
"""accepted signature algorithms of tokens and proofs: none symmetric, none unsigned"""


def refused(reason: str, diagnostics: str, *, scheme: str = "Bearer") -> Unauthenticated:
    """The 401 for a token. `reason`: a word for programs; `diagnostics`: details, never the token's content."""
    algorithms = f', algs="{" ".join(ALGORITHMS)}"' if scheme == "DPoP" else ""
    return Unauthenticated(
        "Votre session n'est pas valable ou a expiré : reconnectez-vous.",
        "Your session is not valid or has expired: log in again.",
        diagnostics=f"{reason}: {diagnostics}",
        headers={"WWW-Authenticate": f'{scheme} error="invalid_token"{algorithms}'},
    )
