"""Check 6.6.17 of the ROR: `$export`, asked for by 202 and Content-Location, polled, its files read; NDJSON, plain JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import orjson
import pytest
from services.directory.tests.conftest import BASE, Directory
from services.directory.tests.ror import OWN_TAG, RorGraph, offer, patients
from services.directory.tests.test_directory import unique

from creneau_directory.operations.export import WHOLE_GRAPH
from creneau_directory.settings import DirectorySettings
from creneau_directory.storage.bulk import BulkStore
from creneau_directory.views import OFFERS, ROR_TYPES, indexed
from creneau_shared.clock import FixedClock
from creneau_shared.fhir.rest.async_runner import AsyncRunner
from creneau_shared.fhir.rest.settings import AsyncSettings
from creneau_shared.fhir.storage.generic import instant
from creneau_shared.fhir.storage.store import WriteContext


@pytest.fixture(scope="module")
async def ror(directory: Directory) -> RorGraph:
    return await RorGraph.entered(directory)


def below(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


async def worked(directory: Directory) -> None:
    """What the worker does: everything that waits."""
    assert directory.fhir is not None
    runner = AsyncRunner(directory.fhir, AsyncSettings())
    while await runner.run_next():
        pass


async def manifest(
    directory: Directory, path: str, headers: dict[str, str] | None = None, **query: Any
) -> dict[str, Any]:
    answer = await directory.client.get(path, params=query, headers=headers)
    assert answer.status_code == 202, answer.text
    poll = below(answer.headers["Content-Location"])
    assert (await directory.client.get(poll, headers=headers)).status_code == 202
    await worked(directory)
    done = await directory.client.get(poll, headers=headers)
    assert (done.status_code, done.headers["Content-Type"]) == (200, "application/json"), done.text
    found: dict[str, Any] = done.json()
    return found


async def files(
    directory: Directory, outputs: list[dict[str, Any]], headers: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    found = []
    for output in outputs:
        answer = await directory.client.get(
            below(output["url"]), headers={"Accept": "application/fhir+ndjson", **(headers or {})}
        )
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/fhir+ndjson"), (
            answer.text
        )
        lines = [orjson.loads(line) for line in answer.content.splitlines()]
        assert len(lines) == output["count"]
        found += lines
    return found


async def test_6_6_17_the_published_query(directory: Directory, ror: RorGraph) -> None:
    """The ROR's own example: offers by a tag, and whole what they lead to; `Prefer` is not needed."""
    told = await manifest(
        directory,
        "/fhir/$export",
        _outputFormat="application/fhir+ndjson",
        _type="HealthcareService",
        _typeFilter=f"HealthcareService?_tag={ror.tag}",
        includeAssociatedData="_myCompleteExtract",
    )
    assert {"transactionTime", "request", "requiresAccessToken", "output", "error"} <= told.keys()
    found = await files(directory, told["output"])
    assert {one["id"] for one in found if one["resourceType"] == OFFERS} == set(ror.offers.values())
    led_to = {
        *(f"Organization/{id_}" for id_ in ror.organizations.values()),
        *(f"Location/{id_}" for id_ in ror.places.values()),
        f"PractitionerRole/{ror.role}",
        f"Practitioner/{ror.person}",
    }
    assert led_to <= {f"{one['resourceType']}/{one['id']}" for one in found}
    assert {one["resourceType"] for one in found} == set(ROR_TYPES)
    read = (await directory.client.get(f"/fhir/HealthcareService/{ror.offers['town']}")).json()
    assert read in found


async def test_6_6_17_what_offers_lead_to_can_be_narrowed_and_is_given_where_it_is_asked_for(
    directory: Directory, ror: RorGraph
) -> None:
    """By a `_typeFilter` of its own. Another word is passed over, and refused to who wants to know."""
    filters = [f"{name}?_tag={ror.tag}" for name in ROR_TYPES]
    asked: dict[str, Any] = {"_type": OFFERS, "_typeFilter": filters}
    told = await manifest(directory, "/fhir/$export", includeAssociatedData=WHOLE_GRAPH, **asked)
    assert OFFERS in {output["type"] for output in told["output"]}
    tags = [one["meta"].get("tag", []) for one in await files(directory, told["output"])]
    assert all(ror.tag in [f"{tag['system']}|{tag['code']}" for tag in of_one] for of_one in tags)
    told = await manifest(directory, "/fhir/$export", includeAssociatedData="_other", **asked)
    assert {output["type"] for output in told["output"]} == {OFFERS}
    refused = await directory.client.get(
        "/fhir/$export",
        params={"_type": OFFERS, "includeAssociatedData": "_other"},
        headers={"Prefer": "handling=strict"},
    )
    assert refused.status_code == 400


