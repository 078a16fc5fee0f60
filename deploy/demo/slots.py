"""The visits of an agenda that are still free, as FHIR Slots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from deploy.demo.agenda import Session, draw, is_absent, is_public_holiday
from deploy.demo.codes import APPOINTMENT_TYPE, SLOT_VISIBILITY, SPECIALTY, VISIT, Resource, coding, concept
from deploy.demo.population import Post

AGENDA_URL = "https://agenda.exemple.fr/"
OPENINGS_MAX = 5
"""kinds of openings that one agenda has: a practice thinks in sessions, not in single visits"""
COLLEAGUES = 0.15
"""share of the agendas that are open to colleagues as well"""


@dataclass(frozen=True)
class Opening:
    """What a session is for: who may book, the visit types, the reason, and whether by appointment."""

    visibility: tuple[str, ...]
    visits: tuple[str, ...]
    reason: str
    appointment: str = "ROUTINE"


@dataclass(frozen=True)
class Habits:
    """How an agenda is used. `special`: openings, each with its share of the sessions; `ordinary`: openings for the other
    sessions; `kept`: the opening at the end of an ordinary session."""

    special: tuple[tuple[float, Opening], ...]
    ordinary: tuple[Opening, ...]
    kept: Opening | None


@cache
def habits(post: Post) -> Habits:
    """The habits of one agenda: home visits, video and walk-in by its profession, unscheduled care for the regulators, and
    reasons up to `OPENINGS_MAX` openings."""
    profession = post.professional.profession
    reasons = sorted(profession.reasons, key=lambda reason: draw("reason", post.id, reason))
    public = ("PUBLIC", "PRO") if draw("colleagues", post.id) < COLLEAGUES else ("PUBLIC",)
    by_video = ("VR",) if draw("video", post.id) < 0.5 else ("AMB", "VR")
    special = (
        (profession.home, Opening(public, ("HH",), reasons[0])),
        (profession.video, Opening(public, by_video, reasons[0])),
        (profession.walk_in, Opening(public, ("AMB",), reasons[0], "WALKIN")),
    )
    chosen = tuple((share, opening) for share, opening in special if share)
    kept = Opening(("SNP",), ("AMB",), reasons[0]) if profession.unscheduled else None
    room = OPENINGS_MAX - len(chosen) - (kept is not None)
    return Habits(chosen, tuple(Opening(public, ("AMB",), reason) for reason in reasons[:room]), kept)


def free_slots(post: Post, start: datetime, days: int) -> Iterator[Resource]:
    """The free Slots of `post` from the instant `start`, over `days` days, in the order of time."""
    zone = post.practice.commune.time_zone
    first = start.astimezone(zone).date()
    for offset in range(days):
        day = first + timedelta(days=offset)
        if is_public_holiday(day, post.practice.commune) or is_absent(post.professional.id, day):
            continue
        chance_of_free = openness(post, offset)
        for moment, opening in _visits(post, day):
            if moment >= start and draw("free", post.id, moment.isoformat()) < chance_of_free:
                yield _slot(post, moment, opening)


def openness(post: Post, days_ahead: int) -> float:
    """The share of visits still free so many days ahead: agendas fill from the near end."""
    profession = post.professional.profession
    return profession.openness * (1 - math.exp(-(days_ahead + 1) / profession.median_wait_days))


def _visits(post: Post, day: date) -> Iterator[tuple[datetime, Opening]]:
    """The starts of all the visits of a day, in the place's own time, and what each is for."""
    zone = post.practice.commune.time_zone
    length = timedelta(minutes=post.professional.minutes)
    for session in post.sessions:
        if session.weekday != day.weekday():
            continue
        first, close = (datetime.combine(day, moment, zone) for moment in (session.start, session.end))
        count = (close - first) // length
        yield from zip(
            (first + n * length for n in range(count)), _openings(post, day, session, count), strict=True
        )


def _openings(post: Post, day: date, session: Session, count: int) -> Iterator[Opening]:
    """What the visits of a session are for, one after the other: all the same, but for those kept at its end."""
    own = habits(post)
    drawn = draw("session", post.id, day.isoformat(), session.start.isoformat())
    for share, opening in own.special:
        if drawn < share:
            yield from [opening] * count
            return
        drawn -= share
    ordinary = own.ordinary[
        int(draw("reason", post.id, day.isoformat(), session.start.isoformat()) * len(own.ordinary))
    ]
    kept = math.ceil(post.professional.profession.unscheduled * count) if own.kept else 0
    yield from [ordinary] * (count - kept)
    if own.kept:
        yield from [own.kept] * kept


def _slot(post: Post, moment: datetime, opening: Opening) -> Resource:
    profession = post.professional.profession
    resource: Resource = {
        "resourceType": "Slot",
        "id": f"{post.id}-{moment:%Y%m%d-%H%M}",
        "meta": {"security": [coding(SLOT_VISIBILITY, code) for code in opening.visibility]},
        "serviceType": [*(concept(VISIT, code) for code in opening.visits), {"text": opening.reason}],
        "appointmentType": concept(APPOINTMENT_TYPE, opening.appointment),
        "schedule": {"reference": f"Schedule/{post.id}"},
        "status": "free",
        "start": moment.isoformat(),
        "end": (moment + timedelta(minutes=post.professional.minutes)).isoformat(),
        "comment": f"{AGENDA_URL}{post.professional.id.removeprefix('demo-')}?rdv=en-ligne",
    }
    if profession.specialty is not None:
        resource["specialty"] = [concept(SPECIALTY, *profession.specialty)]
    return resource
