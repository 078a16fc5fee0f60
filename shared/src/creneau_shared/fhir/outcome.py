"""Issues to OperationOutcome, in French or in English."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, Literal

from creneau_shared.errors import Issue
from creneau_shared.fhir.datatypes import ID

Language = Literal["fr", "en"]

ISSUE_SYSTEM: Final = "https://creneau.sante.fr/fhir/CodeSystem/issue"
"""System of our own codes in OperationOutcome.issue.details."""

TRANSLATION_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/translation"


TEXT_CHARACTERS_MAX: Final = 2_000
"""longest text of an issue, which may quote what a caller sent"""
_UNSPEAKABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""characters that a FHIR string or XML may not hold"""


def operation_outcome(
    issues: Iterable[Issue],
    language: Language = "fr",
    *,
    id: str | None = None,  # noqa: A002
) -> dict[str, Any]:
    """An OperationOutcome resource with `issues` in their order.

    `details.text` is the sentence in `language`, the other language stands in the translation extension of
    the same element; `details.coding` is our stable code, when there is one. Without issues: one that says
    all is well (the element is 1..*). `id` is left out where it is no id of FHIR: callers name requests as they like.
    """
    outcome: dict[str, Any] = {"resourceType": "OperationOutcome"}
    if id is not None and ID.fullmatch(id):
        outcome["id"] = id
    outcome["language"] = language
    outcome["issue"] = [_issue(issue, language) for issue in issues] or [_issue(ALL_WELL, language)]
    return outcome


ALL_WELL: Final = Issue(
    code="informational",
    severity="information",
    fr="Aucun problème n'a été trouvé.",
    en="No problem was found.",
)


def _issue(issue: Issue, language: Language) -> dict[str, Any]:
    fr, en = _speakable(issue.fr), _speakable(issue.en)
    text, translation = (fr, en) if language == "fr" else (en, fr)
    details: dict[str, Any] = {}
    if issue.details_code is not None:
        details["coding"] = [{"system": ISSUE_SYSTEM, "code": issue.details_code}]
    if text:
        details["text"] = text
    if text and translation:
        details["_text"] = _translation(translation, "en" if language == "fr" else "fr")
    result: dict[str, Any] = {"severity": issue.severity, "code": issue.code}
    if details:
        result["details"] = details
    if issue.diagnostics:
        result["diagnostics"] = _speakable(issue.diagnostics)
    if issue.expression:
        result["expression"] = [_speakable(expression) for expression in issue.expression]
    return result


def _speakable(text: str) -> str:
    """`text` shortened and made valid in JSON and in XML, whatever it quotes of a caller."""
    return _UNSPEAKABLE.sub("\ufffd", text[:TEXT_CHARACTERS_MAX])


def _translation(text: str, language: Language) -> dict[str, Any]:
    parts = [{"url": "lang", "valueCode": language}, {"url": "content", "valueString": text}]
    return {"extension": [{"url": TRANSLATION_EXTENSION, "extension": parts}]}


@lru_cache(maxsize=256)
def negotiate_language(accept_language: str | None) -> Language:
    """The language to answer in, by Accept-Language (RFC 9110): French unless English is preferred."""
    weights: dict[str, float] = {}
    for entry in (accept_language or "").split(","):
        tag, _, parameters = entry.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        weights[primary] = max(weights.get(primary, 0.0), _weight(parameters))
    anything = weights.get("*", 0.0)
    return "en" if weights.get("en", anything) > weights.get("fr", anything) else "fr"


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
