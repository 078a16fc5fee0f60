"""Bearer tokens of the development issuer: `python -m deploy.local.tokens ROLE [SUB]` prints one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from deploy.local.folder import Folder, keep_once, read_json
from deploy.local.ports import LOOPBACK

AUDIENCE = "creneau"
LIFETIME_S = 8 * 3600

_PATIENT = (
    "openid fhirUser patient/Patient.crus patient/RelatedPerson.crus patient/Appointment.cruds "
    "patient/AppointmentResponse.crs patient/Schedule.rs patient/Slot.rs patient/Practitioner.rs "
    "patient/PractitionerRole.rs patient/Organization.rs patient/Location.rs patient/HealthcareService.rs "
    "patient/Endpoint.rs patient/Communication.rs"
)

SCOPES = {
    "patient": _PATIENT,
    "practitioner": "openid fhirUser user/*.cruds",
    "secretary": "openid fhirUser user/*.cruds",
    "system": "system/*.cruds",
    "operator": "openid system/*.rs creneau/operate",
}
"""SMART App Launch 2.2 scopes of each role."""


@dataclass(frozen=True)
class Issuer:
    """The development issuer: its address and its key pair (ES256), kept in `.creneau`."""

    url: str
    key: ECKey

    @classmethod
    def of(cls, folder: Folder) -> Issuer:
        """The issuer of a folder, made on first use."""
        folder.create()
        if not folder.issuer_key.exists():
            fresh = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
            keep_once(folder.issuer_key, json.dumps(fresh.as_dict(private=True)))
        key = ECKey.import_key(read_json(folder.issuer_key))
        return cls(f"http://{LOOPBACK}:{folder.port('issuer')}", key)

    def token(self, role: str, subject: str | None = None, patient: str | None = None) -> str:
        """A token for eight hours; `patient` is the SMART launch context (a Patient id)."""
        now = int(datetime.now(UTC).timestamp())
        claims: dict[str, object] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": subject or role,
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": str(uuid4()),
            "scope": SCOPES[role],
            "creneau_role": role,
        }
        if patient:
            claims["patient"] = patient
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, "typ": "at+jwt"}, claims, self.key)


def main() -> int:
    """Print one token and nothing else."""
    parser = argparse.ArgumentParser(prog="make token", description=__doc__)
    parser.add_argument("role", choices=sorted(SCOPES), help="whose token")
    parser.add_argument("subject", nargs="?", help="the token's subject; the role's name when not given")
    parser.add_argument("--patient", help="SMART launch context: a Patient id")
    arguments = parser.parse_args()
    if os.environ.get("OIDC_ISSUER"):
        print("OIDC_ISSUER is set: ask that issuer for tokens", file=sys.stderr)
        return 1
    print(Issuer.of(Folder()).token(arguments.role, arguments.subject, arguments.patient))
    return 0


if __name__ == "__main__":
    sys.exit(main())
