"""The OperationOutcomes of what nginx itself refuses, one file for each status and language."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Refusal:
    """A status, its code in the required binding IssueType, and one sentence in each language."""

    status: int
    code: str
    fr: str
    en: str


REFUSALS = (
    Refusal(
        400,
        "invalid",
        "La requête HTTP est illisible ; vérifiez sa première ligne et ses en-têtes.",
        "The HTTP request is unreadable; check its first line and headers.",
    ),
    Refusal(
        408,
        "timeout",
        "La requête est arrivée trop lentement ; envoyez-la de nouveau.",
        "The request came too slowly; send it again.",
    ),
    Refusal(
        413,
        "too-long",
        "Le corps de la requête dépasse 8 Mio ; envoyez-le en plusieurs fois.",
        "The body of the request is longer than 8 MiB; send it in several parts.",
    ),
    Refusal(
        414,
        "too-long",
        "L'adresse est trop longue ; faites la recherche par POST sur _search.",
        "The address is too long; search by POST on _search instead.",
    ),
    Refusal(
        431,
        "too-long",
        "Les en-têtes de la requête sont trop longs.",
        "The headers of the request are too long.",
    ),
    Refusal(
        502,
        "transient",
        "Le service n'a pas répondu. Il redémarre peut-être : réessayez dans un instant. "
        "Pour une écriture, reprenez la même Idempotency-Key : rien ne sera fait deux fois.",
        "The service did not answer. It may be restarting: try again in a moment. "
        "For a write, repeat the same Idempotency-Key: nothing will be done twice.",
    ),
    Refusal(
        503,
        "transient",
        "Le service est indisponible pour l'instant ; réessayez dans un instant.",
        "The service is unavailable just now; try again in a moment.",
    ),
    Refusal(
        504,
        "timeout",
        "Le service n'a pas répondu à temps. "
        "Pour une écriture, reprenez la même Idempotency-Key : rien ne sera fait deux fois.",
        "The service did not answer in time. "
        "For a write, repeat the same Idempotency-Key: nothing will be done twice.",
    ),
)


def outcome(refusal: Refusal, language: str) -> dict[str, object]:
    """The OperationOutcome (FHIR R4) of a refusal, in `fr` or `en`."""
    issue = {
        "severity": "error",
        "code": refusal.code,
        "details": {"text": refusal.fr if language == "fr" else refusal.en},
    }
    return {"resourceType": "OperationOutcome", "language": language, "issue": [issue]}


def write_outcomes(folder: Path) -> None:
    """Write `<status>.<language>.fhir` for every refusal."""
    folder.mkdir(parents=True, exist_ok=True)
    for refusal in REFUSALS:
        for language in ("fr", "en"):
            text = json.dumps(outcome(refusal, language), ensure_ascii=False)
            (folder / f"{refusal.status}.{language}.fhir").write_text(text, encoding="utf-8")
