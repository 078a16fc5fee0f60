"""How much one may do, as the guide for patients' frontends says it, is how much the server lets one do unless told otherwise."""

from __future__ import annotations

import re

from deploy.local.folder import REPOSITORY

from creneau_booking.settings import BookingSettings
from creneau_shared.fhir.terminology.issue_codes import ISSUE_CODES

GUIDE = REPOSITORY / "docs/guides/patient-frontend.md"
TOLD_BY = {
    "too-many-holds": ("holds_per_subject_max",),
    "too-many-holds-begun": ("holds_begun_per_account_per_hour_max",),
    "too-many-bookings": ("bookings_per_account_per_hour_max", "bookings_per_patient_per_hour_max"),
    "too-many-cancellations": ("cancellations_per_account_per_day_max",),
    "too-many-appointments-to-come": (
        "future_appointments_per_patient_max",
        "future_appointments_per_specialty_max",
        "future_appointments_per_agenda_max",
    ),
    "too-many-requests": ("requests_per_patient_max", "requests_per_account_max"),
    "too-many-patients": ("patients_per_account_max",),
    "too-many-changes": ("patient_changes_per_day_max",),
}
"""By the (first) code of a row's refusal the settings whose defaults it says, in its order."""


def _how_much() -> str:
    return GUIDE.read_text(encoding="utf-8").partition("## How much")[2].partition("\n## ")[0]


def test_the_guide_says_the_defaults() -> None:
    rows = [re.split(r" \| ", line.strip("| ")) for line in _how_much().splitlines() if line.startswith("| ")]
    said = {re.findall(r"`([a-z-]+)`", row[2])[0]: row[1] for row in rows[1:]}
    fields = BookingSettings.model_fields
    assert said == {
        code: ", ".join(str(fields[name].default) for name in names) for code, names in TOLD_BY.items()
    }
    counsellor = fields["bookings_per_counsellor_per_hour_max"].default
    assert f"a counsellor only by the hour ({counsellor})" in _how_much()


def test_no_other_place_of_the_guide_says_a_number_of_its_own() -> None:
    elsewhere = GUIDE.read_text(encoding="utf-8").replace(_how_much(), "")
    assert re.findall(r"[Mm]ore than [a-z0-9]+ (?:at once|in an hour|in a day)", elsewhere) == []


def test_the_refusals_are_those_that_are_told() -> None:
    assert TOLD_BY.keys() <= set(ISSUE_CODES)
