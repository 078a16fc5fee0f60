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
    sentence_of_several: Mapping[Kind, str]
    """`{count}` visits of a series, the first at `{when}`"""
    cancelled_by_provider: str
    cancelled_by_provider_of_several: str
    refused: str
    """of a request to which the practice did not agree"""
    refused_of_several: str
    unanswered: str
    unanswered_of_several: str
    offered_until: str
    """`{until}`: until when what is offered is kept"""
    answer: str
    manage: str
    prevented: str
    """for a visit that may be too near to change online; its page says what to do"""
    see: str
    """to what is cancelled: which it was"""
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
    sentence_of_several={
        Kind.CONFIRMATION: "{count} rendez-vous confirmés à partir du {when}",
        Kind.CHANGE: "{count} rendez-vous modifiés, à partir du {when}",
        Kind.CANCELLATION: "{count} rendez-vous annulés à partir du {when}",
    },
    cancelled_by_provider="Rendez-vous annulé par le cabinet : {when}",
    cancelled_by_provider_of_several="{count} rendez-vous annulés par le cabinet, à partir du {when}",
    refused="Demande non acceptée par le cabinet : {when}",
    refused_of_several="Demande de {count} rendez-vous non acceptée, à partir du {when}",
    unanswered="Demande restée sans réponse : {when}",
    unanswered_of_several="Demande de {count} rendez-vous restée sans réponse, à partir du {when}",
    offered_until="gardé pour vous jusqu’au {until}",
    answer="Répondre : {url}",
    manage="Déplacer ou annuler : {url}",
    prevented="Vous ne venez pas ? {url}",
    see="Voir : {url}",
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
    sentence_of_several={
        Kind.CONFIRMATION: "{count} appointments confirmed from {when}",
        Kind.CHANGE: "{count} appointments changed, from {when}",
        Kind.CANCELLATION: "{count} appointments cancelled from {when}",
    },
    cancelled_by_provider="Appointment cancelled by the practice: {when}",
    cancelled_by_provider_of_several="{count} appointments cancelled by the practice, from {when}",
    refused="Request not accepted by the practice: {when}",
    refused_of_several="Request for {count} appointments not accepted, from {when}",
    unanswered="Request left without an answer: {when}",
    unanswered_of_several="Request for {count} appointments left without an answer, from {when}",
    offered_until="kept for you until {until}",
    answer="Answer: {url}",
    manage="Move or cancel: {url}",
    prevented="You cannot come? {url}",
    see="See: {url}",
    confirm="Is this number yours? {url}",
)

WORDINGS: Mapping[Language, SmsWording] = {"fr": FRENCH, "en": ENGLISH}
