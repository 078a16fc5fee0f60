"""Renders resources of the SAS family from neutral ones: one function each, None if the profile cannot be met.

Members are those of the official examples, which is all that the profiles' graph needs: what a professional's
software stores beyond them (narratives, notes, extensions of FR Core 2) stays here. Nothing empty is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any

from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.views.sas import codes
from creneau_booking.views.sas.identifiers import (
    person_number,
    structure_number,
)
from creneau_booking.views.sas.phones import international
from creneau_shared.fhir.current import is_active
from creneau_shared.fhir.datatypes import instant_of
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.terminology import value_set_codes
from creneau_shared.national_numbers import NATIONAL_PERSON, NATIONAL_STRUCTURE
from creneau_shared.postal_codes import postal_code

_WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*")


def slot(stored: Resource, visibilities: frozenset[str] = codes.VISIBILITIES) -> Resource | None:
    """Returns FrSlotAgregateur of a free slot; None unless it has visibility labels, all of them in `visibilities`. Visit
    types stay coded, other service types become words, unless they name a structure."""
    labels = visibility(stored)
    if not labels or not labels <= visibilities or stored.get("status") != "free":
        return None
    return resource(
        stored,
        codes.SLOT,
        security=[{"system": SLOT_TYPE_SYSTEM, "code": label["code"]} for label in _labels(stored)],
        serviceCategory=stored.get("serviceCategory", [])[:1],
        serviceType=_coded_or_said(_service_types(stored), codes.VISITS),
        specialty=specialties(stored),
        appointmentType=_appointment_type(stored.get("appointmentType", {})),
        schedule=stored["schedule"],
        status="free",
        start=sas_instant(stored["start"]),
        end=sas_instant(stored["end"]),
        comment=_agenda_address(stored.get("comment", "")),
    )


def _service_types(stored: Resource) -> list[Resource]:
    """Returns the service types; of those that name a structure, by its category or, of a slot that CPTS share, by a reference,
    the visit types alone: their words are no reason for a visit."""
    is_shared = codes.CPTS_VISIBILITY in visibility(stored)
    return [
        {"coding": within(concept, codes.VISITS)} if _names_structure(concept, is_shared) else concept
        for concept in stored.get("serviceType", [])
    ]


def _names_structure(concept: Resource, is_shared: bool) -> bool:
    has_category = any(one.get("system") == codes.STRUCTURE_CATEGORY for one in concept.get("coding", []))
    refers = any(one.get("url") == codes.SERVICE_REFERENCE for one in concept.get("extension", []))
    return has_category or (is_shared and refers)


def visibility(stored: Resource) -> frozenset[str]:
    """Returns to whom a slot is open: its TRE_R314 codes; a label of another system counts as an unknown code."""
    return frozenset(
        label.get("code", "") if label.get("system") == SLOT_TYPE_SYSTEM else f"?{label.get('system')}"
        for label in _labels(stored)
    )


def _labels(stored: Resource) -> list[Resource]:
    labels: list[Resource] = stored.get("meta", {}).get("security", [])
    return labels


def schedule(stored: Resource, practitioner: str, role: str) -> Resource:
    """Returns FrScheduleAgregateur: professional and role (two references), and nothing that FR Core 2 forbids or adds."""
    return resource(stored, codes.SCHEDULE, actor=[{"reference": practitioner}, {"reference": role}])


def practitioner(stored: Resource) -> Resource | None:
    """Returns FrPractitionerAgregateur; None for a professional who has left or has no national number."""
    number = person_number(stored.get("identifier", []))
    if number is None or stored.get("active") is False:
        return None
    kind = {"coding": [{"system": codes.IDENTIFIER_TYPE, "code": "IDNPS"}]}
    return resource(
        stored,
        codes.PRACTITIONER,
        identifier=[{"type": kind, "system": NATIONAL_PERSON, "value": number}],
        name=[_name(name) for name in stored.get("name", [])],
        telecom=phones(stored),
    )


def role(
    stored: Resource,
    practitioner: str,
    place: Resource,
    organization: Resource | None,
    phones_there: Sequence[Resource] = (),
) -> Resource | None:
    """Returns FrPractitionerRoleExerciceAgregateur with `place`, a FrLocationAgregateur, contained; None if inactive.

    `organization` is the Organization that the role refers to, if it is known; an identifier in the reference
    itself comes first. `phones_there`: the place's telephone numbers, sent if the role has none: the Annuaire Santé gives
    them with the place alone, whose profile takes none.
    """
    if stored.get("active") is False:
        return None
    return resource(
        stored,
        codes.ROLE,
        contained=[place],
        practitioner={"reference": practitioner},
        organization=_structure(stored.get("organization", {}), organization),
        specialty=specialties(stored),
        location=[{"reference": f"#{place['id']}"}],
        telecom=phones(stored) or list(phones_there),
    )


def location(stored: Resource, system: str) -> Resource | None:
    """Returns FrLocationAgregateur, to be contained; None if its address is not complete, or the place is not active.

    A place without an identifier that the profile takes gets its id, as an internal one of `system`.
    """
    address = stored.get("address", {})
    line = ", ".join(address.get("line", []))
    city, code = address.get("city"), postal_code(address.get("postalCode", ""))
    if not (line and city and code) or not is_active(stored):
        return None
    identifiers = [kept for given in stored.get("identifier", []) if (kept := place_identifier(given))]
    return resource(
        stored,
        codes.LOCATION,
        identifier=identifiers or [place_number("INTRN", system, stored["id"])],
        name=stored.get("name"),
        address={"line": [line], "city": city, "postalCode": code},
    )


def specialties(stored: Resource) -> list[Resource]:
    """Returns the specialities: TRE_R38 codes that the profiles take; anything else becomes words."""
    return _coded_or_said(stored.get("specialty", []), codes.ORDINAL_SPECIALTIES)


def phones(stored: Resource) -> list[Resource]:
    """Returns the telephone numbers in international form; addresses, and numbers without that form, are left out."""
    return [
        {"system": "phone", "value": number}
        for point in stored.get("telecom", [])
        if point.get("system") == "phone" and (number := international(point.get("value", "")))
    ]


def sas_instant(text: str) -> str:
    """Returns an instant as `2021-11-05T09:00:00.000+00:00`: milliseconds always, the offset of UTC in digits."""
    return instant_of(text).astimezone(UTC).isoformat(timespec="milliseconds")


def compact(**members: Any) -> Resource:
    """Returns the members that are not empty: FHIR JSON has nothing empty."""
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}


def resource(
    stored: Resource, profile: str, *, security: Sequence[Resource] = (), **members: Any
) -> Resource:
    """Returns a resource of the profile with the type and id of `stored`, these labels (meta.security), and the members that
    are not empty."""
    meta = compact(profile=[profile], security=list(security))
    head = {"resourceType": stored["resourceType"], "id": stored["id"], "meta": meta}
    return head | compact(**members)


def _coded_or_said(concepts: Iterable[Resource], value_set: str) -> list[Resource]:
    """Returns the concepts with their codes from the value set; a concept without such a code becomes words."""
    found = []
    for concept in concepts:
        taken = within(concept, value_set)
        text = concept.get("text") or (None if taken else _first_display(concept))
        if written := compact(coding=taken, text=text):
            found.append(written)
    return found


def within(concept: Resource, value_set: str) -> list[Resource]:
    """Returns a concept's codings in the value set: another one, under a required binding, would cost the whole answer."""
    members = value_set_codes(value_set) or frozenset()
    return [
        coding
        for coding in concept.get("coding", [])
        if (coding.get("system", ""), coding.get("code", "")) in members
    ]


