"""The demonstration region: real-looking, valid, and the same for everyone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from deploy.demo import sas
from deploy.demo.agenda import Session, is_absent, is_public_holiday, parse_week
from deploy.demo.catalogue import communes, professions
from deploy.demo.codes import SLOT_VISIBILITY, SPECIALTY, VISIT
from deploy.demo.openings import stated_by_rules
from deploy.demo.region import DAYS, Region, build, population
from deploy.demo.slots import OPENINGS_MAX, free_slots, openness
from fhir.resources.R4B import get_fhir_model_class
from stdnum import luhn

from creneau_booking.domain.access_rules import AccessRules, AgeLimit
from creneau_booking.domain.openings.expansion import Place, expand
from creneau_booking.storage.agendas.access_extensions import rules_of
from creneau_booking.storage.openings.extensions import Actors, stated_by
from creneau_directory.handlers import wrong_numbers
from creneau_shared.fhir import json as fhir_json
from creneau_shared.fhir.validation import check

START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
TERMINOLOGY = Path(__file__).parents[3] / "shared" / "terminology"


@pytest.fixture(scope="module")
def region() -> Region:
    return build(START)


def all_of(region: Region) -> list[dict[str, Any]]:
    return [resource for resources in region.values() for resource in resources]


def codes(concepts: list[dict[str, Any]], system: str) -> list[str]:
    return [
        coding["code"]
        for concept in concepts
        for coding in concept.get("coding", [])
        if coding["system"] == system
    ]


def test_the_region_is_as_large_as_promised(region: Region) -> None:
    """Enough people, places and free time for searches to mean something."""
    assert len(region["Practitioner"]) >= 300
    assert len(region["Slot"]) >= 20_000
    assert len({commune.name for commune in communes()}) >= 40
    zones = {location["extension"][0]["valueCode"] for location in region["Location"]}
    assert zones == {"Europe/Paris", "Indian/Reunion", "America/Cayenne"}
    assert sum(commune.professionals for commune in communes()) == len(population().professionals)


def test_two_runs_give_the_same_bytes(region: Region) -> None:
    """A second loading must change nothing."""
    population.cache_clear()
    assert orjson.dumps(build(START)) == orjson.dumps(region)


def test_every_resource_is_valid_fhir(region: Region) -> None:
    """The services refuse what their validator refuses; fhir.resources agrees on a sample of each type."""
    for resource in all_of(region):
        check(fhir_json.loads(orjson.dumps(resource)), resource["resourceType"])
    for resource_type, resources in region.items():
        for resource in resources[:: max(1, len(resources) // 40)]:
            get_fhir_model_class(resource_type).model_validate(resource)


def test_ids_are_ours_and_unique(region: Region) -> None:
    """A repeated id would make one PUT overwrite another."""
    names = Counter((resource["resourceType"], resource["id"]) for resource in all_of(region))
    assert set(names.values()) == {1}
    assert all(name.startswith("demo-") and len(name) <= 64 for _, name in names)


def test_every_reference_is_to_a_resource_loaded_before(region: Region) -> None:
    """The order of loading lets every reference find its target."""
    seen: set[str] = set()
    for resource in all_of(region):
        wanted = set(_references(resource))
        assert wanted <= seen, resource["id"]
        if resource["resourceType"] != "Slot":
            seen.add(f"{resource['resourceType']}/{resource['id']}")


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["reference"]] if isinstance(value.get("reference"), str) else []
        return own + [reference for item in value.values() for reference in _references(item)]
    if isinstance(value, list):
        return [reference for item in value for reference in _references(item)]
    return []


def test_identifiers_have_valid_keys_and_are_nobodys(region: Region) -> None:
    """RPPS, FINESS and SIRET are invented with a right key, in ranges that were never given."""
    for practitioner in region["Practitioner"]:
        national, rpps = (identifier["value"] for identifier in practitioner["identifier"])
        assert national == f"8{rpps}"
        assert len(rpps) == 11
        assert rpps.startswith("99")
        luhn.validate(rpps)
    for organization in region["Organization"]:
        national, plain = (identifier["value"] for identifier in organization["identifier"])
        assert national == f"{ {9: '1', 14: '3'}[len(plain)] }{plain}"
        luhn.validate(plain)
        if len(plain) == 14:
            luhn.validate(plain[:9])
    values = Counter(
        identifier["value"]
        for resource in region["Practitioner"] + region["Organization"]
        for identifier in resource["identifier"]
    )
    assert set(values.values()) == {1}


def test_the_directory_accepts_every_identifier(region: Region) -> None:
    """The directory refuses national numbers with a wrong key."""
    for resource in region["Practitioner"] + region["Organization"]:
        assert not list(wrong_numbers(resource))


def test_fr_core_rules_hold(region: Region) -> None:
    """FR Core 2.2.0: no Schedule.serviceType, one serviceCategory, specialties of TRE_R38, one prefix."""
    for schedule in region["Schedule"]:
        assert "serviceType" not in schedule
        assert [actor["reference"].split("/")[0] for actor in schedule["actor"][:2]] == [
            "Practitioner",
            "PractitionerRole",
        ]
    for resource in region["Schedule"] + region["Slot"] + region["PractitionerRole"]:
        assert len(resource.get("serviceCategory", [])) <= 1
        for concept in resource.get("specialty", []):
            assert [coding["system"] for coding in concept["coding"]] == [SPECIALTY]
    for practitioner in region["Practitioner"]:
        assert len(practitioner["name"][0]["prefix"]) == 1


def test_slots_say_what_a_publisher_says(region: Region) -> None:
    """Visit kind and reason, kind of appointment, visibility, agenda address, free."""
    for slot in region["Slot"]:
        assert set(codes(slot["serviceType"], VISIT)) <= {"AMB", "VR", "HH"}
        assert any("text" in concept for concept in slot["serviceType"])
        assert {security["code"] for security in slot["meta"]["security"]} <= {"PUBLIC", "PRO", "SNP"}
        assert {security["system"] for security in slot["meta"]["security"]} == {SLOT_VISIBILITY}
        assert slot["appointmentType"]["coding"][0]["code"] in ("ROUTINE", "WALKIN")
        assert slot["status"] == "free"
        assert slot.get("comment", "https://agenda.exemple.fr/").startswith("https://agenda.exemple.fr/")


def test_a_day_reads_like_a_real_one(region: Region) -> None:
    """An agenda has few kinds of openings, each session one of them, but for what is kept at its end; and in the region
    there is everything: by video, at home, without appointment, for colleagues, for the regulators."""
    own = ("id", "start", "end", "status")
    kinds: dict[str, set[bytes]] = {}
    for slot in region["Slot"]:
        said = orjson.dumps({name: value for name, value in slot.items() if name not in own})
        kinds.setdefault(slot["schedule"]["reference"], set()).add(said)
    assert max(map(len, kinds.values())) <= OPENINGS_MAX
    everything = b"".join(said for of_agenda in kinds.values() for said in of_agenda)
    for code in ("AMB", "VR", "HH", "PUBLIC", "PRO", "SNP", "ROUTINE", "WALKIN"):
        assert f'"{code}"'.encode() in everything


def test_slots_of_one_professional_never_overlap(region: Region) -> None:
    """Two places, one person: nobody is in two places at once."""
    person_of = {
        f"Schedule/{schedule['id']}": schedule["actor"][0]["reference"] for schedule in region["Schedule"]
    }
    times: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for slot in region["Slot"]:
        interval = datetime.fromisoformat(slot["start"]), datetime.fromisoformat(slot["end"])
        times[person_of[slot["schedule"]["reference"]]].append(interval)
    for intervals in times.values():
        intervals.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(intervals))


def test_slots_lie_in_the_horizon_and_every_agenda_has_some(region: Region) -> None:
    """A slot outside its Schedule's planningHorizon could never be booked."""
    horizon = {f"Schedule/{s['id']}": s["planningHorizon"] for s in region["Schedule"]}
    for slot in region["Slot"]:
        bounds = horizon[slot["schedule"]["reference"]]
        assert datetime.fromisoformat(slot["start"]) >= START
        assert slot["start"] >= bounds["start"]
        assert datetime.fromisoformat(slot["end"]) <= datetime.fromisoformat(bounds["end"])
    ruled = f"Schedule/{stated_by_rules(population()).id}"
    assert {slot["schedule"]["reference"] for slot in region["Slot"]} == set(horizon) - {ruled}


