"""Which clock a place lives by, and which of several names or addresses holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fixtures.postgres import NewDatabase

from creneau_shared.clock import ZONES
from creneau_shared.fhir.current import current, current_name, next_change, spoken
from creneau_shared.fhir.zones import (
    INSEE_CODE,
    OVERSEAS,
    READ_TOO,
    TIME_ZONE,
    unknown_zones,
    zone_issue,
    zone_of,
)
from creneau_shared.postal_codes import postal_code
from creneau_shared.territories import TERRITORIES

NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


def place(**members: Any) -> dict[str, Any]:
    return {"resourceType": "Location", **members}


def stating(name: object, url: str = TIME_ZONE) -> dict[str, Any]:
    return place(extension=[{"url": url, "valueCode": name}])


@pytest.mark.parametrize(
    "spelled",
    [
        *("97400", "97 400", " 97400", "F-97400", "FR 97400", "97400\u200b", "f - 97400", "97.400"),
        *(
            "97400\u00a0",
            "97\u202f400",
            "97\u2011400",
            "re-97400",
            "97400 Saint-Denis",
            "97400 CEDEX",
            "９７４００",
        ),
    ],
)
def test_a_postal_code_in_any_spelling_is_that_code(spelled: str) -> None:
    zone = zone_of(place(address={"postalCode": spelled}))
    assert zone is not None
    assert zone.key == "Indian/Reunion"


@pytest.mark.parametrize(
    ("code", "zone"),
    [
        ("35000", "Europe/Paris"),
        ("20000", "Europe/Paris"),
        ("97133", "America/St_Barthelemy"),
        ("97110", "America/Guadeloupe"),
        ("97500", "America/Miquelon"),
        ("98742", "Pacific/Marquesas"),
        ("98713", "Pacific/Tahiti"),
        ("98800", "Pacific/Noumea"),
        ("97150", "America/Marigot"),
        ("98600", "Pacific/Wallis"),
        ("98412", "Indian/Kerguelen"),
        ("98414", "Antarctica/DumontDUrville"),
        ("98799", "Etc/GMT+8"),
        ("97054", "America/Marigot"),
        ("97098", "America/St_Barthelemy"),
        ("98000", "Europe/Paris"),
    ],
)
def test_every_french_place_has_its_clock(code: str, zone: str) -> None:
    found = zone_of(place(address={"postalCode": code}))
    assert found is not None
    assert found.key == zone


@pytest.mark.parametrize(
    ("address", "zone"),
    [
        ({"country": "RE"}, "Indian/Reunion"),
        ({"country": "MTQ", "postalCode": "?"}, "America/Martinique"),
        ({"country": "France", "state": "La Réunion"}, "Indian/Reunion"),
        ({"state": "974"}, "Indian/Reunion"),
        ({"state": "FR-973", "country": "FR"}, "America/Cayenne"),
        ({"country": "Polynésie française"}, "Pacific/Tahiti"),
        ({"country": "French Guiana"}, "America/Cayenne"),
        ({"country": "PF", "postalCode": "98742"}, "Pacific/Marquesas"),
        ({"extension": [{"url": INSEE_CODE, "valueCoding": {"code": "97701"}}]}, "America/St_Barthelemy"),
        ({"extension": [{"url": INSEE_CODE, "valueCoding": {"code": "2A004"}}]}, "Europe/Paris"),
        ({"country": "DE", "postalCode": "97421"}, None),
        ({"country": "Allemagne", "postalCode": "97421"}, None),
        ({"country": "FX", "postalCode": "35000"}, "Europe/Paris"),
        ({"country": "FXX", "postalCode": "35000"}, "Europe/Paris"),
        ({"country": "St Martin"}, "America/Marigot"),
        ({"country": "St. Martin", "postalCode": "97150"}, "America/Marigot"),
        ({"country": "Saint-Barth"}, "America/St_Barthelemy"),
        ({"country": "St-Barth", "postalCode": "97133"}, "America/St_Barthelemy"),
        ({"country": "RE", "postalCode": "00200"}, "Indian/Reunion"),
        ({"state": "Mayotte", "postalCode": "97001"}, "Indian/Mayotte"),
        ({"country": "FR"}, None),
        ({"postalCode": "1000"}, None),
        ({"state": "Bretagne"}, None),
    ],
)
def test_an_address_says_its_clock_by_what_it_has(address: dict[str, Any], zone: str | None) -> None:
    """Code of the post or of the commune, department, territory; abroad, five digits are no French postal code."""
    found = zone_of(place(address=address))
    assert (found.key if found else None) == zone


def test_every_zone_of_the_table_exists() -> None:
    assert set(OVERSEAS.values()) <= ZONES
    assert TERRITORIES.keys() <= OVERSEAS.keys()


async def test_postgresql_knows_every_zone(new_database: NewDatabase) -> None:
    """What is accepted is used in SQL (`AT TIME ZONE`): one unknown name there would fail every search that meets it."""
    connection = await asyncpg.connect(new_database())
    known = await connection.fetch("SELECT name FROM pg_timezone_names")
    await connection.close()
    assert {row["name"] for row in known} >= ZONES


@given(st.text(max_size=20))
def test_any_text_is_a_postal_code_or_none(text: str) -> None:
    code = postal_code(text)
    assert code is None or (len(code) == 5 and code.isdigit())


@pytest.mark.parametrize(
    "name", ["Europe/Parys", "../../etc/passwd", "UTC+4", "localtime", "Factory", "", None, "europe/paris "]
)
@pytest.mark.parametrize("url", [TIME_ZONE, *sorted(READ_TOO)])
def test_a_zone_that_does_not_exist_is_refused_and_never_used(name: object, url: str) -> None:
    """In ours and in HL7's spelling; where it was accepted before, the postal code decides."""
    ((index, said),) = unknown_zones(stating(name, url))
    issue = zone_issue("Location", index, said)
    assert (issue.details_code, issue.expression) == ("time-zone", ("Location.extension[0].valueCode",))
    assert str(name) in issue.fr
    assert zone_of(stating(name, url)) is None
    fallen_back = zone_of(stating(name, url) | {"address": {"postalCode": "97400"}})
    assert fallen_back is not None
    assert fallen_back.key == "Indian/Reunion"


