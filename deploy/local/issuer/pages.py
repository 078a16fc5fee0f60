"""Pages of the development issuer: choice of a person, and refusals. French with English beside; no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape

from starlette.responses import HTMLResponse, Response

from deploy.local.issuer.answers import NO_STORE
from deploy.local.issuer.people import Person

TITLE = "Connexion de démonstration"

ABOUT = {
    "creneau": ("", ""),
    "franceconnect": (
        "Cette page parle comme FranceConnect, pour les essais. Elle n'en fait pas partie.",
        "For tests, this page speaks as FranceConnect does. It has no part in it.",
    ),
    "psc": (
        "Cette page parle comme Pro Santé Connect, pour les essais. Elle n'en fait pas partie.",
        "For tests, this page speaks as Pro Santé Connect does. It has no part in it.",
    ),
}

UNKNOWN_APPLICATION = (
    "L'application qui vous envoie ici n'est pas connue, ou demande un retour vers une autre adresse que la sienne.",
    "The application that sent you is unknown, or asks for a return to an address that is not its own.",
)
TOO_LATE = (
    "Cette page est restée ouverte trop longtemps. Revenez à l'application et connectez-vous de nouveau.",
    "This page has been open for too long. Go back to the application and log in again.",
)
NO_SESSION = (
    "Il n'y a pas de session à fermer sous ce nom, ou le retour demandé n'est pas une adresse de l'application.",
    "There is no session to close under this name, or the return that was asked for is not the application's.",
)
ENDED = ("Vous êtes déconnecté.", "You are logged out.")

STYLE = """
:root { color-scheme: light dark; }
body { font: 1.125rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 42rem; padding: 1rem; }
h1 { font-size: 1.75rem; line-height: 1.2; } h2 { font-size: 1.25rem; margin-top: 2rem; }
.people { list-style: none; margin: 0; padding: 0; }
button { background: Canvas; border: 2px solid currentColor; border-radius: .375rem; color: CanvasText; cursor: pointer;
  font: inherit; margin: .25rem 0; min-height: 44px; padding: .625rem 1rem; text-align: left; width: 100%; }
button strong, button span { display: block; }
label { display: block; font-weight: bold; margin-top: 1rem; }
label span { font-weight: normal; }
input { border: 2px solid; border-radius: .375rem; box-sizing: border-box; font: inherit; min-height: 44px;
  padding: .5rem; width: 100%; }
:focus-visible { outline: 3px solid Highlight; outline-offset: 3px; }
.error { border-left: .375rem solid; padding-left: .75rem; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def answer(body: str, status: int = 200, *, form_action: str = "") -> Response:
    """An uncached page. `form_action`: the origin to which the answer to its form leads, beside this one: browsers hold a
    redirect after a form to this directive."""
    targets = f"'self' {form_action}".strip()
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {targets}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        **NO_STORE,
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return HTMLResponse(_document(body), status, headers=headers)


def refusal(sentence: tuple[str, str]) -> Response:
    """A refusal, explained."""
    return answer(f"<h1>{TITLE}</h1>{_both(sentence)}", 400)


def ended() -> Response:
    """After a log-out that leads nowhere else."""
    return answer(f"<h1>{TITLE}</h1>{_both(ENDED)}")


def choice(
    path: str,
    handle: str,
    everyone: Iterable[Person],
    dialect: str,
    invents: bool,
    typed: Mapping[str, str] | None = None,
) -> str:
    """The people to choose from, and a form to invent a patient; `typed`: what was refused of it."""
    form = (
        f'<form method="post" action="{path}"><input type="hidden" name="request" value="{escape(handle)}">'
    )
    rows = "".join(f"<li>{_button(person)}</li>" for person in everyone)
    about = _both(ABOUT[dialect]) if ABOUT[dialect][0] else ""
    return (
        f"<h1>{TITLE}</h1>"
        "<p>Aucune de ces personnes n'existe. Choisissez qui vous voulez être. "
        '<span lang="en">None of these people exists. Choose who you want to be.</span></p>'
        f"{about}"
        f'{form}<h2 id="who">Des personnes de test <span lang="en">(test people)</span></h2>'
        f'<ul class="people" aria-labelledby="who">{rows}</ul></form>'
        f"{_invention(form, typed) if invents else ''}"
        f'{form}<h2>Ne pas se connecter <span lang="en">(do not log in)</span></h2>'
        '<button name="refuse" value="yes">Revenir sans se connecter '
        '<span lang="en">(go back without logging in)</span></button></form>'
    )


def _button(person: Person) -> str:
    birth = ""
    if person.usual_name:
        birth = f" (née {escape(person.family_name)})"
    return (
        f'<button name="person" value="{escape(person.key)}">'
        f"<strong>{escape(person.name)}{birth}</strong> <span>{escape(person.about)}</span> "
        f'<span lang="en">{escape(person.about_en)}</span></button>'
    )


def _invention(form: str, typed: Mapping[str, str] | None) -> str:
    values = typed or {}
    error = (
        '<p class="error" id="error" role="alert">Un prénom et un nom commencent par une lettre et n\'ont que des '
        "lettres, des chiffres, des traits d'union et des apostrophes. "
        '<span lang="en">Names begin with a letter and have letters, figures, hyphens and apostrophes.</span></p>'
        if typed is not None
        else ""
    )
    tied = ' aria-describedby="error" aria-invalid="true"' if error else ""
    fields = "".join(
        f'<label for="{name}">{french} <span lang="en">({english})</span></label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(values.get(name, ""))}" '
        f'autocomplete="off"{" required" if kind == "text" else ""}{tied if kind == "text" else ""}>'
        for name, french, english, kind in (
            ("given", "Prénom", "given name", "text"),
            ("family", "Nom de naissance", "name of birth", "text"),
            ("birthdate", "Date de naissance, facultative", "date of birth, optional", "date"),
        )
    )
    return (
        f'{form}<h2>Un patient que vous inventez <span lang="en">(a patient whom you invent)</span></h2>'
        "<p>Les mêmes mots donnent la même personne. "
        '<span lang="en">The same words are the same person.</span></p>'
        f'{error}{fields}<p><button name="invented" value="yes">Se connecter sous ce nom '
        '<span lang="en">(log in by this name)</span></button></p></form>'
    )


def _both(sentence: tuple[str, str]) -> str:
    french, english = sentence
    return f'<p>{escape(french)} <span lang="en">{escape(english)}</span></p>'


def _document(body: str) -> str:
    return (
        '<!doctype html><html lang="fr"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE} – Créneau</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )
