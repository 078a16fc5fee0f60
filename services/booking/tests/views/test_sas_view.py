"""The SAS view as a whole: what it searches for, what it puts in the Bundle and what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest

from creneau_booking.storage.mapping.visibility import SLOT_TYPE_SYSTEM
from creneau_booking.views.sas.family import SasView
from creneau_shared.fhir.rest.exchange import FhirRequest
from creneau_shared.fhir.search.execute import SearchResult
from creneau_shared.fhir.search.includes import Row
from creneau_shared.fhir.search.parse import parse_search
from creneau_shared.fhir.search.request import SearchRequest
from creneau_shared.fhir.storage.store import Resource
from creneau_shared.security.principal import ANONYMOUS

BASE = "https://creneau.example/fhir"
NOW = datetime(2026, 12, 1, 8, tzinfo=UTC)
QUERY = (
    "_include=Slot:schedule&_include:iterate=Schedule:actor&start=ge2026-12-01&start=le2026-12-03"
    "&schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|899000000016&status=free"
)
TYPES = (
    "Slot",
    "Schedule",
    "Practitioner",
    "PractitionerRole",
    "Location",
    "Organization",
    "HealthcareService",
)
VIEW = SasView()


def request(query: str = QUERY, raw: str | None = None) -> FhirRequest:
    return FhirRequest(
        method="GET",
        path=("Slot",),
        query=parse_qsl(query, keep_blank_values=True),
        raw_query=query if raw is None else raw,
        headers={},
        body=b"",
        principal=ANONYMOUS,
        now=NOW,
        base_url=BASE,
    )


def asked(query: str = QUERY) -> SearchRequest:
    return parse_search("Slot", VIEW.pairs(request(query)), known_types=TYPES, now=NOW, base_url=BASE)


def row(resource: Resource) -> Row:
    return Row(resource["resourceType"], resource["id"], 1, NOW, json.dumps(resource).encode())


def slot(id_: str, agenda: str = "a", **more: Any) -> Resource:
    return {
        "resourceType": "Slot",
        "id": id_,
        "meta": {"security": [{"system": SLOT_TYPE_SYSTEM, "code": "PUBLIC"}]},
        "schedule": {"reference": f"Schedule/{agenda}"},
        "status": "free",
        "start": "2026-12-01T10:00:00Z",
        "end": "2026-12-01T10:20:00Z",
        **more,
    }


def agenda(*actors: str, **more: Any) -> Resource:
    return {
        "resourceType": "Schedule",
        "id": "a",
        "actor": [{"reference": actor} for actor in actors],
        **more,
    }


AGENDA = agenda("Practitioner/p", "PractitionerRole/r", "Location/l", "HealthcareService/h")
PERSON: Resource = {
    "resourceType": "Practitioner",
    "id": "p",
    "identifier": [{"system": "https://rpps.esante.gouv.fr", "value": "99000000016"}],
}
ROLE: Resource = {
    "resourceType": "PractitionerRole",
    "id": "r",
    "practitioner": {"reference": "Practitioner/p"},
    "organization": {"reference": f"{BASE}/Organization/o"},
    "location": [{"reference": f"{BASE}/Location/l"}, {"reference": "Location/other"}],
}
ADDRESS = {"line": ["3 rue des Exemples"], "city": "Rennes", "postalCode": "35000"}
PLACE: Resource = {"resourceType": "Location", "id": "l", "address": ADDRESS}
BREST = {"line": ["7 quai des Exemples"], "city": "Brest", "postalCode": "29200"}
OTHER: Resource = {"resourceType": "Location", "id": "other", "address": BREST}
OWNER: Resource = {
    "resourceType": "Organization",
    "id": "o",
    "identifier": [{"system": "https://finess.esante.gouv.fr", "value": "810004421"}],
}
GRAPH = (AGENDA, PERSON, ROLE, PLACE, OTHER, OWNER)


def answer(
    slots: Iterable[Resource], graph: Iterable[Resource] = GRAPH, *, query: str = QUERY, **more: Any
) -> Resource:
    matches = tuple(map(row, slots))
    result = SearchResult(
        matches,
        tuple(map(row, graph)),
        more.get("total", len(matches)),
        more.get("next_cursor"),
        None,
        (),
    )
    bundle: Resource = json.loads(VIEW.bundle(request(query, more.get("raw")), asked(query), result))
    return bundle


def names(bundle: Resource) -> list[str]:
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    return [f"{resource['resourceType']}/{resource['id']}" for resource in found]


def test_a_place_where_nobody_is_received_any_more_is_not_where_a_caller_is_sent() -> None:
    shut = {**OTHER, "status": "suspended"}
    situation = {**ROLE, "location": [{"reference": "Location/other"}, {"reference": "Location/l"}]}
    graph = (agenda("Practitioner/p", "PractitionerRole/r"), PERSON, situation, PLACE, shut, OWNER)
    found = {e["resource"]["resourceType"]: e["resource"] for e in answer([slot("1")], graph)["entry"]}
    [place] = found["PractitionerRole"]["contained"]
    assert place["address"]["city"] == "Rennes"


def test_names_and_numbers_are_those_that_hold() -> None:
    """The profile says of none that it is a former one: a regulator would call the first."""
    person = {
        **PERSON,
        "name": [{"use": "old", "family": "Avant"}, {"family": "Maintenant"}],
        "telecom": [
            {"system": "phone", "value": "02 99 00 00 09", "use": "old"},
            {"system": "phone", "value": "02 99 00 00 08", "period": {"end": "2020-01-01"}},
            {"system": "phone", "value": "02 99 00 00 01"},
        ],
    }
    graph = [person if one is PERSON else one for one in GRAPH]
    found = {e["resource"]["resourceType"]: e["resource"] for e in answer([slot("1")], graph)["entry"]}
    assert found["Practitioner"]["telecom"] == [{"system": "phone", "value": "+33299000001"}]
    assert [name["family"] for name in found["Practitioner"]["name"]] == ["Maintenant"]


def test_numbers_that_have_ended_are_not_sent() -> None:
    """Of a professional, a structure (known here or named by its number) and a place; an address that was left neither."""
    rpps, finess = "https://rpps.esante.gouv.fr", "https://finess.esante.gouv.fr"
    over: list[Resource] = [{"use": "old"}, {"period": {"end": "2020-01-01"}}]
    for former in over:
        person = {
            **PERSON,
            "identifier": [
                {"system": rpps, "value": "99000000099", **former},
                {"system": rpps, "value": "99000000016"},
            ],
        }
        owner = {
            **OWNER,
            "identifier": [
                {"system": finess, "value": "350000001", **former},
                {"system": finess, "value": "350000002", "use": "official"},
            ],
        }
        role = {
            **ROLE,
            "organization": {
                **ROLE["organization"],
                "identifier": {"system": finess, "value": "350000003", **former},
            },
        }
        kind = {"coding": [{"code": "INTRN"}]}
        place = {
            **PLACE,
            "identifier": [
                {"type": kind, "system": "urn:x", "value": "1", **former},
                {"type": kind, "system": "urn:x", "value": "2"},
            ],
        }
        graph = (AGENDA, person, role, place, OTHER, owner)
        found = {e["resource"]["resourceType"]: e["resource"] for e in answer([slot("1")], graph)["entry"]}
        assert [i["value"] for i in found["Practitioner"]["identifier"]] == ["899000000016"]
        situation = found["PractitionerRole"]
        assert situation["organization"]["identifier"]["value"] == "1350000002"
        assert [i["value"] for i in situation["contained"][0]["identifier"]] == ["2"]
    left = {**PLACE, "address": {**ADDRESS, "period": {"end": "2020-01-01"}}}
    moved = answer([slot("1")], (AGENDA, PERSON, ROLE, left, {**OTHER, "id": "other"}, OWNER))
    assert moved["entry"][3]["resource"]["location"] == [{"reference": "#other"}]


def test_the_search_goes_further_than_what_is_asked_for() -> None:
    """Nothing that has begun, every place and structure; a cursor stays valid while time goes on."""
    wanted = VIEW.widen(asked(), NOW)
    followed = [(include.source, include.parameters[0].name, include.reverse) for include in wanted.includes]
    assert followed == [
        ("Slot", "schedule", False),
        ("Schedule", "actor", False),
        ("PractitionerRole", "practitioner", False),
        ("PractitionerRole", "practitioner", True),
        ("PractitionerRole", "location", False),
        ("Location", "partof", False),
        ("PractitionerRole", "organization", False),
        ("PractitionerRole", "service", False),
    ]
    assert wanted.count == 1000
    assert len(wanted.conditions) == len(asked().conditions) + 1
    assert wanted.used == asked().used


def test_the_graph_is_drawn_once_in_the_order_of_the_slots() -> None:
    bundle = answer([slot("1"), slot("2")])
    assert names(bundle) == ["Slot/1", "Schedule/a", "Practitioner/p", "PractitionerRole/r", "Slot/2"]
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", *["include"] * 3, "match"]
    assert bundle["total"] == 2


def roles(bundle: Resource) -> dict[str, str]:
    """The town of each role of an answer, by the reference to the role."""
    found = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "PractitionerRole"]
    return {f"PractitionerRole/{one['id']}": one["contained"][0]["address"]["city"] for one in found}


def towns(bundle: Resource) -> dict[str, str]:
    """Where the slots of an answer are, by way of their Schedule and its role."""
    found = [entry["resource"] for entry in bundle["entry"]]
    agendas = {f"Schedule/{one['id']}": one for one in found if one["resourceType"] == "Schedule"}
    at = roles(bundle)
    return {
        one["id"]: at[agendas[one["schedule"]["reference"]]["actor"][1]["reference"]]
        for one in found
        if one["resourceType"] == "Slot"
    }


def test_the_place_is_that_of_the_agenda_when_the_role_has_several() -> None:
    role = answer([slot("1")])["entry"][3]["resource"]
    assert [place["id"] for place in role["contained"]] == ["l"]
    assert role["organization"]["identifier"]["value"] == "1810004421"


def test_31_two_agendas_of_one_role_at_two_places_are_two_roles() -> None:
    """In any order, and with the same ids from one answer to the next: one role would send the caller to the wrong town."""
    at_brest = agenda("Practitioner/p", "PractitionerRole/r", "Location/other", id="b")
    graph = (*GRAPH, at_brest)
    both = answer([slot("1"), slot("2", "b")], graph)
    assert towns(both) == {"1": "Rennes", "2": "Brest"}
    assert roles(both) == {**roles(answer([slot("1")], graph)), **roles(answer([slot("2", "b")], graph))}
    assert towns(answer([slot("2", "b"), slot("1")], graph)) == {"1": "Rennes", "2": "Brest"}
    assert "PractitionerRole/r" in roles(both)
    assert names(both).count("Practitioner/p") == 1


def test_two_people_in_one_role_are_two_roles() -> None:
    """Somebody stands in for a colleague, in their role."""
    deputy = {**PERSON, "id": "q"}
    graph = (*GRAPH, deputy, agenda("Practitioner/q", "PractitionerRole/r", id="b"))
    found = [e["resource"] for e in answer([slot("1"), slot("2", "b")], graph)["entry"]]
    whose = {f"PractitionerRole/{one['id']}": one["practitioner"] for one in found if "practitioner" in one}
    agendas = [one for one in found if one["resourceType"] == "Schedule"]
    assert [whose[one["actor"][1]["reference"]] for one in agendas] == [one["actor"][0] for one in agendas]
    assert len(agendas) == len(whose) == 2


def test_30_two_agendas_in_one_role_at_one_place_are_one() -> None:
    bundle = answer([slot("1"), slot("2", "b")], (*GRAPH, {**AGENDA, "id": "b"}))
    assert names(bundle) == ["Slot/1", "Schedule/a", "Practitioner/p", "PractitionerRole/r", "Slot/2"]
    slots = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
    assert [one["schedule"]["reference"] for one in slots] == ["Schedule/a"] * 2


def phone(number: str, **more: str) -> dict[str, Any]:
    return {"telecom": [{"system": "phone", "value": number, **more}]}


@pytest.mark.parametrize(
    ("of_role", "of_place", "sent"),
    [
        ({}, phone("02 99 00 00 01"), "+33299000001"),
        (phone("02 99 00 00 02"), phone("02 99 00 00 01"), "+33299000002"),
        (phone("02 99 00 00 02", use="old"), phone("02 99 00 00 01"), "+33299000001"),
        (phone("15"), phone("02 99 00 00 01"), "+33299000001"),
        ({}, phone("02 99 00 00 01", use="old"), None),
        ({}, {}, None),
    ],
)
def test_39_the_telephone_is_the_role_s_or_else_its_place_s(
    of_role: Resource, of_place: Resource, sent: str | None
) -> None:
    """The Annuaire Santé has it with the place alone. No other place's, and never an empty list."""
    graph = (AGENDA, PERSON, ROLE | of_role, PLACE | of_place, OTHER | phone("02 98 00 00 01"), OWNER)
    role = answer([slot("1")], graph)["entry"][3]["resource"]
    assert role.get("telecom") == ([{"system": "phone", "value": sent}] if sent else None)
    assert "telecom" not in role["contained"][0]