def test_what_is_stated_is_above_the_postal_code() -> None:
    said = stating("Indian/Mayotte") | {"address": {"postalCode": "97400"}}
    assert not list(unknown_zones(said))
    assert str(zone_of(said)) == "Indian/Mayotte"


FORMER = {"value": "a", "period": {"start": "2015-01-01", "end": "2020-06-30"}}
TO_COME = {"value": "b", "period": {"start": "2099-01-01"}}
PRESENT = {"value": "c", "period": {"start": "2020-07-01"}}


def test_an_address_holds_within_its_period() -> None:
    assert current([FORMER, TO_COME, PRESENT], NOW) == [PRESENT]
    assert current(
        [{"value": "d", "rank": 2}, {"value": "e", "rank": 1}, {"value": "f", "use": "old"}], NOW
    ) == [
        {"value": "e", "rank": 1},
        {"value": "d", "rank": 2},
    ]
    today = {"value": "g", "period": {"end": "2026-11-28"}}
    assert current([today], NOW) == [today], "the last day is a day of it"


DAYS = st.integers(1, 28).map(lambda day: f"2026-11-{day:02}")
HOURS = DAYS.map(lambda day: f"{day}T12:30:00+01:00")
PERIODS = st.fixed_dictionaries({}, optional={"start": DAYS | HOURS, "end": DAYS | HOURS})
POINTS = st.fixed_dictionaries({}, optional={"period": PERIODS, "use": st.sampled_from(["old", "home"])})


@given(st.lists(POINTS, max_size=4), st.integers(0, 30 * 24))
def test_what_holds_is_the_same_until_the_next_change(points: list[dict[str, Any]], hour: int) -> None:
    """So that whoever is told at each change always knows which address is in use."""
    now = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=hour)
    at = next_change(points, now)
    last = at - timedelta(seconds=1) if at is not None else datetime(2026, 12, 31, tzinfo=UTC)
    assert last >= now
    assert current(points, last) == current(points, now)


@pytest.mark.parametrize(
    ("uses", "called"),
    [
        (["maiden", "official"], "official"),
        (["old", "usual"], "usual"),
        (["official", "usual"], "usual"),
        (["nickname", None], None),
        (["maiden"], "maiden"),
        (["old"], "nobody"),
        (["anonymous"], "nobody"),
        (["anonymous", "maiden"], "maiden"),
    ],
)
def test_people_are_addressed_by_the_name_they_use(uses: list[str | None], called: str | None) -> None:
    names = [{"family": str(use), **({"use": use} if use else {})} for use in uses]
    assert current_name(names, NOW).get("family", "nobody") == str(called)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ({}, []),
        ({"text": "Camille Dupont", "family": "Dupont", "given": ["Camille"]}, ["Camille Dupont"]),
        ({"text": " ", "family": "Dupont", "given": ["Camille", "Anne"]}, ["Camille", "Dupont"]),
        ({"family": "Dupont"}, ["Dupont"]),
        ({"given": ["Camille"]}, ["Camille"]),
        ({"given": [None, "Camille"], "family": "\u00a0"}, ["Camille"]),
        ({"given": ["", " "], "family": ""}, []),
        (
            {"text": "\u200b", "family": "Dupont", "given": ["\ufeff\u2060 ", "Camille"]},
            ["Camille", "Dupont"],
        ),
    ],
)
def test_of_a_name_what_can_be_seen_is_said(name: dict[str, Any], said: list[str]) -> None:
    assert spoken(name) == said


@pytest.mark.parametrize("nothing", [" ", "\u200b", "\u00ad\u2028", "\ufeff\t\u3000"])
def test_a_name_that_says_nothing_gives_way_to_one_that_does(nothing: str) -> None:
    names = [{"use": "usual", "text": nothing}, {"use": "official", "family": "Dupont"}]
    assert current_name(names, NOW) == names[1]


def test_of_two_usual_names_the_later_one_holds() -> None:
    names = [
        {"use": "usual", "family": "Avant", "period": {"start": "2001"}},
        {"use": "usual", "family": "Depuis", "period": {"start": "2020-05"}},
        {"use": "usual", "family": "Demain", "period": {"start": "2090"}},
    ]
    assert current_name(names, NOW)["family"] == "Depuis"


def test_which_name_began_last_is_told_by_the_instants() -> None:
    names = [
        {"use": "usual", "family": "Depuis", "period": {"start": "2020-05-01T01:00:00+02:00"}},
        {"use": "usual", "family": "Avant", "period": {"start": "2020-05-01T02:00:00+14:00"}},
    ]
    assert current_name(names, NOW)["family"] == "Depuis"
