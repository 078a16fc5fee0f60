"""`$find-care` and `$suggest` over HTTP, as somebody without a token asks them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from services.directory.tests.care.conftest import Care
from services.directory.tests.care.test_relevance import included, matches

from creneau_directory.domain.care.criteria import Criteria
from creneau_directory.domain.care.situation import LOTS, SMALL_LOTS, lot_of, small_lot_of
from creneau_directory.storage.care_search import samples
from creneau_shared.clock import FixedClock

RENNES = "48.11|-1.67"


def told(bundle: dict[str, Any]) -> dict[str, Any]:
    """The Parameters of the answer."""
    found: dict[str, Any] = next(
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Parameters"
    )
    return found


def values(bundle: dict[str, Any], name: str) -> list[Any]:
    return [
        next(v for key, v in p.items() if key.startswith("value"))
        for p in told(bundle).get("parameter", ())
        if p["name"] == name
    ]


def facets(bundle: dict[str, Any]) -> dict[str, dict[str, int]]:
    found = {}
    for parameter in told(bundle)["parameter"]:
        if parameter["name"] == "facet":
            name, *counted = parameter["part"]
            found[name["valueCode"]] = {
                v["part"][0]["valueCoding"]["code"]: v["part"][1]["valueInteger"] for v in counted
            }
    return found


async def test_an_answer_is_a_searchset_with_what_it_refers_to_once(care: Care) -> None:
    bundle = await care.find("dermato rennes")
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 3)
    scores = [e["search"]["score"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    distances = [
        e["search"]["extension"][0]["valueDistance"]
        for e in bundle["entry"]
        if e["search"]["mode"] == "match"
    ]
    assert all(d["code"] == "km" and d["value"] < 10 for d in distances)
    for match in matches(bundle):
        for reference in (match["practitioner"], match["organization"], match["location"][0]):
            assert included(bundle, reference["reference"])
        assert included(bundle, match["healthcareService"][0]["reference"])
    urls = [e["fullUrl"] for e in bundle["entry"]]
    assert len(urls) == len(set(urls))


async def test_what_was_understood_is_said(care: Care) -> None:
    bundle = await care.find("je voudrais un dermathologue a renes qwfplu")
    parts = [p["part"] for p in told(bundle)["parameter"] if p["name"] == "understood"]
    said = {
        part[0]["valueString"]: {p["name"]: next(iter(p.values())) for p in part} | {"all": part}
        for part in parts
    }
    derma = {p["name"]: p for p in said["dermathologue"]["all"]}
    assert derma["kind"]["valueCode"] == "care"
    assert derma["meaning"]["valueString"] == "Dermatologue"
    assert derma["corrected"]["valueBoolean"] is True
    assert derma["code"]["valueCoding"]["code"] == "SM15"
    assert {p["name"]: p for p in said["renes"]["all"]}["meaning"]["valueString"] == "Rennes"
    assert values(bundle, "ignored") == ["qwfplu"]


async def test_facets_count_what_was_found(care: Care) -> None:
    found = facets(await care.find("dermato rennes"))
    assert found["specialty"] == {"SM15": 3}
    assert found["commune"] == {"35238": 3}
    assert sum(found["sector"].values()) == 3
    assert found["mode"]["AMB"] == 3


async def test_pages_hold_everybody_once(care: Care) -> None:
    bundle = await care.find("dentiste", _count="20")
    seen = [match["id"] for match in matches(bundle)]
    while following := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
        answer = await care.directory.client.get(following[0])
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        seen += [match["id"] for match in matches(bundle)]
    assert len(seen) == len(set(seen)) == bundle["total"] == 90


async def test_who_comes_first_of_equals_is_drawn_each_day_and_pages_keep_to_theirs(care: Care) -> None:
    """Nobody is always first, nor never; who leafs through at midnight misses nobody."""
    fhir = care.directory.fhir
    assert fhir is not None
    clock = fhir.service.clock
    assert isinstance(clock, FixedClock)
    today = await care.find("dentiste", _count="30")
    again = await care.find("dentiste", _count="30")
    clock.advance(timedelta(days=1))
    try:
        tomorrow = await care.find("dentiste", _count="30")
        url = next(link["url"] for link in today["link"] if link["relation"] == "next")
        rest = (await care.directory.client.get(url, headers={"Authorization": ""})).json()
    finally:
        clock.advance(timedelta(days=-1))
    first, same, others, last = ([m["id"] for m in matches(b)] for b in (today, again, tomorrow, rest))
    assert first == same
    assert first != others
    assert len({*first, *last}) == 60


def test_whoever_is_one_of_many_is_drawn_as_often_as_everybody_else() -> None:
    anywhere = Criteria(cares=((("G15:40",), 1.0),))
    year = [samples(anywhere, day) for day in range(256)]
    assert Counter(day[0] for day in year) == {(small_lot_of(lot),): 1 for lot in range(SMALL_LOTS)}
    assert Counter(day[1] for day in year) == {(lot_of(lot),): 4 for lot in range(LOTS)}
    assert Counter(lot for day in year for lot in day[2]) == {lot_of(lot): 32 for lot in range(LOTS)}


async def test_dentists_come_before_orthodontists(care: Care) -> None:
    bundle = await care.find("dentiste rennes")
    assert ["specialty" in match for match in matches(bundle)] == [False, True]


async def test_a_link_of_another_search_is_refused(care: Care) -> None:
    bundle = await care.find("dentiste", _count="5")
    url = next(link["url"] for link in bundle["link"] if link["relation"] == "next")
    answer = await care.directory.client.get(url.replace("dentiste", "kine"))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ({"mode": "VR"}, lambda found: set(found["mode"]) >= {"VR"}),
        ({"sector": "1"}, lambda found: set(found["sector"]) == {"1"}),
        ({"sector": "2"}, lambda found: set(found["sector"]) == {"3"}),
        ({"language": "br"}, lambda found: "br" in found["language"]),
        ({"accessibility": "wheelchair"}, lambda found: set(found["accessibility"]) == {"wheelchair"}),
    ],
)
async def test_parameters_narrow(care: Care, query: dict[str, str], holds: Any) -> None:
    everybody = await care.find("psychiatre")
    some = await care.find("psychiatre", **query)
    assert 0 < some["total"] < everybody["total"]
    assert holds(facets(some))
    assert not values(some, "widened")


async def test_women_and_men(care: Care) -> None:
    for word, gender in (("femme", "female"), ("homme", "male")):
        bundle = await care.find(f"dentiste {word}")
        people = {included(bundle, match["practitioner"]["reference"])["gender"] for match in matches(bundle)}
        assert people == {gender}


async def test_what_is_not_wanted_is_left_out(care: Care) -> None:
    bundle = await care.find("psychiatre sauf téléconsultation")
    assert "VR" not in facets(bundle)["mode"]
    assert bundle["total"] > 0


async def test_around_a_point_by_distance(care: Care) -> None:
    bundle = await care.find("dentiste", near=f"{RENNES}|100|km", sort="distance")
    distances = [
        e["search"]["extension"][0]["valueDistance"]["value"]
        for e in bundle["entry"]
        if e["search"]["mode"] == "match"
    ]
    assert distances == sorted(distances)
    assert len(distances) > 2
    assert distances[-1] <= 100
    narrow = await care.find("dentiste", near=f"{RENNES}|5000|m")
    assert {match["id"] for match in matches(narrow)} < {match["id"] for match in matches(bundle)}


async def test_nobody_there_is_said_and_the_nearest_are_told(care: Care) -> None:
    bundle = await care.find("dentiste cesson sevigne")
    assert values(bundle, "widened") == ["around"]
    assert included(bundle, matches(bundle)[0]["location"][0]["reference"])["address"]["city"] == "Rennes"
    remarks = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "OperationOutcome"]
    assert "Cesson-Sévigné" in remarks[0]["issue"][0]["details"]["text"]


async def test_whom_nobody_is_has_others_proposed(care: Care) -> None:
    """No forensic or thermal doctor is in the data at all: somebody who can tell where to go."""
    bundle = await care.find("cure thermale rennes")
    assert values(bundle, "widened") == ["instead"]
    assert {coding["code"] for m in matches(bundle) for s in m["specialty"] for coding in s["coding"]} == {
        "SM54"
    }


async def test_a_name_that_is_elsewhere(care: Care) -> None:
    bundle = await care.find("dr payet quimper")
    assert values(bundle, "widened") == ["name-elsewhere"]
    assert matches(bundle)[0]["practitioner"]["display"] == "Océane Payet"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("infarctus rennes", "call-15"),
        ("envie de mourir", "call-3114"),
        ("mon mari me frappe", "call-3919"),
        ("enfant battu rennes", "call-119"),
    ],
)
async def test_an_emergency_is_answered_first(care: Care, text: str, number: str) -> None:
    bundle = await care.find(text)
    first = bundle["entry"][0]
    assert (first["resource"]["resourceType"], first["search"]["mode"]) == ("OperationOutcome", "outcome")
    assert first["resource"]["issue"][0]["details"]["coding"][0]["code"] == number
    assert first["resource"]["issue"][0]["details"]["text"].count(number[5:])


async def test_after_whom_to_call_for_violence_come_those_who_help(care: Care) -> None:
    assert matches(await care.find("violences conjugales"))


async def test_an_emergency_that_names_nobody_finds_nobody(care: Care) -> None:
    assert matches(await care.find("infarctus")) == []
    assert matches(await care.find("infarctus cardiologue rennes"))


@pytest.mark.parametrize("text", ["qwfplu", "qwfplu rennes"])
async def test_what_is_not_understood_finds_nobody_rather_than_everybody(care: Care, text: str) -> None:
    bundle = await care.find(text)
    assert matches(bundle) == []
    assert values(bundle, "ignored") == ["qwfplu"]
    assert len(matches(await care.find("rennes"))) == 20


async def test_the_ranking_explains_itself(care: Care) -> None:
    bundle = await care.find("mal au dos rennes", explain="true")
    explained = [p["part"] for p in told(bundle)["parameter"] if p["name"] == "explanation"]
    assert len(explained) == len(matches(bundle))
    first = {part["name"]: part for part in explained[0]}
    assert first["match"]["valueReference"]["reference"].endswith(matches(bundle)[0]["id"])
    assert {"score", "what", "where", "who", "distance"} <= set(first)
    assert "ranking" in [p["name"] for p in told(bundle)["parameter"]]


async def test_a_complaint_shows_several_kinds_of_care_in_turn(care: Care) -> None:
    bundle = await care.find("mal au dos", _count="3")
    kinds = {
        tuple(c["code"] for p in ("code", "specialty") for x in m.get(p, ()) for c in x["coding"])
        for m in matches(bundle)
    }
    assert len(kinds) == 3


async def test_posted_parameters_are_understood_alike(care: Care) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "text", "valueString": "dentiste"},
            {"name": "near", "valueString": f"{RENNES}|50|km"},
            {"name": "mode", "valueCode": "AMB"},
            {"name": "new-patient", "valueBoolean": True},
        ],
    }
    posted = await care.directory.client.post("/fhir/PractitionerRole/$find-care", json=body)
    assert posted.status_code == 200, posted.text
    asked = await care.find("dentiste", near=f"{RENNES}|50|km", mode="AMB", **{"new-patient": "true"})
    assert [m["id"] for m in matches(posted.json())] == [m["id"] for m in matches(asked)]


@pytest.mark.parametrize(
    "query",
    [
        {"near": "ici"},
        {"near": "91|0|5|km"},
        {"mode": "fax"},
        {"sort": "price"},
        {"_count": "-1"},
        {"_count": "²"},
        {"explain": "perhaps"},
        {"text": "a" * 400},
        {"gender": "x"},
    ],
    ids=lambda query: next(iter(query)),
)
async def test_what_cannot_be_understood_is_refused(care: Care, query: dict[str, str]) -> None:
    answer = await care.directory.client.get(
        "/fhir/PractitionerRole/$find-care", params={"text": "dentiste", **query}
    )
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"]


@pytest.mark.parametrize("operation", ["$find-care", "$suggest"])
@pytest.mark.parametrize(("count", "status"), [("²", 400), ("9" * 5_000, 200)])
async def test_a_count_of_any_length_or_script_is_answered(
    care: Care, operation: str, count: str, status: int
) -> None:
    answer = await care.directory.client.get(
        f"/fhir/PractitionerRole/{operation}", params={"text": "dentiste", "_count": count}
    )
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "text", ["", "   ", "%_'\"\\", "-- DROP", "\u200b", "🦷 rennes", "|||", "dentiste\x00"]
)
async def test_anything_is_answered(care: Care, text: str) -> None:
    answer = await care.directory.client.get("/fhir/PractitionerRole/$find-care", params={"text": text})
    assert answer.status_code in (200, 400)


# -- suggestions ---------------------------------------------------------------------------------------------


async def suggested(care: Care, text: str) -> dict[str, list[str]]:
    answer = await care.directory.client.get(
        "/fhir/PractitionerRole/$suggest", params={"text": text}, headers={"Authorization": ""}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, list[str]] = {}
    for parameter in answer.json().get("parameter", ()):
        part = {p["name"]: p for p in parameter["part"]}
        found.setdefault(part["group"]["valueCode"], []).append(part["text"]["valueString"])
    return found


async def test_what_is_understood_is_not_all_suggested(care: Care) -> None:
    """Coarse words and mere parts of the body are understood; nobody has them put into their mouth."""
    for text in ("cou", "pis", "zi", "gos"):
        found = await suggested(care, text)
        assert not {"couilles", "pisser", "zizi", "gosse"} & set(found.get("motive", ())), found


async def test_suggestions_come_in_groups(care: Care) -> None:
    assert "Dermatologue" in (await suggested(care, "derm"))["speciality"]
    assert "mal au dos" in (await suggested(care, "mal au d"))["motive"]
    assert (await suggested(care, "dentiste ren"))["place"][0] == "dentiste Rennes"
    assert "Saint-Malo" in (await suggested(care, "st mal"))["place"]
    found = await suggested(care, "dr océane paye")
    assert any("Payet" in text and "Rennes" in text for text in found["professional"])
    assert await suggested(care, "d") == {}


async def test_suggestions_at_the_offer_too(care: Care) -> None:
    answer = await care.directory.client.get("/fhir/HealthcareService/$suggest", params={"text": "kin"})
    assert answer.status_code == 200


async def test_out_of_hours_whom_to_call_is_told(care: Care) -> None:
    """`médecin de nuit`: a doctor on duty is reached by telephone, whatever else is found."""
    bundle = await care.find("médecin de nuit rennes")
    told = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "outcome"]
    codes = [
        issue["details"]["coding"][0]["code"]
        for outcome in told
        if outcome["resourceType"] == "OperationOutcome"
        for issue in outcome["issue"]
    ]
    assert "care-out-of-hours" in codes
    parameters = next(one for one in told if one["resourceType"] == "Parameters")["parameter"]
    assert not [one for one in parameters if one["name"] == "ignored"]


async def test_an_emergency_in_a_town_is_no_list_of_its_practices(care: Care) -> None:
    bundle = await care.find("urgences rennes")
    assert [e["search"]["mode"] for e in bundle["entry"]].count("match") == 0
    assert bundle["entry"][0]["resource"]["resourceType"] == "OperationOutcome"


async def test_a_name_that_is_only_guessed_gives_way(care: Care) -> None:
    """Where nobody of the kind that is said is called like an unknown word, the word was no name."""
    bundle = await care.find("dermato lefebre nantes")
    shown = [e["resource"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
    assert shown
    assert all(any(c["code"] == "SM15" for s in role["specialty"] for c in s["coding"]) for role in shown)
