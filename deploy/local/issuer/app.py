"""The development issuer as an ASGI application: the three dialects side by side."""

from __future__ import annotations

from dataclasses import dataclass

from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from creneau_shared.clock import Clock
from deploy.local.issuer.authorize import Authorization
from deploy.local.issuer.clients import Client, frontend_client, web_client
from deploy.local.issuer.dialects import Dialect, franceconnect, own, psc
from deploy.local.issuer.grants import TokenEndpoint
from deploy.local.issuer.provider import Lifetimes, Provider
from deploy.local.issuer.scopes import OWN
from deploy.local.issuer.sessions import SessionEndpoints
from deploy.local.issuer.store import Store
from deploy.local.tokens import Issuer

STANDARD = Lifetimes()


@dataclass(frozen=True)
class Registered:
    """What the issuer knows of the deployment's pages: where they are, and their secret."""

    site_url: str
    secret: str


def create_app(
    issuer: Issuer,
    key: RSAKey,
    web: Registered,
    store: Store,
    clock: Clock,
    lifetimes: Lifetimes = STANDARD,
) -> Starlette:
    """The application. `issuer`: its address and the key of its own tokens; `key`: that of the two other dialects."""

    def provider(dialect: Dialect, *clients: Client) -> Provider:
        return Provider(dialect, issuer, {client.id: client for client in clients}, store, clock, lifetimes)

    def pages(suffix: str) -> Client:
        return web_client(suffix, web.secret, web.site_url)

    others = [provider(dialect, pages(f"-{dialect.name}")) for dialect in (franceconnect(key), psc(key))]
    deployment = provider(own(issuer.key, OWN), pages(""), frontend_client())
    routes = [*_routes(deployment, others), *(route for other in others for route in _routes(other, []))]
    # A frontend that runs in the browser alone asks for its tokens from there; no cookie is ever looked at.
    cors = Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["Authorization"]
    )
    return Starlette(routes=[*routes, Route("/health/ready", _alive)], middleware=[cors])


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _routes(provider: Provider, trusted: list[Provider]) -> list[Route]:
    token = TokenEndpoint(provider, trusted)
    published = _published(provider, token.grants)
    path = provider.dialect.path

    async def discovery(_: Request) -> Response:
        return JSONResponse(published)

    async def keys(_: Request) -> Response:
        return JSONResponse({"keys": [provider.dialect.key.as_dict(private=False)]})

    return [
        Route(f"{path}/.well-known/openid-configuration", discovery),
        Route(f"{path}/jwks", keys),
        *token.routes(),
        *Authorization(provider).routes(),
        *SessionEndpoints(provider).routes(),
    ]


def _published(provider: Provider, grants: list[str]) -> dict[str, object]:
    """The discovery document (OpenID Connect Discovery 1.0, section 3)."""
    dialect, base = provider.dialect, provider.issuer
    signed = {"userinfo_signing_alg_values_supported": [dialect.algorithm]} if dialect.signed_userinfo else {}
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "userinfo_endpoint": f"{base}/userinfo",
        "end_session_endpoint": f"{base}/end_session",
        "revocation_endpoint": f"{base}/revoke",
        "jwks_uri": f"{base}/jwks",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(dialect.client_auth),
        "revocation_endpoint_auth_methods_supported": list(dialect.client_auth),
        "id_token_signing_alg_values_supported": [dialect.algorithm],
        "subject_types_supported": ["pairwise" if dialect.signed_userinfo else "public"],
        "acr_values_supported": list(dialect.levels),
        "scopes_supported": list(dialect.scopes),
        "authorization_response_iss_parameter_supported": dialect.names_itself,
        **signed,
    }
