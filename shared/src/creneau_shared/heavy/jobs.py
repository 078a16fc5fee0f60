"""The jobs of the process for heavy work: bytes and plain values in, bytes and plain values out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from creneau_shared.fhir.json import dumps, loads, loads_sent
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.rest.bundles.work import work_in
from creneau_shared.fhir.rest.judging import Judged, Question, judge_body
from creneau_shared.fhir.rest.negotiation import Format
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.summary import cut_down
from creneau_shared.fhir.validation import validate
from creneau_shared.fhir.xml import from_xml, to_xml


def read(format_: Format, body: bytes) -> Resource:
    """The resource in a body; raises the reader's BadRequest."""
    return loads_sent(body) if format_ == "json" else from_xml(body)


def read_bundle(format_: Format, body: bytes) -> tuple[Resource, int]:
    """The Bundle in a body, and what it costs beside its request (`work_in`)."""
    bundle = read(format_, body)
    return bundle, work_in(bundle)


def validate_body(format_: Format, body: bytes, question: Question) -> Judged:
    """The result of `$validate` for a body."""
    return judge_body(read(format_, body), question)


def write_xml(content: bytes) -> bytes:
    """A resource in JSON as XML."""
    return to_xml(loads(content))


def cut_all(contents: Sequence[bytes], elements: Sequence[str], summary: str) -> list[bytes]:
    """Resources cut down for `_elements` or `_summary`."""
    return [cut_down(content, elements, summary) for content in contents]


JOBS: Mapping[str, Callable[..., Any]] = {
    "read": read,
    "read bundle": read_bundle,
    "validate": validate_body,
    "write xml": write_xml,
    "cut": cut_all,
}


def warm_up() -> None:
    """Reads the definitions that every job needs, before the first job."""
    patient = {"resourceType": "Patient", "active": True}
    validate(patient)
    profile_issues(patient)
    to_xml(loads(dumps(patient)))
