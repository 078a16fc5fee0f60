"""One group visit of the region: a workshop for people with diabetes on Saturday afternoons, eight places each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta

from deploy.demo import resources
from deploy.demo.agenda import Session, is_public_holiday
from deploy.demo.codes import (
    APPOINTMENT_TYPE,
    EXTENSION_CAPACITY,
    SLOT_VISIBILITY,
    VISIT,
    Resource,
    coding,
    concept,
)
from deploy.demo.population import Population, Post

ID = "demo-atelier-diabete"
"""id of the workshop's offer, of its role and of its agenda"""
SATURDAY, OPENS, LENGTH = 5, time(14), timedelta(minutes=90)
PLACES = 8
REASON = "Atelier : vivre avec un diabète"


def graph(people: Population, start: datetime, days: int) -> Iterator[Resource]:
    """The offer, its role, the agenda and its slots over the `days` days from `start`."""
    post = _whose(people)
    practice, zone = post.practice, post.practice.commune.time_zone
    offer = resources.healthcare_service([post]) | {"id": ID, "name": f"{REASON} – {practice.name}"}
    role = resources.practitioner_role(post, start, 0) | {
        "id": ID,
        "healthcareService": [{"reference": f"HealthcareService/{ID}"}],
        "availableTime": [
            {
                "daysOfWeek": ["sat"],
                "availableStartTime": OPENS.isoformat(),
                "availableEndTime": (datetime.combine(start, OPENS) + LENGTH).time().isoformat(),
            }
        ],
    }
    agenda = resources.schedule(post, start, days)
    references = {f"PractitionerRole/{post.id}": f"PractitionerRole/{ID}"}
    references[f"HealthcareService/{resources.service_id(post)}"] = f"HealthcareService/{ID}"
    yield offer
    yield role
    yield agenda | {
        "id": ID,
        "extension": [{"url": EXTENSION_CAPACITY, "valuePositiveInt": PLACES}],
        "actor": [
            {**a, "reference": references.get(a["reference"], a["reference"])} for a in agenda["actor"]
        ],
        "comment": f"Agenda – {REASON}, {practice.name} ({practice.commune.name})",
    }
    first = start.astimezone(zone).date()
    for day in (first + timedelta(days=offset) for offset in range(days)):
        moment = datetime.combine(day, OPENS, zone)
        if day.weekday() != SATURDAY or moment < start or is_public_holiday(day, practice.commune):
            continue
        yield {
            "resourceType": "Slot",
            "id": f"{ID}-{moment:%Y%m%d}",
            "meta": {"security": [coding(SLOT_VISIBILITY, "PUBLIC")]},
            "serviceType": [concept(VISIT, "AMB"), {"text": REASON}],
            "appointmentType": concept(APPOINTMENT_TYPE, "ROUTINE"),
            "schedule": {"reference": f"Schedule/{ID}"},
            "status": "free",
            "start": moment.isoformat(),
            "end": (moment + LENGTH).isoformat(),
        }


def _whose(people: Population) -> Post:
    """A general practitioner in Rennes who works nowhere else at that hour."""
    busy = {post.professional.id for post in people.posts if any(map(_meets, post.sessions))}
    return next(
        post
        for post in people.posts
        if post.professional.profession.key == "medecine-generale"
        and post.practice.commune.name == "Rennes"
        and post.professional.id not in busy
    )


def _meets(session: Session) -> bool:
    return session.weekday == SATURDAY and session.end > OPENS
