"""Callers without a token, with a TLS client certificate: the regulation of unscheduled care (SAS).

The SAS platform calls editors over mTLS and identifies itself by the CN and the OU of its certificate (SAS, security
page; INT_R01 and INT_R02). nginx verifies the chain of the certificate; this module decides whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import NameOID

from creneau_shared.security.gateway_headers import GatewayHeaders
from creneau_shared.security.principal import Principal, Scope
from creneau_shared.type_table import PUBLIC

COMMON_NAME = "urn:oid:2.5.4.3"
"""Issuer of a principal identified by the common name of a certificate."""

SCOPES = (
    *(Scope("system", name, frozenset("rs")) for name in sorted(PUBLIC)),
    Scope("system", "Practitioner", frozenset("cru")),
)


class Regulators:
    """Recognises the regulation's certificates by their names, `CN/OU`; none if no names are configured."""

    def __init__(self, gateway: GatewayHeaders, names: str) -> None:
        self._gateway = gateway
        self._names = frozenset(name.strip() for name in names.split(",") if name.strip())

    def principal(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | None:
        """The regulation's principal, if the request came through the entrance with its verified certificate; else None."""
        if not self._names:
            return None
        handed = self._gateway.read(headers)
        if handed is None or not handed.certificate:
            return None
        name = certificate_name(handed.certificate)
        if name not in self._names:
            return None
        return Principal(COMMON_NAME, name.partition("/")[0], SCOPES, role="regulator", client=name)


def certificate_name(escaped_pem: str) -> str:
    """`CN/OU` of the subject of a certificate (percent-encoded PEM); empty unless it has exactly
    one of each, and no slash in the CN."""
    try:
        subject = x509.load_pem_x509_certificate(unquote(escaped_pem).encode()).subject
    except ValueError:
        return ""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    units = subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    if len(names) != 1 or len(units) != 1 or "/" in str(names[0].value):
        return ""
    return f"{names[0].value!s}/{units[0].value!s}"
