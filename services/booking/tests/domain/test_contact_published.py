"""What is told of a patient to those who write to them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from creneau_booking.publishing import contact_event

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def contact(**members):
    return contact_event("camille", {"resourceType": "Patient", **members}, None, now=NOW).data


@pytest.mark.parametrize(
    "members",
    [
        {"deceasedBoolean": True},
        {"deceasedDateTime": "2026-11-01"},
        {"active": False},
        {"link": [{"type": "replaced-by", "other": {"reference": "Patient/other"}}]},
    ],
)
def test_nobody_writes_to_the_dead_nor_to_a_record_that_is_out_of_use(members):
    assert contact(**members) is None


def test_others_are_written_to():
    assert contact(active=True, deceasedBoolean=False, link=[{"type": "replaces"}]) is not None


@pytest.mark.parametrize("form", ["{} ", " {}", "{}\u00a0", "{}\u200b", "mailto:{}", " MAILTO: {}"])
def test_what_was_pasted_with_an_address_is_not_part_of_it(form):
    telecom = [{"system": "email", "value": form.format("camille@exemple.fr")}]
    assert contact(telecom=telecom)["email"] == "camille@exemple.fr"
