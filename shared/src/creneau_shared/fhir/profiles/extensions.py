"""Checks the known extensions in a resource: their content, and whether they may stand at their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from creneau_shared.errors import Issue
from creneau_shared.fhir.definitions import type_definition
from creneau_shared.fhir.profiles import findings
from creneau_shared.fhir.profiles.catalogue import Profile, profile_catalogue
from creneau_shared.fhir.profiles.checking import check_value

Json = dict[str, Any]


def extension_issues(resource: Json) -> Iterator[Issue]:
    """The rules that the known extensions in a resource, at any depth, break of their definitions."""
    name = resource["resourceType"]
    yield from _inside(resource, name, name, name, resource)


def _inside(value: Json, type_name: str, path: str, element: str, root: Json) -> Iterator[Issue]:
    """`path` has indexes; `element` is the path without them, as a context names it."""
    definition = type_definition(type_name)
    for extension in value.get("extension", ()):
        profile = profile_catalogue().get(extension.get("url", ""))
        if profile is not None and profile.type == "Extension":
            where = f"{path}.extension.where(url='{profile.url}')"
            if not _is_at_home(profile, element, type_name, definition.base):
                contexts = ", ".join(context["expression"] for context in profile.context)
                yield findings.misplaced_extension(profile.short_name, where, contexts)
            yield from check_value(extension, profile, where, root)
    for name, part in value.items():
        found = definition.by_name.get(name.removeprefix("_"))
        if found is None or name in ("extension", "contained") or found.kind == "xhtml":
            continue
        type_below = found.type if found.kind == "complex" else "Element"
        if found.kind == "primitive" and not name.startswith("_"):
            continue
        below, whole = f"{path}.{found.choice or found.name}", f"{element}.{found.choice or found.name}"
        if isinstance(part, dict):
            yield from _inside(part, type_below, below, whole, root)
        elif isinstance(part, list):
            for index, item in enumerate(part):
                if isinstance(item, dict):
                    yield from _inside(item, type_below, f"{below}[{index}]", whole, root)


def _is_at_home(profile: Profile, element: str, type_name: str, base: str) -> bool:
    """Whether one of the contexts is this element, its data type, or any element."""
    return not profile.context or any(
        context["expression"].partition("#")[0] in (element, type_name, base, "Element", "Any")
        for context in profile.context
    )
