"""The development OIDC issuer: discovery, keys and client credentials. For one machine, never for production.

Clients are the roles of `deploy.local.tokens.SCOPES`; their secret is `development`.
"""

from __future__ import annotations

import base64
import binascii
import os
from urllib.parse import parse_qsl, unquote

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from creneau_shared.http.serving import CalmServer
from deploy.local.folder import Folder
from deploy.local.ports import LOOPBACK
from deploy.local.tokens import LIFETIME_S, SCOPES, Issuer

CLIENT_SECRET = "development"  # noqa: S105 - public: it opens nothing but this machine's own test data

NO_STORE = {"Cache-Control": "no-store"}


def create_app(issuer: Issuer) -> Starlette:
    """The issuer as an ASGI application."""

    async def discovery(_: Request) -> Response:
        return JSONResponse(
            {
                "issuer": issuer.url,
                "jwks_uri": f"{issuer.url}/jwks",
                "token_endpoint": f"{issuer.url}/token",
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "response_types_supported": ["token"],
                "subject_types_supported": ["public"],
                "scopes_supported": sorted({word for scope in SCOPES.values() for word in scope.split()}),
            }
        )

    async def keys(_: Request) -> Response:
        return JSONResponse({"keys": [issuer.key.as_dict(private=False)]})

    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        if form.get("grant_type") != "client_credentials":
            return _refusal("unsupported_grant_type", 400)
        role, secret = _credentials(request, form)
        if role not in SCOPES or secret != CLIENT_SECRET:
            return _refusal("invalid_client", 401)
        body = {
            "access_token": issuer.token(role),
            "token_type": "Bearer",
            "expires_in": LIFETIME_S,
            "scope": SCOPES[role],
        }
        return JSONResponse(body, headers=NO_STORE)

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    return Starlette(
        routes=[
            Route("/.well-known/openid-configuration", discovery),
            Route("/jwks", keys),
            Route("/token", token, methods=["POST"]),
            Route("/health/ready", alive),
        ]
    )


def _refusal(error: str, status: int) -> Response:
    challenge = {"WWW-Authenticate": 'Basic realm="creneau"'} if status == 401 else {}
    return JSONResponse({"error": error}, status, headers=NO_STORE | challenge)


def _credentials(request: Request, form: dict[str, str]) -> tuple[str, str]:
    """Client id and secret, from HTTP Basic or the form (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote(client), unquote(secret)


def main() -> None:
    """Serve on the loopback, at the port in the environment."""
    app = create_app(Issuer.of(Folder()))
    config = uvicorn.Config(
        app, host=LOOPBACK, port=int(os.environ["PORT"]), log_level="warning", access_log=False
    )
    CalmServer(config).run()


if __name__ == "__main__":
    main()
