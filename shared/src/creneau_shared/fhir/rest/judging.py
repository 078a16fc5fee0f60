"""What `$validate` says of a body. Pure functions, so that another process can judge a large body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from creneau_shared.errors import BadRequest, CreneauError, Issue
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.outcome import Language, operation_outcome
from creneau_shared.fhir.profiles import profile_issues
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.fhir.validation import validate

MODES = ("create", "update", "delete", "profile")
VALID = Issue("informational", "La ressource est conforme.", "The resource is valid.", severity="information")


OwnRules = Callable[[Resource], list[Issue]]
"""Returns what a resource breaks of a service's own rules, which go beyond the national profiles, also those claimed in
`meta.profile`. A function of a module, so that another process can call it."""


@dataclass(frozen=True, slots=True)
class Question:
    """Asks of a resource whether it conforms to the type and to the profile, for the mode in which it is meant."""

    expected_type: str | None
    mode: str | None
    profile: str | None
    language: Language
    own_rules: OwnRules | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """The OperationOutcome as JSON bytes, None when the body held no resource; the question as the body put it."""

    outcome: bytes | None
    question: Question


def judge_body(body: Resource, question: Question) -> Judged:
    """Judge a body: a resource, or Parameters that hold one and may put the question themselves."""
    resource: Any = body
    if body.get("resourceType") == "Parameters":
        asked = _parameter(body, "profile")
        question = replace(
            question,
            mode=_parameter(body, "mode").get("valueCode", question.mode),
            profile=asked.get("valueUri", asked.get("valueCanonical", question.profile)),
        )
        resource = _parameter(body, "resource").get("resource")
    check_question(question)
    return Judged(None if resource is None else judge(resource, question), question)


def check_question(question: Question) -> None:
    """BadRequest for an unknown mode."""
    if question.mode is not None and question.mode not in MODES:
        raise BadRequest(
            f"mode vaut « {question.mode} » ; valeurs possibles : {', '.join(MODES)}.",
            f"mode is “{question.mode}”; possible values: {', '.join(MODES)}.",
            expression="mode",
            code="value",
        )


def judge(resource: Resource | None, question: Question) -> bytes:
    """The OperationOutcome about a resource (none: about an intention to delete)."""
    issues = _issues(resource, question) if resource is not None else []
    return dumps(operation_outcome(issues or [VALID], question.language))


def _issues(resource: Resource, question: Question) -> list[Issue]:
    try:
        found = validate(resource, question.expected_type)
    except CreneauError as error:
        return list(error.issues)
    if any(issue.severity == "error" for issue in found):
        return found
    asked = [question.profile] if question.profile else []
    found += profile_issues(resource, asked)
    if question.own_rules is None:
        return found
    meta = resource.get("meta", {})
    claiming = {**resource, "meta": {**meta, "profile": [*meta.get("profile", ()), *asked]}}
    return found + question.own_rules(claiming)


def _parameter(parameters: Resource, name: str) -> Resource:
    entries = parameters.get("parameter", [])
    return next((e for e in entries if isinstance(e, dict) and e.get("name") == name), {})
