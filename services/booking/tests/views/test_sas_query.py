"""Which searches are the SAS's, what they must say, and what is searched for them."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from creneau_booking.views.sas.query import PRACTITIONERS, check, is_sas, neutral
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.search.normal_form import normal_form
from creneau_shared.fhir.search.parse import parse_search

OFFICIAL = (
    "_include=Slot:schedule&_include:iterate=Schedule:actor&start=ge2021-01-02T10:00:00&start=le2021-01-06T10:00:00"
    "&schedule.actor:Practitioner.identifier=urn:oid:1.2.250.1.71.4.2.1|810101288385,"
    " urn:oid:1.2.250.1.71.4.2.1|800001288385,urn:oid:1.2.250.1.71.4.2.1|810106738385&status=free"
)
PROFILE = "_profile=http://sas.fr/fhir/StructureDefinition/FrSlotAgregateur"


def pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


@pytest.mark.parametrize(
    "query",
    [
        OFFICIAL,
        OFFICIAL.replace("|", "%7C"),
        OFFICIAL + "&_count=1000",
        OFFICIAL + "&_include=Slot:service-type-reference&_include:iterate=HealthcareService:organization",
        OFFICIAL.replace("&status=free", ""),  # asked for wrongly, and to be told so
        "schedule.actor:Practitioner.identifier=&_include=Slot:schedule&_include:iterate=Schedule:actor",
        PROFILE,
        PROFILE + "|1.2.0",
    ],
)
def test_the_family_is_recognised(query: str) -> None:
    assert is_sas(pairs(query))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "status=free&start=ge2026-12-01",
        OFFICIAL.replace("_include:iterate", "_include"),  # GAP
        OFFICIAL.replace(
            "urn:oid:1.2.250.1.71.4.2.1|810101288385", "https://rpps.esante.gouv.fr|10101288385"
        ),
        OFFICIAL.replace("status=free", "status=busy"),
        OFFICIAL.replace("status=free", "status=free,busy"),
        OFFICIAL + "&_profile=https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-slot",
        OFFICIAL.replace("_include=Slot:schedule&", ""),
        "_include=Slot:schedule&_include:iterate=Schedule:actor&start=ge2026-12-01&status=free",
    ],
)
def test_other_searches_keep_the_stored_bytes(query: str) -> None:
    assert not is_sas(pairs(query))


@pytest.mark.parametrize(
    ("left_out", "names"),
    [
        ("start=ge2021-01-02T10:00:00&", "http.start"),
        ("start=le2021-01-06T10:00:00&", "http.start"),
        ("&status=free", "http.status"),
    ],
)
def test_each_mandatory_criterion_is_missed(left_out: str, names: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(pairs(OFFICIAL.replace(left_out, "")))
    assert refusal.value.issues[0].expression == (names,)
    assert refusal.value.issues[0].code == "required"


@pytest.mark.parametrize(
    "query",
    [
        OFFICIAL.replace("urn:oid:1.2.250.1.71.4.2.1|", ""),
        OFFICIAL.replace("urn:oid:1.2.250.1.71.4.2.1|800001288385", "800001288385"),
        OFFICIAL.replace("urn:oid:1.2.250.1.71.4.2.1|800001288385", "|800001288385"),
        OFFICIAL.replace("urn:oid:1.2.250.1.71.4.2.1|800001288385", "urn:oid:1.2.250.1.71.4.2.1|"),
    ],
)
def test_07_a_number_without_its_system_is_refused_and_not_searched_by(query: str) -> None:
    assert is_sas(pairs(query))
    with pytest.raises(BadRequest) as refusal:
        check(pairs(query))
    assert refusal.value.issues[0].expression == (f"http.{PRACTITIONERS}",)


def test_07_the_regulation_asking_without_numbers_is_told_so() -> None:
    """It would be the free slots of the whole country; anybody else may mean just that."""
    without = [pair for pair in pairs(OFFICIAL) if pair[0] != PRACTITIONERS]
    assert is_sas(without, by_regulator=True)
    assert not is_sas(without)
    with pytest.raises(BadRequest):
        check(without)


def asking_for(number: int) -> list[tuple[str, str]]:
    whom = ",".join(f"urn:oid:1.2.250.1.71.4.2.1|8990000000{n:02d}" for n in range(number))
    return [*pairs("start=ge2026-12-01&start=le2026-12-02&status=free"), (PRACTITIONERS, whom)]


def test_from_one_to_25_practitioners() -> None:
    check(asking_for(1))
    check(asking_for(25))
    with pytest.raises(BadRequest, match="26") as refusal:
        check(asking_for(26))
    assert refusal.value.status == 400
    with pytest.raises(BadRequest) as refusal:
        check(asking_for(0))
    assert refusal.value.issues[0].expression == (f"http.{PRACTITIONERS}",)


def test_the_neutral_query_has_no_profile() -> None:
    query = dict(neutral(pairs(f"{OFFICIAL}&{PROFILE}")))
    assert "_profile" not in query
    assert query["_count"] == "1000"
    assert dict(neutral(pairs(f"{OFFICIAL}&_count=7")))["_count"] == "7"


@pytest.mark.parametrize("more", [",", ", ", ",,", " , "])
def test_nothing_between_two_commas_asks_for_nobody(more: str) -> None:
    """`system|` alone would mean everybody who has a number of that system."""
    for query in (OFFICIAL.replace("&status", f"{more}&status"), OFFICIAL.replace("er=urn", f"er={more}urn")):
        assert meant(query) == meant(OFFICIAL)


def meant(query: str) -> str:
    known = ("Slot", "Schedule", "Practitioner")
    now = datetime(2021, 1, 1, tzinfo=UTC)
    return normal_form(parse_search("Slot", neutral(pairs(query)), known_types=known, now=now).conditions)
