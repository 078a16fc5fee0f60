"""The page on which the owner of an address says whether it is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from creneau_notifications.rendering.templates import as_page

Version = Literal["fr", "en", "simple"]
"""The languages of the page; the simple version is French."""

Situation = Literal["open", "confirmed", "refused", "unknown", "ended", "unclear", "away"]
"""State of the answer: none yet, yes, no; no such link, an ended one, no readable answer; nothing that could be looked up or
put down at the moment."""

PAGE_STYLE = (
    "body{margin:0;padding:24px 12px;background:#f4f5f7;color:#1d2433;font:18px/1.55 system-ui,sans-serif}"
    "main{max-width:560px;margin:0 auto;padding:28px;background:#fff;border-radius:10px}"
    "h1{margin:0 0 20px;font-size:24px;line-height:1.3;color:#12355b}"
    "button{display:block;width:100%;margin:16px 0;padding:14px;border:2px solid #12355b;border-radius:6px;"
    "background:#12355b;color:#fff;font:inherit;font-weight:600;cursor:pointer}"
    "button.second{background:#fff;color:#12355b}"
    "button:focus-visible,a:focus-visible{outline:3px solid #b8860b;outline-offset:2px}"
    "a{color:#12355b}"
    "footer{max-width:560px;margin:20px auto 0;padding:0 28px}"
)


@dataclass(frozen=True, slots=True)
class Sentences:
    """What the page says in one situation. `confirm` and `refuse` are the buttons' words; none: no such button."""

    title: str
    text: tuple[str, ...]
    confirm: str | None = None
    refuse: str | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What stands on the page in every situation: its other versions, and the ways on."""

    own: str
    """the name of links to the version"""
    human: str
    home: str
    accessibility: str


_HELP_FR = (
    "Pour recevoir vos messages, ouvrez le lien du dernier message reçu, ou demandez au cabinet d’enregistrer votre "
    "adresse ou votre numéro\u00a0: il peut aussi vous répondre par téléphone."
)
_HELP_SIMPLE = "Ouvrez le lien de votre dernier message. Vous pouvez aussi téléphoner au cabinet."
_HELP_EN = (
    "To receive your messages, open the link of the latest one, or ask the practice to record your address or number: "
    "it can also answer you by phone."
)
_NOTHING = frozenset({"unknown", "ended"})

FRENCH: Mapping[Situation, Sentences] = {
    "open": Sentences(
        "Est-ce bien votre adresse ou votre numéro\u00a0?",
        (
            "Quelqu’un a donné en ligne l’adresse ou le numéro où vous avez lu notre message, pour recevoir les "
            "nouvelles d’un rendez-vous.",
        ),
        "Oui, continuez à m’écrire",
        "Non, ce n’est pas moi",
    ),
    "confirmed": Sentences(
        "Merci, c’est confirmé",
        ("Les messages et les rappels à venir vous parviendront.",),
        refuse="Finalement non, ce n’est pas moi",
    ),
    "refused": Sentences(
        "C’est noté",
        (
            "Nous n’y écrirons plus, qui que ce soit qui donne cette adresse ou ce numéro en ligne. "
            "Seul un cabinet qui vous connaît peut en décider autrement.",
        ),
        confirm="C’était une erreur\u00a0: c’est bien moi",
    ),
    "unknown": Sentences("Ce lien ne mène à rien", ("Il est peut-être incomplet.", _HELP_FR)),
    "ended": Sentences("Ce lien n’est plus valable", ("Il a été envoyé il y a trop longtemps.", _HELP_FR)),
    "unclear": Sentences(
        "Nous n’avons pas compris votre réponse",
        ("Choisissez l’une des deux.",),
        "Oui, c’est bien moi",
        "Non, ce n’est pas moi",
    ),
    "away": Sentences(
        "Cette page est indisponible pour le moment",
        ("Réessayez dans un instant.",),
        "Cette adresse est la mienne",
        "Ce n’est pas moi",
    ),
}

SIMPLE: Mapping[Situation, Sentences] = {
    "open": Sentences(
        "Est-ce vous\u00a0?",
        ("Vous avez lu notre message. Il parle d’un rendez-vous. Ce message est-il pour vous\u00a0?",),
        "Oui, c’est moi",
        "Non, ce n’est pas moi",
    ),
    "confirmed": Sentences(
        "Merci", ("Vous recevrez les prochains messages.",), refuse="Non, ce n’est pas moi"
    ),
    "refused": Sentences(
        "C’est noté",
        ("Nous n’écrirons plus ici. Seul un cabinet qui vous connaît peut changer cela.",),
        confirm="C’est une erreur\u00a0: c’est moi",
    ),
    "unknown": Sentences("Ce lien ne marche pas", ("Il manque peut-être un morceau.", _HELP_SIMPLE)),
    "ended": Sentences("Ce lien ne marche plus", ("Il est trop vieux.", _HELP_SIMPLE)),
    "unclear": Sentences(
        "Nous n’avons pas compris",
        ("Choisissez une réponse.",),
        "Oui, c’est moi",
        "Non, ce n’est pas moi",
    ),
    "away": Sentences(
        "Cette page ne marche pas maintenant",
        ("Attendez un peu. Puis essayez encore.",),
        "Oui, c’est moi",
        "Non, ce n’est pas moi",
    ),
}

ENGLISH: Mapping[Situation, Sentences] = {
    "open": Sentences(
        "Is this address or number yours?",
        (
            "Someone gave online the address or number at which you have read our message, to receive the news of an "
            "appointment.",
        ),
        "Yes, go on writing to me",
        "No, it is not me",
    ),
    "confirmed": Sentences(
        "Thank you, it is confirmed",
        ("You will receive the messages and reminders to come.",),
        refuse="In fact no, it is not me",
    ),
    "refused": Sentences(
        "We have noted it",
        (
            "We shall not write there any more, whoever gives this address or number online. Only a practice that "
            "knows you can decide otherwise.",
        ),
        confirm="It was a mistake: it is me",
    ),
    "unknown": Sentences("This link leads nowhere", ("It may be incomplete.", _HELP_EN)),
    "ended": Sentences("This link has ended", ("It was sent too long ago.", _HELP_EN)),
    "unclear": Sentences(
        "We did not understand your answer",
        ("Choose one of the two.",),
        "Yes, it is me",
        "No, it is not me",
    ),
    "away": Sentences(
        "This page is unavailable for the moment",
        ("Try again in a moment.",),
        "This address is mine",
        "It is not me",
    ),
}

_SENTENCES: Mapping[Version, Mapping[Situation, Sentences]] = {
    "fr": FRENCH,
    "en": ENGLISH,
    "simple": SIMPLE,
}
_AROUND: Mapping[Version, Around] = {
    "fr": Around(
        "Français",
        "Vous préférez parler à quelqu’un\u00a0? Appelez le cabinet\u00a0; un conseiller France services peut aussi "
        "le faire avec vous, gratuitement.",
        "Retour à l’accueil",
        "Accessibilité\u00a0: non conforme",
    ),
    "en": Around(
        "English",
        "Would you rather talk to someone? Call the practice; a France services counsellor can do it with you too, "
        "free of charge.",
        "Back to the start",
        "Accessibility: not compliant",
    ),
    "simple": Around(
        "Version simple",
        "Vous préférez parler à une personne\u00a0? Téléphonez au cabinet. Un conseiller France services peut vous "
        "aider. C’est gratuit.",
        "Retour à l’accueil",
        "Accessibilité\u00a0: non conforme",
    ),
}


def tag(version: Version) -> str:
    """Language of the version's words, as `lang` says it."""
    return "en" if version == "en" else "fr"


def page(situation: Situation, version: Version, path: str, site_url: str) -> str:
    """The page of the link at `path`, without scripts or anything fetched from elsewhere. `site_url`: pages for the public, no
    trailing slash."""
    others = [(tag(one), f"{path}/{one}", words.own) for one, words in _AROUND.items() if one != version]
    return as_page(
        language=tag(version),
        sentences=_SENTENCES[version][situation],
        around=_AROUND[version],
        style=PAGE_STYLE,
        action=f"{path}/{version}",
        others=[] if situation in _NOTHING else others,
        site=site_url,
    )
