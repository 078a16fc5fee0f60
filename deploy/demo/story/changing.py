"""Steps 5 and 6: move an appointment to another slot, then cancel it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from deploy.demo.story.booking import require_slot, require_times
from deploy.demo.story.bus import Event
from deploy.demo.story.errors import StoryError
from deploy.demo.story.narrator import when
from deploy.demo.story.reading import appointment_in
from deploy.demo.story.scene import Booking, Opening, Scene


def move(scene: Scene, booking: Booking, to: Opening) -> Booking:
    """`$reschedule`: the same appointment in another slot, the old one free again, in one go."""
    scene.narrator.say(f"Camille déplace son rendez-vous au {when(to.start, booking.professional.zone)} :")
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "slot", "valueReference": {"reference": to.reference}}],
    }
    reply = scene.dialogue.post(
        f"{booking.path}/$reschedule", parameters, token=booking.patient.token, expected=(200,)
    )
    moved = appointment_in(reply.body)
    if moved.get("id") != booking.id:
        raise StoryError(f"Le rendez-vous déplacé a changé d'identité : {moved.get('id')}.")
    require_times(moved, to)
    require_slot(scene, booking.opening, "free")
    require_slot(scene, to, "busy")
    return replace(booking, opening=to)


def require_previous(event: Event, before: Opening) -> None:
    """The event of a move says when the appointment was before."""
    told = event.data.get("previous", {}).get("start", "")
    if not told or datetime.fromisoformat(told) != before.start:
        raise StoryError(f"L'événement dit que le rendez-vous était à « {told} », pas à {before.start_text}.")


def cancel(scene: Scene, booking: Booking) -> None:
    """A JSON Patch of the status; the slot is free again."""
    scene.narrator.say("Finalement elle l'annule :")
    changes = [{"op": "replace", "path": "/status", "value": "cancelled"}]
    reply = scene.dialogue.patch(booking.path, changes, token=booking.patient.token)
    cancelled = appointment_in(reply.body)
    if cancelled.get("status") != "cancelled":
        raise StoryError(f"Le rendez-vous annulé est « {cancelled.get('status')} ».")
    scene.narrator.fact(f"Appointment/{booking.id} est « cancelled »")
    require_slot(scene, booking.opening, "free")
