"""Rivals meet by what their conditions mean, not by how they are spelled."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from shared.tests.search.store import BASE_URL, KNOWN_TYPES, NOW

from creneau_shared.fhir.search.normal_form import meeting_points, normal_form
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import Condition


def read(query: str) -> tuple[Condition, ...]:
    kind, _, rest = query.partition("?")
    pairs = parse_qsl(rest, keep_blank_values=True)
    request = parse_search(kind, pairs, known_types=KNOWN_TYPES, now=NOW, base_url=BASE_URL, strict=True)
    return request.conditions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Patient?identifier=a|b", "Patient?identifier=a%7Cb&"),
        ("Patient?identifier=a|b&family=x", "Patient?family=x&identifier=a|b"),
        ("Patient?identifier=a|b,c|d", "Patient?identifier=c|d,a|b,c|d"),
        ("Patient?identifier=a|b&identifier=a|b", "Patient?identifier=a|b"),
        ("Patient?Identifier=a|b", "Patient?identifier= a|b ,"),
        ("Patient?identifier=a|b\\$", "Patient?identifier=a|b$"),
        ("Patient?family=Dupont", "Patient?family=DUPONT"),
        ("Patient?gender=male", "Patient?gender=http://hl7.org/fhir/administrative-gender|male"),
        ("Patient?birthdate=1980-01-01", "Patient?birthdate=eq1980-01-01"),
        ("Patient?phone=06 12 34 56 78", "Patient?phone=%2B33612345678"),
        ("Slot?start=2026-12-01T10:00:00%2B01:00", "Slot?start=2026-12-01T09:00:00Z"),
        ("Slot?schedule=7", f"Slot?schedule={BASE_URL}/Schedule/7"),
        ("Slot?schedule=7", "Slot?schedule:Schedule=Schedule/7"),
        ("Slot?start=ge2026&start=lt2027", "Slot?start=lt2027&start=ge2026"),
        ("Slot?schedule.identifier=a|b", "Slot?schedule:Schedule.identifier=a|b"),
        (
            "Patient?_has:Appointment:patient:status=booked,pending",
            "Patient?_has:Appointment:patient:status=pending,booked",
        ),
        ("Patient?_filter=family eq a or family eq b", "Patient?_filter=family eq b or family eq a"),
    ],
)
def test_spellings_of_one_meaning(one: str, other: str) -> None:
    """Order, repetition, escapes, names, implied systems, offsets."""
    assert normal_form(read(one)) == normal_form(read(other))
    assert meeting_points(read(one)) == meeting_points(read(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Patient?identifier=a|b", "Patient?identifier=a|c"),
        ("Patient?family=x", "Patient?family:exact=x"),
        ("Patient?family=x", "Patient?given=x"),
        ("Patient?family:exact=X", "Patient?family:exact=x"),
        ("Patient?birthdate=1980", "Patient?birthdate=1980-01"),
        ("Patient?birthdate=ge1980", "Patient?birthdate=1980"),
        ("Patient?gender=male", "Patient?gender:not=male"),
        ("Slot?schedule=7", "Slot?schedule.identifier=7"),
    ],
)
def test_other_meanings(one: str, other: str) -> None:
    """What means something else waits for nobody."""
    assert normal_form(read(one)) != normal_form(read(other))
    assert not meeting_points(read(one)) & meeting_points(read(other))


@pytest.mark.parametrize(
    "other",
    [
        "identifier=b",
        "identifier=a|b&family=x",
        "identifier=z|y,a|b",
        "identifier=|b",
        "identifier=b&active=true",
    ],
)
def test_conditions_that_one_resource_could_answer_meet(other: str) -> None:
    """By the value of the identifier, whatever else they say."""
    assert meeting_points(read("Patient?identifier=a|b")) & meeting_points(read(f"Patient?{other}"))
