"""The SAS platform has no token: it is who its verified certificate says, by CN and OU, and nobody else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from creneau_shared.errors import Forbidden
from creneau_shared.security.certificates import Regulators
from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.principal import Principal
from creneau_shared.security.rights import Rights

SECRET = "said by the entrance"
SAS = ("sas.example", "0002 110000000000")
REGULATORS = Regulators(GatewayHeaders(SECRET), "a/b/c, sas.example/0002 110000000000")


def certificate(*names: tuple[x509.ObjectIdentifier, str]) -> str:
    """A certificate of a subject with these names, as nginx hands it on."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return quote(made.public_bytes(serialization.Encoding.PEM).decode(), safe="")


def named(common_name: str, *units: str) -> str:
    return certificate(
        (NameOID.COMMON_NAME, common_name), *((NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units)
    )


def who(shown: str, secret: str = SECRET) -> Principal | None:
    headers = [(b"x-gateway-secret", secret.encode()), (b"x-client-certificate", shown.encode())]
    return REGULATORS.principal(headers)


def test_the_regulation_sees_all_slots_and_keeps_its_accounts() -> None:
    principal = who(named(*SAS))
    assert principal is not None
    assert (principal.role, principal.subject) == ("regulator", "sas.example")
    rights = Rights(principal)
    assert rights.access("Slot", "s").reach == "all"
    assert rights.access("Practitioner", "u").reach == "practice"
    for refused in ("Patient", "Appointment"):
        with pytest.raises(Forbidden):
            rights.access(refused, "r")


@pytest.mark.parametrize(
    "names",
    [
        ("sas.example",),
        ("sas.example", "0002 220000000000"),
        ("autre.example", SAS[1]),
        ("sas.example", SAS[1], SAS[1]),
        ("sas.example/0002 110000000000",),
        ("sas.example/0002 110000000000", "x"),
        ("a/b", "c"),
        ("sas.example", "0002 110000000000, a/b/c"),
    ],
)
def test_another_name_is_nobody(names: tuple[str, ...]) -> None:
    """No unit, another, two; another name; names that hold what separates them."""
    assert who(named(*names)) is None


def test_a_certificate_is_the_entrance_s_to_say() -> None:
    shown = named(*SAS)
    assert who(shown, secret="guessed") is None
    assert who("") is None
    assert who("%%%") is None
    assert REGULATORS.principal([(b"x-client-certificate", shown.encode())]) is None
    assert (
        Regulators(GatewayHeaders(""), "/".join(SAS)).principal([(b"x-client-certificate", shown.encode())])
        is None
    )


def test_without_names_nobody_is_the_regulation() -> None:
    headers = [(b"x-gateway-secret", SECRET.encode()), (b"x-client-certificate", named(*SAS).encode())]
    assert Regulators(GatewayHeaders(SECRET), "").principal(headers) is None