RULES = "https://creneau.sante.fr/fhir/StructureDefinition/"
KNOWN_ONLY = {"extension": [{"url": f"{RULES}schedule-known-patients-only", "valueBoolean": True}]}
ANYBODY = {"extension": [{"url": f"{RULES}schedule-known-patients-only", "valueBoolean": False}]}
OFFER: Resource = {"resourceType": "HealthcareService", "id": "h"}


def for_new_patients(value: bool) -> Resource:
    return {"extension": [{"url": f"{RULES}slot-new-patients", "valueBoolean": value}]}


@pytest.mark.parametrize(
    ("of_slot", "of_agenda", "of_offer", "sent"),
    [
        ({}, {}, {}, True),
        (for_new_patients(False), {}, {}, False),
        ({}, KNOWN_ONLY, {}, False),
        ({}, {}, KNOWN_ONLY, False),
        ({}, ANYBODY, KNOWN_ONLY, True),
        (for_new_patients(True), KNOWN_ONLY, KNOWN_ONLY, True),
        (for_new_patients(False), ANYBODY, {}, False),
    ],
)
def test_19_what_is_kept_for_known_patients_is_not_sent(
    of_slot: Resource, of_agenda: Resource, of_offer: Resource, sent: bool
) -> None:
    """The slot's word, else its agenda's, else its offers': whom a regulator sends is new there."""
    graph = (AGENDA | of_agenda, OFFER | of_offer, *GRAPH[1:])
    assert answer([slot("1", **of_slot)], graph)["total"] == int(sent)