def test_children_have_their_own_practices(region: Region) -> None:
    """The rules that paediatric offers state are read by booking as they are meant: 0 to 16, 24 hours to cancel."""
    stated = {
        service["name"].partition(" – ")[0]: rules_of(service) for service in region["HealthcareService"]
    }
    assert stated["Pédiatrie"] == AccessRules(age=AgeLimit(0, 17 * 12), change_deadline=timedelta(hours=24))
    assert stated["Rhumatologie"] == AccessRules(confirmation_required=True)
    named = {name for name, rules in stated.items() if rules != AccessRules()}
    assert named == {"Pédiatrie", "Rhumatologie"}


def test_some_practise_in_two_places(region: Region) -> None:
    """Two PractitionerRoles at two organisations, each with its own Schedule."""
    roles: dict[str, set[str]] = defaultdict(set)
    for role in region["PractitionerRole"]:
        roles[role["practitioner"]["reference"]].add(role["organization"]["reference"])
    assert sum(len(places) == 2 for places in roles.values()) >= 20
    assert {role["id"] for role in region["PractitionerRole"]} == {s["id"] for s in region["Schedule"]}


def test_the_large_towns_have_what_the_story_needs(region: Region) -> None:
    """The demonstration looks for a GP in Rennes; overseas there is one too."""
    found = {(post.practice.commune.name, post.professional.profession.key) for post in population().posts}
    for town in ("Rennes", "Brest", "Paris", "Saint-Denis", "Cayenne"):
        assert (town, "medecine-generale") in found
    assert ("Rennes", "dermatologie") in found


