"""What `$validate` says of an entry of the directory beside the national profiles."""

from __future__ import annotations

from creneau_directory.handlers import entry_faults
from creneau_directory.words import entry_issue
from creneau_shared.errors import Issue
from creneau_shared.fhir.storage.store import Resource


def entry_issues(resource: Resource) -> list[Issue]:
    """What a write of the entry would be refused for, by whoever is no register themselves: the ROR's facets where it claims
    to be of the ROR, national numbers, communes, time zones."""
    return [entry_issue(resource["resourceType"], fault) for fault in entry_faults(resource, "practice")]