def test_22_a_slot_to_book_leads_to_our_page_where_the_practice_names_none() -> None:
    """A note is no address; a slot to walk into needs none. The platform adds `&origin=sas` to what it finds."""
    walked_into: dict[str, Any] = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0276", "code": "WALKIN"}]
    }
    said: list[dict[str, Any]] = [
        {},
        {"comment": "sonner deux fois"},
        {"comment": "https://cabinet.exemple.fr/?a=1"},
    ]
    found = answer([slot(str(n), **more) for n, more in enumerate([*said, {"appointmentType": walked_into}])])
    comments = [e["resource"].get("comment") for e in found["entry"] if e["search"]["mode"] == "match"]
    ours = f"{BASE.removesuffix('/fhir')}/soignants/r?vue=agenda"
    assert comments == [ours, ours, "https://cabinet.exemple.fr/?a=1", None]


def test_a_place_that_is_contained_already_is_taken_as_it_is() -> None:
    role = ROLE | {"contained": [PLACE | {"id": "here"}], "location": [{"reference": "#here"}]}
    bundle = answer([slot("1")], [agenda("Practitioner/p", "PractitionerRole/r"), PERSON, role])
    assert bundle["entry"][3]["resource"]["location"] == [{"reference": "#here"}]


def test_an_agenda_of_a_role_alone_is_its_professional_s() -> None:
    """The profile wants both named."""
    role = ROLE | {"practitioner": {"reference": "Practitioner/p"}}
    bundle = answer([slot("1")], (agenda("PractitionerRole/r"), PERSON, role, PLACE))
    assert names(bundle) == ["Slot/1", "Schedule/a", "Practitioner/p", "PractitionerRole/r"]
    actors = bundle["entry"][1]["resource"]["actor"]
    assert [actor["reference"] for actor in actors] == ["Practitioner/p", "PractitionerRole/r"]


