"""The page on which the owner of an address says whether it is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from creneau_notifications.domain.contact import Language
from creneau_notifications.rendering.templates import as_page

Situation = Literal["open", "confirmed", "refused", "unknown", "ended", "unclear", "away"]
"""What the page is about: nothing said yet, said yes, said no; no such link, one that has ended, no readable answer, nothing
that could be looked up or put down at the moment."""

PAGE_STYLE = (
    "body{margin:0;padding:24px 12px;background:#f4f5f7;color:#1d2433;font:18px/1.55 system-ui,sans-serif}"
    "main{max-width:560px;margin:0 auto;padding:28px;background:#fff;border-radius:10px}"
    "h1{margin:0 0 20px;font-size:24px;line-height:1.3;color:#12355b}"
    "button{display:block;width:100%;margin:16px 0;padding:14px;border:2px solid #12355b;border-radius:6px;"
    "background:#12355b;color:#fff;font:inherit;font-weight:600;cursor:pointer}"
    "button.second{background:#fff;color:#12355b}"
    "button:focus-visible,a:focus-visible{outline:3px solid #b8860b;outline-offset:2px}"
    "a{color:#12355b}"
)


@dataclass(frozen=True, slots=True)
class Sentences:
    """What the page says in one situation. `confirm` and `refuse` are the buttons' words; none: no such button."""

    title: str
    text: tuple[str, ...]
    confirm: str | None = None
    refuse: str | None = None


_HELP_FR = (
    "Pour recevoir vos messages, ouvrez le lien du dernier message reçu, ou demandez au cabinet d’enregistrer votre "
    "adresse : il peut aussi vous répondre par téléphone."
)
_HELP_EN = (
    "To receive your messages, open the link of the latest one, or ask the practice to record your address: it can "
    "also answer you by phone."
)
_NOTHING = frozenset({"unknown", "ended"})

FRENCH: Mapping[Situation, Sentences] = {
    "open": Sentences(
        "Cette adresse est-elle la vôtre ?",
        (
            "Quelqu’un a donné en ligne l’adresse à laquelle vous avez lu notre message, pour recevoir les "
            "nouvelles d’un rendez-vous.",
        ),
        "Oui, continuez à m’écrire",
        "Non, ce n’est pas moi",
    ),
    "confirmed": Sentences(
        "Merci, votre adresse est confirmée",
        ("Les messages et les rappels à venir vous parviendront.",),
        refuse="Finalement non, ce n’est pas moi",
    ),
    "refused": Sentences(
        "C’est noté",
        (
            "Nous n’écrirons plus à cette adresse, qui que ce soit qui la donne en ligne. "
            "Seul un cabinet qui vous connaît peut en décider autrement.",
        ),
        confirm="C’était une erreur : cette adresse est la mienne",
    ),
    "unknown": Sentences("Ce lien ne mène à rien", ("Il est peut-être incomplet.", _HELP_FR)),
    "ended": Sentences("Ce lien n’est plus valable", ("Il a été envoyé il y a trop longtemps.", _HELP_FR)),
    "unclear": Sentences(
        "Nous n’avons pas compris votre réponse",
        ("Choisissez l’une des deux.",),
        "Cette adresse est la mienne",
        "Ce n’est pas moi",
    ),
    "away": Sentences(
        "Cette page est indisponible pour le moment",
        ("Réessayez dans un instant.",),
        "Cette adresse est la mienne",
        "Ce n’est pas moi",
    ),
}

ENGLISH: Mapping[Situation, Sentences] = {
    "open": Sentences(
        "Is this address yours?",
        (
            "Someone gave online the address at which you have read our message, to receive the news of an "
            "appointment.",
        ),
        "Yes, go on writing to me",
        "No, it is not me",
    ),
    "confirmed": Sentences(
        "Thank you, your address is confirmed",
        ("You will receive the messages and reminders to come.",),
        refuse="In fact no, it is not me",
    ),
    "refused": Sentences(
        "We have noted it",
        (
            "We shall not write to this address any more, whoever gives it online. Only a practice that knows you "
            "can decide otherwise.",
        ),
        confirm="It was a mistake: this address is mine",
    ),
    "unknown": Sentences("This link leads nowhere", ("It may be incomplete.", _HELP_EN)),
    "ended": Sentences("This link has ended", ("It was sent too long ago.", _HELP_EN)),
    "unclear": Sentences(
        "We did not understand your answer",
        ("Choose one of the two.",),
        "This address is mine",
        "It is not me",
    ),
    "away": Sentences(
        "This page is unavailable for the moment",
        ("Try again in a moment.",),
        "This address is mine",
        "It is not me",
    ),
}

_SENTENCES: Mapping[Language, Mapping[Situation, Sentences]] = {"fr": FRENCH, "en": ENGLISH}


def page(situation: Situation, language: Language, path: str) -> str:
    """The page of the link at `path`, without scripts or anything fetched from elsewhere."""
    other: Language = "en" if language == "fr" else "fr"
    return as_page(
        language=language,
        sentences=_SENTENCES[language][situation],
        style=PAGE_STYLE,
        action=f"{path}/{language}",
        other=(other, f"{path}/{other}", "English" if other == "en" else "Français"),
        offers_other=situation not in _NOTHING,
    )
