"""The national identity (INS) of a person: the form of its number; how INS and contact addresses are compared."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from stdnum.fr import nir

from creneau_booking.domain.own_words import is_stated_unverified
from creneau_booking.domain.refusals.people import InsFault
from creneau_shared.contact_points import mended
from creneau_shared.ins import INS_SYSTEMS, plain_ins

INS_CHARS = 13
"""the identifying part; the two digits after it are its key"""
_INS_FORM = re.compile(r"[1-8][0-9]{4}([0-9]{2}|2[AB])[0-9]{6}([0-9]{2})?", re.ASCII)
"""sex (7, 8: provisional), year, month, place of birth (2A, 2B: Corsica), rank; then the key, where it is given"""
FR_CORE = "https://hl7.fr/ig/fhir/core/"
"""the prefix of the URLs of FR Core's profiles"""

AddressKind = Literal["email", "phone"]
ADDRESS_KINDS: Mapping[str, AddressKind] = {"email": "email", "phone": "phone", "sms": "phone"}
"""ContactPoint.system → kind of address."""


def ins_of(patient: Mapping[str, Any] | None) -> frozenset[bytes]:
    """The INS that the Patient holds, each as SHA-256. An inactive Patient holds none."""
    if patient is None or patient.get("active") is False:
        return frozenset()
    return frozenset(
        _digest(identifier["system"], re.sub(r"[^0-9A-Z]", "", identifier["value"].upper())[:INS_CHARS])
        for identifier in patient.get("identifier", ())
        if identifier.get("system") in INS_SYSTEMS and identifier.get("value")
    )


def ins_faults(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> Iterator[tuple[int, InsFault]]:
    """Yields each identifier (index) that is given as an INS and cannot be one. "form": not thirteen characters, or fifteen
    with the key; "key": a wrong key. Identifiers that `before` had already are not checked."""
    stood = {_spelled(identifier) for identifier in (before or {}).get("identifier", ())}
    for index, identifier in enumerate(after.get("identifier", ())):
        if identifier.get("system") not in INS_SYSTEMS or "value" not in identifier:
            continue
        system, value = _spelled(identifier)
        if (system, value) in stood:
            continue
        if not _INS_FORM.fullmatch(value):
            yield index, "form"
        elif value[INS_CHARS:] not in ("", nir.calc_check_digits(value)):
            yield index, "key"


def with_plain_ins(patient: Mapping[str, Any]) -> dict[str, Any]:
    """The Patient with each INS in the spelling that is searched: without blanks, its letter a capital."""
    if not any(identifier.get("system") in INS_SYSTEMS for identifier in patient.get("identifier", ())):
        return dict(patient)
    identifiers = [
        {**identifier, "value": _spelled(identifier)[1]}
        if identifier.get("system") in INS_SYSTEMS and "value" in identifier
        else identifier
        for identifier in patient["identifier"]
    ]
    return {**patient, "identifier": identifiers}


def claims_fr_core(patient: Mapping[str, Any]) -> bool:
    """Whether the Patient claims to follow a profile of FR Core."""
    return any(str(profile).startswith(FR_CORE) for profile in patient.get("meta", {}).get("profile", ()))


def unverified_official_ins(patient: Mapping[str, Any]) -> int | None:
    """Index of an INS with use `official` though the identity's stated status is not validated (PROV, VIDE …): the
    referential allows an INS for a validated identity only (docs/checklists.md, 6.7.14)."""
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
    """The Patient's addresses, in the spelling in which they are compared."""
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
    """The digest that is kept of a Patient's vouched-for address: the address cannot be read from it."""
    return _digest(patient_id, kind, address)


def _spelled(identifier: Mapping[str, Any]) -> tuple[str, str]:
    """System and value of an identifier, the value as an INS is spelled."""
    return identifier.get("system", ""), plain_ins(identifier.get("value", ""))


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\n".join(parts).encode()).digest()
