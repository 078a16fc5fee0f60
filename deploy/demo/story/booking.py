"""Step 3: register, hold and confirm, book at once, and meet a rival."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from deploy.demo.load import reason
from deploy.demo.story.errors import StoryError
from deploy.demo.story.narrator import when
from deploy.demo.story.reading import Resource, appointment_in, instant
from deploy.demo.story.scene import Booking, Opening, Patient, Professional, Scene


def register(scene: Scene, given: str, family: str, gender: str, birth_date: str, phone: str) -> Patient:
    """Create the token holder's Patient; the next token carries its id (SMART launch context)."""
    subject = f"demo-{given.lower()}-{scene.run}"
    email = f"{subject}@exemple.fr"
    resource = {
        "resourceType": "Patient",
        "active": True,
        "name": [{"use": "official", "family": family, "given": [given]}],
        "gender": gender,
        "birthDate": birth_date,
        "telecom": [
            {"system": "email", "value": email},
            {"system": "phone", "value": phone, "use": "mobile"},
        ],
        "communication": [
            {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fr"}]}, "preferred": True}
        ],
    }
    reply = scene.dialogue.post("/fhir/Patient", resource, token=scene.tokens(subject, None), expected=(201,))
    id_ = reply.body.get("id")
    if not id_:
        raise StoryError("POST Patient n'a pas rendu le Patient créé, avec son id.")
    scene.narrator.fact(f"{given} {family} est connue comme Patient/{id_}, courriel {email}")
    return Patient(f"Patient/{id_}", f"{given} {family}", email, scene.tokens(subject, id_))


def appointment(status: str, opening: Opening, professional: Professional, patient: Patient) -> Resource:
    """The Appointment to send: the slot and its times, the patient, the professional and the place."""
    answered = "accepted" if status == "booked" else "needs-action"
    resource: Resource = {
        "resourceType": "Appointment",
        "status": status,
        "start": opening.start_text,
        "end": opening.end_text,
        "slot": [{"reference": opening.reference}],
        "participant": [
            {"actor": {"reference": patient.reference}, "status": "accepted"},
            {"actor": {"reference": professional.reference}, "status": answered},
            {"actor": {"reference": professional.place_reference}, "status": answered},
        ],
    }
    if opening.specialty:
        resource["specialty"] = list(opening.specialty)
    return resource


def hold(scene: Scene, opening: Opening, professional: Professional, patient: Patient) -> Booking:
    """`$hold`: nobody else is offered the slot until the instant in the Expires header."""
    scene.narrator.say(
        f"Camille choisit {when(opening.start, professional.zone)} chez {professional.name}, et garde le "
        "créneau le temps de réfléchir ($hold) :"
    )
    proposed = appointment("proposed", opening, professional, patient)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "appt-resource", "resource": proposed}],
    }
    reply = scene.dialogue.post("/fhir/Appointment/$hold", parameters, token=patient.token)
    held = appointment_in(reply.body)
    _require_status(held, "pending", "$hold")
    expires = reply.headers.get("expires")
    if expires is None:
        raise StoryError("$hold n'a pas dit jusqu'à quand (en-tête Expires).")
    scene.narrator.fact(f"Appointment/{held['id']} est « pending »")
    scene.narrator.fact(
        f"Expires : {expires} – gardé jusqu'au {when(parsedate_to_datetime(expires), professional.zone)}"
    )
    require_slot(scene, opening, "busy-tentative")
    return Booking(held["id"], opening, professional, patient)


def confirm(scene: Scene, booking: Booking) -> None:
    """`$book` of what was held."""
    scene.narrator.say("Elle confirme ($book) :")
    reply = scene.dialogue.post(
        f"{booking.path}/$book", {"resourceType": "Parameters"}, token=booking.patient.token
    )
    _require_status(appointment_in(reply.body), "booked", "$book")
    scene.narrator.fact(f"Appointment/{booking.id} est « booked »")
    require_slot(scene, booking.opening, "busy")


def book(scene: Scene, opening: Opening, professional: Professional, patient: Patient) -> Booking:
    """A plain create of a booked Appointment, as a practitioner's software would."""
    moment = when(opening.start, professional.zone)
    scene.narrator.say(f"Un second rendez-vous, {moment}, sans mise en attente :")
    resource = appointment("booked", opening, professional, patient)
    reply = scene.dialogue.post("/fhir/Appointment", resource, token=patient.token, expected=(201,))
    booked = appointment_in(reply.body)
    _require_status(booked, "booked", "POST Appointment")
    if "location" not in reply.headers or "etag" not in reply.headers:
        raise StoryError("La création du rendez-vous n'a pas dit où il est (Location) ni sa version (ETag).")
    scene.narrator.fact(f"Location : {reply.headers['location']}")
    scene.narrator.fact(f"ETag : {reply.headers['etag']}")
    return Booking(booked["id"], opening, professional, patient)


def lose(scene: Scene, booking: Booking, rival: Patient) -> None:
    """A rival asks for a taken slot: refused, with a sentence that can be shown to a person."""
    scene.narrator.say(f"{rival.name} veut le même créneau :")
    resource = appointment("booked", booking.opening, booking.professional, rival)
    reply = scene.dialogue.post("/fhir/Appointment", resource, token=rival.token, expected=(409,))
    if reply.body.get("resourceType") != "OperationOutcome":
        raise StoryError("Le refus (409) n'est pas un OperationOutcome.")
    scene.narrator.fact(f"« {reason(reply.body)} »")


def require_slot(scene: Scene, opening: Opening, status: str) -> None:
    """Read the Slot and require its status."""
    slot = scene.dialogue.get(f"/fhir/{opening.reference}").body
    if slot.get("status") != status:
        raise StoryError(f"{opening.reference} est « {slot.get('status')} » au lieu de « {status} ».")
    scene.narrator.fact(f"{opening.reference} est « {status} »")


def require_times(found: Resource, opening: Opening) -> None:
    """The Appointment must have the times of the slot."""
    if (instant(found, "start"), instant(found, "end")) != (opening.start, opening.end):
        raise StoryError(f"Le rendez-vous est à {found['start']}, le créneau à {opening.start_text}.")


def _require_status(found: Resource, status: str, what: str) -> None:
    if found.get("status") != status:
        raise StoryError(f"{what} a rendu un rendez-vous « {found.get('status')} » au lieu de « {status} ».")
