"""Many requests in one: a batch's entries know nothing of each other, a transaction's stand and fall together."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from shared.tests.service.small import BASE, Small, bundle, urn

from creneau_shared.fhir.rest.bundles import references as bundle_references
from creneau_shared.fhir.rest.bundles import work as bundle_work
from creneau_shared.fhir.rest.bundles.batch import BATCH_PARALLEL
from creneau_shared.fhir.rest.bundles.links import rewrite_links
from creneau_shared.fhir.rest.matching import matching_ids
from creneau_shared.fhir.storage.replica import ReplicaStore

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


@pytest.mark.parametrize(
    ("since", "status"), [("2100-01-01T00:00:00.5+02:00", "304"), ("2000-02-03T00:00:00Z", "200")]
)
async def test_an_entry_is_read_if_it_was_modified_since_an_instant(
    small: Small, since: str, status: str
) -> None:
    at = (await small.system.ask("POST", "Patient", PERSON)).resource["id"]
    asked = bundle("batch", ("GET", f"Patient/{at}", None))
    asked["entry"][0]["request"]["ifModifiedSince"] = since
    (entry,) = (await small.system.ask("POST", "", asked)).resource["entry"]
    assert entry["response"]["status"] == status


@pytest.mark.parametrize("data", [5, None, {}, [], "é", "x"])
async def test_a_patch_in_a_batch_whose_data_is_no_base64_is_a_bad_request(small: Small, data: Any) -> None:
    """Resources of a batch are looked at one by one, each by what it is for: a Binary holds a JSON Patch."""
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
    asked = bundle("batch", ("PATCH", "Patient/camille", binary), ("POST", "Patient", PERSON))
    said = await small.system.ask("POST", "", asked)
    assert said.status == 400
    assert said.resource["issue"][0]["expression"] == ["Bundle.entry[0].resource.data"]


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


@pytest.mark.parametrize(
    ("reference", "stored"),
    [
        (urn(1), "Organization/{id}"),
        ("http://ex.org/fhir/Organization/9", "Organization/{id}"),
        ("Organization/9", "Organization/{id}"),
        ("Organization/9/_history/1", "Organization/{id}"),
        ("http://ex.org/fhir/Organization/9/_history/3", "Organization/{id}"),
    ],
)
async def test_a_version_that_a_client_gave_an_entry_leads_to_the_entry(
    small: Small, reference: str, stored: str
) -> None:
    person = {**PERSON, "managingOrganization": {"reference": reference}}
    asked = bundle("transaction", ("POST", "Patient", person), ("POST", "Organization", PLACE))
    if not reference.startswith("urn:"):
        asked["entry"][0]["fullUrl"] = "http://ex.org/fhir/Patient/1"
        asked["entry"][1]["fullUrl"] = "http://ex.org/fhir/Organization/9"
    said = await small.system.ask("POST", "", asked)
    patient, place = [entry["resource"] for entry in said.resource["entry"]]
    assert patient["managingOrganization"]["reference"] == stored.format(id=place["id"])


async def test_a_version_of_what_is_there_stays(small: Small) -> None:
    at = (await small.system.ask("POST", "Organization", PLACE)).resource["id"]
    person = {**PERSON, "managingOrganization": {"reference": f"Organization/{at}/_history/1"}}
    place = {**PLACE, "id": at, "active": True}
    asked = bundle("transaction", ("POST", "Patient", person), ("PUT", f"Organization/{at}", place))
    asked["entry"][0]["fullUrl"], asked["entry"][1]["fullUrl"] = (
        f"{BASE}/Patient/1",
        f"{BASE}/Organization/{at}",
    )
    said = await small.system.ask("POST", "", asked)
    patient = said.resource["entry"][0]["resource"]
    assert patient["managingOrganization"]["reference"] == f"Organization/{at}/_history/1"


def test_links_of_every_type_lead_to_the_entry_and_texts_stay() -> None:
    """R4 http.html#trules: by the type of the element, whatever it is called, and in the narrative."""
    link, other = urn(1), "urn:uuid:00000000-0000-0000-0000-000000000000"
    said = {
        "resourceType": "Communication",
        "text": {"status": "generated", "div": f'<div><a href="{link}">x</a><img src=\'{link}\'/>{link}</div>'},
        "contained": [{"resourceType": "Patient", "photo": [{"url": link, "title": link}]}],
        "instantiatesUri": [link, other],
        "_instantiatesUri": [{"extension": [{"url": "http://x.example", "valueUrl": link}]}],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": link}],
        "extension": [
            {"url": "http://x.example", "valueUuid": link},
            {"url": "http://x.example", "valueOid": link},
            {"url": "http://x.example", "valueString": link},
        ],
        "nothing": {"url": link},
        "payload": "wrong",
    }  # fmt: skip
    assert rewrite_links(said, {link: "Organization/9"}) == {"Organization/9"}
    assert said["text"]["div"] == (  # type: ignore[index]
        f"<div><a href=\"Organization/9\">x</a><img src='Organization/9'/>{link}</div>"
    )
    text = json.dumps({**said, "text": None})
    assert text.count("Organization/9") == 5
    assert text.count(link) == 4, "titles, values and texts are no links, nor is what is not known"
    assert said["instantiatesUri"] == ["Organization/9", other]


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


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_the_link_of_a_search_leads_on_as_an_entry_too(small: Small, kind: str) -> None:
    """The values of a search that came in a body are sealed in it."""
    made = bundle("batch", *[("POST", "Patient", PERSON)] * 2)
    await small.system.ask("POST", "", made)
    found = await small.system.ask("POST", "Patient/_search?family=Lefèvre&_count=1")
    (following,) = [one["url"] for one in found.resource["link"] if one["relation"] == "next"]
    assert "~sealed." in unquote(following)
    said = await small.system.ask("POST", "", bundle(kind, ("GET", following, None)))
    page = said.resource["entry"][0]["resource"]
    assert len(page["entry"]) == 1
    assert page["entry"][0]["fullUrl"] != found.resource["entry"][0]["fullUrl"]
    assert "Lef" not in unquote(str(page["link"]))


