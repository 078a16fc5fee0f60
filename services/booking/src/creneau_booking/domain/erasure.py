"""Erasing a person: how they confirm it, which appointments are cancelled, and what is kept nevertheless."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from creneau_booking.domain.appointment import Appointment
from creneau_booking.domain.transitions import may_follow


@dataclass(frozen=True, slots=True)
class Kept:
    """Data that stay after an erasure: a code, the reason in both languages, and until when (None: for ever)."""

    what: str
    fr: str
    en: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class KeepingTimes:
    """How long the remaining data are kept."""

    appointments: timedelta
    """after their end"""
    trail: timedelta
    messages: timedelta
    """the longest that the messages about cancelled appointments may take to leave"""


def confirms(said: object, family_names: Iterable[str]) -> bool:
    """Whether the caller confirms the erasure: by `true`, or a family name of the person, ignoring case and accents."""
    if isinstance(said, bool):
        return said
    if not isinstance(said, str) or not said.strip():
        return False
    return said.strip() == "true" or _folded(said) in {_folded(name) for name in family_names}


def is_same_person(
    before: tuple[frozenset[str], frozenset[str], str | None],
    after: tuple[frozenset[str], frozenset[str], str | None],
) -> bool:
    """Whether the stored Patient and the one that is sent under its id can be one person.

    Each is (identifiers as `system|value`, family names, birth date). A shared identifier is enough; else a shared
    family name, when the birth dates do not contradict each other.
    """
    if before[0] & after[0]:
        return True
    if before[2] and after[2] and before[2] != after[2]:
        return False
    return bool({_folded(name) for name in before[1]} & {_folded(name) for name in after[1]})


def ends_with_the_person(appointment: Appointment, patient: str, now: datetime) -> bool:
    """Whether an appointment is to be cancelled: it is to come, can be cancelled, and has no other patient.

    An appointment that has begun is the practice's record of what happened.
    """
    to_come = appointment.start is None or appointment.start > now
    shared = any(other != patient for other in appointment.patients)
    return (
        to_come
        and not shared
        and appointment.status != "cancelled"
        and may_follow(appointment.status, "cancelled")
    )


def kept(times: KeepingTimes, now: datetime, ends: Iterable[datetime]) -> list[Kept]:
    """The data that stay after an erasure at `now` of a person whose appointments end at `ends`."""
    last = max(ends, default=None)
    found = [
        Kept(
            "audit-trail",
            "La trace des accès à ces données (qui, quand, quelle opération), sous le seul numéro technique du dossier :"
            " elle prouve qui a consulté quoi (RGPD, articles 5.2 et 32).",
            "The trail of accesses to these data (who, when, which operation), under the record's technical id alone:"
            " it proves who looked at what (GDPR, articles 5.2 and 32).",
            (now + times.trail).date(),
        ),
        Kept(
            "messages",
            "L'adresse et les messages envoyés, le temps que partent les avis d'annulation.",
            "The address and the messages sent, until the notices of cancellation have left.",
            (now + times.messages).date(),
        ),
        Kept(
            "record-number",
            "Le numéro technique du dossier, pour qu'il ne soit jamais attribué à une autre personne.",
            "The technical id of the record, so that it is never given to anybody else.",
        ),
        Kept(
            "practices",
            "Ce que chaque cabinet conserve dans son propre logiciel (dossier médical, agenda), dont il est seul"
            " responsable : adressez-vous à lui.",
            "What each practice keeps in its own software (medical record, agenda), for which it alone answers: ask it.",
        ),
    ]
    if last is not None:
        found.insert(
            0,
            Kept(
                "past-appointments",
                "Les rendez-vous, sans nom, sans référence au dossier et sans texte libre : l'agenda du cabinet.",
                "Appointments, without name, reference to the record or free text: the practice's agenda.",
                (last + times.appointments).date(),
            ),
        )
    return found


def _folded(name: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return " ".join(bare.casefold().replace("-", " ").replace("'", " ").replace("’", " ").split())
