"""Step 9: the professional is suddenly absent; affected visits are listed, moved with notice; the time reopens."""

from __future__ import annotations

from dataclasses import replace

from deploy.demo.story.booking import require_slot
from deploy.demo.story.errors import StoryError
from deploy.demo.story.following import show_event
from deploy.demo.story.narrator import when
from deploy.demo.story.reading import Resource, appointment_in, instant
from deploy.demo.story.scene import Booking, Scene

REASON = "Empêchement soudain"


def fall_ill(scene: Scene, booking: Booking) -> Booking:
    """The practice closes a visit's time: it lists who is affected, then moves and informs them. Returns the moved visit."""
    professional = booking.professional
    token = scene.practice_tokens(professional.organization)
    told = scene.mailbox.wait(booking.patient.email, booking.id, "REQUEST", 0)
    agenda = scene.dialogue.get(f"/fhir/{booking.opening.reference}").body["schedule"]["reference"]
    scene.narrator.say(f"{professional.name} a un empêchement ; le cabinet demande qui est concerné :")
    hit = _close(scene, agenda, booking, token)
    if "new-start" not in hit:
        raise StoryError(f"Le rendez-vous {booking.id} n'est pas proposé à un autre moment.")
    scene.narrator.fact(
        f"Appointment/{booking.id}, {when(booking.opening.start, professional.zone)}, peut aller au "
        f"{when(instant(hit, 'new-start'), professional.zone)} ; rien n'a changé"
    )
    require_slot(scene, booking.opening, "busy")
    scene.narrator.say("Il confirme :")
    done = _close(scene, agenda, booking, token, confirm=True)
    if done.get("outcome") != "moved":
        raise StoryError(f"Le rendez-vous {booking.id} est « {done.get('outcome')} » au lieu de « moved ».")
    found = appointment_in(scene.dialogue.get(booking.path, token=booking.patient.token).body)
    start, end = instant(found, "start"), instant(found, "end")
    scene.narrator.fact(f"{booking.patient.name} a rendez-vous le {when(start, professional.zone)}")
    require_slot(scene, booking.opening, "busy-unavailable")
    moved = replace(
        booking,
        opening=replace(
            booking.opening,
            reference=str(found["slot"][0]["reference"]),
            start=start,
            end=end,
            start_text=found["start"],
            end_text=found["end"],
        ),
    )
    show_event(scene, moved, "moved")
    notice = scene.mailbox.wait(booking.patient.email, booking.id, "REQUEST", told.sequence + 1)
    if notice.start != start:
        raise StoryError(f"Le calendrier dit {notice.start}, le rendez-vous est à {found['start']}.")
    scene.narrator.fact(f"Courriel « {notice.subject} », lisible à {notice.url}")
    scene.narrator.say("L'empêchement est levé : le cabinet rouvre ce temps, qui va d'abord à qui attend.")
    _close(scene, agenda, booking, token, confirm=True, action="reopen")
    require_slot(scene, booking.opening, "free")
    return moved


def _close(
    scene: Scene, agenda: str, booking: Booking, token: str, *, confirm: bool = False, action: str = "move"
) -> Resource:
    """`$close` for the visit's time; the answer's parts on it, by name."""
    period = {"start": booking.opening.start_text, "end": booking.opening.end_text}
    parameters: list[Resource] = [
        {"name": "period", "valuePeriod": period},
        {"name": "reason", "valueString": REASON},
        {"name": "action", "valueCode": action},
        {"name": "confirm", "valueBoolean": confirm},
    ]
    reply = scene.dialogue.post(
        f"/fhir/{agenda}/$close",
        {"resourceType": "Parameters", "parameter": parameters},
        token=token,
        expected=(200,),
    )
    if action == "reopen":
        return {}
    for part in reply.body["parameter"]:
        said = {p["name"]: next(v for k, v in p.items() if k != "name") for p in part.get("part", ())}
        if said.get("reference") == {"reference": f"Appointment/{booking.id}"}:
            return said
    raise StoryError(f"Le rendez-vous {booking.id} n'est pas parmi ceux que l'absence touche.")
