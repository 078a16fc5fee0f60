"""_include and _revinclude: what is followed, how far, and never twice."""

from __future__ import annotations

import pytest
from shared.tests.search.store import Store

from creneau_shared.fhir.search import page_bytes
from creneau_shared.fhir.search.request import Limits


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Slot?_id=l1&_include=Slot:schedule", "Schedule/lefevre"),
        ("Slot?_id=l1,l2&_include=Slot:schedule", "Schedule/lefevre"),
        (
            "Slot?_id=l1&_include=Slot:schedule&_include:iterate=Schedule:actor",
            "Location/paris Practitioner/lefevre PractitionerRole/lefevre-paris Schedule/lefevre",
        ),
        (
            "Slot?_id=l1&_include=Slot:schedule&_include:iterate=Schedule:actor:Location"
            "&_include:iterate=Location:organization&_include:iterate=Organization:partof",
            "Location/paris Organization/group Organization/paris Schedule/lefevre",
        ),
        ("Slot?_id=l1&_include=Slot:schedule&_include=Schedule:actor:Practitioner",
         "Practitioner/lefevre Schedule/lefevre"),
        ("Schedule?_id=martin&_include=Schedule:actor", "Practitioner/martin"),
        ("Schedule?_id=service&_include=*", "HealthcareService/consultation Location/lyon"),
        ("PractitionerRole?_id=lefevre-paris&_include=PractitionerRole:*",
         "HealthcareService/consultation Location/paris Organization/paris Practitioner/lefevre"),
        ("Schedule?_id=martin&_revinclude=Slot:schedule", "Slot/m1"),
        ("Practitioner?_id=lefevre&_revinclude=PractitionerRole:practitioner&_revinclude=Schedule:actor",
         "PractitionerRole/lefevre-paris Schedule/lefevre"),
        ("Practitioner?_id=martin&_revinclude=Schedule:actor&_revinclude:iterate=Slot:schedule",
         "Schedule/martin Slot/m1"),
        ("Appointment?_id=a1&_revinclude=AppointmentResponse:*", "AppointmentResponse/r1"),
        # a match is never included as well
        ("Organization?_id=paris,group&_include=Organization:partof", ""),
        ("Organization?_id=paris&_include:iterate=Organization:partof&_revinclude:iterate=Organization:partof",
         "Organization/group Organization/lyon"),
        # what does not exist is not included, and is no error
        ("Appointment?_id=a1&_include=Appointment:supporting-info", ""),
        ("Appointment?_id=a2&_include=Appointment:patient&_include=Appointment:actor",
         "Patient/camille Practitioner/martin"),
    ],
)  # fmt: skip
async def test_includes(graph: Store, query: str, expected: str) -> None:
    """Forward, reverse, iterated, by wildcard and by target."""
    assert " ".join(await graph.included(query)) == expected


async def test_sas_bundle(graph: Store) -> None:
    """The whole SAS graph of two professionals in one search, verbatim."""
    result = await graph.result(
        "Slot?_include=Slot:schedule&_include:iterate=Schedule:actor&start=ge2026-12-01T00:00:00"
        "&start=le2026-12-03T23:59:59&schedule.actor:Practitioner.identifier="
        "urn:oid:1.2.250.1.71.4.2.1|810101288385, urn:oid:1.2.250.1.71.4.2.1|800001288385&status=free"
    )
    assert [row.id for row in result.matches] == ["l1", "l3", "m1"]
    assert result.total == 3
    assert sorted({row.type for row in result.included}) == [
        "Location", "Practitioner", "PractitionerRole", "Schedule",
    ]  # fmt: skip


async def test_a_type_that_is_not_held_is_told(graph: Store) -> None:
    """An include of a type of another service is a warning that names it."""
    result = await graph.result("PractitionerRole?_include=PractitionerRole:endpoint")
    (issue,) = result.issues
    assert issue.severity == "warning"
    assert "Endpoint" in issue.en
    result = await graph.result("Appointment?_id=a1&_include=Appointment:supporting-info")
    assert ["DocumentReference" in issue.fr for issue in result.issues] == [True]


async def test_limits_are_told(graph: Store) -> None:
    """Includes that are cut say so, and never exceed the limit."""
    result = await graph.result(
        "Slot?_include=Slot:schedule&_include:iterate=Schedule:actor", limits=Limits(included_max=4)
    )
    assert len(result.included) == 4
    assert [issue.code for issue in result.issues] == ["incomplete"]
    result = await graph.result(
        "Slot?_id=l1&_include=Slot:schedule&_include:iterate=Schedule:actor&_include:iterate=Location:organization",
        limits=Limits(include_rounds_max=2),
    )
    assert {row.type for row in result.included} == {
        "Schedule",
        "Practitioner",
        "PractitionerRole",
        "Location",
    }
    assert [issue.code for issue in result.issues] == ["incomplete"]


async def test_includes_that_are_large_together_are_cut_and_told(
    graph: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "Slot?_count=5&_include=Slot:schedule&_include:iterate=Schedule:actor"
    whole = await graph.result(query)
    monkeypatch.setattr(page_bytes, "PAGE_BYTES_MAX", 2_000)
    cut = await graph.result(query)
    assert 0 < len(cut.included) < len(whole.included)
    assert sum(len(row.content) for row in cut.included[:-1]) < 2_000
    assert [issue.details_code for issue in cut.issues] == ["includes-cut"]


async def test_includes_follow_the_page_only(graph: Store) -> None:
    """What is on the next page is not included for."""
    result = await graph.result("Slot?_count=1&_sort=start,_id&_include=Slot:schedule")
    assert [row.id for row in result.matches] == ["l1"]
    assert [row.id for row in result.included] == ["lefevre"]