async def test_what_is_no_resource_is_the_same_to_who_accepts_xml_first(directory: Directory) -> None:
    """As HAPI's client does: the manifest is JSON and the files are NDJSON, whatever is accepted; the rest is XML."""
    await directory.put({"resourceType": "Location", "id": unique("loc"), "name": "Cabinet"})
    accepting = {"Accept": "application/fhir+xml;q=1.0, application/fhir+json;q=0.9"}
    told = await manifest(directory, "/fhir/Location/$export", accepting)
    assert await files(directory, told["output"], accepting)
    answer = await directory.client.get("/fhir/Location", headers=accepting)
    assert answer.headers["Content-Type"].startswith("application/fhir+xml")


async def test_6_6_17_the_whole_and_one_type(directory: Directory, ror: RorGraph) -> None:
    """System level has every type, type level its own; with `Prefer: respond-async` as without."""
    told = await manifest(directory, "/fhir/$export", {"Prefer": "respond-async"})
    assert {"Organization", "Location", "HealthcareService", "Practitioner", "PractitionerRole"} <= {
        output["type"] for output in told["output"]
    }
    told = await manifest(directory, "/fhir/Location/$export")
    found = await files(directory, told["output"])
    assert {one["resourceType"] for one in found} == {"Location"}
    assert set(ror.places.values()) <= {one["id"] for one in found}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("Organization?name={a},{b}&_tag={tag}", id="plain"),
        pytest.param("Organization%3Fname%3D{a}%2C{b}%26_tag%3D{tag}", id="still encoded"),
        pytest.param("Organization?name={a}%2C{b}&_tag={tag}", id="the comma encoded once more"),
        pytest.param("Organization?name={a}&_tag={tag},Organization?name={b}&_tag={tag}", id="two queries"),
        pytest.param(
            "Organization%3Fname%3D{a}%26_tag%3D{tag},Organization%3Fname%3D{b}%26_tag%3D{tag}",
            id="two still encoded",
        ),
        pytest.param(
            "Location?status=active,Organization?name={a},{b}&_tag={tag}", id="beside another type's"
        ),
    ],
)
async def test_a_comma_stands_in_a_query_or_between_two(directory: Directory, written: str) -> None:
    """One of several values is lost nowhere, nor what stands behind it; the files have what the manifest has counted."""
    tag, a, b = unique("comma"), unique("Centre"), unique("Hopital")
    for name in (a, b, unique("Maison")):
        organization = {"resourceType": "Organization", "id": unique("org"), "name": name}
        await directory.put({**organization, "meta": {"tag": [{"system": OWN_TAG, "code": tag}]}})
        await directory.put({**organization, "id": unique("org")})
    told = await manifest(
        directory, "/fhir/$export", _type="Organization", _typeFilter=written.format(a=a, b=b, tag=tag)
    )
    found = await files(directory, told["output"])
    assert sorted(one["name"] for one in found) == sorted((a, b))


@pytest.mark.parametrize(
    "written", ["Patient?name=x", "Organization?name=x,Patient?name=y", "name=x", "?name=x"]
)
async def test_a_filter_on_what_is_no_type_here_is_refused(directory: Directory, written: str) -> None:
    """What would narrow nothing is said, not passed over."""
    answer = await directory.client.get(
        "/fhir/$export", params={"_type": "Organization", "_typeFilter": written}
    )
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["http._typeFilter"])


