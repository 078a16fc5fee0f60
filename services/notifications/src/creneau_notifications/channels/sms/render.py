"""The text message of an occasion, in the alphabet in which 160 characters fit (GSM 03.38)."""

from __future__ import annotations

import unicodedata

from creneau_notifications.channels.sms.wording import WORDINGS
from creneau_notifications.rendering.dates import moment
from creneau_notifications.rendering.letter import Occasion

GSM_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
SPELLED = {"œ": "oe", "Œ": "OE", "’": "'", "‘": "'", "«": '"', "»": '"', "–": "-", "—": "-", "…": "..."}


def build_sms(occasion: Occasion) -> str:
    """What the patient reads on the telephone.

    It names neither the professional nor the place: others may see the screen.
    """
    language = occasion.contact.writes_in
    wording = WORDINGS[language]
    when = moment(occasion.event.appointment.start, occasion.visit, language)
    sentence = wording.sentence[occasion.kind].format(when=when)
    text = f"{sentence}. {wording.manage.format(url=occasion.page_url)}"
    if occasion.confirm_url is not None:
        text += f". {wording.confirm.format(url=occasion.confirm_url)}"
    return gsm(text)


def gsm(text: str) -> str:
    """`text` in the GSM alphabet: one letter outside it would make every message half as long."""
    return "".join(_gsm_character(character) for character in text)


def _gsm_character(character: str) -> str:
    if character in GSM_ALPHABET:
        return character
    if character in SPELLED:
        return SPELLED[character]
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base in GSM_ALPHABET else ("" if unicodedata.combining(character) else "?")
