"""Many requests in one: a batch's entries know nothing of each other, a transaction's stand and fall together."""

from __future__ import annotations

from shared.tests.service.small import Small, bundle, urn

PERSON = {"resourceType": "Patient", "name": [{"family": "Lefèvre"}]}
WRONG = {"resourceType": "Patient", "gender": "x"}
PLACE = {"resourceType": "Organization", "name": "Cabinet des Lilas"}


async def test_in_a_batch_what_fails_fails_alone(small: Small) -> None:
    asked = bundle(
        "batch",
        ("POST", "Patient", PERSON),
        ("POST", "Patient", WRONG),
        ("GET", "Patient/nothing", None),
        ("GET", "Observation", None),
        ("POST", "Organization", PLACE),
    )
    said = await small.system.ask("POST", "", asked)
    statuses = [entry["response"]["status"] for entry in said.resource["entry"]]
    assert statuses == ["201", "400", "404", "404", "201"]
    assert (await small.count("patient"), await small.count("organization")) == (1, 1)


async def test_each_entry_of_a_batch_has_the_callers_rights_and_no_more(small: Small) -> None:
    asked = bundle("batch", ("POST", "Organization", PLACE), ("GET", "Organization", None))
    for caller, refused in ((small.patient("camille"), "403"), (small.nobody, "401")):
        said = await caller.ask("POST", "", asked)
        assert [entry["response"]["status"] for entry in said.resource["entry"]] == [refused, "200"]
    assert await small.count("organization") == 0


async def test_a_transaction_refers_to_what_it_creates(small: Small) -> None:
    """In FHIR's order of methods, whatever the order of the entries: references lead to what was given an id."""
    person = {**PERSON, "managingOrganization": {"reference": urn(1)}}
    asked = bundle("transaction", ("POST", "Patient", person), ("POST", "Organization", PLACE))
    said = await small.system.ask("POST", "", asked)
    patient, place = [entry["resource"] for entry in said.resource["entry"]]
    assert patient["managingOrganization"]["reference"] == f"Organization/{place['id']}"
    found = await small.system.ask("GET", f"Patient?organization=Organization/{place['id']}")
    assert found.resource["total"] == 1


async def test_one_failure_undoes_a_transaction(small: Small) -> None:
    """Rows, history and traces: only the refusal itself is told, at its entry."""
    at = (await small.system.ask("POST", "Patient", PERSON)).resource["id"]
    before = await small.count("audit")
    asked = bundle(
        "transaction",
        ("PUT", f"Patient/{at}", {**PERSON, "id": at, "active": True}),
        ("POST", "Organization", PLACE),
        ("POST", "Patient", WRONG),
    )
    said = await small.system.ask("POST", "", asked)
    assert said.status == 400
    assert said.resource["issue"][0]["expression"] == ["Bundle.entry[2].resource.gender"]
    assert (await small.system.ask("GET", f"Patient/{at}")).headers["ETag"] == 'W/"1"'
    assert (await small.count("organization"), await small.count("resource_history")) == (0, 0)
    assert await small.count("audit") == before + 1, "the read above"


async def test_what_a_caller_may_not_refuses_the_whole_transaction(small: Small) -> None:
    """Also when it stands behind entries that they may."""
    camille = small.patient("camille")
    asked = bundle("transaction", ("POST", "Patient", PERSON), ("POST", "Organization", PLACE))
    said = await camille.ask("POST", "", asked)
    assert (said.status, said.code) == (403, "forbidden")
    assert await small.count("patient") == 0


async def test_a_batch_within_a_batch_is_carried_out(small: Small) -> None:
    """Each entry takes the very way of a request of its own, a Bundle too."""
    inner = bundle("batch", ("POST", "Patient", PERSON), ("POST", "Patient", WRONG))
    said = await small.system.ask("POST", "", bundle("batch", ("POST", "/", inner)))
    (entry,) = said.resource["entry"]
    assert entry["response"]["status"] == "200"
    assert [e["response"]["status"] for e in entry["resource"]["entry"]] == ["201", "400"]
    assert await small.count("patient") == 1
