"""A provider as the pages know it: which client they are, what is asked for, and how its claims are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from creneau_web.auth.facts import Identity
from creneau_web.login_settings import ProviderName


@dataclass(frozen=True)
class Provider:
    """A provider that people log in at. `identity`: reads its claims (ID token and userinfo together)."""

    name: ProviderName
    issuer: str
    client_id: str
    client_secret: str
    level: str
    scope: str
    identity: Callable[[Mapping[str, Any]], Identity]
    signed_userinfo: bool = False
    """whether userinfo counts only as a signed JWT"""
    challenge_if_published: bool = False
    """whether PKCE is used only if it publishes that it knows it; otherwise always"""
    gives_our_tokens: bool = False
    """whether its access token is the one for the FHIR base; else its ID token is exchanged for one"""
