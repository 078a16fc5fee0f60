"""Accounts of the regulators of unscheduled care: what one must say (SAS, INT_R02; profile FrPractitionerRegul)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from creneau_shared.errors import Issue

SOURCE = "urn:oid:1.2.250.1.213.3.6"
"""`meta.source` of every account, and the system of the numbers that SAS gives itself"""
PROFILE = "https://interop.esante.gouv.fr/ig/fhir/sas/StructureDefinition/FrPractitionerRegul"
NATIONAL = "urn:oid:1.2.250.1.71.4.2.1"
TYPES = {NATIONAL: "IDNPS", SOURCE: "INTRN"}
"""System of an account's number → the code of its type."""


def is_account(practitioner: Mapping[str, Any]) -> bool:
    """Whether a Practitioner says that it is one."""
    meta = practitioner.get("meta", {})
    return meta.get("source") == SOURCE or PROFILE in meta.get("profile", ())


def numbers_of(practitioner: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Its numbers, national and of SAS, by which no other account is known: (system, value), in one order for all."""
    identifiers = practitioner.get("identifier", ())
    return sorted(
        {(i["system"], i["value"]) for i in identifiers if i.get("system") in TYPES and i.get("value")}
    )


def without_numbers(practitioner: Mapping[str, Any], numbers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The account once these numbers are another's."""
    gone = set(numbers)
    kept = [i for i in practitioner["identifier"] if (i.get("system"), i.get("value")) not in gone]
    rest = {name: value for name, value in practitioner.items() if name != "identifier"}
    return rest | ({"identifier": kept} if kept else {})


def account_issues(practitioner: Mapping[str, Any]) -> Iterator[Issue]:
    """What an account lacks, each with the element where it is missing."""
    if "active" not in practitioner:
        yield _missing("active", "s'il est actif (active)", "whether it is active")
    yield from _identifier_issues(practitioner.get("identifier", ()))
    names = practitioner.get("name", ())
    if not names:
        yield _missing("name", "un nom (name)", "a name")
    for index, name in enumerate(names):
        if not _says(name.get("family")):
            yield _missing(f"name[{index}].family", "un nom de famille", "a family name")
        if len(name.get("given", ())) != 1 or not _says(name["given"][0]):
            yield _missing(f"name[{index}].given", "un prénom, et un seul", "one given name and no more")
    points = practitioner.get("telecom", ())
    if not points:
        yield _missing("telecom", "une adresse électronique (telecom)", "an e-mail address (telecom)")
    for index, point in enumerate(points):
        if point.get("system") != "email":
            yield _wrong(
                f"telecom[{index}].system",
                "ne connaît que le moyen « email »",
                "knows no other system than email",
            )
        elif "@" not in str(point.get("value", "")).strip("@ "):
            yield _missing(f"telecom[{index}].value", "une adresse électronique", "an e-mail address")


def _identifier_issues(identifiers: Iterable[Mapping[str, Any]]) -> Iterator[Issue]:
    known = 0
    for index, identifier in enumerate(identifiers):
        at, system = f"identifier[{index}]", identifier.get("system", "")
        if not _says(system):
            yield _missing(
                f"{at}.system", "le système de chaque identifiant", "the system of each identifier"
            )
        if not _says(identifier.get("value")):
            yield _missing(f"{at}.value", "la valeur de chaque identifiant", "the value of each identifier")
        codes = {coding.get("code") for coding in identifier.get("type", {}).get("coding", ())}
        if system not in TYPES and not codes & {*TYPES.values()}:
            continue
        known += 1
        if codes != {TYPES.get(system)}:
            yield _wrong(
                f"{at}.type",
                "type chaque identifiant selon son système : IDNPS (national) ou INTRN (du SAS)",
                "types each identifier by its system: IDNPS (national) or INTRN (of SAS)",
            )
        elif system == SOURCE and not _is_uuid(identifier.get("value", "")):
            yield _wrong(
                f"{at}.value",
                "prend un UUID pour identifiant du SAS",
                "takes a UUID for an identifier of SAS",
            )
    if not known:
        yield _missing(
            "identifier", "un identifiant, national ou du SAS", "an identifier, national or of SAS"
        )


def _says(text: object) -> bool:
    return isinstance(text, str) and bool(text.strip())


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def _missing(element: str, fr: str, en: str) -> Issue:
    return Issue(
        "required",
        f"Un compte de régulateur du SAS doit indiquer {fr}.",
        f"A SAS regulator's account must give {en}.",
        (f"Practitioner.{element}",),
        details_code="regulator-account",
    )


def _wrong(element: str, fr: str, en: str) -> Issue:
    return Issue(
        "value",
        f"Un compte de régulateur du SAS {fr}.",
        f"A SAS regulator's account {en}.",
        (f"Practitioner.{element}",),
        details_code="regulator-account",
    )
