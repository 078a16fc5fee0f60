"""The issues that `$validate` reports of a directory entry beside the national profiles."""

from __future__ import annotations

from creneau_directory.handlers import entry_faults
from creneau_directory.words import entry_issue
from creneau_shared.errors import Issue
from creneau_shared.fhir.storage.store import Resource


def entry_issues(resource: Resource) -> list[Issue]:
    """The issues for which a practice's write of the entry would be refused: facets of the ROR if it claims a ROR profile,
    national numbers, communes, time zones, texts."""
    return [entry_issue(resource["resourceType"], fault) for fault in entry_faults(resource, "practice")]
