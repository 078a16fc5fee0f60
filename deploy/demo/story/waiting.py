"""Step 8: a freed time goes to the first who waits, before anybody else can see it."""

from __future__ import annotations

from deploy.demo.story.booking import require_slot
from deploy.demo.story.errors import StoryError
from deploy.demo.story.following import show_event
from deploy.demo.story.narrator import when
from deploy.demo.story.reading import Resource, appointment_in, instant
from deploy.demo.story.scene import Booking, Patient, Scene

HELD_UNTIL = "https://creneau.sante.fr/fhir/StructureDefinition/held-until"
SUBJECT = "Un créneau se libère"


def join(scene: Scene, wanted: Booking, patient: Patient) -> Booking:
    """A waiting-list request for the professional, on the day of somebody else's booking."""
    professional, day = (
        wanted.professional,
        f"{wanted.opening.start.astimezone(wanted.professional.zone):%Y-%m-%d}",
    )
    scene.narrator.say(f"{patient.name} attend un créneau de {professional.name} ce jour-là :")
    request: Resource = {
        "resourceType": "Appointment",
        "status": "waitlist",
        "requestedPeriod": [{"start": day, "end": day}],
        "participant": [
            {"actor": {"reference": patient.reference}, "status": "accepted"},
            {"actor": {"reference": professional.reference}, "status": "needs-action"},
        ],
    }
    reply = scene.dialogue.post("/fhir/Appointment", request, token=patient.token, expected=(201,))
    waiting = appointment_in(reply.body)
    if waiting.get("status") != "waitlist":
        raise StoryError(f"La demande est « {waiting.get('status')} » au lieu de « waitlist ».")
    scene.narrator.fact(f"Appointment/{waiting['id']} est « waitlist »")
    return Booking(waiting["id"], wanted.opening, professional, patient)


def free(scene: Scene, booking: Booking) -> None:
    """The patient cancels; the time is kept for the first who waits."""
    scene.narrator.say(f"{booking.patient.name} rend son second rendez-vous :")
    changes = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    scene.dialogue.patch(booking.path, changes, token=booking.patient.token)
    scene.narrator.fact("jamais public : le créneau est gardé pour la première personne qui attend")
    require_slot(scene, booking.opening, "busy-tentative")


def accept(scene: Scene, waiting: Booking) -> None:
    """Show what is offered, until when and how it is told; accept it."""
    offer = appointment_in(scene.dialogue.get(waiting.path, token=waiting.patient.token).body)
    until = [e["valueInstant"] for e in offer.get("extension", ()) if e["url"] == HELD_UNTIL]
    if offer.get("status") != "pending" or not until:
        raise StoryError(f"Rien n'est proposé à {waiting.patient.name} : « {offer.get('status')} ».")
    zone = waiting.professional.zone
    kept = when(instant({"until": until[0]}, "until"), zone)
    scene.narrator.fact(f"proposé à {waiting.patient.name}, gardé jusqu'au {kept}")
    show_event(scene, waiting, "offered")
    subject = scene.mailbox.subject(waiting.patient.email, SUBJECT)
    scene.narrator.fact(f"Courriel « {subject} »")
    scene.narrator.say(f"{waiting.patient.name} accepte :")
    changes = [{"op": "replace", "path": "/status", "value": "booked"}]
    booked = appointment_in(scene.dialogue.patch(waiting.path, changes, token=waiting.patient.token).body)
    if booked.get("status") != "booked":
        raise StoryError(f"La proposition acceptée est « {booked.get('status')} ».")
    require_slot(scene, waiting.opening, "busy")
