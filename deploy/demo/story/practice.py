"""Step 5: what the practice sees of a booking, and what its neighbour does."""

from __future__ import annotations

from deploy.demo.story.errors import StoryError
from deploy.demo.story.narrator import when
from deploy.demo.story.reading import entries, human_name, instant
from deploy.demo.story.scene import Booking, Professional, Scene


def look_at_the_agenda(scene: Scene, booking: Booking) -> None:
    """The secretary of the practice finds the appointment among its own, with the patient's record."""
    own = booking.professional
    scene.narrator.say(f"Au secrétariat – {own.place} –, le rendez-vous est dans l'agenda :")
    query = [("_id", booking.id), ("_include", "Appointment:patient")]
    token = scene.practice_tokens(own.organization)
    bundle = scene.dialogue.get("/fhir/Appointment", query, token=token).body
    appointments, patients = entries(bundle, "Appointment", "match"), entries(bundle, "Patient")
    if [a["id"] for a in appointments] != [booking.id] or not patients:
        raise StoryError("Le cabinet ne voit pas le rendez-vous de son agenda avec sa patiente.")
    moment = when(instant(appointments[0], "start"), own.zone)
    scene.narrator.fact(f"{human_name(patients[0])}, {moment} ; rien des autres cabinets")


def look_next_door(scene: Scene, booking: Booking, neighbour: Professional) -> None:
    """To another practice the appointment is as if it did not exist."""
    scene.narrator.say(f"Au secrétariat d'à côté – {neighbour.place} –, il n'existe pas :")
    token = scene.practice_tokens(neighbour.organization)
    reply = scene.dialogue.look(booking.path, (), token=token)
    if reply.status != 404:
        raise StoryError(f"Un autre cabinet a reçu {reply.status} pour un rendez-vous qui n'est pas le sien.")
    scene.narrator.fact("404 Not Found, comme pour un rendez-vous qui n'a jamais été pris")
