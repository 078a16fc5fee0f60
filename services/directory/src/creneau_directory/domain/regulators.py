"""Accounts of the regulators of unscheduled care: what each must have (SAS, INT_R02; profile FrPractitionerRegul)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from creneau_directory.domain.refusals import AccountLacks
from creneau_shared.national_numbers import spellings

SOURCE = "urn:oid:1.2.250.1.213.3.6"
"""`meta.source` of every account, and the system of SAS's own numbers"""
PROFILE = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/FrPractitionerRegul"
NATIONAL = "urn:oid:1.2.250.1.71.4.2.1"
TYPES = {NATIONAL: "IDNPS", SOURCE: "INTRN"}
"""System of an account's number → the code of its type."""


def is_account(practitioner: Mapping[str, Any]) -> bool:
    """Whether a Practitioner says that it is a regulator's account."""
    meta = practitioner.get("meta", {})
    return meta.get("source") == SOURCE or PROFILE in meta.get("profile", ())


def as_account(practitioner: Mapping[str, Any]) -> dict[str, Any]:
    """The account with the source that every account has, by which others know it as one."""
    return {**practitioner, "meta": {**practitioner.get("meta", {}), "source": SOURCE}}


def numbers_of(practitioner: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sorted numbers, national and of SAS, that only this account may have: (system, value), in every spelling."""
    identifiers = practitioner.get("identifier", ())
    own = ((i["system"], i["value"]) for i in identifiers if i.get("system") in TYPES and i.get("value"))
    return sorted({spelled for number in own for spelled in spellings(*number)})


def without_numbers(practitioner: Mapping[str, Any], numbers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The account without these numbers, which another account takes over."""
    gone = set(numbers)
    kept = [i for i in practitioner["identifier"] if (i.get("system"), i.get("value")) not in gone]
    rest = {name: value for name, value in practitioner.items() if name != "identifier"}
    return rest | ({"identifier": kept} if kept else {})


def account_lacks(practitioner: Mapping[str, Any]) -> Iterator[AccountLacks]:
    """Yields what is missing or wrong in an account, with its element."""
    if "active" not in practitioner:
        yield AccountLacks("active", "activity")
    yield from _identifier_lacks(practitioner.get("identifier", ()))
    names = practitioner.get("name", ())
    if not names:
        yield AccountLacks("name", "name")
    for index, name in enumerate(names):
        if not _says(name.get("family")):
            yield AccountLacks(f"name[{index}].family", "family")
        if len(name.get("given", ())) != 1 or not _says(name["given"][0]):
            yield AccountLacks(f"name[{index}].given", "given")
    points = practitioner.get("telecom", ())
    if not points:
        yield AccountLacks("telecom", "telecom")
    for index, point in enumerate(points):
        if point.get("system") != "email":
            yield AccountLacks(f"telecom[{index}].system", "means")
        elif "@" not in str(point.get("value", "")).strip("@ "):
            yield AccountLacks(f"telecom[{index}].value", "email")


def _identifier_lacks(identifiers: Iterable[Mapping[str, Any]]) -> Iterator[AccountLacks]:
    known = 0
    for index, identifier in enumerate(identifiers):
        at, system = f"identifier[{index}]", identifier.get("system", "")
        if not _says(system):
            yield AccountLacks(f"{at}.system", "system")
        if not _says(identifier.get("value")):
            yield AccountLacks(f"{at}.value", "value")
        codes = {coding.get("code") for coding in identifier.get("type", {}).get("coding", ())}
        if system not in TYPES and not codes & {*TYPES.values()}:
            continue
        known += 1
        if codes != {TYPES.get(system)}:
            yield AccountLacks(f"{at}.type", "type")
        elif system == SOURCE and not _is_uuid(identifier.get("value", "")):
            yield AccountLacks(f"{at}.value", "uuid")
    if not known:
        yield AccountLacks("identifier", "identifier")


def _says(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
