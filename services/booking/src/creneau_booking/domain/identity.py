"""The national identity (INS) of a person, and the addresses at which they are reached, as they are compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Literal

from creneau_booking.domain.own_words import is_stated_unverified
from creneau_shared.contact_points import mended

INS_SYSTEMS = frozenset(f"urn:oid:1.2.250.1.213.1.4.{number}" for number in (8, 9, 10, 11))
"""INS-NIR and INS-NIA, and the NIR of tests and of demonstrations (referential INS, FR Core patient-ins)."""
INS_CHARS = 13
"""what identifies; the two digits after it are its key"""

AddressKind = Literal["email", "phone"]
ADDRESS_KINDS: Mapping[str, AddressKind] = {"email": "email", "phone": "phone", "sms": "phone"}
"""ContactPoint.system → what is reached by it."""


def ins_of(patient: Mapping[str, Any] | None) -> frozenset[bytes]:
    """The INS that the Patient holds, each as SHA-256. One that is no longer in use holds none."""
    if patient is None or patient.get("active") is False:
        return frozenset()
    return frozenset(
        _digest(identifier["system"], re.sub(r"[^0-9A-Z]", "", identifier["value"].upper())[:INS_CHARS])
        for identifier in patient.get("identifier", ())
        if identifier.get("system") in INS_SYSTEMS and identifier.get("value")
    )


def unverified_official_ins(patient: Mapping[str, Any]) -> int | None:
    """Which identifier is an INS called official, though the identity is stated not to be validated (PROV, VIDE …): the
    referential knows an INS only of a validated identity (french.md, check 6.7.14)."""
    if not is_stated_unverified(patient):
        return None
    return next(
        (
            index
            for index, identifier in enumerate(patient.get("identifier", ()))
            if identifier.get("system") in INS_SYSTEMS and identifier.get("use") == "official"
        ),
        None,
    )


def addresses_of(patient: Mapping[str, Any] | None) -> frozenset[tuple[AddressKind, str]]:
    """The addresses that the Patient has, in the spelling in which they are compared."""
    return frozenset(
        (kind, spelled(kind, telecom["value"]))
        for telecom in (patient or {}).get("telecom", ())
        if (kind := ADDRESS_KINDS.get(telecom.get("system", ""))) and telecom.get("value")
    )


def spelled(kind: AddressKind, address: str) -> str:
    """One spelling for an address: small letters; a French number with its country."""
    if kind == "email":
        return mended(address).lower()
    digits = re.sub(r"[^0-9+]", "", address.replace("(0)", ""))
    return re.sub(r"^0(?=[1-9][0-9]{8}$)", "+33", re.sub(r"^00", "+", digits))


def address_digest(patient_id: str, kind: AddressKind, address: str) -> bytes:
    """What is kept of an address of a Patient that somebody answers for: nothing that could be read."""
    return _digest(patient_id, kind, address)


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\n".join(parts).encode()).digest()
