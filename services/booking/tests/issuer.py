"""A tiny OIDC issuer: real keys over real HTTP, so that tokens are verified as in production."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey
from services.booking.tests.factories import NOW

SCOPES = {
    "patient": "patient/Patient.crus patient/Appointment.cruds patient/Schedule.rs patient/Slot.rs",
    "answering": "patient/Appointment.rs patient/AppointmentResponse.crus",
    "whole": "patient/*.cruds",
    "reader": "patient/Appointment.crs",
    "software": "system/*.cruds",
    "practice": "user/*.cruds",
}
ROLES = {
    "patient": "patient",
    "whole": "patient",
    "reader": "patient",
    "answering": "patient",
    "software": "system",
    "practice": "system",
}
"""What each is to Créneau, unless the test says so itself."""
LIFETIME_S = 400 * 86400


class Issuer:
    """Signs tokens; publishes its keys."""

    def __init__(self) -> None:
        self.url = ""
        self.away = False
        """whether it hangs up on everybody"""
        self._key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)

    def token(self, role: str, subject: str, patient: str | None = None, **claims_: object) -> str:
        """`claims_` are said too, or instead."""
        now = int(NOW.timestamp())
        claims = {
            "iss": self.url,
            "aud": "creneau",
            "sub": subject,
            "iat": now,
            "exp": now + LIFETIME_S,
            "scope": SCOPES[role],
            "creneau_role": ROLES[role],
            **claims_,
        }
        if patient is not None:
            claims["patient"] = patient
        return jwt.encode({"alg": "ES256", "kid": self._key.kid}, claims, self._key)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.away:
            writer.close()
            return
        document: dict[str, object] = {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
        if head.startswith(b"GET /jwks "):
            document = {"keys": [self._key.as_dict(private=False)]}
        body = orjson.dumps(document)
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def running_issuer() -> AsyncIterator[Issuer]:
    """An issuer on a free port of the loopback."""
    issuer = Issuer()
    server = await asyncio.start_server(issuer.answer, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield issuer
    finally:
        server.close()
        await server.wait_closed()
