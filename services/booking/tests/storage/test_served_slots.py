"""The status of a Slot as it is served is read off its bytes, and of nothing that it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from creneau_booking.storage.mapping.slot import id_of_served, says_free, with_status


def served(status: str, **extra: Any) -> bytes:
    """As `content_sql` puts a Slot together."""
    slot = {"resourceType": "Slot", "id": "1", "meta": {}, **extra, "status": status}
    times = {"start": "2026-12-01T08:00:00Z", "end": "2026-12-01T08:20:00Z"}
    return json.dumps({**slot, **times}, separators=(",", ":")).encode()


OTHERS = [
    {"contained": [{"resourceType": "Slot", "id": "c", "status": "free", "start": "2026-12-01T08:00:00Z"}]},
    {"contained": [{"resourceType": "Slot", "id": "c", "status": "busy", "start": "2026-12-01T08:00:00Z"}]},
    {"comment": ',"status":"free","start":"'},
    {},
]


@pytest.mark.parametrize("extra", OTHERS)
def test_a_status_is_the_slots_own(extra: dict[str, Any]) -> None:
    assert says_free(served("free", **extra))
    assert not says_free(served("busy", **extra))
    assert with_status(served("free", **extra), "busy-unavailable") == served("busy-unavailable", **extra)
    assert id_of_served(served("free", **extra)) == "1"