def test_nobody_works_on_a_public_holiday_or_on_leave(region: Region) -> None:
    """Christmas is closed everywhere; a leave leaves no slot."""
    posts = {f"Schedule/{post.id}": post for post in population().posts}
    days = {slot["start"][:10] for slot in region["Slot"]}
    assert "2026-12-25" not in days
    assert "2027-01-01" not in days
    assert "2026-12-24" in days
    for slot in region["Slot"]:
        post = posts.get(slot["schedule"]["reference"])
        if post is not None:
            assert not is_absent(post.professional.id, date.fromisoformat(slot["start"][:10]))


def test_overseas_keeps_its_own_holiday() -> None:
    """20 December is a holiday in La Réunion, 10 June in Guyane, neither in Paris."""
    by_name = {commune.name: commune for commune in communes()}
    assert is_public_holiday(date(2027, 12, 20), by_name["Saint-Paul"])
    assert is_public_holiday(date(2027, 6, 10), by_name["Cayenne"])
    assert not is_public_holiday(date(2027, 12, 20), by_name["Paris"])
    assert not is_public_holiday(date(2027, 6, 10), by_name["Saint-Paul"])


@pytest.mark.parametrize(
    ("start", "before", "after"),
    [
        (datetime(2027, 3, 15, tzinfo=UTC), "+01:00", "+02:00"),
        (datetime(2027, 10, 18, tzinfo=UTC), "+02:00", "+01:00"),
    ],
)
def test_local_hours_stay_across_a_clock_change(start: datetime, before: str, after: str) -> None:
    """Clocks change on 28 March and 31 October 2027: same hour on the wall, another offset."""
    change = "2027-03-28" if start.month == 3 else "2027-10-31"
    posts = {p.id: p for p in population().posts if p.practice.commune.name == "Rennes"}
    slots = [slot for post in posts.values() for slot in free_slots(post, start, 28)]
    assert {slot["start"][-6:] for slot in slots if slot["start"] < change} == {before}
    assert {slot["start"][-6:] for slot in slots if slot["start"] > change} == {after}
    for slot in slots:
        hour = time.fromisoformat(slot["start"][11:16])
        weekday = date.fromisoformat(slot["start"][:10]).weekday()
        sessions = posts[slot["schedule"]["reference"].removeprefix("Schedule/")].sessions
        assert any(s.weekday == weekday and s.start <= hour < s.end for s in sessions)


def test_overseas_hours_are_local() -> None:
    """In La Réunion (+4) and Guyane (-3) the offset is the place's own, the whole year."""
    for name, offset in (("Saint-Denis", "+04:00"), ("Cayenne", "-03:00")):
        post = next(post for post in population().posts if post.practice.commune.name == name)
        assert {slot["start"][-6:] for slot in free_slots(post, START, DAYS)} == {offset}


def test_lunch_is_a_break() -> None:
    """No visit runs into the break or past the end of a session."""
    for post in population().posts[:60]:
        length = timedelta(minutes=post.professional.minutes)
        for slot in free_slots(post, START, 14):
            start = datetime.fromisoformat(slot["start"])
            end = (start + length).time()
            assert any(s.start <= start.time() and end <= s.end for s in post.sessions)


