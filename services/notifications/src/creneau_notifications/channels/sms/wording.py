"""The sentences of text messages, in French and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from creneau_notifications.domain.contact import Language
from creneau_notifications.domain.plan import Kind


@dataclass(frozen=True, slots=True)
class SmsWording:
    """The sentences of one language. `{when}` stands for the moment of the visit."""

    sentence: Mapping[Kind, str]
    offered_until: str
    """`{until}`: until when what is offered is kept"""
    answer: str
    manage: str
    confirm: str


FRENCH = SmsWording(
    sentence={
        Kind.CONFIRMATION: "Rendez-vous confirmé : {when}",
        Kind.CHANGE: "Rendez-vous modifié : {when}",
        Kind.CANCELLATION: "Rendez-vous annulé : {when}",
        Kind.REMINDER: "Rappel : rendez-vous {when}",
        Kind.OFFER: "Créneau libéré : {when}",
        Kind.PROPOSAL: "Autre heure proposée : {when}",
    },
    offered_until="gardé pour vous jusqu'au {until}",
    answer="Répondre : {url}",
    manage="Déplacer ou annuler : {url}",
    confirm="Ce numéro est-il le vôtre ? {url}",
)

ENGLISH = SmsWording(
    sentence={
        Kind.CONFIRMATION: "Appointment confirmed: {when}",
        Kind.CHANGE: "Appointment changed: {when}",
        Kind.CANCELLATION: "Appointment cancelled: {when}",
        Kind.REMINDER: "Reminder: appointment {when}",
        Kind.OFFER: "Time free: {when}",
        Kind.PROPOSAL: "Another time proposed: {when}",
    },
    offered_until="kept for you until {until}",
    answer="Answer: {url}",
    manage="Move or cancel: {url}",
    confirm="Is this number yours? {url}",
)

WORDINGS: Mapping[Language, SmsWording] = {"fr": FRENCH, "en": ENGLISH}
