"""Step 4: what a booking sets off – the event, the message with its calendar file, the reminders."""

from __future__ import annotations

import json
import re

from deploy.demo.story.bus import TOPIC, Event, check_contract
from deploy.demo.story.errors import StoryError, wait_for
from deploy.demo.story.mailbox import Invitation
from deploy.demo.story.reading import Resource, entries, references
from deploy.demo.story.scene import Booking, Patient, Scene

COMMUNICATIONS_WITHIN_S = 20.0
TEXT_LINES_SHOWN = 14
CALENDAR_LINES = ("METHOD", "UID", "SEQUENCE", "DTSTART", "DTEND", "SUMMARY", "LOCATION", "STATUS")
CONFIRMATION = re.compile(r"/confirmer/[A-Za-z0-9_-]+")
STATUS_IN_WORDS = {
    "preparation": "prévu",
    "in-progress": "en cours d'envoi",
    "completed": "envoyé",
    "not-done": "retiré",
    "stopped": "retiré",
    "on-hold": "suspendu",
}
MEDIA_IN_WORDS = {"EMAILWRIT": "courriel", "SMSWRIT": "SMS"}


def show_event(scene: Scene, booking: Booking, change: str) -> Event:
    """Wait for the event on Kafka, show it, and check it by its contract."""
    scene.narrator.say("L'événement publié sur Kafka :")
    event = scene.bus.wait(booking.id, change)
    scene.narrator.fact(f"{TOPIC}, partition {event.partition}, position {event.offset}, clé {event.key}")
    headers = [f"{name}: {value}" for name, value in event.headers.items() if name.startswith("ce_")]
    scene.narrator.block("\n".join([*headers, json.dumps(event.data, indent=2, ensure_ascii=False)]))
    scene.narrator.fact(f"conforme au contrat {check_contract(event)}")
    said = json.dumps(event.data, ensure_ascii=False)
    if booking.patient.email in said or booking.patient.name.split()[-1] in said:
        raise StoryError("L'événement nomme la personne : il ne doit porter qu'une référence.")
    scene.narrator.fact("aucun nom, aucune coordonnée : le patient n'y est qu'une référence")
    return event


def show_message(
    scene: Scene, booking: Booking, method: str, *, after: Invitation | None = None, whole: bool = False
) -> Invitation:
    """Wait for the e-mail with its calendar file; `after` an earlier one, same UID and a higher SEQUENCE."""
    scene.narrator.say("Le courriel et son fichier calendrier :")
    sequence_min = 0 if after is None else after.sequence + 1
    invitation = scene.mailbox.wait(booking.patient.email, booking.id, method, sequence_min)
    scene.narrator.fact(f"Courriel « {invitation.subject} », lisible à {invitation.url}")
    if whole:
        scene.narrator.block("\n".join(invitation.text.splitlines()[:TEXT_LINES_SHOWN]))
    scene.narrator.block(calendar_lines(invitation.ics))
    if after is not None and invitation.uid != after.uid:
        raise StoryError(f"L'UID du calendrier a changé : {after.uid}, puis {invitation.uid}.")
    if method == "REQUEST" and invitation.start != booking.opening.start:
        raise StoryError(f"Le calendrier dit {invitation.start}, le créneau {booking.opening.start_text}.")
    return invitation


def confirm_address(scene: Scene, booking: Booking, invitation: Invitation) -> None:
    """Confirm that the address is the patient's own, as the message asks: else few messages follow."""
    link = CONFIRMATION.search(invitation.text)
    if link is None:
        raise StoryError(
            "Le courriel ne demande pas de confirmer l'adresse, que personne n'a encore confirmée."
        )
    first = booking.patient.name.split()[0]
    scene.narrator.say(f"{first} confirme que l'adresse est la sienne :")
    scene.dialogue.submit(link[0], {"answer": "confirm"})
    scene.narrator.fact("adresse confirmée : les rappels partiront")


def calendar_lines(ics: str) -> str:
    """The lines of a calendar file that tell the appointment (those of the time zone left out)."""
    event = ics.replace("\r\n ", "").partition("BEGIN:VEVENT")[2].partition("BEGIN:VALARM")[0]
    method = [line for line in ics.splitlines() if line.startswith("METHOD")]
    lines = method + event.splitlines()
    return "\n".join(line for line in lines if line.startswith(CALENDAR_LINES))


def show_communications(scene: Scene, patient: Patient) -> None:
    """What was sent to the patient and what is planned, as FHIR Communications."""
    scene.narrator.say("Ce qui est parti, et ce qui est prévu :")
    path, query = "/fhir/Communication", [("recipient", patient.reference)]

    def look() -> list[Resource] | None:
        found = entries(scene.dialogue.look(path, query, token=patient.token).body, "Communication")
        statuses = {communication.get("status") for communication in found}
        return found if {"completed", "preparation"} <= statuses else None

    what = f"Un message envoyé et un rappel prévu pour {patient.reference} (Communication)"
    wait_for(look, what, COMMUNICATIONS_WITHIN_S)
    bundle = scene.dialogue.get(path, query, token=patient.token).body
    for communication in entries(bundle, "Communication"):
        scene.narrator.fact(describe(communication))


def show_withdrawn(scene: Scene, booking: Booking) -> None:
    """After a cancellation nothing more is planned about the appointment."""
    scene.narrator.say("Les rappels prévus pour ce rendez-vous sont retirés :")
    path, query = "/fhir/Communication", [("recipient", booking.patient.reference)]

    def look() -> list[Resource] | None:
        bundle = scene.dialogue.look(path, query, token=booking.patient.token).body
        about = [found for found in entries(bundle, "Communication") if _is_about(found, booking)]
        planned = any(found.get("status") in ("preparation", "in-progress") for found in about)
        return about if about and not planned else None

    what = f"Le retrait de ce qui était prévu pour Appointment/{booking.id} (Communication)"
    for communication in wait_for(look, what, COMMUNICATIONS_WITHIN_S):
        scene.narrator.fact(describe(communication))


def _is_about(communication: Resource, booking: Booking) -> bool:
    return f"Appointment/{booking.id}" in references(communication.get("about", []), "Appointment")


def describe(communication: Resource) -> str:
    """`prévu : Rappel d'un rendez-vous (SMS)`, as far as the Communication tells."""
    status = communication.get("status", "?")
    texts = [part["contentString"] for part in communication.get("payload", []) if "contentString" in part]
    codes = [
        coding.get("code", "?") for medium in communication.get("medium", []) for coding in medium["coding"]
    ]
    by = f" ({', '.join(MEDIA_IN_WORDS.get(code, code) for code in codes)})" if codes else ""
    why = communication.get("statusReason", {}).get("text")
    because = f" – {why}" if why else ""
    return f"{STATUS_IN_WORDS.get(status, status)} : {', '.join(texts) or 'message'}{by}{because}"
