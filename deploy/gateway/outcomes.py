"""The refusals of nginx itself: an OperationOutcome for API callers, a page for people; a file for each status, language and
form."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from creneau_shared.fhir.xml import to_xml
from creneau_shared.http.cors import READABLE


@dataclass(frozen=True)
class Refusal:
    """A status (of HTTP, or nginx's own for what goes out as 400: 495 and 497), its code in the required binding
    IssueType, and one sentence in each language."""

    status: int
    code: str
    fr: str
    en: str
    advice: tuple[str, str] | None = None
    """for people, in French and English: what to do now"""
    also: tuple[int, ...] = ()
    """other statuses with the same text"""
    sent: int | None = None
    """the status that is sent, if another"""


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
        (
            "Un lien reçu par message a pu être coupé ou allongé : copiez-le en entier. Pour un rendez-vous, vous pouvez "
            "aussi appeler le cabinet, dont le numéro est dans le message, ou demander à un conseiller France services.",
            "A link in a message may have been cut or lengthened: copy all of it. For an appointment you can also call "
            "the practice, whose number is in the message.",
        ),
    ),
    Refusal(
        405,
        "not-supported",
        "Cette méthode HTTP n'est pas permise à cette adresse.",
        "This HTTP method is not allowed at this address.",
    ),
    Refusal(
        408,
        "timeout",
        "La requête est arrivée trop lentement ; envoyez-la de nouveau.",
        "The request came too slowly; send it again.",
    ),
    Refusal(
        411,
        "invalid",
        "La requête ne dit pas la longueur de son corps (Content-Length).",
        "The request does not say how long its body is (Content-Length).",
    ),
    Refusal(
        413,
        "too-long",
        "Le corps de la requête est trop long pour cette adresse ; envoyez-le en plusieurs fois.",
        "The body of the request is too long for this address; send it in several parts.",
    ),
    Refusal(
        414,
        "too-long",
        "L'adresse est trop longue ; faites la recherche par POST sur _search.",
        "The address is too long; search by POST on _search instead.",
    ),
    Refusal(
        416,
        "invalid",
        "La partie demandée (Range) n'existe pas.",
        "The part that was asked for (Range) does not exist.",
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
        also=(494,),
        sent=431,
    ),
    Refusal(
        495,
        "security",
        "Le certificat du client n'est pas accepté ici.",
        "The client's certificate is not accepted here.",
        also=(496,),
        sent=400,
    ),
    Refusal(
        497,
        "security",
        "Ce port ne parle que HTTPS.",
        "This port speaks HTTPS only.",
        sent=400,
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
    Refusal(
        505,
        "not-supported",
        "Cette version de HTTP n'est pas parlée ici ; employez HTTP/1.1 ou HTTP/2.",
        "This version of HTTP is not spoken here; use HTTP/1.1 or HTTP/2.",
    ),
)


LANGUAGES = ("fr", "en")
_WORDS = {
    "fr": ("/", "Aller au contenu", "Revenir à l'accueil", "Erreur"),
    "en": ("/en/", "Skip to content", "Back to the start", "Error"),
}
"""where people begin; three words of a page"""


def outcome(refusal: Refusal, language: str) -> dict[str, object]:
    """The OperationOutcome (FHIR R4) of a refusal, in `fr` or `en`."""
    issue = {
        "severity": "error",
        "code": refusal.code,
        "details": {"text": refusal.fr if language == "fr" else refusal.en},
    }
    return {"resourceType": "OperationOutcome", "language": language, "issue": [issue]}


def page(refusal: Refusal, language: str) -> str:
    """The same for people, in the language that they asked for and then in the other: a page that needs nothing but
    the site's style."""
    other = next(one for one in LANGUAGES if one != language)
    home, skip, _, _ = _WORDS[language]
    title = escape(_said(refusal, language)[0])
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="robots" content="noindex">\n'
        f'<title>{title} – Créneau</title>\n<link rel="icon" href="/icon.svg" type="image/svg+xml">\n'
        f'<link rel="stylesheet" href="/style.css">\n</head>\n<body>\n<a class="skip" href="#main">{escape(skip)}</a>\n'
        f'<header><a class="brand" href="{home}">Créneau</a></header>\n<main id="main">\n<h1>{title}</h1>\n'
        f"{_advice(refusal, language)}"
        f'<section lang="{other}">\n<h2>{escape(_said(refusal, other)[0])}</h2>\n{_advice(refusal, other)}</section>\n'
        "</main>\n</body>\n</html>\n"
    )


def _said(refusal: Refusal, language: str) -> tuple[str, str]:
    """The sentence, and what to do now."""
    if language == "fr":
        return refusal.fr, refusal.advice[0] if refusal.advice else ""
    return refusal.en, refusal.advice[1] if refusal.advice else ""


def _advice(refusal: Refusal, language: str) -> str:
    home, _, back, error = _WORDS[language]
    advice = _said(refusal, language)[1]
    what_to_do = f"<p>{escape(advice)}</p>\n" if advice else ""
    number = f"<p>{error} {refusal.sent or refusal.status}.</p>\n"
    return f'{what_to_do}<p><a href="{home}">{escape(back)}</a></p>\n{number}'


FORMS: dict[str, Callable[[Refusal, str], str]] = {
    "fhir": lambda refusal, language: json.dumps(outcome(refusal, language), ensure_ascii=False),
    "xml": lambda refusal, language: to_xml(outcome(refusal, language)).decode(),
    "html": page,
}
"""ending of a file → what is in it"""
CONTENT_TYPES = {"fhir": "application/fhir+json", "xml": "application/fhir+xml", "html": "text/html"}


def write_outcomes(folder: Path) -> None:
    """Write `<status>.<language>.<form>` for every refusal."""
    folder.mkdir(parents=True, exist_ok=True)
    for refusal in REFUSALS:
        for language in LANGUAGES:
            for form, text in FORMS.items():
                file = folder / f"{refusal.status}.{language}.{form}"
                file.write_text(text(refusal, language), encoding="utf-8")


def error_pages() -> str:
    """nginx's directives: for each status the file that tells it, and the locations of these files."""
    lines = []
    for refusal in REFUSALS:
        statuses = " ".join(map(str, (refusal.status, *refusal.also)))
        sent = f" ={refusal.sent}" if refusal.sent else ""
        lines.append(f"error_page {statuses}{sent} /_refusal/$refusal_form/{refusal.status};")
    for form, content_type in CONTENT_TYPES.items():
        lines += [
            "",
            f"location ~ ^/_refusal/(?<form>{form})/(?<refusal>[0-9]+)$ {{",
            "    internal;",
            f"    default_type {content_type};",
            '    alias "@OUTCOMES@/$refusal.$outcome_language.$form";',
            *(f"    {line}" for line in (*HEADERS, *(READABLE_BY_PAGES if form != "html" else ()))),
            "}",
        ]
    return "\n".join(f"        {line}" if line else "" for line in lines)


HEADERS = (
    "add_header Content-Language $outcome_language always;",
    "add_header Retry-After $retry_after always;",
    "add_header Cache-Control no-store always;",
    "add_header X-Request-Id $correlation_id always;",
    # Which of these files is sent depends on these headers.
    'add_header Vary "Accept, Accept-Language" always;',
)
READABLE_BY_PAGES = tuple(
    f'add_header {name.decode().title()} "{value.decode()}" always;' for name, value in READABLE
)
"""of what callers of the API are told: pages of any origin read it, as they do what the services answer"""
