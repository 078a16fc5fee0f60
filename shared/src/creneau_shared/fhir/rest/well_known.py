"""`[base]/.well-known/smart-configuration` over HTTP: JSON whatever is accepted, open to everybody."""

from __future__ import annotations

from typing import Any

import orjson

from creneau_shared.errors import MethodNotAllowed
from creneau_shared.fhir.outcome import negotiate_language
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.failure import failure
from creneau_shared.fhir.rest.negotiation import CONTENT_TYPE
from creneau_shared.security.smart import SmartConfiguration

ADDRESS = "/.well-known/smart-configuration"
PATHS = frozenset({ADDRESS, f"/fhir{ADDRESS}"})
"""below the base, where SMART has it, and at the root, for clients that know no base"""


async def answer(configuration: SmartConfiguration, scope: dict[str, Any], send: Any) -> None:
    """Answer a request for one of the PATHS."""
    asked = {name: value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"}
    try:
        said = await _answer(configuration, scope["method"])
        content_type, cache = "application/json", "max-age=300"
    except Exception as error:
        said = failure(error, negotiate_language(asked.get(b"accept-language")))
        content_type, cache = CONTENT_TYPE["json"], "no-store"
    body = said.content or b""
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "cache-control": cache,
        "vary": "Accept-Language",
        **{name.lower(): value for name, value in said.headers.items()},
    }
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": said.status, "headers": encoded})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def _answer(configuration: SmartConfiguration, method: str) -> Answer:
    if method not in ("GET", "HEAD"):
        raise MethodNotAllowed.at_address(method, "GET, HEAD")
    return Answer(200, orjson.dumps(await configuration.document()))