def test_agendas_are_fuller_near_than_far() -> None:
    """A dermatologist's agenda (median wait 36 days) has more room in a month than tomorrow."""
    post = next(p for p in population().posts if p.professional.profession.key == "dermatologie")
    assert openness(post, 40) > 5 * openness(post, 0)


def test_a_week_pattern_is_read() -> None:
    assert parse_week("mon-tue,fri 08:30-12:00 14:00-18:00; sat 09:00-12:00") == (
        Session(0, time(8, 30), time(12)),
        Session(0, time(14), time(18)),
        Session(1, time(8, 30), time(12)),
        Session(1, time(14), time(18)),
        Session(4, time(8, 30), time(12)),
        Session(4, time(14), time(18)),
        Session(5, time(9), time(12)),
    )


def test_there_is_one_group(region: Region) -> None:
    """Eight places on Saturdays, which patients see and book."""
    [agenda] = [s for s in region["Schedule"] if "schedule-capacity" in str(s.get("extension"))]
    slots = [s for s in region["Slot"] if s["schedule"]["reference"] == f"Schedule/{agenda['id']}"]
    assert len(slots) >= 6
    assert {date.fromisoformat(slot["start"][:10]).weekday() for slot in slots} == {5}


def test_a_start_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        build(datetime(2026, 11, 22))  # noqa: DTZ001


def test_the_sas_graph_has_the_shape_of_the_official_example() -> None:
    """Four slots over three agendas of two professionals, with the variety of that example."""
    resources = list(sas.graph(START))
    by_type = {
        name: [r for r in resources if r["resourceType"] == name]
        for name in {r["resourceType"] for r in resources}
    }
    assert {name: len(found) for name, found in by_type.items()} == {
        "Organization": 3,
        "Location": 3,
        "HealthcareService": 3,
        "Practitioner": 2,
        "PractitionerRole": 3,
        "Schedule": 3,
        "Slot": 4,
    }
    one, two, three, four = by_type["Slot"]
    assert codes(one["serviceType"], VISIT) == ["AMB", "VR"]
    assert codes(one["specialty"], SPECIALTY) == ["SM54", "SM05"]
    assert two["appointmentType"]["coding"][0]["code"] == "WALKIN"
    assert "comment" not in two
    assert [len(slot["meta"]["security"]) for slot in (one, two, three, four)] == [1, 1, 2, 2]
    assert three["schedule"] == four["schedule"]
    assert codes(four["serviceType"], VISIT) == ["HH"]


def test_the_codes_are_those_of_the_nos() -> None:
    """Codes and labels of professions, specialties and activities as published."""
    if not TERMINOLOGY.is_dir():
        pytest.skip(f"the published nomenclatures are not beside the repository: {TERMINOLOGY}")

    def labels(name: str) -> dict[str, str]:
        concepts = json.loads((TERMINOLOGY / f"{name}.json").read_text())["concepts"]
        return {concept["code"]: concept["display"] for concept in concepts}

    profession = {"G15": labels("TRE_G15-ProfessionSante"), "R95": labels("TRE_R95-UsagerTitre")}
    specialty, activity = labels("TRE_R38-SpecialiteOrdinale"), labels("TRE_R211-ActiviteOperationnelle")
    for entry in professions():
        system, code, label = entry.profession
        assert profession[system][code] == label
        assert entry.specialty is None or specialty[entry.specialty[0]] == entry.specialty[1]
        assert entry.activity is None or activity[entry.activity[0]] == entry.activity[1]


def test_one_agenda_is_stated_by_rules_alone(region: Region) -> None:
    """It pushes no slot; the product makes of what it states the visits of its hours, and none on its leaves."""
    post = stated_by_rules(population())
    schedule = next(one for one in region["Schedule"] if one["id"] == post.id)
    reference = f"Schedule/{post.id}"
    assert not [slot for slot in region["Slot"] if slot["schedule"]["reference"] == reference]
    stated = stated_by(schedule, Actors(), START)
    zone = post.practice.commune.time_zone
    window = (int(START.timestamp()), int((START + timedelta(days=DAYS)).timestamp()))
    made = expand(stated.statement, Place(zone), window).wanted
    assert len(made) > 200
    for slot in made:
        begins = datetime.fromtimestamp(slot.start, zone)
        assert not is_absent(post.professional.id, begins.date())
        assert any(
            session.weekday == begins.weekday() and session.start <= begins.time() < session.end
            for session in post.sessions
        )
