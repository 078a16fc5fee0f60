"""Who may act for whom: RelatedPerson as the pages show and write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from creneau_web.fhir.client import Fhir
from creneau_web.fhir.values import codes, entries
from creneau_web.people.identity_form import MAJORITY_YEARS, age
from creneau_web.people.model import Person
from creneau_web.people.records import person_of

OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
SCOPE, ACCEPTED = OWN + "proxy-scope", OWN + "proxy-accepted-on"
ROLE_CODE = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
SCOPES = ("see", "book", "cancel", "register")
GUARDIAN, ONESELF = "GUARD", "ONESELF"
MEMBER = "FAMMEMB"


@dataclass(frozen=True, slots=True)
class Proxy:
    """One RelatedPerson: somebody who may act for a Patient."""

    id: str
    patient: str
    """id of the Patient who is represented"""
    name: str
    scopes: tuple[str, ...]
    until: date | None
    accepted: bool
    """whether an account acts by it already"""
    live: bool
    guardian: bool
    oneself: bool
    """whether it is the account of the person themselves"""
    etag: str | None = None


def proxy_of(resource: Mapping[str, Any], today: date) -> Proxy:
    """What a RelatedPerson says."""
    extensions = resource.get("extension", ())
    end = str((resource.get("period") or {}).get("end", ""))[:10]
    until = date.fromisoformat(end) if len(end) == 10 else None
    name: Mapping[str, Any] = next(iter(resource.get("name", ())), {})
    relationships = codes(resource.get("relationship", ()), ROLE_CODE)
    version = resource.get("meta", {}).get("versionId")
    return Proxy(
        id=resource["id"],
        patient=str(resource["patient"]["reference"]).partition("/")[2],
        name=name.get("text") or " ".join([*name.get("given", ()), name.get("family", "")]).strip(),
        scopes=tuple(e["valueCode"] for e in extensions if e.get("url") == SCOPE and "valueCode" in e),
        until=until,
        accepted=any(e.get("url") == ACCEPTED for e in extensions),
        live=resource.get("active") is not False and (until is None or until >= today),
        guardian=GUARDIAN in relationships,
        oneself=ONESELF in relationships,
        etag=f'W/"{version}"' if version else None,
    )


async def proxies_of(fhir: Fhir, people: Sequence[str], today: date) -> list[Proxy]:
    """The live representations of these Patients (ids)."""
    if not people:
        return []
    patients = ",".join(f"Patient/{id_}" for id_ in people)
    bundle = await fhir.search_privately("RelatedPerson", [("patient", patients), ("_count", "100")])
    found = (proxy_of(one, today) for one in entries(bundle, "RelatedPerson"))
    return [proxy for proxy in found if proxy.live]


async def person_with_proxies(
    fhir: Fhir, id_: str, today: date, *, proxies: bool
) -> tuple[Person | None, list[Proxy]]:
    """A Patient (None if not visible) and, if `proxies` is set, the live representations of them: one search for both."""
    wanted = [("_revinclude", "RelatedPerson:patient")] if proxies else []
    bundle = await fhir.search_privately("Patient", [("_id", id_), *wanted, ("_total", "none")])
    person = next((person_of(one, fhir.at) for one in entries(bundle, "Patient") if one["id"] == id_), None)
    found = (proxy_of(one, today) for one in entries(bundle, "RelatedPerson"))
    return person, [proxy for proxy in found if proxy.live]


@dataclass(frozen=True, slots=True)
class Code:
    """A code that takes up a representation; the base shows it once."""

    code: str
    expires: str
    """instant, as the base writes it: of two, the later one works"""


async def invite(
    fhir: Fhir,
    patient: str,
    name: str,
    scopes: Sequence[str],
    today: date,
    until: date,
    *,
    key: str | None = None,
) -> Code:
    """States that somebody may act, and returns the code by which they take it up. `key`: the same for the same wish, which
    is stated once; each call gives another code. RefusedError: 403, 409 or 422 by rule."""
    said = {
        "period": {"start": today.isoformat(), "end": until.isoformat()},
        "extension": [{"url": SCOPE, "valueCode": scope} for scope in scopes],
    }
    created = await fhir.create({**_related(patient, name, MEMBER), **said}, key=key)
    return await new_code(fhir, created.resource["id"])


def may_invite_to_own(person: Person, known: Sequence[Proxy], today: date) -> bool:
    """Whether the account invites this person to an account of their own: a minor for whom it decides, and who has none.
    `known`: the live representations of the person."""
    if person.oneself or person.birth_date is None or "manage" not in person.may:
        return False
    has_own = any(proxy.oneself and proxy.accepted for proxy in known)
    return age(person.birth_date, today) < MAJORITY_YEARS and not has_own


async def invite_to_own(fhir: Fhir, person: Person, known: Sequence[Proxy]) -> Code:
    """Returns a code by which somebody represented takes up their record with an account of their own. What has been stated
    and not taken up is not stated again; its code before works no more. RefusedError: 403 or 409 by rule."""
    stands = next((proxy.id for proxy in known if proxy.oneself), None)
    if stands is None:
        stands = str((await fhir.create(_related(person.id, person.name, ONESELF))).resource["id"])
    return await new_code(fhir, stands)


def _related(patient: str, name: str, relationship: str) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "active": True,
        "patient": {"reference": f"Patient/{patient}"},
        "name": [{"text": name}],
        "relationship": [{"coding": [{"system": ROLE_CODE, "code": relationship}]}],
    }


async def new_code(fhir: Fhir, id_: str) -> Code:
    """Another code for the same representation; the one before works no more."""
    answered = await fhir.operation(f"RelatedPerson/{id_}/$invite")
    said = {parameter["name"]: parameter for parameter in answered.resource["parameter"]}
    return Code(str(said["code"]["valueString"]), str(said.get("expires", {}).get("valueInstant", "")))


async def accept(fhir: Fhir, code: str) -> None:
    """Take up what somebody has given. RefusedError (422) for a code that does not work."""
    await fhir.operation("RelatedPerson/$accept", [{"name": "code", "valueString": code}])


async def take_back(fhir: Fhir, id_: str) -> None:
    """Ends a RelatedPerson, for its patient."""
    change = {"op": "add", "path": "/active", "value": False}
    await fhir.patch("RelatedPerson", id_, [change])


async def renounce(fhir: Fhir, id_: str) -> None:
    """Ends a RelatedPerson, for who acts by it."""
    await fhir.operation(f"RelatedPerson/{id_}/$renounce")
