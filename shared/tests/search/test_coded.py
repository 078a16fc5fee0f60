""":in, :not-in, :above and :below of a token: the codes that they stand for, and one look at the index for them all."""

from __future__ import annotations

import pytest
from shared.tests.search.store import BASE_URL, KNOWN_TYPES, NOW, Store, catalog, insert

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import Clause, TokenValue
from creneau_shared.fhir.search.sql import EVERYTHING, compile_count
from creneau_shared.fhir.terminology.catalogue import catalogue

STATUSES = "http://hl7.org/fhir/ValueSet/appointmentstatus"
SYSTEM, PARENT = next((url, code) for url, system in catalogue().items() for code in system.children)
CHILD = catalogue()[SYSTEM].children[PARENT][0]


def clause(kind: str, name: str, text: str) -> Clause:
    (found,) = parse_search(
        kind, [(name, text)], known_types=KNOWN_TYPES, now=NOW, base_url=BASE_URL
    ).conditions
    assert isinstance(found, Clause)
    return found


@pytest.mark.parametrize(
    "reference",
    [STATUSES, f"{STATUSES}|4.0.1", "ValueSet/appointmentstatus", f"{BASE_URL}/ValueSet/appointmentstatus"],
)
def test_a_value_set_by_any_of_its_names(reference: str) -> None:
    """By its canonical, with a version, or as the resource that is served here; in the element's own system."""
    values = clause("Appointment", "status:in", reference).values
    assert TokenValue(None, "booked") in values
    assert clause("Appointment", "status:in", reference).modifier is None
    assert clause("Appointment", "status:not-in", reference).modifier == "not"


def test_below_and_above_hold_the_code_itself() -> None:
    """In the system that is named, or without one in all that have the code; also where the code has none below it."""
    below = clause("HealthcareService", "service-type:below", f"{SYSTEM}|{PARENT}").values
    assert {TokenValue(SYSTEM, PARENT), TokenValue(SYSTEM, CHILD)} <= set(below)
    above = clause("HealthcareService", "service-type:above", f"{SYSTEM}|{CHILD}").values
    assert {TokenValue(SYSTEM, PARENT), TokenValue(SYSTEM, CHILD)} <= set(above)
    anywhere = clause("HealthcareService", "service-type:below", PARENT).values
    assert {TokenValue(None, PARENT), TokenValue(SYSTEM, CHILD)} <= set(anywhere)
    assert clause("HealthcareService", "service-type:below", f"{SYSTEM}|no-such-code").values == (
        TokenValue(SYSTEM, "no-such-code"),
    )
    assert clause("HealthcareService", "service-type:below", "|local").values == (TokenValue("", "local"),)
    assert clause("Appointment", "status:below", "booked").values == (TokenValue(None, "booked"),)


def test_what_is_not_known_is_refused_by_name() -> None:
    """Also leniently: ignoring it, or taking the code alone, would pass for the answer."""
    for name, text in (
        ("type:in", "urn:nowhere"),
        ("type:not-in", "ValueSet/none"),
        ("type:below", "urn:nowhere|x"),
    ):
        with pytest.raises(BadRequest) as refused:
            clause("Organization", name, text)
        assert refused.value.issues[0].code == "not-found"
        assert text.split("|")[0] in refused.value.issues[0].en


def test_a_large_value_set_is_one_condition() -> None:
    """Some hundred codes: one array, not as many alternatives."""
    request = parse_search(
        "Appointment",
        [("service-type:in", "http://hl7.org/fhir/ValueSet/service-type")],
        known_types=KNOWN_TYPES,
        now=NOW,
    )
    statement = compile_count(catalog(["Appointment"]), EVERYTHING, request, None)
    # Of a narrow type twice: what the index finds, and what of that is meant.
    assert statement.sql.count("&&") == 2
    assert [len(value) > 500 for value in statement.values] == [True, True]


async def test_they_find(empty: Store) -> None:
    """Codes of the set, of its complement (those without a code too), of the hierarchy."""
    concept = "http://terminology.hl7.org/CodeSystem/service-type"
    codes = {"a": (concept, "124"), "b": ("urn:x", "124"), "c": (SYSTEM, CHILD)}
    made = [
        {"resourceType": "Appointment", "id": id_, "serviceType": [{"coding": [{"system": s, "code": c}]}]}
        for id_, (s, c) in codes.items()
    ]
    await insert(empty.connection, [*made, {"resourceType": "Appointment", "id": "d"}])
    among = "http://hl7.org/fhir/ValueSet/service-type"
    assert await empty.ids(f"Appointment?service-type:in={among}") == ["a"]
    assert await empty.ids(f"Appointment?service-type:not-in={among}") == ["b", "c", "d"]
    assert await empty.ids(f"Appointment?service-type:below={SYSTEM}|{PARENT}") == ["c"]