HERE: Resource = ROLE | {"location": [{"reference": "Location/l"}]}
ELSEWHERE: Resource = ROLE | {"id": "s", "location": [{"reference": f"{BASE}/Location/other"}]}
ROOM: Resource = {"resourceType": "Location", "id": "room", "partOf": {"reference": "Location/l"}}
OVER = {"period": {"end": "2020-01-01"}}


@pytest.mark.parametrize(
    ("actors", "known", "sent"),
    [
        ([], [HERE], "r"),
        ([], [HERE, HERE | {"id": "q"}], "q"),
        ([], [HERE, ELSEWHERE], None),
        ([], [ROLE], None),
        ([], [HERE, ELSEWHERE | {"active": False}], "r"),
        ([], [HERE, ELSEWHERE | OVER], "r"),
        ([], [HERE, ELSEWHERE | {"organization": {"reference": "Organization/gone"}}], "r"),
        ([], [HERE, ELSEWHERE | {"location": [{"reference": "Location/shut"}]}], "r"),
        ([], [HERE, ELSEWHERE | {"practitioner": {"reference": "Practitioner/other"}}], "r"),
        ([], [HERE | {"location": []}], None),
        ([], [HERE | OVER], None),
        ([], [], None),
        (["Location/l"], [HERE, ELSEWHERE], "r"),
        (["Location/other"], [HERE, ELSEWHERE], "s"),
        (["Location/l"], [ELSEWHERE], None),
        (["Location/room"], [HERE, ELSEWHERE], "r"),
        (["Location/room"], [ELSEWHERE], None),
    ],
)
def test_15_an_agenda_of_a_person_alone_is_where_their_roles_are(
    actors: list[str], known: list[Resource], sent: str | None
) -> None:
    """As on the pages: at the place that it names, else at the one place of all roles that hold; unclear is left out."""
    gone: Resource = {"resourceType": "Organization", "id": "gone", "active": False}
    shut = PLACE | {"id": "shut", "status": "inactive"}
    graph = (agenda("Practitioner/p", *actors), PERSON, *known, PLACE, OTHER, shut, ROOM, OWNER, gone)
    bundle = answer([slot("1")], graph)
    expected = ["Slot/1", "Schedule/a", "Practitioner/p", f"PractitionerRole/{sent}"]
    assert names(bundle) == (expected if sent else [])
    if sent:
        named = bundle["entry"][1]["resource"]["actor"]
        assert [actor["reference"] for actor in named] == ["Practitioner/p", f"PractitionerRole/{sent}"]
        assert bundle["entry"][0]["resource"]["comment"].endswith(f"/soignants/{sent}?vue=agenda")


