"""The patient compartment in SQL: for matches, includes, chains and reverse chains."""

from __future__ import annotations

import pytest
from shared.tests.search.store import Store

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.sql import SearchScope

CAMILLE = SearchScope(
    {
        "Patient": ("_id=camille",),
        "RelatedPerson": ("patient=Patient/camille",),
        "Appointment": ("patient=Patient/camille",),
        "AppointmentResponse": ("patient=Patient/camille",),
        "AuditEvent": (),
    }
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Appointment", "a1 a2"),
        ("Appointment?status=booked", "a1"),
        ("Appointment?patient=Patient/yann", ""),
        ("Appointment?_id=a3", ""),
        ("Appointment?status:not=booked", "a2"),
        ("Patient", "camille"),
        ("Patient?family:missing=true", ""),
        ("AuditEvent", ""),
        ("Slot?status=free", "l1 l3 m1 s1"),
        # nobody learns by a chain what they may not read
        ("Practitioner?_has:Appointment:practitioner:date=2026-12-02", ""),
        ("Practitioner?_has:Appointment:practitioner:date=2026-12-03", "martin"),
        ("Organization?_has:Patient:organization:family=le", ""),
    ],
)
async def test_matches(graph: Store, query: str, expected: str) -> None:
    """Camille sees what is hers."""
    assert " ".join(await graph.ids(query, scope=CAMILLE)) == expected


async def test_includes(graph: Store) -> None:
    """Somebody else's appointment is not included for a practitioner either."""
    query = (
        "Practitioner?_id=lefevre&_revinclude=Appointment:practitioner&_include:iterate=Appointment:patient"
    )
    assert await graph.included(query) == [
        "Appointment/a1",
        "Appointment/a3",
        "Patient/camille",
        "Patient/yann",
    ]
    assert await graph.included(query, scope=CAMILLE) == ["Appointment/a1", "Patient/camille"]


async def test_total_counts_what_is_seen(graph: Store) -> None:
    """The number of other people's appointments is no business of Camille's."""
    result = await graph.result("Appointment?_summary=count", scope=CAMILLE)
    assert result.total == 2


async def test_a_chain_through_a_type_not_held_is_refused(graph: Store) -> None:
    """Never silently empty: the refusal names the type."""
    for query in ("PractitionerRole?endpoint.name=x", "Organization?_has:Endpoint:organization:name=x"):
        with pytest.raises(BadRequest, match="Endpoint") as refused:
            await graph.result(query)
        assert refused.value.issues[0].code == "not-supported"
