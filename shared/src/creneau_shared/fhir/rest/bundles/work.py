"""What a Bundle costs beside its request. Pure: a large one is counted in the process for heavy work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from creneau_shared.fhir.rest.bounds import BUNDLE_ENTRIES_MAX
from creneau_shared.fhir.storage.store import Resource

CONDITIONAL_REFERENCE = re.compile(r"^([A-Z][A-Za-z]+)\?(.+)$")
"""a type and its query, of which a transaction searches the one match"""


def entry_count(bundle: Resource) -> int:
    """The number of entries of a Bundle, whatever else is wrong with it; at most `BUNDLE_ENTRIES_MAX`."""
    entries = bundle.get("entry")
    return min(len(entries), BUNDLE_ENTRIES_MAX) if isinstance(entries, list) else 0


def work_in(bundle: Resource) -> int:
    """What a Bundle costs beside its request, in units: its entries, and the searches for a transaction's conditional
    references, of which equal ones are one. Whatever else is wrong with it."""
    count = entry_count(bundle)
    if not count or bundle.get("type") != "transaction":
        return count
    entries = (entry for entry in bundle["entry"][:count] if isinstance(entry, dict))
    sent = (resource for entry in entries if isinstance(resource := entry.get("resource"), dict))
    return count + len(
        {
            text
            for resource in sent
            for _, _, name, text in texts(resource)
            if name == "reference" and CONDITIONAL_REFERENCE.match(text)
        }
    )


def texts(resource: Resource) -> Iterator[tuple[str, Resource, str, str]]:
    """Yields every text of a resource: its path, the element that holds it, its name there, and the text."""
    pending: list[tuple[str, Any]] = [(str(resource.get("resourceType")), resource)]
    while pending:
        where, node = pending.pop()
        if isinstance(node, list):
            pending += ((f"{where}[{index}]", item) for index, item in enumerate(node))
        elif isinstance(node, dict):
            for name, value in node.items():
                if isinstance(value, str):
                    yield f"{where}.{name}", node, name, value
                else:
                    pending.append((f"{where}.{name}", value))
