"""The visits of an agenda that are still free, as FHIR Slots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from deploy.demo.agenda import draw, is_absent, is_public_holiday
from deploy.demo.codes import APPOINTMENT_TYPE, SLOT_VISIBILITY, SPECIALTY, VISIT, Resource, coding, concept
from deploy.demo.population import Post

AGENDA_URL = "https://agenda.exemple.fr/"


def free_slots(post: Post, start: datetime, days: int) -> Iterator[Resource]:
    """The free Slots of `post` from the instant `start`, over `days` days, in the order of time."""
    zone = post.practice.commune.time_zone
    first = start.astimezone(zone).date()
    for offset in range(days):
        day = first + timedelta(days=offset)
        if is_public_holiday(day, post.practice.commune) or is_absent(post.professional.id, day):
            continue
        chance_of_free = openness(post, offset)
        for moment in _visits(post, day):
            if moment >= start and draw("free", post.id, moment.isoformat()) < chance_of_free:
                yield _slot(post, moment)


def openness(post: Post, days_ahead: int) -> float:
    """The share of visits still free so many days ahead: agendas fill from the near end."""
    profession = post.professional.profession
    return profession.openness * (1 - math.exp(-(days_ahead + 1) / profession.median_wait_days))


def _visits(post: Post, day: date) -> Iterator[datetime]:
    """The starts of all the visits of a day, in the place's own time."""
    zone = post.practice.commune.time_zone
    length = timedelta(minutes=post.professional.minutes)
    for session in post.sessions:
        if session.weekday != day.weekday():
            continue
        moment = datetime.combine(day, session.start, zone)
        close = datetime.combine(day, session.end, zone)
        while moment + length <= close:
            yield moment
            moment += length


def _slot(post: Post, moment: datetime) -> Resource:
    profession = post.professional.profession
    resource: Resource = {
        "resourceType": "Slot",
        "id": f"{post.id}-{moment:%Y%m%d-%H%M}",
        "meta": {"security": [coding(SLOT_VISIBILITY, code) for code in _visibility(post, moment)]},
        "serviceType": [concept(VISIT, code) for code in _visit_kinds(post, moment)],
        "appointmentType": concept(APPOINTMENT_TYPE, _appointment_type(post, moment)),
        "schedule": {"reference": f"Schedule/{post.id}"},
        "status": "free",
        "start": moment.isoformat(),
        "end": (moment + timedelta(minutes=post.professional.minutes)).isoformat(),
        "comment": f"{AGENDA_URL}{post.professional.id.removeprefix('demo-')}",
    }
    resource["serviceType"].append({"text": _reason(post, moment)})
    if profession.specialty is not None:
        resource["specialty"] = [concept(SPECIALTY, *profession.specialty)]
    return resource


def _visibility(post: Post, moment: datetime) -> tuple[str, ...]:
    """Who may take it: everyone, everyone and colleagues, or the regulators of unscheduled care alone."""
    drawn = draw("visibility", post.id, moment.isoformat())
    if drawn < post.professional.profession.unscheduled:
        return ("SNP",)
    return ("PUBLIC", "PRO") if drawn > 0.85 else ("PUBLIC",)


def _visit_kinds(post: Post, moment: datetime) -> tuple[str, ...]:
    """At the practice, by video (half of them as well at the practice), or at the patient's home."""
    profession = post.professional.profession
    drawn = draw("kind", post.id, moment.isoformat())
    if drawn < profession.home:
        return ("HH",)
    if drawn < profession.home + profession.video / 2:
        return ("VR",)
    if drawn < profession.home + profession.video:
        return ("AMB", "VR")
    return ("AMB",)


def _appointment_type(post: Post, moment: datetime) -> str:
    """Some half-days are without appointment."""
    drawn = draw("walk-in", post.id, f"{moment:%Y%m%d%p}")
    return "WALKIN" if drawn < post.professional.profession.walk_in else "ROUTINE"


def _reason(post: Post, moment: datetime) -> str:
    reasons = post.professional.profession.reasons
    return reasons[int(draw("reason", post.id, moment.isoformat()) * len(reasons))]
