"""The SAS platform asks the API with its certificate and no token; who only says so is a stranger."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from services.booking.tests.client import serving
from services.booking.tests.conftest import settings_for
from services.booking.tests.factories import for_professionals, slot, unique
from services.booking.tests.issuer import running_issuer
from services.booking.tests.practice import Practice

from creneau_booking.app import create_app
from creneau_shared.clock import SystemClock

BESIDE = "what nginx shares with the services"
NAME, UNIT = "sas.example", "0002 110000000000"


def certificate(unit: str, name: str = NAME) -> str:
    """A certificate of this name and unit, as nginx hands it on."""
    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    names = ((NameOID.COMMON_NAME, name), (NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return quote(made.public_bytes(serialization.Encoding.PEM).decode(), safe="")


async def test_42_slots_kept_for_regulation_are_shown_to_its_certificate_alone(practice: Practice) -> None:
    """Check 42 of 6.1 SAS: through the entrance and by both names, CN and OU; no Patient, and nothing for whoever writes the
    headers themselves. What the entrance itself refuses: `tests/deploy/test_entrance.py`."""
    agenda = await practice.open_agenda()
    kept = unique("creneau")
    await practice.put(slot(kept, agenda.id, agenda.at(20), meta=for_professionals()))
    right, other = certificate(UNIT), certificate("0002 220000000000")
    namesake = certificate(UNIT, "autre.example")
    async with running_issuer() as issuer:
        given = settings_for(str(practice.settings.database_url), issuer.url)
        named = {"gateway_secret": SecretStr(BESIDE), "regulation_certificates": f"{NAME}/{UNIT}"}
        async with serving(create_app(given.model_copy(update=named), practice.clock)) as client:

            async def status(path: str, secret: str, shown: str) -> int:
                headers = {"X-Gateway-Secret": secret, "X-Client-Certificate": shown}
                return (await client.get(f"/fhir/{path}", headers=headers)).status_code

            assert await status(f"Slot/{kept}", BESIDE, right) == 200
            assert await status("Patient", BESIDE, right) == 403
            for secret, shown in (
                (BESIDE, other),
                (BESIDE, namesake),
                (BESIDE, ""),
                ("guessed", right),
                ("", right),
            ):
                assert await status(f"Slot/{kept}", secret, shown) == 404
                assert await status("Patient", secret, shown) == 401