async def test_what_a_caller_may_not_refuses_the_whole_transaction(small: Small) -> None:
    """Also when it stands behind entries that they may."""
    camille = small.patient("camille")
    asked = bundle("transaction", ("POST", "Patient", PERSON), ("POST", "Organization", PLACE))
    said = await camille.ask("POST", "", asked)
    assert (said.status, said.code) == (403, "forbidden")
    assert await small.count("patient") == 0


@pytest.mark.parametrize("entry", [("POST", "Patient"), ("POST", "Organization"), ("PUT", "Patient?_id=1")])
async def test_nothing_is_searched_for_whoever_may_not(small: Small, entry: tuple[str, str]) -> None:
    """Neither what a reference designates, which would be 412, nor a condition that cannot be read (400)."""
    resource = {"resourceType": entry[1].partition("?")[0], "link": [{"reference": "Patient?_id=nobody"}]}
    asked = bundle("transaction", ("GET", "Organization?_count=1", None), (*entry, resource))
    asked["entry"][1]["request"]["ifNoneExist"] = "shoe-size=42"
    said = await small.nobody.ask("POST", "", asked)
    assert (said.status, said.resource["issue"][0]["expression"]) == (401, ["Bundle.entry[1]"])


@pytest.mark.parametrize("url", ["/", "?", "#", "?_count=1", BASE, f"{BASE}/"])
@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_within_a_bundle_is_refused_and_nothing_is_done(
    small: Small, kind: str, url: str
) -> None:
    """Its entries would not be counted, and a transaction would be open for as long as they last."""
    inner = bundle("batch", *[("GET", "Organization", None)] * 9)
    asked = bundle(kind, ("POST", "Organization", PLACE), ("POST", url, inner))
    for caller in (small.nobody, small.patient("camille"), small.system):
        said = await caller.ask("POST", "", asked)
        assert (said.status, said.code) == (400, "not-supported")
        assert said.resource["issue"][0]["expression"] == ["Bundle.entry[1].request.url"]
    assert await small.count("organization") == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_an_entry_writes_at_an_address_below_the_base(small: Small, method: str) -> None:
    said = await small.nobody.ask("POST", "", bundle("transaction", (method, "/", PERSON)))
    assert (said.status, said.code) == (400, "not-supported")


