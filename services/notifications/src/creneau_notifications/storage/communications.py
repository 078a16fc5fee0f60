"""Each message as a FHIR Communication (R4), so that people and software can see what was told and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from creneau_notifications.domain.plan import Kind
from creneau_notifications.storage.communication_index import TYPE, entries_of
from creneau_notifications.storage.messages import Message, Status
from creneau_shared.database.pool import Connection
from creneau_shared.fhir.search.index import IndexEntries
from creneau_shared.fhir.storage.generic import instant, owned_by
from creneau_shared.fhir.storage.many import ManyStore, Version
from creneau_shared.fhir.storage.purging import purge
from creneau_shared.fhir.storage.store import Resource, WriteContext
from creneau_shared.security.rights import SHARED

CATEGORY_SYSTEM = "http://terminology.hl7.org/CodeSystem/communication-category"
TOPIC_SYSTEM = "http://terminology.hl7.org/CodeSystem/communication-topic"
REASON_SYSTEM = "http://terminology.hl7.org/CodeSystem/communication-not-done-reason"

STATUSES = {
    Status.PLANNED: "preparation",
    Status.SENDING: "in-progress",
    Status.SENT: "completed",
    Status.FAILED: "not-done",
    Status.CANCELLED: "not-done",
    Status.EXPIRED: "not-done",
}

SUMMARIES = {
    Kind.CONFIRMATION: "Confirmation d’un rendez-vous",
    Kind.CHANGE: "Modification d’un rendez-vous",
    Kind.CANCELLATION: "Annulation d’un rendez-vous",
    Kind.REMINDER: "Rappel d’un rendez-vous",
    Kind.OFFER: "Proposition de la liste d’attente",
    Kind.PROPOSAL: "Proposition d’une autre heure",
}

REASONS = {
    "superseded": ("unknown", "Remplacé par une information plus récente"),
    "contact-deleted": ("patient-objection", "Les coordonnées ont été effacées"),
    "too-late": ("unknown", "Devenu inutile avant d’avoir pu partir"),
    "no-contact": ("recipient-unavailable", "Coordonnées inconnues"),
    "no-address": ("recipient-unavailable", "Aucune adresse connue pour ce canal"),
    "invalid-address": (
        "recipient-unavailable",
        "Ce qui est enregistré n’est pas une adresse : rien ne peut y être envoyé",
    ),
    "no-text-messages": ("recipient-unavailable", "Ce numéro (ligne fixe) ne reçoit pas de SMS"),
    "no-texts-abroad": ("recipient-unavailable", "Aucun SMS n’est envoyé vers le pays de ce numéro"),
    "address-unconfirmed": (
        "recipient-unavailable",
        "L’adresse n’a pas été confirmée par la personne qui la lit",
    ),
    "too-many-messages": ("unknown", "Trop de messages à cette adresse le même jour"),
    "refused": ("recipient-unavailable", "Refusé par le serveur du destinataire"),
    "exhausted": ("system-error", "Échec après plusieurs essais"),
}
"""Why a message did not leave: code of the not-done-reason system, and the French sentence."""


class _Store(ManyStore):
    """The rows of Communications, indexed as `communication_index` does."""

    def _entries(self, resource: Resource) -> IndexEntries:
        return entries_of(resource, self._base_url)


class Communications:
    """Keeps the Communication of each message in step with it, in the same transaction.

    `media`: the coding of Communication.medium by the name of the channel.
    """

    def __init__(self, base_url: str, media: Mapping[str, Mapping[str, str]]) -> None:
        self._store = _Store(TYPE, base_url)
        self._media = media

    async def announce(self, connection: Connection, messages: Sequence[Message], now: datetime) -> None:
        """Store the Communications of messages that have just been planned, for later."""
        await self._store.create_many(connection, WriteContext(now=now), self._versions(messages))

    async def show(self, connection: Connection, messages: Sequence[Message], now: datetime) -> None:
        """Store the state of these messages as the current versions of their Communications."""
        if messages:
            await self._store.put_many(connection, WriteContext(now=now), self._versions(messages))

    def _versions(self, messages: Sequence[Message]) -> list[Version]:
        return [
            Version(
                {**communication_of(message, self._media.get(message.channel)), "id": str(message.id)},
                belonging_of(message),
            )
            for message in messages
        ]

    async def remove(self, connection: Connection, ids: list[str]) -> None:
        """Take Communications and their history away for good, once their time of keeping is over."""
        await purge(connection, "Communication", ids)


def belonging_of(message: Message) -> list[str]:
    """The owners of the Communication: the visit's practices; the recipient's representatives see it too."""
    appointment = message.event.appointment
    shared = [] if appointment.hidden else [f"{SHARED}{message.recipient.removeprefix('Patient/')}"]
    return [*owned_by(appointment.organizations), *shared]


def communication_of(message: Message, medium: Mapping[str, str] | None) -> dict[str, Any]:
    """The Communication resource: no name, no address, nothing of the visit but the reference to it.

    `medium`: None for a channel that only a newer version of the service knows.
    """
    resource: dict[str, Any] = {
        "resourceType": "Communication",
        "status": _status(message),
        "category": [{"coding": [_category(message.kind)]}],
        **({"medium": [{"coding": [dict(medium)]}]} if medium else {}),
        "subject": {"reference": message.recipient},
        "topic": _topic(message.kind),
        "about": [{"reference": f"Appointment/{message.appointment}"}],
        "recipient": [{"reference": message.recipient}],
        "payload": [{"contentString": SUMMARIES[message.kind]}],
    }
    if message.status is Status.SENT and message.finished_at is not None:
        resource["sent"] = instant(message.finished_at)
    if message.reason is not None:
        code, text = REASONS[message.reason]
        resource["statusReason"] = {"coding": [{"system": REASON_SYSTEM, "code": code}], "text": text}
    return resource


def _status(message: Message) -> str:
    """Once it has been tried, a message that waits for another attempt is in progress."""
    tried_before = message.status is Status.PLANNED and message.attempts > 0
    return "in-progress" if tried_before else STATUSES[message.status]


def _category(kind: Kind) -> dict[str, str]:
    code = "reminder" if kind is Kind.REMINDER else "notification"
    return {"system": CATEGORY_SYSTEM, "code": code, "display": code.capitalize()}


def _topic(kind: Kind) -> dict[str, Any]:
    text = {"text": SUMMARIES[kind]}
    if kind is Kind.REMINDER:
        coding = {"system": TOPIC_SYSTEM, "code": "appointment-reminder", "display": "Appointment Reminder"}
        return {"coding": [coding], **text}
    return text
