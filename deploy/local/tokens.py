"""Bearer tokens of the development issuer: `python -m deploy.local.tokens ROLE [SUB]` prints one."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import ECKey

from creneau_shared.roles import ACTIONS, Role
from creneau_shared.type_table import TYPES, reach_of
from deploy.local.folder import Folder, keep_once, read_json
from deploy.local.ports import LOOPBACK

AUDIENCE = "creneau"
LIFETIME_S = 8 * 3600
REHEARSAL = "creneau-rehearsal"
"""id of the Organization of the rehearsal client (`creneau_booking.domain.rehearsal`)"""


def _reached(role: Role, level: str) -> str:
    """A scope for each type that the role reaches, with its interactions there."""
    letters = {n: "".join(a for a in ACTIONS if reach_of(role, n, a) != "none") for n in TYPES}
    return " ".join(f"{level}/{name}.{allowed}" for name, allowed in letters.items() if allowed)


SCOPES = {
    "patient": f"openid fhirUser {_reached('patient', 'patient')}",
    "practitioner": "openid fhirUser user/*.cruds",
    "secretary": "openid fhirUser user/*.cruds",
    "software": "system/*.cruds",
    "regulator": f"openid {_reached('regulator', 'user')}",
    "counsellor": f"openid fhirUser {_reached('counsellor', 'patient')}",
    "operator": "openid creneau/operate",
    "system": "system/*.cruds creneau/operate",
    "rehearsal": "system/Slot.rs system/Appointment.cu",
}
"""SMART App Launch 2.2 scopes of each role; docs/guides/roles.md says what each may do with them. `rehearsal`: the client
that rehearses bookings, software of the Organization that owns the rehearsal agenda."""


@dataclass(frozen=True)
class Holder:
    """Whose token it is, and for whom they act."""

    role: str
    subject: str | None = None
    patient: str | None = None
    """SMART launch context: the holder's Patient (id)"""
    organizations: tuple[str, ...] = ()
    """ids of the Organizations for which they speak"""
    practitioner: str | None = None
    """id of the holder's Practitioner"""
    acting_for: str | None = None
    """`Patient/id`: the person with whom, or by whose mandate, a counsellor acts"""
    national_id: str | None = None
    """of a professional, as Pro Santé Connect says it (8 and the RPPS number)"""

    def claims(self) -> dict[str, object]:
        """The claims beside the standard ones; unknown values are left out."""
        mandate = "présence de la personne" if self.acting_for else None
        rehearses = self.role == "rehearsal"
        organizations = [REHEARSAL] if rehearses else list(self.organizations)
        said = {
            "creneau_role": "software" if rehearses else self.role,
            "client_id": f"demonstration-{self.role}",
            "patient": self.patient,
            "creneau_organizations": organizations,
            "creneau_practitioner": self.practitioner,
            "creneau_for": self.acting_for,
            "creneau_mandate": mandate,
            "SubjectNameID": self.national_id,
        }
        return {name: value for name, value in said.items() if value}


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
        """A token for eight hours of a role and nothing else; see `token_of`."""
        return self.token_of(Holder(role, subject, patient))

    def token_of(
        self, holder: Holder, *, lifetime_s: int = LIFETIME_S, more: Mapping[str, object] | None = None
    ) -> str:
        """A token for so long; `more`: claims beside those that follow from the holder, or in their place."""
        now = int(datetime.now(UTC).timestamp())
        claims: dict[str, object] = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": holder.subject or holder.role,
            "iat": now,
            "exp": now + lifetime_s,
            "jti": str(uuid4()),
            "scope": SCOPES[holder.role],
            **holder.claims(),
            **(more or {}),
        }
        return jwt.encode({"alg": "ES256", "kid": self.key.kid, "typ": "at+jwt"}, claims, self.key)


def main() -> int:
    """Print one token and nothing else."""
    parser = argparse.ArgumentParser(prog="make token", description=__doc__)
    parser.add_argument("role", choices=sorted(SCOPES), help="whose token")
    parser.add_argument("subject", nargs="?", help="the token's subject; the role's name when not given")
    parser.add_argument("--patient", help="SMART launch context: the Patient (id) who they are")
    parser.add_argument(
        "--organization", default="", help="Organizations (ids, by comma) for which they speak"
    )
    parser.add_argument("--practitioner", help="the Practitioner (id) who they are")
    parser.add_argument("--for", dest="acting_for", help="Patient/id for whom a counsellor acts")
    arguments = parser.parse_args()
    if os.environ.get("OIDC_ISSUER"):
        print("OIDC_ISSUER is set: ask that issuer for tokens", file=sys.stderr)
        return 1
    organizations = tuple(id_ for id_ in arguments.organization.split(",") if id_)
    holder = Holder(
        arguments.role,
        arguments.subject,
        arguments.patient,
        organizations,
        arguments.practitioner,
        arguments.acting_for,
    )
    print(Issuer.of(Folder()).token_of(holder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
