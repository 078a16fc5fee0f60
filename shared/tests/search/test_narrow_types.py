"""A narrow type is found by all that it was found by, whichever layout its rows have: as they are written now, as they
were before there were traits, or, after an upgrade, some one way and some the other."""

from __future__ import annotations

from typing import Any

import pytest
from shared.tests.search.store import Store, insert

CODES = "urn:example:services"
# As the version before wrote them: every term in the index, every text a row of the side table.
_TEXTS_AS_BEFORE = """
INSERT INTO appointment_string (key, parameter, value, exact)
SELECT key, split_part(t, E'\\x1f', 1), split_part(t, E'\\x1f', 2), split_part(t, E'\\x1f', 3)
FROM appointment, unnest(traits) AS t WHERE strpos(t, E'\\x1f') > 0 AND id = ANY($1)"""
_TERMS_AS_BEFORE = """
UPDATE appointment SET traits = '{}', terms = terms || ARRAY(
  SELECT said FROM unnest(terms || traits) AS t,
    LATERAL (VALUES (t), (split_part(t, '=', 1)), (substring(t FROM '^[^=]+=[^|]+[|]'))) AS spelled (said)
  WHERE strpos(t, E'\\x1f') = 0 AND said IS NOT NULL EXCEPT SELECT unnest(terms)) WHERE id = ANY($1)"""

FOUND = [
    ("status=booked", "a1 a2"),
    ("status:missing=false", "a1 a2 a3"),
    ("identifier:missing=true", "a1 a2"),
    ("location:missing=false", "a2"),
    ("status=http://hl7.org/fhir/appointmentstatus|booked", "a1 a2"),
    ("status:not=booked", "a3"),
    ("service-type=cs", "a1 a2"),
    (f"service-type={CODES}|cs", "a1"),
    (f"service-type={CODES}|cs,urn:other|cs", "a1 a2"),
    (f"service-type={CODES}|cs,vid", "a1 a3"),
    (f"service-type={CODES}|", "a1 a3"),
    ("service-type=|vid", ""),
    (f"service-type:not={CODES}|cs", "a2 a3"),
    ("service-type:missing=true", ""),
    ("specialty:missing=true", "a1 a3"),
    ("specialty:missing=false", "a2"),
    ("specialty=|gp", "a2"),
    (f"specialty={CODES}|gp", ""),
    ("service-type:text=premi", "a1"),
    ("service-type:text=première consult", "a1"),
    ("service-type:text=consult", "a2"),
    ("service-type:text=urn example", "a3"),
    ("description=Suivi du", "a1"),
    ("description=du diabète", ""),
    ("description:contains=du diab", "a1"),
    ("description:contains=iabet", "a1"),
    ("description:exact=Suivi du diabète", "a1"),
    ("description:exact=suivi du diabète", ""),
    ("description=2026-12-01", "a2"),
    ("practitioner=Practitioner/p", "a1 a3"),
    ("practitioner=p,q", "a1 a2 a3"),
    ("location=Location/l", "a2"),
    ("practitioner=Location/l", ""),
    ("actor=Location/l", "a2"),
    ("patient=camille", "a1"),
    ("part-status=declined", "a2"),
    ("identifier=urn:ids|7", "a3"),
    ("identifier=urn:ids|", "a3"),
    ("identifier=7", "a3"),
    ("patient.family=martin&practitioner=p", "a1"),
    ("location.name=cabinet", "a2"),
    ("_sort=description", "a2 a1 a3"),
    ("_sort=-service-type,_id", "a3 a1 a2"),
    ("_content=diabete", "a1"),
]


def appointment(id_: str, status: str, *actors: str, **more: Any) -> dict[str, Any]:
    people = [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors]
    return {"resourceType": "Appointment", "id": id_, "status": status, "participant": people, **more}


def concept(system: str | None, code: str, display: str | None = None) -> list[dict[str, Any]]:
    values = {"system": system, "code": code, "display": display}
    return [{"coding": [{name: value for name, value in values.items() if value is not None}]}]


@pytest.fixture
async def store(empty: Store) -> Store:
    declined = [{"actor": {"reference": "Practitioner/q"}, "status": "declined"}]
    second = appointment(
        "a2", "booked", "Location/l", serviceType=concept("urn:other", "cs", "Consultation"), description="2026-12-01",
        specialty=concept(None, "gp"),
    )  # fmt: skip
    second["participant"] += declined
    await insert(
        empty.connection,
        [
            {"resourceType": "Patient", "id": "camille", "name": [{"family": "Martin"}]},
            {"resourceType": "Location", "id": "l", "name": "Cabinet"},
            appointment(
                "a1", "booked", "Patient/camille", "Practitioner/p", description="Suivi du diabète",
                serviceType=concept(CODES, "cs", "Première consultation"),
            ),
            second,
            appointment(
                "a3", "cancelled", "Practitioner/p", identifier=[{"system": "urn:ids", "value": "7"}],
                serviceType=concept(CODES, "vid", "urn:example"),
            ),
        ],
    )  # fmt: skip
    return empty


@pytest.mark.parametrize("before", [[], ["a1", "a2", "a3"], ["a1"]], ids=["now", "before", "some of each"])
async def test_rows_of_either_layout_are_found(store: Store, before: list[str]) -> None:
    for statement in (_TEXTS_AS_BEFORE, _TERMS_AS_BEFORE):
        await store.connection.execute(statement, before)
    found = {
        query: " ".join(sorted(await store.ids(f"Appointment?{query}")))
        for query, _ in FOUND
        if "_sort" not in query
    }
    found |= {
        query: " ".join(await store.ids(f"Appointment?{query}")) for query, _ in FOUND if "_sort" in query
    }
    assert found == dict(FOUND)