async def test_more_filters_than_an_address_can_say_are_refused(directory: Directory) -> None:
    """The address of each file says them all; one that is longer could not be fetched."""
    some = ",".join(f"Organization?_id={n}" for n in range(180))
    wanted = {"_type": "Organization", "_typeFilter": some}
    accepted = await directory.client.get("/fhir/$export", params=wanted)
    assert accepted.status_code == 202
    await directory.client.delete(accepted.headers["content-location"])
    wanted["_typeFilter"] += "," + some
    refused = await directory.client.get("/fhir/$export", params=wanted)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "too-costly")


async def test_files_are_parts(directory: Directory, ror: RorGraph) -> None:
    """Many resources are several files; together they are everything, once."""
    tag = await ror.many_offers(23)
    told = await manifest(
        directory, "/fhir/$export", _type="HealthcareService", _typeFilter=f"HealthcareService?_tag={tag}"
    )
    assert [output["count"] for output in told["output"]] == [10, 10, 3]
    found = await files(directory, told["output"])
    assert len({one["id"] for one in found}) == 23


async def test_no_address_is_more_than_a_file(directory: Directory, ror: RorGraph) -> None:
    """Whoever writes an address themselves is not given the whole directory in one answer, which one process would hold."""
    tag = await ror.many_offers(23)
    told = await manifest(
        directory, "/fhir/$export", _type="HealthcareService", _typeFilter=f"HealthcareService?_tag={tag}"
    )
    address, _, said = below(told["output"][0]["url"]).partition("?")
    query = {**dict(parse_qsl(said, keep_blank_values=True)), "_until": "~"}
    answer = await directory.client.get(address, params=query)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "too-costly")


async def test_since_tells_what_changed_and_what_was_deleted(directory: Directory) -> None:
    """After an hour: what was written or deleted since, and nothing else."""
    key = unique("since")
    name = {
        "resourceType": "Organization",
        "name": "Centre",
        "meta": {"tag": [{"system": OWN_TAG, "code": key}]},
    }
    kept, gone = ({**name, "id": f"{key}-{n}"} for n in ("kept", "gone"))
    for one in (kept, gone):
        assert (await directory.put(one)).status_code == 201
    assert (await directory.client.delete(f"/fhir/Organization/{gone['id']}")).status_code == 204
    asked: dict[str, Any] = {"_type": "Organization", "_typeFilter": f"Organization?_tag={OWN_TAG}|{key}"}
    told = await manifest(directory, "/fhir/$export", _since="2026-11-16T07:00:00Z", **asked)
    assert [one["id"] for one in await files(directory, told["output"])] == [kept["id"]]
    [deleted] = told["deleted"]
    bundle = (await directory.client.get(below(deleted["url"]))).json()
    assert {"method": "DELETE", "url": f"Organization/{gone['id']}"} in [
        e["request"] for e in bundle["entry"]
    ]
    told = await manifest(directory, "/fhir/$export", _since="2026-11-16T09:00:00Z", **asked)
    assert (told["output"], told["deleted"]) == ([], [])


@pytest.mark.parametrize(
    "transaction", ["begun before", "begun after", "under way for as long as a request may take"]
)
async def test_what_commits_after_the_manifest_is_in_the_next(directory: Directory, transaction: str) -> None:
    """A client comes back with `transactionTime`. What was written before that time and was not there yet, because its
    transaction had not committed, or not begun while its request waited for a connection, would be in no export ever."""
    assert directory.fhir is not None
    clock = directory.fhir.service.clock
    assert isinstance(clock, FixedClock)
    id_, before = unique("late"), clock.now()
    late = {"resourceType": "Organization", "id": id_, "name": "Centre"}
    tag = {"system": OWN_TAG, "code": id_}
    context = WriteContext(now=before, subject="slow")
    store = BulkStore("Organization", BASE, indexed)
    asked: dict[str, Any] = {
        "_type": "Organization",
        "_typeFilter": f"Organization?_tag={OWN_TAG}|{id_}",
    }
    try:
        async with directory.database.pool.acquire() as writer:
            slow = writer.transaction()
            if transaction != "begun after":
                await slow.start()
                await store.write(writer, context, [late | {"meta": {"tag": [tag]}}])
            longest = timedelta(seconds=DirectorySettings.model_fields["request_timeout_s"].default)
            clock.advance(longest if transaction.startswith("under way") else longest / 2)
            first = await manifest(directory, "/fhir/$export", **asked)
            if transaction == "begun after":
                await slow.start()
                await store.write(writer, context, [late | {"meta": {"tag": [tag]}}])
            await slow.commit()
        clock.advance(timedelta(minutes=10))
        second = await manifest(directory, "/fhir/$export", **asked, _since=first["transactionTime"])
        assert first["output"] == []
        assert [one["id"] for one in await files(directory, second["output"])] == [id_]
    finally:
        clock.instant = before