async def test_a_transaction_that_is_sent_twice_happens_once(small: Small) -> None:
    """By its Idempotency-Key; the trace of the answer that is given again names whom it tells of."""
    person = {**PERSON, "managingOrganization": {"reference": urn(1)}}
    asked = bundle("transaction", ("POST", "Patient", person), ("POST", "Organization", PLACE))
    first = await small.system.ask("POST", "", asked, Idempotency_Key="one")
    again = await small.system.ask("POST", "", asked, Idempotency_Key="one")
    assert (again.status, again.answer.content) == (200, first.answer.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await small.count("patient"), await small.count("organization")) == (1, 1)
    traced = await small.database.pool.fetchval(
        "SELECT terms FROM audit ORDER BY recorded DESC, id DESC LIMIT 1"
    )
    assert any(first.resource["entry"][0]["resource"]["id"] in term for term in traced)
    other = await small.system.ask(
        "POST", "", bundle("transaction", ("POST", "Patient", PERSON)), Idempotency_Key="one"
    )
    assert (other.status, other.code) == (422, "duplicate")


async def test_a_transaction_that_deletes_is_answered_again_too(small: Small) -> None:
    """What it has deleted cannot be seen any more, and that is no reason to refuse its own answer."""
    await small.system.ask("PUT", "Patient/camille", {**PERSON, "id": "camille"})
    asked = bundle("transaction", ("DELETE", "Patient/camille", None), ("POST", "Organization", PLACE))
    for _ in range(2):
        said = await small.system.ask("POST", "", asked, Idempotency_Key="gone")
        assert said.status == 200, said.resource
    assert await small.count("organization") == 1


async def test_a_transaction_that_failed_may_be_tried_again_with_its_key(small: Small) -> None:
    wrong = bundle("transaction", ("POST", "Organization", PLACE), ("POST", "Patient", WRONG))
    assert (await small.system.ask("POST", "", wrong, Idempotency_Key="two")).status == 400
    right = bundle("transaction", ("POST", "Organization", PLACE))
    assert (await small.system.ask("POST", "", right, Idempotency_Key="two")).status == 200


async def test_the_answer_to_a_transaction_is_given_again_to_who_still_reaches_what_it_tells_of(
    small: Small,
) -> None:
    """The same account, whose token is now for somebody else, also where the answer was minimal."""
    await small.system.ask("PUT", "Patient/camille", {**PERSON, "id": "camille"})
    asked = bundle("transaction", ("PUT", "Patient/camille", {**PERSON, "id": "camille", "active": True}))
    for key, prefer in (("three", "return=representation"), ("four", "return=minimal")):
        headers = {"Idempotency_Key": key, "Prefer": prefer}
        assert (await small.patient("camille").ask("POST", "", asked, **headers)).status == 200
        assert (await small.patient("camille").ask("POST", "", asked, **headers)).status == 200
        assert (await small.patient("dominique").ask("POST", "", asked, **headers)).status == 404


async def test_a_batch_takes_no_key_that_could_not_be_kept(small: Small) -> None:
    said = await small.system.ask(
        "POST", "", bundle("batch", ("POST", "Patient", PERSON)), Idempotency_Key="five"
    )
    assert (said.status, said.code) == (400, "not-supported")
    assert await small.count("patient") == 0


async def test_a_transaction_that_only_reads_is_not_kept(small: Small) -> None:
    """A key is for what changes something: an answer that is only read could be kept a thousand times."""
    asked = bundle("transaction", ("GET", "Organization", None), ("GET", "Organization?_count=1", None))
    for _ in range(2):
        said = await small.system.ask("POST", "", asked, Idempotency_Key="six")
        assert said.status == 200
        assert "Idempotency-Replayed" not in said.headers
    assert await small.count("idempotency") == 0


