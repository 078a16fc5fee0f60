"""What the story reads out of FHIR resources."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from deploy.demo.story.errors import StoryError

Resource = dict[str, Any]


def entries(bundle: Resource, resource_type: str, mode: str | None = None) -> list[Resource]:
    """The resources of a type in a Bundle; with `mode`, only those found (match) or brought (include)."""
    return [
        entry["resource"]
        for entry in bundle.get("entry", [])
        if entry.get("resource", {}).get("resourceType") == resource_type
        and (mode is None or entry.get("search", {}).get("mode", "match") == mode)
    ]


def next_page(bundle: Resource) -> str | None:
    """The address of the page after this one."""
    links = {link.get("relation"): link.get("url") for link in bundle.get("link", [])}
    return links.get("next")


def appointment_in(body: Resource) -> Resource:
    """The Appointment of an operation's answer, which may be itself, or in a Bundle or Parameters."""
    for resource in _resources(body):
        if resource.get("resourceType") == "Appointment":
            return resource
    raise StoryError(f"La réponse ne contient pas d'Appointment, mais : {body.get('resourceType', 'rien')}.")


def _resources(body: Resource) -> Iterator[Resource]:
    yield body
    for entry in body.get("entry", []):
        yield from _resources(entry.get("resource", {}))
    for parameter in body.get("parameter", []):
        yield from _resources(parameter.get("resource", {}))


def name(resource: Resource) -> str:
    """`Slot/12`: how other resources refer to it."""
    return f"{resource['resourceType']}/{resource['id']}"


def instant(resource: Resource, element: str) -> datetime:
    """An instant element, with its zone."""
    try:
        moment = datetime.fromisoformat(resource[element])
    except (KeyError, ValueError) as error:
        raise StoryError(
            f"{resource.get('resourceType')}.{element} manque ou n'est pas un instant."
        ) from error
    if moment.tzinfo is None:
        raise StoryError(f"{resource['resourceType']}.{element} n'a pas de fuseau horaire : {moment}.")
    return moment


def references(items: list[Resource], resource_type: str) -> list[str]:
    """The references to a type among References, as `Type/id` (an absolute address is shortened)."""
    found = []
    for item in items:
        parts = item.get("reference", "").split("/")
        if len(parts) >= 2 and parts[-2] == resource_type:
            found.append("/".join(parts[-2:]))
    return found


def codes(concepts: list[Resource], system: str) -> list[str]:
    """The codes of a system among CodeableConcepts."""
    return [
        coding.get("code", "")
        for concept in concepts
        for coding in concept.get("coding", [])
        if coding.get("system") == system
    ]


def human_name(resource: Resource) -> str:
    """`Dr Enora Diallo`, from the text or the parts of the first name."""
    first = (resource.get("name") or [{}])[0]
    return first.get("text") or " ".join([*first.get("given", []), first.get("family", "?")])


def postal_address(location: Resource) -> str:
    """`12 rue du Port, 35000 Rennes`."""
    address = location.get("address", {})
    town = f"{address.get('postalCode', '')} {address.get('city', '')}".strip()
    return ", ".join([*address.get("line", []), town])