async def test_6_6_17_plain_json(directory: Directory, ror: RorGraph) -> None:
    """What ANS's own server really gives: Bundles."""
    told = await manifest(
        directory, "/fhir/$export", _outputFormat="application/fhir+json", _type="Organization",
        _typeFilter=f"Organization?_tag={ror.tag}",
    )  # fmt: skip
    [output] = told["output"]
    bundle = (await directory.client.get(below(output["url"]))).json()
    assert {entry["resource"]["id"] for entry in bundle["entry"]} == set(ror.organizations.values())


async def test_a_file_has_what_its_reader_may_see(directory: Directory) -> None:
    """A sensitive unit is in the deployment's files, in its own organisation's, in nobody else's."""
    key, practice = uuid4().hex[:10], unique("org")
    meta = {"tag": [{"system": OWN_TAG, "code": key}]}
    await directory.put({"resourceType": "Organization", "id": practice, "name": "Centre"})
    unit = offer(
        unique("unit"),
        "52/u",
        "437",
        patients(0, 9),
        sensitive=True,
        meta=meta,
        providedBy={"reference": f"Organization/{practice}"},
    )
    assert (await directory.put(unit)).status_code == 201
    seen = {}
    for who, token in (("own", directory.staff(practice)), ("other", directory.staff("another-practice"))):
        headers = {"Authorization": f"Bearer {token}"}
        asked = {"_type": "HealthcareService", "_typeFilter": f"HealthcareService?_tag={OWN_TAG}|{key}"}
        told = await manifest(directory, "/fhir/$export", headers, **asked)
        seen[who] = [one["id"] for one in await files(directory, told["output"], headers)]
    assert seen == {"own": [unit["id"]], "other": []}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/fhir/$export", "/fhir/Location/$export"])
@pytest.mark.parametrize(
    ("query", "code", "expression", "said"),
    [
        ({"_type": "Patient"}, "not-supported", "http._type", "Patient"),
        ({"_since": "yesterday"}, "value", "http._since", "yesterday"),
        ({"_outputFormat": "text/csv"}, "value", "http._outputFormat", "text/csv"),
        ({"_typeFilter": "Location?colour=red"}, "not-supported", "http.colour", "colour"),
        ({"_colour": "red"}, "not-supported", "http._colour", "_colour"),
    ],
)
async def test_what_is_wrong_is_said_at_once(
    directory: Directory,
    method: str,
    path: str,
    query: dict[str, str],
    code: str,
    expression: str,
    said: str,
) -> None:
    """Nobody comes back, perhaps hours later, to read that their request could not be carried out (Bulk Data, kick-off)."""
    headers = {"Prefer": "handling=strict", "Accept-Language": "fr"}
    parts = [{"name": name, "valueString": value} for name, value in query.items()]
    given = {"resourceType": "Parameters", "parameter": parts}
    sent: dict[str, Any] = {"params": query} if method == "GET" else {"json": given}
    answer = await directory.client.request(method, path, headers=headers, **sent)
    assert answer.status_code == 400, answer.text
    [issue] = answer.json()["issue"]
    assert (issue["code"], issue["expression"]) == (code, [expression])
    assert said in issue["details"]["text"]


async def test_a_name_that_means_nothing_is_left_aside_unless_somebody_wants_to_know(
    directory: Directory,
) -> None:
    """As everywhere: `Prefer: handling=strict` refuses it, nothing and `lenient` do not."""
    for headers in ({}, {"Prefer": "handling=lenient"}):
        told = await manifest(directory, "/fhir/Endpoint/$export", headers, _colour="red")
        assert told["output"] == []


