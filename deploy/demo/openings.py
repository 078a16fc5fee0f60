"""An agenda that pushes no slots: it states when it is open, and slots follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from deploy.demo.agenda import WEEKDAYS, Session, absences, draw
from deploy.demo.codes import OWN_EXTENSION, Resource, coding
from deploy.demo.population import Population, Post

AVAILABILITY = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-schedule-availability-time"
_TYPE = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-schedule-type"
_FREQUENCY = "https://www.ietf.org/rfc/rfc2445"


def stated_by_rules(people: Population) -> Post:
    """The post whose agenda is stated by rules: a doctor with sessions, always the same one."""
    doctors = [post for post in people.posts if post.professional.profession.doctor and post.sessions]
    return min(doctors, key=lambda post: draw("rules", post.id))


def with_openings(schedule: Resource, post: Post, start: datetime, days: int) -> Resource:
    """The Schedule of `post` with its openings: the week's hours as recurring periods, and the leaves within `days` days
    from `start` as absences. On public holidays it is closed anyway."""
    zone = post.practice.commune.time_zone
    first = start.astimezone(zone).date()
    extensions = [
        *schedule["extension"],
        {"url": f"{OWN_EXTENSION}opening-visibility", "valueCode": "PUBLIC"},
        *_openings(post.sessions, first, zone),
        *(_absence(*leave) for leave in absences(post.professional.id, first, days)),
    ]
    return {**schedule, "extension": extensions}


def _openings(sessions: Iterable[Session], first: date, zone: ZoneInfo) -> Iterator[Resource]:
    def hours(session: Session) -> tuple[str, str]:
        return session.start.isoformat(), session.end.isoformat()

    monday = first - timedelta(days=first.weekday())
    for (start, end), alike in groupby(sorted(sessions, key=hours), key=hours):
        named = sorted({session.weekday for session in alike})
        day = monday + timedelta(days=named[0])
        begins, ends = (
            datetime.fromisoformat(f"{day}T{moment}").replace(tzinfo=zone).isoformat()
            for moment in (start, end)
        )
        rule = [
            {"url": "freq", "valueCoding": {"system": _FREQUENCY, "code": "WEEKLY"}},
            *({"url": "byDay", "valueString": WEEKDAYS[weekday][:2].upper()} for weekday in named),
        ]
        yield _stated(f"ouvert-{start[:5]}", "free", begins, ends, [{"url": "rrule", "extension": rule}])


def _absence(first: date, last: date) -> Resource:
    reason = {"url": "unavailabilityReason", "valueCodeableConcept": {"text": "Congés"}}
    return _stated(f"conges-{first}", "busy-unavailable", first.isoformat(), last.isoformat(), [reason])


def _stated(name: str, kind: str, start: str, end: str, more: list[Resource]) -> Resource:
    return {
        "url": AVAILABILITY,
        "extension": [
            {"url": "identifier", "valueIdentifier": {"value": name}},
            {"url": "type", "valueCoding": coding(_TYPE, kind)},
            {"url": "start", "valueDateTime": start},
            {"url": "end", "valueDateTime": end},
            *more,
        ],
    }
