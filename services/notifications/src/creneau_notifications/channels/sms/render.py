"""The text message of an occasion, in the alphabet in which 160 characters fit (GSM 03.38)."""

from __future__ import annotations

import unicodedata
from datetime import datetime

from creneau_notifications.channels.sms.wording import WORDINGS, SmsWording
from creneau_notifications.domain.plan import ASKING, Kind
from creneau_notifications.rendering.letter import Occasion

GSM_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
SMS_CHARS = 160
"""what fits into one text message; longer ones are sent, and paid, in parts"""
SPELLED = {"œ": "oe", "Œ": "OE", "’": "'", "‘": "'", "«": '"', "»": '"', "–": "-", "—": "-", "…": "..."}


def build_sms(occasion: Occasion) -> str:
    """What the patient reads on the telephone.

    It names neither the professional nor the place: others may see the screen. If the visit's clock is not the reader's, the
    zone is named in full, or by its city if only that fits into one message.
    """
    texts = [_text(occasion, brief=brief) for brief in (False, True)]
    return next((text for text in texts if len(text) <= SMS_CHARS), texts[0])


def _text(occasion: Occasion, *, brief: bool) -> str:
    wording = WORDINGS[occasion.contact.writes_in]
    sentence = _sentence(occasion, wording).format(
        count=len(occasion.occurrences), when=occasion.told(_first(occasion), brief=brief)
    )
    until = occasion.event.held_until
    if occasion.kind is Kind.OFFER and until is not None:
        sentence = f"{sentence}, {wording.offered_until.format(until=occasion.told(until, brief=brief))}"
    text = f"{sentence}. {_link(occasion, wording).format(url=occasion.page_url)}"
    if occasion.confirm_url is not None:
        text += f". {wording.confirm.format(url=occasion.confirm_url)}"
    return gsm(text)


def _sentence(occasion: Occasion, wording: SmsWording) -> str:
    several = len(occasion.occurrences) > 1
    if occasion.is_of_request and occasion.event.is_unanswered:
        return wording.unanswered_of_several if several else wording.unanswered
    if occasion.is_of_request:
        return wording.refused_of_several if several else wording.refused
    if occasion.kind is Kind.CANCELLATION and occasion.event.cancelled_by == "provider":
        return wording.cancelled_by_provider_of_several if several else wording.cancelled_by_provider
    return (wording.sentence_of_several if several else wording.sentence)[occasion.kind]


def _first(occasion: Occasion) -> datetime:
    return occasion.start if len(occasion.occurrences) == 1 else occasion.occurrences[0].start


def _link(occasion: Occasion, wording: SmsWording) -> str:
    if occasion.kind is Kind.CANCELLATION:
        return wording.see
    if occasion.kind is Kind.REMINDER:
        return wording.prevented
    return wording.answer if occasion.kind in ASKING else wording.manage


def gsm(text: str) -> str:
    """`text` in the GSM alphabet: one letter outside it would halve the room in a message."""
    return "".join(_gsm_character(character) for character in text)


def _gsm_character(character: str) -> str:
    if character in GSM_ALPHABET:
        return character
    if character in SPELLED:
        return SPELLED[character]
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base in GSM_ALPHABET else ("" if unicodedata.combining(character) else "?")
