"""Another time that a practice proposes: told once by every channel, for nobody answers what they have not heard of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from creneau_notifications.channels.registry import CHANNELS
from creneau_notifications.channels.sms.render import SMS_CHARS, build_sms
from creneau_notifications.domain.appointment import AppointmentEvent, Change
from creneau_notifications.domain.plan import Kind, plan
from creneau_notifications.messaging.readers import read_appointment
from creneau_notifications.rendering.letter import compose
from creneau_notifications.storage.snapshot import dump_event, load_event

from .conftest import Service
from .factories import CAMILLE, PATIENT, START, appointment, event, occasion, visit

OTHER = START + timedelta(days=1)
BOTH = {name: channel.rules for name, channel in CHANNELS.items()}


def proposed(change: Change = Change.UPDATED, **changes: Any) -> AppointmentEvent:
    return event(change, number=2, version=2, **{"proposed": OTHER, **changes})


def kinds(of: AppointmentEvent, known: Any) -> list[tuple[Kind, str]]:
    found = plan(of, known=known, now=of.time, zone=visit().zone, channels=BOTH).messages
    return [(m.kind, m.channel) for m in found if m.kind is not Kind.REMINDER]


@pytest.mark.parametrize(
    ("change", "status"), [(Change.UPDATED, "booked"), (Change.UPDATED, "pending"), (Change.HELD, "pending")]
)
def test_it_is_told_by_every_channel(change: Change, status: str) -> None:
    """Of a visit that stands, and of one that the practice has been asked for."""
    before = appointment(status=status)
    assert kinds(proposed(change, status=status), before) == [(Kind.PROPOSAL, name) for name in BOTH]


def test_it_is_told_once_and_anew_when_it_is_another_one() -> None:
    made = proposed()
    again = event(Change.UPDATED, number=3, version=3, proposed=OTHER, status="booked")
    assert kinds(again, made.appointment) == []
    other = event(Change.UPDATED, number=3, version=3, proposed=OTHER + timedelta(hours=1))
    assert {kind for kind, _ in kinds(other, made.appointment)} == {Kind.PROPOSAL}


def test_whoever_takes_over_the_visit_is_asked_as_well() -> None:
    """Another record has taken the place of theirs (a merge): they are told of the visit, too, and what was to be told to the
    former one is not told any more."""
    other = event(Change.UPDATED, number=3, version=3, proposed=OTHER, patient="Patient/other")
    known = proposed().appointment
    assert {kind for kind, _ in kinds(other, known)} == {Kind.CONFIRMATION, Kind.PROPOSAL}
    found = plan(other, known=known, now=other.time, zone=visit().zone, channels=BOTH)
    assert Kind.PROPOSAL in found.withdraws


def test_what_was_to_be_told_of_a_visit_that_stands_still_is() -> None:
    """Its reminders, and a confirmation that has not left yet; what is proposed no more takes only itself away."""
    made = proposed()
    assert not plan(made, known=appointment(), now=made.time, zone=visit().zone, channels=BOTH).withdraws
    for at in (OTHER + timedelta(hours=1), None):
        later = event(Change.UPDATED, number=3, version=3, proposed=at)
        found = plan(later, known=made.appointment, now=later.time, zone=visit().zone, channels=BOTH)
        assert (found.supersedes, found.withdraws) == (False, frozenset({Kind.PROPOSAL}))
        assert all(message.kind is Kind.PROPOSAL for message in found.messages)


async def test_a_visit_is_confirmed_and_reminded_of_though_another_time_was_proposed_meanwhile(
    service: Service,
) -> None:
    await service.learn()
    await service.hear(event())
    await service.hear(proposed())
    await service.hear(event(Change.UPDATED, number=3, version=3))
    assert await service.statuses() == {
        "confirmation": ("planned", None),
        "7-days": ("planned", None),
        "2-days": ("planned", None),
        "2-hours": ("planned", None),
        "proposal": ("cancelled", "superseded"),
    }


async def test_whoever_takes_over_the_visit_is_told_of_it_though_the_proposal_is_taken_back(
    service: Service,
) -> None:
    other = replace(CAMILLE, recipient="Patient/other")
    await service.learn(contact=other)
    await service.hear(event())
    await service.hear(proposed())
    await service.hear(event(Change.UPDATED, 3, version=3, proposed=OTHER, patient=other.recipient))
    await service.hear(event(Change.UPDATED, 4, version=4, patient=other.recipient))
    told = await service.database.pool.fetch(
        "SELECT kind, status FROM message WHERE recipient = $1 AND rule = '' AND channel = 'email' ORDER BY kind",
        other.recipient,
    )
    assert [tuple(row) for row in told] == [("confirmation", "planned"), ("proposal", "cancelled")]


def test_a_change_is_told_though_another_time_is_proposed_with_it() -> None:
    """With another professional, whatever becomes of the proposal."""
    other = proposed(actors=("Practitioner/other", "Location/lieu-marais"))
    assert {kind for kind, _ in kinds(other, appointment())} == {Kind.CHANGE, Kind.PROPOSAL}


def test_what_still_waits_for_an_answer_outlives_another_change() -> None:
    """With another professional, and the same other time."""
    made = proposed()
    other = proposed(actors=("Practitioner/other", "Location/lieu-marais"))
    found = plan(other, known=made.appointment, now=other.time, zone=visit().zone, channels=BOTH)
    assert Kind.PROPOSAL not in found.withdraws
    assert {Kind.CONFIRMATION, Kind.REMINDER} < found.withdraws


def test_what_is_accepted_is_told_as_what_it_is() -> None:
    moved = event(Change.MOVED, number=3, version=3, start=OTHER, previous_start=START)
    assert {kind for kind, _ in kinds(moved, proposed().appointment)} == {Kind.CHANGE}


def test_of_a_hidden_visit_nothing_leaves() -> None:
    assert kinds(proposed(hidden=True), appointment(hidden=True)) == []


@pytest.mark.parametrize(
    ("by", "asked"), [("Practitioner/one", OTHER), (PATIENT, None), ("RelatedPerson/one", None)]
)
def test_only_what_others_propose_is_read(by: str, asked: datetime | None) -> None:
    """Whoever proposes a time knows it."""
    data = {
        "appointment": "a", "version": 2, "status": "pending", "start": START.isoformat(), "end": OTHER.isoformat(),
        "actors": [], "serviceType": [], "sequence": 0,
        "proposal": {"by": by, "start": OTHER.isoformat(), "end": OTHER.isoformat()},
    }  # fmt: skip
    read = read_appointment("1", "fr.creneau.booking.appointment.updated.v1", START, data)
    assert read.appointment.proposed == asked


def test_it_says_both_times_and_where_to_answer() -> None:
    """In French and in English; a text message of one part, which names nobody."""
    french = compose(occasion(Kind.PROPOSAL, event=proposed()))
    assert "mercredi 2 décembre à 10\u00a0h" in french.subject
    assert "garder celle du mardi 1er décembre à 10\u00a0h" in " ".join(french.lead)
    assert french.action[0] == "Accepter ou refuser"
    english = compose(occasion(Kind.PROPOSAL, event=proposed(), contact=replace(CAMILLE, language="en")))
    assert "keep the one on Tuesday 1 December at 10:00\u00a0am" in " ".join(english.lead)
    assert not any("rendez-vous.ics" in remark for remark in (*french.remarks, *english.remarks))
    text = build_sms(occasion(Kind.PROPOSAL, event=proposed()))
    assert "Autre heure proposée : mercredi 2 décembre" in text.replace("  ", " ")
    assert len(text) <= SMS_CHARS
    assert "Lefèvre" not in text


def test_a_time_that_was_only_asked_for_is_not_said_to_be_one_that_can_be_kept() -> None:
    """Nobody has agreed to it; what was booked before it waited is still theirs."""
    asked = " ".join(compose(occasion(Kind.PROPOSAL, event=proposed(status="pending"))).lead)
    assert "garder" not in asked
    assert "laisser votre demande pour le mardi 1er décembre" in asked
    booked = compose(occasion(Kind.PROPOSAL, event=proposed(status="pending", was_booked=True)))
    assert "garder celle du mardi 1er décembre" in " ".join(booked.lead)


def test_it_is_kept_as_it_was_told() -> None:
    assert load_event(dump_event(proposed())) == proposed()
