"""For whom a request counts.

| who asks | counted for | limits |
|---|---|---|
| without a token | the address (an IPv6 network of /64), hashed | `anonymous_…` |
| a patient's token | the account (issuer and subject) | `patient_…` |
| a professional's, counsellor's, operator's | the account, and the OAuth client | `staff_…`, `software_…` |
| a software's | the OAuth client, else the account | `software_…` |
| `system` | the account | `system_…` (none) |

A patient's request does not count for the OAuth client: one client may be the portal of the whole country.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from creneau_shared.security.principal import Principal, Role
from creneau_shared.settings import ServiceSettings

Standing = Literal["anonymous", "patient", "staff", "software", "system"]

UNKNOWN_ADDRESS: Final = "unknown"

_OF_ROLE: Final[Mapping[Role, Standing]] = {
    "public": "patient",  # the lowest standing with a token
    "patient": "patient",
    "practitioner": "staff",
    "secretary": "staff",
    "counsellor": "staff",
    "regulator": "staff",
    "operator": "staff",
    "software": "software",
    "system": "system",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """`burst` units at once, then `per_s` a second; no limit when `per_s` is 0."""

    name: str
    per_s: float
    burst: int


@dataclass(frozen=True, slots=True)
class Counted:
    """One party for whom a request counts: a key that does not reveal it, and the limit."""

    key: bytes
    limit: Limit


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, for the limits: standing, and the parties for whom the request counts."""

    standing: Standing
    counted: tuple[Counted, ...]


class Callers:
    """Distinguishes callers without keeping who they are. One a process."""

    def __init__(self, secret: str, limits: Mapping[Standing, Limit]) -> None:
        """`secret`: shared by the processes that count together; empty: this process counts for itself."""
        self._secret = (secret.encode() or secrets.token_bytes(32))[:64]
        self._limits = limits

    @classmethod
    def of(cls, settings: ServiceSettings) -> Callers:
        """Built from a service's settings."""
        standings: tuple[Standing, ...] = get_args(Standing)
        return cls(
            settings.cursor_secret,
            {
                standing: Limit(
                    standing,
                    getattr(settings, f"{standing}_requests_per_s"),
                    getattr(settings, f"{standing}_requests_burst"),
                )
                for standing in standings
            },
        )

    def caller(self, principal: Principal, address: str | None) -> Caller:
        """The caller of a request. `address`: the client's, from the entrance (`gateway_headers`)."""
        standing = standing_of(principal)
        account = ("account", principal.issuer, principal.subject)
        software = ("client", principal.issuer, principal.client) if principal.client else None
        names: dict[tuple[str, ...], Limit]
        if standing == "anonymous":
            names = {("address", network_of(address)): self._limits["anonymous"]}
        elif standing == "software":
            names = {software or account: self._limits["software"]}
        elif standing == "staff" and software:
            names = {account: self._limits["staff"], software: self._limits["software"]}
        else:
            names = {account: self._limits[standing]}
        return Caller(standing, tuple(Counted(self.key(*name), limit) for name, limit in names.items()))

    def network(self, address: str | None) -> bytes | None:
        """The key of the network from which a request comes, whatever its token; `address` as in `caller`. None where
        nobody says from where: that is not one network, but everybody's."""
        network = network_of(address)
        return None if network == UNKNOWN_ADDRESS else self.key("address", network)

    def key(self, *name: str) -> bytes:
        """The keyed hash of a name, for counting and storing: without the secret nobody can tell whose it is."""
        said = "\0".join(name).encode("utf-8", "surrogateescape")
        return hashlib.blake2b(said, digest_size=16, key=self._secret, person=b"limits").digest()


def standing_of(principal: Principal) -> Standing:
    """The standing of a caller: anonymous, or by role."""
    return "anonymous" if principal.anonymous else _OF_ROLE[principal.role]


def network_of(address: str | None) -> str:
    """The network for which an address counts: the IPv4 address itself; for IPv6 its /64, which one household has."""
    try:
        parsed = ipaddress.ip_address((address or "").strip().partition("%")[0])
    except ValueError:
        return UNKNOWN_ADDRESS
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