async def test_cancelled_before_it_begins(directory: Directory) -> None:
    """DELETE: 202, and nothing is there any more; nobody else's address answers."""
    answer = await directory.client.get("/fhir/$export")
    poll = below(answer.headers["Content-Location"])
    other = {"Authorization": f"Bearer {directory.staff('x', sub='somebody-else')}"}
    assert (await directory.client.get(poll, headers=other)).status_code == 404
    assert (await directory.client.delete(poll)).status_code == 202
    await worked(directory)
    assert (await directory.client.get(poll)).status_code == 404


async def test_too_many_at_once(directory: Directory) -> None:
    """429 with Retry-After beyond ASYNC_UNFINISHED_PER_SUBJECT_MAX; without a token, 401."""
    headers = {"Authorization": f"Bearer {directory.staff('y', sub='greedy')}"}
    answers: list[httpx.Response] = []
    for _ in range(AsyncSettings().async_unfinished_per_subject_max + 1):
        answers.append(await directory.client.get("/fhir/Endpoint/$export", headers=headers))  # noqa: PERF401
    assert {answer.status_code for answer in answers[:-1]} == {202}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert (await directory.client.get("/fhir/$export", headers={"Authorization": ""})).status_code == 401
    await worked(directory)


async def test_since_tells_what_is_not_shown_any_more(directory: Directory) -> None:
    """A unit that becomes sensitive has gone for those who may not see it, and for nobody else; one that was never shown to
    them is not mentioned; one that ceases to be sensitive is there."""
    assert directory.fhir is not None
    clock = directory.fhir.service.clock
    assert isinstance(clock, FixedClock)
    practice, tag = unique("org"), unique("sensible")
    assert (
        await directory.put({"resourceType": "Organization", "id": practice, "name": "Centre"})
    ).status_code == 201

    async def says(id_: str, *, sensitive: bool, **more: Any) -> None:
        provided = {"reference": f"Organization/{practice}"}
        resource = offer(
            id_,
            f"52/{id_}",
            "437",
            patients(0, 99),
            sensitive=sensitive,
            name=id_,
            providedBy=provided,
            **more,
        )
        resource.setdefault("meta", {}).setdefault("tag", []).append({"system": OWN_TAG, "code": tag})
        answer = await directory.put(resource)
        assert answer.status_code in (200, 201), answer.text

    before = clock.now()
    hides, always, opens, fresh = (f"{tag}-{name}" for name in ("hides", "always", "opens", "fresh"))
    await says(hides, sensitive=False)
    await says(always, sensitive=True)
    await says(opens, sensitive=True)
    try:
        clock.advance(timedelta(minutes=10))
        since = clock.now() - timedelta(minutes=5)
        await says(hides, sensitive=True)
        await says(always, sensitive=True, comment="autre")
        await says(opens, sensitive=False)
        await says(fresh, sensitive=False)
        await says(fresh, sensitive=True)
        expected = {
            "stranger": ({opens}, {hides}),
            "own": ({hides, always, opens, fresh}, set()),
            "system": ({hides, always, opens, fresh}, set()),
        }
        for who, (shown, gone) in expected.items():
            token = {
                "stranger": directory.staff(unique("autre")),
                "own": directory.staff(practice),
                "system": directory.staff(creneau_role="system", scope="system/*.cruds"),
            }[who]
            headers = {"Authorization": f"Bearer {token}"}
            told = await manifest(
                directory, "/fhir/$export", headers, _since=instant(since), _type="HealthcareService",
                _typeFilter=f"HealthcareService?_tag={OWN_TAG}|{tag}",
            )  # fmt: skip
            assert {one["id"] for one in await files(directory, told["output"], headers)} == shown, who
            found = set()
            for file in told["deleted"]:
                bundle = (await directory.client.get(below(file["url"]), headers=headers)).json()
                found |= {entry["request"]["url"].rpartition("/")[2] for entry in bundle["entry"]}
            assert {id_ for id_ in found if id_.startswith(tag)} == gone, who
    finally:
        clock.instant = before