def test_15_an_agenda_may_name_the_site_of_the_room_where_its_person_works() -> None:
    in_a_room = ROLE | {"location": [{"reference": "Location/room"}]}
    graph = (agenda("Practitioner/p", "Location/l"), PERSON, in_a_room, ELSEWHERE, PLACE, OTHER, ROOM, OWNER)
    bundle = answer([slot("1")], graph)
    assert bundle["entry"][0]["resource"]["comment"].endswith("/soignants/r?vue=agenda")
    assert bundle["entry"][3]["resource"]["location"] == [{"reference": "#l"}]


@pytest.mark.parametrize(
    "graph",
    [
        (AGENDA, PERSON, ROLE),
        (AGENDA, ROLE, PLACE),
        (AGENDA, PERSON, PLACE),
        (AGENDA | {"active": False}, PERSON, ROLE, PLACE),
        (AGENDA, PERSON | {"active": False}, ROLE, PLACE),
        (AGENDA, PERSON, ROLE | {"active": False}, PLACE),
        (AGENDA, PERSON | {"identifier": []}, ROLE, PLACE),
        (agenda("Practitioner/p", "Location/l"), PERSON, PLACE),
        (agenda("Practitioner/p", "Practitioner/q", "PractitionerRole/r"), PERSON, ROLE, PLACE),
        (),
    ],
    ids=[
        "no place",
        "no person",
        "no role",
        "closed agenda",
        "person has left",
        "role has ended",
        "no number",
        "agenda of a person without a role",
        "agenda of two",
        "no agenda",
    ],
)
def test_a_graph_that_cannot_meet_the_profiles_is_left_out(graph: tuple[Resource, ...]) -> None:
    bundle = answer([slot("1")], graph)
    assert bundle["total"] == 0
    assert "entry" not in bundle


