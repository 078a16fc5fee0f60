"""The search index of Communications. Those of one kind, state and channel differ only in recipient and sending time, so the
index is computed once for each and then filled in."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache

from creneau_shared.fhir.json import dumps, loads
from creneau_shared.fhir.search.index import DateEntry, IndexEntries, index_resource
from creneau_shared.fhir.storage.store import Resource

TYPE = "Communication"
_ANYBODY = "Patient/00000000-0000-0000-0000-000000000000"
_SOMEBODY = re.compile(r"Patient/[A-Za-z0-9.-]{1,64}")
_REFERENCE = {"reference": _ANYBODY}
_SOME_TIME = "2000-01-01T00:00:00.000Z"
_MILLISECOND = timedelta(milliseconds=1)


def entries_of(resource: Resource, base_url: str) -> IndexEntries:
    """`index_resource` for Communications as `communications` makes them."""
    recipient, sent = resource["subject"]["reference"], resource.get("sent")
    if not _SOMEBODY.fullmatch(recipient):
        return index_resource(TYPE, resource, base_url=base_url)
    common = {**resource, "id": "", "meta": {}, "about": [], "subject": _REFERENCE, "recipient": [_REFERENCE]}
    if sent is not None:
        common["sent"] = _SOME_TIME
    pattern = _pattern(dumps(common), base_url)
    moment = datetime.fromisoformat(sent) if sent is not None else None
    return replace(
        pattern,
        terms=[term.replace(_ANYBODY, recipient) for term in pattern.terms],
        traits=[trait.replace(_ANYBODY, recipient) for trait in pattern.traits],
        dates=[DateEntry("sent", moment, moment + _MILLISECOND)] if moment is not None else [],
    )


@lru_cache(maxsize=1024)
def _pattern(common: bytes, base_url: str) -> IndexEntries:
    return index_resource(TYPE, loads(common), base_url=base_url)