def _first_display(concept: Resource) -> str | None:
    return next((coding["display"] for coding in concept.get("coding", []) if coding.get("display")), None)


def _appointment_type(concept: Resource) -> Resource:
    """Returns WALKIN (no booking) or ROUTINE, which v2-0276 defines as the default."""
    for coding in concept.get("coding", []):
        if coding.get("system") == codes.APPOINTMENT_TYPE and coding.get("code") in ("ROUTINE", "WALKIN"):
            return {"coding": [coding]}
    return {"coding": [{"system": codes.APPOINTMENT_TYPE, "code": "ROUTINE"}]}


def _agenda_address(comment: str) -> str | None:
    """Returns the comment if it is the agenda's web address, as the SAS uses it; None for a note."""
    return comment.strip() if _WEB_ADDRESS.fullmatch(comment.strip()) else None


def _name(name: Resource) -> Resource:
    kept = ("use", "text", "family", "given", "suffix")
    return compact(**{k: name.get(k) for k in kept}, prefix=name.get("prefix", [])[:1])


def _structure(reference: Resource, organization: Resource | None) -> Resource | None:
    """Returns a reference to the structure by its national number alone; None if it has none."""
    given = [reference["identifier"]] if "identifier" in reference else []
    number = structure_number(given) or structure_number((organization or {}).get("identifier", []))
    if number is None:
        return None
    kind = {"coding": [{"system": codes.IDENTIFIER_TYPE, "code": "IDNST"}]}
    return {"identifier": {"type": kind, "system": NATIONAL_STRUCTURE, "value": number}}


def place_identifier(given: Resource) -> Resource | None:
    """Returns a place's identifier, of either FR Core, in the coding of FR Core 1.1.0; None if its type has no such code."""
    system, value = given.get("system"), given.get("value")
    for coding in given.get("type", {}).get("coding", []):
        if system and value and coding.get("code") in codes.LOCATION_IDENTIFIER_CODES:
            return place_number(coding["code"], system, value)
    return None


def place_number(code: str, system: str, value: str) -> Resource:
    """Returns an Identifier of a place, whose `code` (of LOCATION_IDENTIFIER_TYPE) says of which kind it is."""
    kind = {"coding": [{"system": codes.LOCATION_IDENTIFIER_TYPE, "code": code}]}
    return {"type": kind, "system": system, "value": value}
