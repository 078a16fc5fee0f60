"""What nginx itself refuses: an OperationOutcome for callers of the API, a page for people; a file for each status,
language and form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path


@dataclass(frozen=True)
class Refusal:
    """A status (of HTTP, or nginx's own for what goes out as 400: 495 and 497), its code in the required binding
    IssueType, and one sentence in each language."""

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
        403,
        "forbidden",
        "Cette adresse n'est pas ouverte.",
        "This address is not open.",
    ),
    Refusal(
        404,
        "not-found",
        "Il n'y a rien à cette adresse.",
        "There is nothing at this address.",
    ),
    Refusal(
        405,
        "not-supported",
        "Cette adresse ne se lit que par GET.",
        "This address can only be read, by GET.",
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
        421,
        "invalid",
        "Ce nom d'hôte n'est pas celui de la connexion ; ouvrez-en une autre.",
        "This host name is not the connection's; open another one.",
    ),
    Refusal(
        429,
        "throttled",
        "Trop de requêtes de votre adresse : réessayez dans un instant.",
        "Too many requests from your address: try again in a moment.",
    ),
    Refusal(
        431,
        "too-long",
        "Les en-têtes de la requête sont trop longs.",
        "The headers of the request are too long.",
    ),
    Refusal(
        495,
        "security",
        "Le certificat du client n'est pas accepté ici.",
        "The client's certificate is not accepted here.",
    ),
    Refusal(
        497,
        "security",
        "Ce port ne parle que HTTPS.",
        "This port speaks HTTPS only.",
    ),
    Refusal(
        500,
        "exception",
        "Une erreur interne est survenue.",
        "An internal error occurred.",
    ),
    Refusal(
        501,
        "not-supported",
        "Cette façon d'écrire une requête HTTP n'est pas comprise ici.",
        "This way of writing an HTTP request is not understood here.",
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


def page(refusal: Refusal, language: str) -> str:
    """The same for people: a page that needs nothing but the site's style."""
    text = refusal.fr if language == "fr" else refusal.en
    home, back = ("/", "Accueil") if language == "fr" else ("/en/", "Home")
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(text)} – Créneau</title><link rel="stylesheet" href="/style.css"></head>'
        f'<body><main id="main"><h1>{escape(text)}</h1><p><a href="{home}">{back}</a></p></main></body></html>\n'
    )


FORMS: dict[str, Callable[[Refusal, str], str]] = {
    "fhir": lambda refusal, language: json.dumps(outcome(refusal, language), ensure_ascii=False),
    "html": page,
}
"""ending of a file → what is in it"""


def write_outcomes(folder: Path) -> None:
    """Write `<status>.<language>.<form>` for every refusal."""
    folder.mkdir(parents=True, exist_ok=True)
    for refusal in REFUSALS:
        for language in ("fr", "en"):
            for form, text in FORMS.items():
                file = folder / f"{refusal.status}.{language}.{form}"
                file.write_text(text(refusal, language), encoding="utf-8")
