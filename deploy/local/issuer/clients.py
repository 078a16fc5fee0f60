"""Which applications the development issuer knows, and where it may send people back to."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

WEB = "creneau-web"
FRONTEND = "frontend"
RETURN_PATH = "/auth/retour"
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Client:
    """An application. Without a secret it is a public one, which only the code's verifier protects."""

    id: str
    secret: str | None
    redirect_uris: frozenset[str] = frozenset()
    post_logout_redirect_uris: frozenset[str] = frozenset()
    any_loopback: bool = False
    """whether any address of this machine is allowed: for developers of a frontend here"""

    def may_return_to(self, uri: str) -> bool:
        """Whether `uri` is registered, letter by letter, or is on this machine and `any_loopback` holds."""
        return uri in self.redirect_uris or (self.any_loopback and _on_this_machine(uri))

    def may_end_at(self, uri: str) -> bool:
        """The same, for after a log-out."""
        return uri in self.post_logout_redirect_uris or (self.any_loopback and _on_this_machine(uri))


def _on_this_machine(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS and not parts.fragment
    except ValueError:
        return False


def web_client(suffix: str, secret: str, site_url: str) -> Client:
    """The pages of the deployment (services/web), by the name that they have in one dialect."""
    ends = frozenset({f"{site_url}/"})
    return Client(f"{WEB}{suffix}", secret, frozenset({f"{site_url}{RETURN_PATH}"}), ends)


def frontend_client() -> Client:
    """Whoever builds a frontend on this machine: no secret, any loopback address."""
    return Client(FRONTEND, None, any_loopback=True)


def presented(authorization: str, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret, from HTTP Basic or the form (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(client), unquote(secret)


def authenticated(known: Mapping[str, Client], id_: str, secret: str) -> Client | None:
    """The client that shows its secret, or that needs none."""
    client = known.get(id_)
    if client is None:
        return None
    if client.secret is None:
        return client if not secret else None
    return client if hmac.compare_digest(client.secret.encode(), secret.encode()) else None