def test_self_is_the_query_as_it_came() -> None:
    raw = "status=free&start=ge2026-12-01T10:00:00.000+00:00&b=%7C"
    assert answer([], raw=raw)["link"] == [{"relation": "self", "url": f"{BASE}/Slot?{raw}"}]


def test_an_entry_of_a_batch_has_a_self_too() -> None:
    assert answer([], raw="")["link"][0]["url"].startswith(f"{BASE}/Slot?_include=Slot:schedule&")


def test_more_than_a_page_is_never_cut_in_silence() -> None:
    """There is a next link, and neither a total that would be taken for that of the whole nor a profile that wants one and a
    single link: an answer that breaks what it claims is refused as a whole."""
    for query, graph in ((QUERY, GRAPH), (CPTS_QUERY, [*GRAPH, *cpts("1")])):
        bundle = answer([shared_by("1"), slot("1")], graph, query=query, next_cursor="c2", total=1001)
        assert "total" not in bundle
        assert bundle["meta"]["profile"] == ["http://sas.fr/fhir/StructureDefinition/BundleAgregateur"]
        following = bundle["link"][1]
        assert following["relation"] == "next"
        page = dict(parse_qsl(following["url"].partition("?")[2]))
        assert page["_cursor"] == "c2"
        assert VIEW.asked_by(request(following["url"].partition("?")[2]))


def test_one_answer_is_whole_unless_pages_are_asked_for() -> None:
    """The platform follows none (its profiles have one link): a region's three days are more than a page."""
    assert VIEW.matches_max(asked()) == VIEW.matches_max(asked(f"{QUERY}&_count=1000")) == 4000
    assert VIEW.matches_max(asked(f"{QUERY}&_count=7")) == 0
    assert VIEW.matches_max(asked(f"{QUERY}&_cursor=c2")) == 0


def test_only_the_number_is_asked_for() -> None:
    bundle = answer([], query=f"{QUERY}&_summary=count", total=7)
    assert bundle["total"] == 7
    assert "entry" not in bundle


def shared_by(*services: str) -> Resource:
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Slot.serviceType"
    types = [
        {"extension": [{"url": url, "valueReference": {"reference": f"HealthcareService/{name}"}}]}
        for name in services
    ]
    labels = [{"system": SLOT_TYPE_SYSTEM, "code": code} for code in ("PUBLIC", "CPTS")]
    return slot("shared", meta={"security": labels}, serviceType=types)


def cpts(name: str) -> list[Resource]:
    number = {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": f"195004722{name}"}
    return [
        {
            "resourceType": "HealthcareService",
            "id": name,
            "providedBy": {"reference": f"Organization/o{name}"},
        },
        {"resourceType": "Organization", "id": f"o{name}", "identifier": [number], "name": "CPTS fictive"},
    ]


CPTS_QUERY = f"{QUERY}&_include=Slot:service-type-reference&_include:iterate=HealthcareService:organization"


def test_a_slot_shared_by_two_cpts_brings_both() -> None:
    bundle = answer([shared_by("1", "2"), slot("own")], [*GRAPH, *cpts("1"), *cpts("2")], query=CPTS_QUERY)
    assert names(bundle) == [
        *("Slot/shared", "Schedule/a", "Practitioner/p", "PractitionerRole/r"),
        *("HealthcareService/1", "Organization/o1", "HealthcareService/2", "Organization/o2"),
        "Slot/own",
    ]
    assert bundle["total"] == 2
    assert len(bundle["link"]) == 1
    assert bundle["meta"]["profile"][0].endswith("/sas-cpts-bundle-aggregator")
    assert bundle["entry"][-1]["resource"]["meta"]["profile"][0].endswith("/FrSlotAgregateur")


def test_without_its_includes_the_cpts_flow_leaves_no_trace() -> None:
    bundle = answer([shared_by("1"), slot("own")], [*GRAPH, *cpts("1")])
    assert names(bundle) == ["Slot/own", "Schedule/a", "Practitioner/p", "PractitionerRole/r"]


def test_an_empty_cpts_answer_claims_no_profile_that_it_cannot_meet() -> None:
    bundle = answer([], query=CPTS_QUERY)
    assert bundle["total"] == 0
    assert bundle["meta"]["profile"] == ["http://sas.fr/fhir/StructureDefinition/BundleAgregateur"]
