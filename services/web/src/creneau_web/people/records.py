"""Reading and writing Patients: what a person says of themselves, and nothing that only staff may say."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import orjson

from creneau_shared.contact_points import Phone, phone_of
from creneau_shared.fhir.current import current
from creneau_web.fhir.client import Fhir
from creneau_web.fhir.refusal import RefusedError
from creneau_web.fhir.values import codes, contact, entries
from creneau_web.people.model import Acting, Person

LANGUAGE = "urn:ietf:bcp:47"
BIRTH_DATE_LENGTH = 10
PEOPLE_MAX = "50"
NOT_THERE = 404
NUMBERS = ("phone", "sms")
MOBILE = "mobile"
"""use of a ContactPoint"""


async def people_of(fhir: Fhir) -> list[Person]:
    """Everybody whom the account may see as a Patient: the person themselves first, then those whom they represent."""
    query = [("_sort", "_id"), ("_count", PEOPLE_MAX), ("_total", "none")]
    bundle, acting = await asyncio.gather(fhir.search_privately("Patient", query), _acting_for(fhir))
    found = [person_of(patient, fhir.at) for patient in entries(bundle, "Patient")]
    if acting is None:
        return [replace(person, oneself=person is found[0]) for person in found]
    by_id = {one.id: one for one in acting}
    known = [_acted_for(person, by_id[person.id]) for person in found if person.id in by_id]
    return sorted(known, key=lambda person: not person.oneself)


async def represented(fhir: Fhir) -> list[Acting]:
    """The same people without their records, the person themselves first."""
    acting = await _acting_for(fhir)
    if acting is None:
        return [Acting(one.id, one.oneself, one.may, one.by) for one in await people_of(fhir)]
    return acting


async def _acting_for(fhir: Fhir) -> list[Acting] | None:
    """For whom the account acts, the person themselves first (`$acting-for`); None where the base does not tell."""
    try:
        answered = await fhir.operation("Patient/$acting-for")
    except RefusedError as error:
        if error.refusal.status != NOT_THERE:
            raise
        return None
    found = [_acting(parameter.get("part", ())) for parameter in answered.resource.get("parameter", ())]
    return sorted(found, key=lambda one: not one.oneself)


def _acting(parts: Sequence[Mapping[str, Any]]) -> Acting:
    patient = next(str(p["valueReference"]["reference"]) for p in parts if p["name"] == "patient")
    by = next((str(p["valueReference"]["reference"]) for p in parts if p["name"] == "by"), None)
    return Acting(
        patient.removeprefix("Patient/"),
        any(p.get("valueBoolean") is True for p in parts if p["name"] == "oneself"),
        frozenset(str(p["valueCode"]) for p in parts if p["name"] == "may"),
        by.removeprefix("RelatedPerson/") if by else None,
    )


def _acted_for(person: Person, acting: Acting) -> Person:
    return replace(person, oneself=acting.oneself, may=acting.may, by=acting.by)


async def person(fhir: Fhir, id_: str) -> Person:
    """One of them, with the version that was read. RefusedError (404) for anybody else."""
    read = await fhir.read("Patient", id_)
    return person_of(read.resource, fhir.at, read.etag)


async def register(fhir: Fhir, resource: Mapping[str, Any]) -> Person:
    """A new Patient of the account. The same words register once, however often the form is sent."""
    key = hashlib.sha256(orjson.dumps(resource)).hexdigest()
    created = await fhir.create(dict(resource), key=f"register-{key}")
    return person_of(created.resource, fhir.at, created.etag)


async def correct(
    fhir: Fhir, id_: str, etag: str | None, *, usual_name: str, email: str, phone: str, language: str
) -> None:
    """Change what a person may say of themselves, and leave the rest as it was read. RefusedError: 412 when somebody
    else changed it meanwhile, 422 for a contact that is none."""
    resource = (await fhir.read("Patient", id_)).resource
    await fhir.update(corrected(resource, fhir.at, usual_name, email, phone, language), etag=etag)


def corrected(
    patient: Mapping[str, Any], at: datetime, usual_name: str, email: str, phone: str, language: str
) -> dict[str, Any]:
    """The Patient with these in the place of what it said before; other contacts and names stay."""
    telecom = list(patient.get("telecom", ()))
    for system, value in (("email", email), ("phone", phone)):
        telecom = _with_contact(telecom, at, system, value)
    changed = {
        **patient,
        "name": _with_usual_name(patient.get("name", ()), at, usual_name),
        "telecom": telecom,
        "communication": _with_preferred(patient, language),
    }
    return {name: value for name, value in changed.items() if value != []}


def _with_usual_name(names: Sequence[dict[str, Any]], at: datetime, family: str) -> list[dict[str, Any]]:
    """The names, with this family name in the present usual one; the first name in use stays. An entry that then says no
    more than the official name is left out."""
    present = current(names, at)
    official = next((n for n in present if n.get("use") == "official"), present[0] if present else {})
    usual = next((n for n in present if n.get("use") == "usual"), None)
    if usual is not None and usual.get("family", "") == family:
        return list(names)
    given = {"given": official["given"]} if official.get("given") else {}
    kept = given if usual is None else {n: v for n, v in usual.items() if n not in ("use", "family", "text")}
    if family and family != official.get("family"):
        instead = [{"use": "usual", "family": family, **kept}]
    else:
        instead = [{"use": "usual", **kept}] if kept not in ({}, given) else []
    if usual is None:
        return [*names, *instead]
    return [one for name in names for one in (instead if name is usual else [name])]


def _with_preferred(patient: Mapping[str, Any], language: str) -> list[Mapping[str, Any]]:
    """The languages a person speaks, with the one of messages preferred; as they are if messages are in it already."""
    spoken = list(patient.get("communication", ()))
    if spoken and _language(patient) == language:
        return spoken
    others = [{n: v for n, v in one.items() if n != "preferred"} for one in spoken]
    known = next((one for one in others if language in codes([one.get("language", {})], LANGUAGE)), None)
    preferred = _spoken(language) if known is None else {**known, "preferred": True}
    return [preferred, *(one for one in others if one is not known)]


def _with_contact(telecom: list[Any], at: datetime, system: str, value: str) -> list[Any]:
    """The contacts, with the present one of a system replaced, added or removed. What it was said to be for stays."""
    held = next((t for t in current(telecom, at) if t.get("system") == system and t.get("value")), None)
    if held is None:
        return [*telecom, _contact(system, value)] if value else telecom
    kept = {n: v for n, v in held.items() if not (n == "use" and v == MOBILE)}
    instead = [{**_contact(system, value), **kept, "value": value}] if value else []
    return [one for t in telecom for one in (instead if t is held else [t])]


def _contact(system: str, value: str) -> dict[str, Any]:
    """A contact as it was typed, `mobile` if its number takes text messages: a person is not asked what it is for."""
    contact = {"system": system, "value": value}
    return {**contact, "use": MOBILE} if _mobile(contact) is not None else contact


def _spoken(language: str) -> dict[str, Any]:
    return {"language": {"coding": [{"system": LANGUAGE, "code": language}]}, "preferred": True}


def person_of(patient: Mapping[str, Any], at: datetime, etag: str | None = None) -> Person:
    """What a Patient says at an instant; ended names and contacts are not used."""
    names = current(patient.get("name", ()), at)
    official = next((n for n in names if n.get("use") == "official"), names[0] if names else {})
    usual: Mapping[str, Any] = next((n for n in names if n.get("use") == "usual"), {})
    telecom = current(patient.get("telecom", ()), at)
    born = patient.get("birthDate", "")
    return Person(
        id=patient["id"],
        given=next(iter(usual.get("given") or official.get("given") or ()), ""),
        birth_name=official.get("family", ""),
        usual_name=usual.get("family"),
        birth_date=date.fromisoformat(born) if len(born) == BIRTH_DATE_LENGTH else None,
        email=contact(telecom, "email"),
        phone=contact(telecom, "phone"),
        mobiles=tuple(phone for one in telecom if (phone := _mobile(one)) is not None),
        etag=etag,
        language=_language(patient),
    )


def _mobile(telecom: Mapping[str, Any]) -> Phone | None:
    """The number of a contact, if it takes text messages."""
    phone = phone_of(telecom.get("value", "")) if telecom.get("system") in NUMBERS else None
    return phone if phone is not None and phone.takes_texts else None


def _language(patient: Mapping[str, Any]) -> str:
    """The language that messages are written in: `fr` unless the record prefers another."""
    spoken = sorted(patient.get("communication", ()), key=lambda one: not one.get("preferred", False))
    found = codes([one.get("language", {}) for one in spoken], LANGUAGE)
    return "en" if found and found[0].startswith("en") else "fr"


def patient(
    *,
    given: str,
    birth_name: str,
    usual_name: str,
    birth_date: date,
    email: str,
    phone: str,
    language: str,
    gender: str | None = None,
) -> dict[str, Any]:
    """The Patient that a form describes. The identity stays provisional: a practice verifies it."""
    names: list[dict[str, Any]] = [{"use": "official", "family": birth_name, "given": [given]}]
    if usual_name and usual_name != birth_name:
        names.append({"use": "usual", "family": usual_name, "given": [given]})
    telecom = [
        *([_contact("email", email)] if email else []),
        *([_contact("phone", phone)] if phone else []),
    ]
    return {
        "resourceType": "Patient",
        "active": True,
        "name": names,
        "birthDate": birth_date.isoformat(),
        "telecom": telecom,
        "communication": [_spoken(language)],
        **({"gender": gender} if gender else {}),
    }