async def test_nobodys_transaction_keeps_no_key(small: Small) -> None:
    """Who reads is answered; who writes has to log in, as without a key."""
    asked = bundle("transaction", ("GET", "Organization", None))
    said = await small.nobody.ask("POST", "", asked, Idempotency_Key="seven")
    assert said.status == 200
    written = bundle("transaction", ("POST", "Organization", PLACE))
    said = await small.nobody.ask("POST", "", written, Idempotency_Key="seven")
    assert said.status == 401
    assert "WWW-Authenticate" in said.headers
    assert await small.count("idempotency") == 0


@pytest.fixture
async def wordy(small: Small) -> Small:
    """The service with an organisation of 4 KB, that answers a Bundle with 10 KB."""
    alias = [f"Cabinet des Lilas {n:03}" for n in range(180)]
    await small.system.ask("PUT", "Organization/lilas", {**PLACE, "id": "lilas", "alias": alias})
    small.server.service.bounds = replace(small.server.service.bounds, bundle_answer_bytes_max=10_000)
    return small


async def test_a_batch_is_answered_until_its_answers_are_too_large(wordy: Small) -> None:
    """Entry by entry: what is answered is told, and what comes after is not done."""
    reads = [("GET", "Organization/lilas", None)] * 20
    said = await wordy.nobody.ask("POST", "", bundle("batch", *reads))
    entries = said.resource["entry"]
    statuses = [entry["response"]["status"] for entry in entries]
    assert statuses == sorted(statuses)
    assert 3 <= statuses.count("200") <= 3 + BATCH_PARALLEL
    assert statuses[-1] == "413"
    (issue,) = entries[-1]["response"]["outcome"]["issue"]
    assert (issue["code"], issue["details"]["coding"][0]["code"]) == ("too-costly", "answers-too-large")
    written = await wordy.system.ask("POST", "", bundle("batch", *reads, ("POST", "Organization", PLACE)))
    assert written.resource["entry"][-1]["response"]["status"] == "413"
    assert await wordy.count("organization") == 1


async def test_a_transaction_whose_answers_are_too_large_is_refused_whole(wordy: Small) -> None:
    reads = [("GET", "Organization/lilas", None)] * 20
    said = await wordy.system.ask("POST", "", bundle("transaction", ("POST", "Organization", PLACE), *reads))
    assert (said.status, said.code) == (413, "too-costly")
    assert await wordy.count("organization") == 1
    few = bundle("transaction", ("POST", "Organization", PLACE), *reads[:2])
    assert (await wordy.system.ask("POST", "", few)).status == 200


async def test_who_wants_little_back_gets_what_they_read(small: Small) -> None:
    """`Prefer: return` is about what is written; a GET beside it was asked for its resource."""
    await small.system.ask("PUT", "Patient/camille", {**PERSON, "id": "camille"})
    for kind in ("batch", "transaction"):
        asked = bundle(kind, ("POST", "Organization", PLACE), ("GET", "Patient/camille", None))
        said = await small.system.ask("POST", "", asked, Prefer="return=minimal")
        written, read = said.resource["entry"]
        assert "resource" not in written
        assert read["resource"]["name"] == PERSON["name"]
        said = await small.system.ask("POST", "", asked, Prefer="return=OperationOutcome")
        written, read = said.resource["entry"]
        assert "resource" not in written
        assert written["response"]["outcome"]["resourceType"] == "OperationOutcome"
        assert written["response"]["location"].startswith("https://small.example/fhir/Organization/")
        assert read["resource"]["name"] == PERSON["name"]


async def practitioner(small: Small, id_: str, number: str) -> None:
    """Another service's, of which this one knows."""
    doctor: dict[str, Any] = {
        "resourceType": "Practitioner",
        "id": id_,
        "meta": {"versionId": "1", "lastUpdated": "2026-11-16T08:00:00Z"},
        "identifier": [{"system": "urn:example:rpps", "value": number}],
    }
    async with small.database.connection() as connection:
        await ReplicaStore("Practitioner", BASE).apply(connection, doctor)


