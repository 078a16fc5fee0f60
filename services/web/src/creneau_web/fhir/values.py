"""Small readings that several resources share: references, codes, instants, extensions, names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

Resource = Mapping[str, Any]


def entries(bundle: Resource, type_: str) -> Iterator[dict[str, Any]]:
    """The resources of one type in a Bundle."""
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource") or {}
        if resource.get("resourceType") == type_:
            yield resource


def by_reference(bundle: Resource) -> dict[str, dict[str, Any]]:
    """`Type/id` → resource, of everything in a Bundle."""
    found = (entry.get("resource") or {} for entry in bundle.get("entry", ()))
    return {f"{r['resourceType']}/{r['id']}": r for r in found if "id" in r}


def reference_to(references: Iterable[Resource], type_: str) -> str | None:
    """The first literal reference to a type, `Type/id`."""
    return next(
        (r["reference"] for r in references if str(r.get("reference", "")).startswith(f"{type_}/")), None
    )


def instant(text: str) -> datetime:
    """A FHIR instant or dateTime with its zone."""
    return datetime.fromisoformat(text)


def extension(resource: Resource, url: str) -> dict[str, Any] | None:
    """The first extension of this url."""
    return next((e for e in resource.get("extension", ()) if e.get("url") == url), None)


def instant_in(resource: Resource, url: str) -> datetime | None:
    """The instant in the first extension of this url; None without one."""
    found = extension(resource, url)
    return instant(found["valueInstant"]) if found and "valueInstant" in found else None


def codes(concepts: Iterable[Resource], system: str) -> list[str]:
    """The codes of one system in several CodeableConcepts."""
    return [
        c["code"]
        for concept in concepts
        for c in concept.get("coding", ())
        if c.get("system") == system and "code" in c
    ]


def first_text(concepts: Iterable[Resource]) -> str | None:
    """The first text of several CodeableConcepts."""
    return next((concept["text"] for concept in concepts if concept.get("text")), None)


def contact(telecom: Iterable[Resource], system: str) -> str | None:
    """The first telephone number or e-mail address."""
    return next((t["value"] for t in telecom if t.get("system") == system and t.get("value")), None)
