"""Who is meant, which town, and what is read of the directory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_web.care.finding import once_each
from creneau_web.care.folding import fold
from creneau_web.care.model import Professional
from creneau_web.care.reading import opening_of, professionals_of
from creneau_web.care.terms import ACCESSIBILITY, NEW_PATIENTS
from creneau_web.care.towns import choices_of
from creneau_web.care.understood import told_of
from creneau_web.care.wanted import all_wanted
from creneau_web.people.identity_form import IdentityForm, age, problems_of
from creneau_web.people.records import corrected, person_of

from .conftest import searchset
from .samples import PLACE, PRACTITIONER, ROLE, SLOT

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
SECTOR = "https://mos.esante.gouv.fr/NOS/TRE_R282-CNAMAmeliSecteurConventionnement/FHIR/TRE-R282-CNAMAmeliSecteurConventionnement"
CONTRACTED = (
    "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition/as-ext-practitionerrole-contracted"
)


def told(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parameters)}


def place(name: str, department: str, *, parameter: str = "place", kind: str = "commune") -> dict[str, Any]:
    parts = [
        ("kind", "valueCode", kind),
        ("name", "valueString", name),
        ("department", "valueCode", department),
    ]
    return {"name": parameter, "part": [{"name": n, key: value} for n, key, value in parts]}


def read_as(text: str, kind: str, *meanings: str, corrected: bool = False) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"name": "text", "valueString": text}, {"name": "kind", "valueCode": kind}]
    parts += [{"name": "meaning", "valueString": meaning} for meaning in meanings]
    return {"name": "understood", "part": parts + [{"name": "corrected", "valueBoolean": True}] * corrected}


def suggested(*labels: str) -> dict[str, Any]:
    return told(
        *(
            {
                "name": "suggestion",
                "part": [{"name": "group", "valueCode": "place"}, {"name": "display", "valueString": label}],
            }
            for label in labels
        )
    )


@pytest.mark.parametrize(
    ("where", "answer", "beginning", "names"),
    [
        ("rennes", told(place("Rennes", "35")), suggested("Rennes (35)"), []),
        (
            "renes",
            told(read_as("renes", "commune", "Rennes", corrected=True), place("Rennes", "35")),
            suggested("Renescure (59)"),
            [],
        ),
        (
            "saint",
            told(place("Le Saint", "56")),
            suggested("Saint-Denis (974)", "Saint-Malo (35)"),
            ["Saint-Denis", "Saint-Malo"],
        ),
        (
            "aix",
            told(place("Aix-en-Provence", "13")),
            suggested("Aix-en-Provence (13)", "Aixe-sur-Vienne (87)"),
            [],
        ),
        (
            "saint denis",
            told(place("Saint-Denis", "974"), place("Saint-Denis", "93", parameter="other-place")),
            suggested("Saint-Denis (974)"),
            ["Saint-Denis", "Saint-Denis"],
        ),
        ("saint denis 97400", told(place("Saint-Denis", "974")), suggested(), []),
        ("35", told(place("Ille-et-Vilaine", "35", kind="department")), suggested("Rennes (35)"), []),
        ("zzz", told(), suggested(), []),
    ],
)
def test_which_town_is_meant(
    where: str, answer: dict[str, Any], beginning: dict[str, Any], names: list[str]
) -> None:
    assert [town.name for town in choices_of(answer, beginning, where)] == names


def test_what_the_directory_understood_is_read() -> None:
    parameters = told(
        read_as("rage de dent", "motive", "Dentiste"),
        read_as("renes", "commune", "Rennes", corrected=True),
        {"name": "ignored", "valueString": "licorne"},
    )
    issue = {"details": {"coding": [{"code": "call-15"}], "text": "Appelez le 15."}}
    bundle = searchset({"resourceType": "OperationOutcome", "issue": [issue]}, parameters)
    found = told_of(bundle)
    assert (found.who, found.ignored, found.calls) == ("Dentiste", ("licorne",), ("Appelez le 15.",))
    assert found.read == (("rage de dent", "Dentiste"), ("renes", "Rennes"))


def test_shortcuts_are_named_in_both_languages() -> None:
    assert all(one.label("fr") and one.label("en") for one in all_wanted())


@given(st.text())
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_a_professional_is_read_with_their_place() -> None:
    [found] = professionals_of(searchset(ROLE, PRACTITIONER, PLACE), NOW)
    assert found.name == "Dr Inès Bianchi"
    assert found.specialties == ("Dermatologie et Vénéréologie",)
    assert found.place is not None
    assert found.place.address == "83 boulevard de la République, 97400 Saint-Denis"
    assert found.zone.key == "Indian/Reunion"
    assert opening_of(SLOT, found.zone).start.hour == 10


@pytest.mark.parametrize(("code", "sector"), [("1", "1"), ("c3", "3"), ("nc", "0"), (None, None)], ids=str)
def test_the_terms_that_the_directory_states_are_read(code: str | None, sector: str | None) -> None:
    """What a search filters by can be seen of whom it finds; what nobody states is not made up."""
    fees = {"url": CONTRACTED, "valueCodeableConcept": {"coding": [{"system": SECTOR, "code": code}]}}
    new, access = (
        {"url": NEW_PATIENTS, "valueBoolean": False},
        {"url": ACCESSIBILITY, "valueCode": "wheelchair"},
    )
    role = {**ROLE, "extension": [fees, new] if code else []}
    room = {"resourceType": "Location", "id": "salle", "partOf": {"reference": f"Location/{PLACE['id']}"}}
    place = {**PLACE, "extension": [*PLACE["extension"], access]}
    for where in (PLACE["id"], "salle"):
        role["location"] = [{"reference": f"Location/{where}"}]
        [found] = professionals_of(searchset(role, PRACTITIONER, place, room), NOW)
        assert (found.sector, found.access) == (sector, ("wheelchair",)), where
        assert found.new_patients is (False if code else None)
    [found] = professionals_of(searchset(ROLE, PRACTITIONER, PLACE), NOW)
    assert (found.sector, found.access, found.new_patients) == (None, (), None)


def test_who_names_no_place_is_read_with_that_of_their_offer() -> None:
    """A room has the address of its building."""
    room = {"resourceType": "Location", "id": "salle", "partOf": {"reference": f"Location/{PLACE['id']}"}}
    offer = {
        "resourceType": "HealthcareService", "id": "offre", "location": [{"reference": "Location/salle"}]
    }  # fmt: skip
    role = {name: value for name, value in ROLE.items() if name != "location"}
    role["healthcareService"] = [{"reference": "HealthcareService/offre"}]
    [found] = professionals_of(searchset(role, PRACTITIONER, offer, room, PLACE), NOW)
    assert found.place is not None
    assert found.place.address == "83 boulevard de la République, 97400 Saint-Denis"


@pytest.mark.parametrize(
    ("stated", "postal_code", "zone"),
    [
        (None, "97400", "Indian/Reunion"),
        (None, "97 400", "Indian/Reunion"),
        (None, "35000", "Europe/Paris"),
        (None, None, "Europe/Paris"),
        ("../../etc/passwd", "97400", "Indian/Reunion"),
        ("America/Cayenne", "97400", "America/Cayenne"),
    ],
)
def test_a_place_lives_by_the_clock_that_it_says_or_that_its_address_means(
    stated: str | None, postal_code: str | None, zone: str
) -> None:
    """As messages tell it and openings are cut: by one rule."""
    said = [{"url": PLACE["extension"][0]["url"], "valueCode": stated}] if stated else []
    address = {"city": "Saint-Denis", **({"postalCode": postal_code} if postal_code else {})}
    place = PLACE | {"extension": said, "address": address}
    [found] = professionals_of(searchset(ROLE, PRACTITIONER, place), NOW)
    assert found.zone.key == zone


def test_a_room_has_the_clock_the_address_and_the_telephone_of_its_site() -> None:
    """As messages tell it, and visits with nobody but a place; what the room says itself goes first."""
    role = {**ROLE, "location": [{"reference": "Location/room"}]}
    floor = {"resourceType": "Location", "id": "floor", "partOf": {"reference": f"Location/{PLACE['id']}"}}
    room = {**floor, "id": "room", "name": "Salle 2", "partOf": {"reference": "Location/floor"}}
    [found] = professionals_of(searchset(role, PRACTITIONER, room, floor, PLACE), NOW)
    assert found.place is not None
    assert found.place.name == "Salle 2"
    assert found.place.address == "83 boulevard de la République, 97400 Saint-Denis"
    assert found.zone.key == "Indian/Reunion"
    assert found.phone == found.place.phone == PLACE["telecom"][0]["value"]
    own = room | {"telecom": [{"system": "phone", "value": "+262262000000"}]}
    [found] = professionals_of(searchset(role, PRACTITIONER, own, floor, PLACE), NOW)
    assert found.phone == "+262262000000"
    [found] = professionals_of(searchset(role, PRACTITIONER, room), NOW)
    assert (found.zone.key, found.phone) == ("Europe/Paris", None), "of a site that did not come along"


def test_a_place_that_is_part_of_itself_ends_there() -> None:
    """What was written by mistake."""
    place = {**PLACE, "partOf": {"reference": f"Location/{PLACE['id']}"}, "telecom": []}
    [found] = professionals_of(searchset(ROLE, PRACTITIONER, place), NOW)
    assert found.phone is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ({"prefix": ["DR"], "given": ["Océane", "Marie"], "family": "Payet"}, "Dr Océane Payet"),
        ({"prefix": ["Pr"], "text": "Pr Océane Payet"}, "Pr Océane Payet"),
        ({"family": "Payet"}, "Payet"),
    ],
)
def test_a_professional_is_named_with_their_title(name: dict[str, Any], shown: str) -> None:
    """As messages name them."""
    [found] = professionals_of(searchset(ROLE, {**PRACTITIONER, "name": [name]}, PLACE), NOW)
    assert found.name == shown


def test_what_has_ended_is_not_shown_of_a_professional() -> None:
    """`period` and `use` decide, as for messages: name, number, address."""
    ended = {"period": {"end": "2025-12-31"}}
    person = {
        **PRACTITIONER,
        "name": [
            {"text": "Dr Inès Roux", **ended},
            {"use": "maiden", "text": "Inès Petit"},
            PRACTITIONER["name"][0],
        ],
    }
    numbers = [
        {"system": "phone", "value": "0262000001", **ended},
        {"system": "phone", "value": "0262000002", "use": "old"},
        {"system": "phone", "value": "0262980143"},
    ]
    role = {**ROLE, "telecom": numbers}
    place = {**PLACE, "telecom": numbers, "address": {"text": "83 boulevard de la République"}}
    [found] = professionals_of(searchset(role, person, place), NOW)
    assert (found.name, found.phone) == ("Dr Inès Bianchi", "0262980143")
    assert found.place is not None
    assert (found.place.phone, found.place.address) == ("0262980143", "83 boulevard de la République")


PAUL: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "paul",
    "name": [
        {"use": "usual", "given": ["Paul"]},
        {"use": "official", "family": "Martin", "given": ["Pauline"]},
        {"use": "usual", "family": "Roux", "given": ["Pauline"], "period": {"end": "2025-12-31"}},
    ],
    "communication": [
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "ar"}]}, "preferred": True},
        {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "fsl"}]}},
    ],
}


def corrected_of(patient: dict[str, Any], usual_name: str, language: str = "fr") -> dict[str, Any]:
    return corrected(patient, NOW, usual_name, "paul@exemple.fr", "", language)


def test_who_corrects_a_contact_keeps_the_first_name_that_they_use_and_their_languages() -> None:
    """As the practice has recorded them: the form asks for neither."""
    changed = corrected_of(PAUL, "")
    assert changed["name"] == PAUL["name"]
    assert changed["communication"] == PAUL["communication"]
    assert person_of(changed, NOW).name == "Paul Martin"


def test_a_family_name_in_use_comes_and_goes_beside_the_first_name() -> None:
    married = corrected_of(PAUL, "Durand")
    assert person_of(married, NOW).name == "Paul Durand"
    assert married["name"][1:] == PAUL["name"][1:]
    assert corrected_of(married, "")["name"] == PAUL["name"]
    alone = {**PAUL, "name": [PAUL["name"][1]]}
    assert corrected_of(corrected_of(alone, "Durand"), "")["name"] == alone["name"], "nothing is left of it"


def test_a_name_that_was_written_as_one_text_says_nothing_former() -> None:
    written = {"use": "usual", "text": "Paul Durand", "family": "Durand", "given": ["Paul"]}
    patient = {**PAUL, "name": [written, PAUL["name"][1]]}
    assert corrected_of(patient, "Durand")["name"][0] == written
    assert corrected_of(patient, "Leroy")["name"][0] == {"use": "usual", "family": "Leroy", "given": ["Paul"]}


def test_another_language_of_messages_is_preferred_and_the_others_stay() -> None:
    english = corrected_of(PAUL, "", "en")
    assert person_of(english, NOW).language == "en"
    assert [
        (one["language"]["coding"][0]["code"], one.get("preferred")) for one in english["communication"]
    ] == [
        ("en", True),
        ("ar", None),
        ("fsl", None),
    ]
    french = corrected_of(english, "", "fr")
    again = corrected_of(french, "", "en")["communication"]
    assert [one["language"]["coding"][0]["code"] for one in again] == ["en", "fr", "ar", "fsl"]


def test_a_person_is_shown_and_corrected_by_what_holds_now() -> None:
    """An address that has ended stays as it was: what is put into it would never be written to."""
    ended = {"system": "email", "value": "avant@exemple.fr", "period": {"end": "2025-12-31"}}
    held = {"system": "email", "value": "camille@exemple.fr", "rank": 1}
    patient = {
        "resourceType": "Patient",
        "id": "camille",
        "name": [
            {"use": "usual", "family": "Roux", "given": ["Camille"], "period": {"end": "2025-12-31"}},
            {"use": "official", "family": "Martin", "given": ["Camille"]},
        ],
        "telecom": [ended, held],
    }
    shown = person_of(patient, NOW)
    assert (shown.email, shown.birth_name, shown.usual_name) == ("camille@exemple.fr", "Martin", None)
    changed = corrected(patient, NOW, "", "nouveau@exemple.fr", "", "fr")
    assert changed["telecom"] == [ended, {**held, "value": "nouveau@exemple.fr"}]
    assert corrected(patient, NOW, "", "", "", "fr")["telecom"] == [ended]


def test_majority_comes_with_the_birthday() -> None:
    assert age(date(2008, 12, 1), date(2026, 11, 30)) == 17
    assert age(date(2008, 12, 1), date(2026, 12, 1)) == 18


@pytest.mark.parametrize(
    ("relation", "born", "wrong"),
    [
        ("enfant", date(2008, 11, 30), "grown_up"),
        ("enfant", date(2008, 12, 1), None),
        ("proche", date(2008, 11, 30), None),
        ("proche", date(2008, 12, 1), "under_age"),
    ],
)
def test_a_child_is_registered_as_one_and_nobody_else(relation: str, born: date, wrong: str | None) -> None:
    """The base knows the age alone, and makes whoever registers a minor their parent."""
    said = {"jour": str(born.day), "mois": str(born.month), "annee": str(born.year), "lien": relation}
    form = IdentityForm(prenom="A", nom_de_naissance="B", **said)
    told = {"lien": f"identity.problem.{wrong}"} if wrong else {}
    assert problems_of(form, date(2026, 11, 30), first=False) == told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"use": "old"}, False),
        ({"period": {"end": "2026-10-31"}}, False),
        ({"period": {"start": "2026-12-01"}}, True),
        ({}, True),
    ],
)
def test_an_address_that_was_left_is_not_shown(said: dict[str, Any], shown: bool) -> None:
    """The place is, and its clock stays; one that it moves to before somebody can come there is shown."""
    [found] = professionals_of(
        searchset(ROLE, PRACTITIONER, {**PLACE, "address": {**PLACE["address"], **said}}), NOW
    )
    assert found.place is not None
    assert ("République" in found.place.address) is shown
    assert found.zone.key == "Indian/Reunion"


def in_place(role: str, who: str, place: str | None, *specialties: str) -> Professional:
    whole = professionals_of(searchset(ROLE, PRACTITIONER, PLACE), NOW)[0]
    assert whole.place is not None
    at = replace(whole.place, id=place) if place else None
    return replace(whole, id=role, practitioner=who, place=at, specialties=specialties)


def test_a_professional_with_a_role_for_each_skill_is_one_result_in_a_place() -> None:
    """The one with free times, whichever it is; where none has any, one with all that they do. Two agendas stay two; one
    that names the person alone is each role's, and shown once."""
    skills = [in_place("r1", "p", "l", "Médecine générale"), in_place("r2", "p", "l", "Médecine du sport")]
    elsewhere, other = in_place("r3", "p", "m", "Médecine générale"), in_place("r4", "q", "l", "Dermatologie")
    alone = [in_place("r5", "s", None), in_place("r6", "s", None)]
    people = [skills[0], other, skills[1], elsewhere, *alone]
    opening = opening_of(SLOT, other.zone)
    assert [one.id for one in once_each(people, {"r2": (opening,)})] == ["r4", "r2", "r3", "r5", "r6"]
    two = {"r1": (opening,), "r2": (replace(opening, slot="slot-2"),)}
    assert once_each(people, two) == tuple(people)
    shared = once_each(people, {"r1": (opening,), "r2": (opening,)})
    assert [one.id for one in shared] == ["r1", "r4", "r3", "r5", "r6"]
    assert shared[0].specialties == ("Médecine générale", "Médecine du sport")
    folded = once_each(people, {"r4": (opening,)})
    assert [one.id for one in folded] == ["r1", "r4", "r3", "r5", "r6"]
    assert folded[0].specialties == ("Médecine générale", "Médecine du sport")