async def test_a_conditional_reference_leads_to_what_another_service_holds_and_this_one_knows(
    small: Small,
) -> None:
    await practitioner(small, "lea", "1")
    for number, status in (("1", 200), ("2", 412)):
        condition = f"Practitioner?identifier=urn:example:rpps|{number}"
        person = {**PERSON, "generalPractitioner": [{"reference": condition}]}
        said = await small.system.ask("POST", "", bundle("transaction", ("POST", "Patient", person)))
        assert said.status == status, said.resource
        if status == 200:
            kept = said.resource["entry"][0]["resource"]["generalPractitioner"]
            assert kept == [{"reference": "Practitioner/lea"}]
        else:
            where = "Bundle.entry[0].resource.generalPractitioner[0].reference"
            assert said.resource["issue"][0]["expression"] == [where]


async def test_equal_conditional_references_are_one_search_and_one_unit(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[str] = []

    async def counted(*given: Any) -> list[str]:
        searched.append(given[-1].meaning)
        return await matching_ids(*given)

    monkeypatch.setattr(bundle_references, "matching_ids", counted)
    for number in ("1", "2"):
        await practitioner(small, f"lea{number}", number)
    doctors = [
        {"reference": f"Practitioner?identifier=urn:example:rpps|{number}"} for number in ("1", "2", "1")
    ]
    asked = bundle("transaction", *[("POST", "Patient", {**PERSON, "generalPractitioner": doctors})] * 3)
    assert bundle_work.work_in(asked) == 3 + 2
    assert bundle_work.work_in({**asked, "type": "batch"}) == 3
    assert (await small.system.ask("POST", "", asked)).status == 200
    assert len(searched) == 2


@pytest.mark.parametrize("entries", [None, "x", {}, [None, "x", {"resource": 5}]])
def test_a_bundle_that_is_none_is_counted_too(entries: Any) -> None:
    said = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert bundle_work.work_in(said) == (len(entries) if isinstance(entries, list) else 0)


@pytest.mark.parametrize("condition", ["Observation?code=1", "Practitioner?shoe-size=42"])
async def test_a_conditional_reference_that_cannot_be_followed_is_refused_where_it_stands(
    small: Small, condition: str
) -> None:
    person = {**PERSON, "generalPractitioner": [{"reference": condition}]}
    said = await small.system.ask("POST", "", bundle("transaction", ("POST", "Patient", person)))
    where = "Bundle.entry[0].resource.generalPractitioner[0].reference"
    assert (said.status, said.resource["issue"][0]["expression"]) == (400, [where])
    assert "served" not in said.resource["issue"][0]["details"]["text"]


async def test_a_reference_to_an_entry_leads_to_one(small: Small) -> None:
    """`urn:uuid:…` names nothing outside of its Bundle, and in a batch no other entry either: it is not stored."""
    lost = {**PERSON, "managingOrganization": {"reference": urn(7)}}
    said = await small.system.ask(
        "POST", "", bundle("transaction", ("POST", "Organization", PLACE), ("POST", "Patient", lost))
    )
    where = "Bundle.entry[1].resource.managingOrganization.reference"
    assert (said.status, said.resource["issue"][0]["expression"]) == (400, [where])
    assert await small.count("organization") == 0
    other = {**PERSON, "managingOrganization": {"reference": urn(0)}}
    entries = [("POST", "Organization", PLACE), *[("POST", "Patient", one) for one in (lost, other, PERSON)]]
    said = await small.system.ask("POST", "", bundle("batch", *entries))
    assert [e["response"]["status"] for e in said.resource["entry"]] == ["201", "400", "400", "201"]
    (issue,) = said.resource["entry"][2]["response"]["outcome"]["issue"]
    assert issue["expression"] == ["Patient.managingOrganization.reference"]
    assert await small.count("patient") == 1
