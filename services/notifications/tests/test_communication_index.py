"""What Communications are searched by, filled into a pattern, is what the index finds in each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import uuid4

import pytest

from creneau_notifications.channels.registry import media
from creneau_notifications.domain.plan import Kind
from creneau_notifications.storage.communication_index import entries_of
from creneau_notifications.storage.communications import REASONS, communication_of
from creneau_notifications.storage.messages import Message, Status
from creneau_shared.fhir.search.index import index_resource
from creneau_shared.fhir.storage.generic import stamp

from .factories import BOOKED_AT, event

BASE = "http://127.0.0.1/fhir"
RECIPIENTS = (
    "Patient/1",
    "Patient/a-b.C",
    "Patient/0193a5c0-0003-7000-8000-000000000001",
    f"{BASE}/Patient/1",
    "RelatedPerson/2",
)


def message(kind: Kind, status: Status, recipient: str, reason: str | None) -> Message:
    told = event()
    ended = datetime(2026, 11, 29, 10, 0, 0, 123456, tzinfo=UTC)
    return Message(
        id=uuid4(),
        appointment=told.appointment.id,
        recipient=recipient,
        kind=kind,
        rule="",
        channel="email",
        planned_at=BOOKED_AT,
        due_at=BOOKED_AT,
        expires_at=BOOKED_AT,
        status=status,
        reason=reason,
        event=told,
        attempts=1,
        superseded=False,
        finished_at=None if status in (Status.PLANNED, Status.SENDING) else ended,
        counted_for=None,
        spent=0,
    )


@pytest.mark.parametrize("recipient", RECIPIENTS)
@pytest.mark.parametrize("channel", [*media(), "of a newer version"])
def test_a_pattern_filled_in_is_what_the_index_finds(recipient: str, channel: str) -> None:
    """Of every kind, state, reason and channel, by whatever name the recipient goes, and for one after the other."""
    for kind, status, reason in product(Kind, Status, (None, *REASONS)):
        for told in (
            message(kind, status, recipient, reason),
            message(kind, status, "Patient/other", reason),
        ):
            resource = communication_of(replace(told, channel=channel), media().get(channel))
            stamped = stamp({**resource, "id": str(told.id)}, str(told.id), 1, BOOKED_AT)
            assert entries_of(stamped, BASE) == index_resource("Communication", stamped, base_url=BASE)
