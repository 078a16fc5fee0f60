"""What is told of a patient to those who write to them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from creneau_booking.publishing import ContactRules, contact_changes_at, contact_event
from creneau_shared.contact_points import FRENCH_CALLING_CODES, countries_of
from creneau_shared.security.answers import Answers

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def contact(texted=FRENCH_CALLING_CODES, **members):
    rules = ContactRules(Answers(""), countries_of(texted))
    return contact_event("camille", {"resourceType": "Patient", **members}, None, rules=rules, now=NOW).data


@pytest.mark.parametrize(
    "members",
    [
        {"deceasedBoolean": True},
        {"deceasedDateTime": "2026-11-01"},
        {"active": False},
        {"link": [{"type": "replaced-by", "other": {"reference": "Patient/other"}}]},
    ],
)
def test_nobody_writes_to_the_dead_nor_to_a_record_that_is_out_of_use(members):
    assert contact(**members) is None


def test_others_are_written_to():
    assert contact(active=True, deceasedBoolean=False, link=[{"type": "replaces"}]) is not None


@pytest.mark.parametrize("form", ["{} ", " {}", "{}\u00a0", "{}\u200b", "mailto:{}", " MAILTO: {}"])
def test_what_was_pasted_with_an_address_is_not_part_of_it(form):
    telecom = [{"system": "email", "value": form.format("camille@exemple.fr")}]
    assert contact(telecom=telecom)["email"] == "camille@exemple.fr"


def test_of_several_addresses_the_first_at_which_messages_arrive_is_told():
    """By rank; a landline, or a number abroad, before a French mobile number must not cost the reminder."""
    telecom = [
        {"system": "phone", "value": "+44 7400 123456", "rank": 1},
        {"system": "phone", "value": "01 99 00 00 01", "rank": 1, "use": "home"},
        {"system": "phone", "value": "06 39 98 00 01", "rank": 2},
        {"system": "phone", "value": "06 39 98 00 02", "rank": 3},
        {"system": "email", "value": "camille martin@exemple.fr"},
        {"system": "email", "value": "camille@exemple.fr"},
    ]
    told = contact(telecom=telecom)
    assert (told["phone"], told["email"]) == ("06 39 98 00 01", "camille@exemple.fr")


@pytest.mark.parametrize(
    ("texted", "told"),
    [
        ("33,41", "+41 79 123 45 67"),
        ("44,41", "+44 7700 900123"),
        ("*", "+44 7700 900123"),
        ("33", "+44 7700 900123"),
    ],
)
def test_of_several_mobile_numbers_one_that_is_written_to_is_told(texted, told):
    """By the operator's countries, else the pages promise a message that nobody plans."""
    numbers = ("01 99 00 00 01", "+44 7700 900123", "+41 79 123 45 67")
    telecom = [{"system": "phone", "value": number} for number in numbers]
    assert contact(texted, telecom=telecom)["phone"] == told
    french = {"system": "phone", "value": "06 39 98 00 01"}
    is_french = texted in ("33,41", "*", "33")
    assert contact(texted, telecom=[*telecom, french])["phone"] == (french["value"] if is_french else told)


def test_where_no_address_serves_the_first_is_told_so_that_its_failure_is_seen():
    told = contact(
        telecom=[{"system": "phone", "value": "01 99 00 00 01"}, {"system": "email", "value": "camille"}]
    )
    assert (told["phone"], told["email"]) == ("01 99 00 00 01", "camille")


@pytest.mark.parametrize(
    ("addresses", "zone"),
    [
        ([{"postalCode": "75004"}], "Europe/Paris"),
        ([{"postalCode": "97 400"}], "Indian/Reunion"),
        ([{"country": "YT"}], "Indian/Mayotte"),
        ([{"use": "old", "postalCode": "97400"}, {"postalCode": "75004"}], "Europe/Paris"),
        ([{"period": {"end": "2020-01-01"}, "postalCode": "97400"}, {"postalCode": "75004"}], "Europe/Paris"),
        ([{"use": "billing", "postalCode": "97400"}, {"use": "home", "postalCode": "75004"}], "Europe/Paris"),
        ([{"country": "Belgique", "postalCode": "1000"}], None),
        ([{"text": "chez sa sœur"}], None),
        ([], None),
    ],
)
def test_the_clock_that_the_person_lives_by_is_told_and_no_more_of_the_address(addresses, zone):
    told = contact(address=addresses)
    assert told.get("zone") == zone
    assert not {"address", "postalCode"} & told.keys()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        ([{"text": "Camille Dupont"}], "Camille Dupont"),
        ([{"text": "  ", "family": "Dupont"}], "Dupont"),
        ([{"family": "Dupont"}], "Dupont"),
        ([{"given": ["Camille"]}], "Camille"),
        ([{"given": ["  "], "family": " Dupont "}], "Dupont"),
        ([{"use": "old", "family": "Avant"}], ""),
        ([{"use": "anonymous", "family": "X1"}], ""),
        ([{"family": "Avant", "period": {"end": "2020-01-01"}}], ""),
        ([{"use": "maiden", "family": "Martin"}, {"use": "official", "family": "Dupont"}], "Dupont"),
        ([{"use": "nickname", "given": ["Cam"]}, {"use": "official", "given": ["Camille"]}], "Camille"),
        ([{"use": "nickname", "given": ["Cam"]}], "Cam"),
        ([{"use": "usual"}, {"use": "official", "given": ["Camille"], "family": "Dupont"}], "Camille Dupont"),
    ],
)
def test_the_name_by_which_the_person_is_addressed(names, told):
    """One that is in use, without holes; nobody is greeted by a former or hidden one."""
    assert contact(name=names)["name"] == told


def test_a_contact_changes_by_itself_when_an_address_a_number_or_a_name_begins_or_ends():
    ends, begins = {"end": "2026-12-24"}, {"start": "2026-12-01"}
    moments = {
        "telecom": [{"system": "email", "value": "a@exemple.fr", "period": ends}],
        "address": [{"postalCode": "97400", "period": begins}],
        "name": [{"family": "Dupont", "period": {"end": "2020"}}],
    }
    told = {part: contact_changes_at({part: value}, NOW) for part, value in moments.items()}
    assert told["telecom"] == datetime(2026, 12, 24, 23, tzinfo=UTC), "the last day is a day of it, by Paris"
    assert told["address"] == contact_changes_at(moments, NOW) == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert told["name"] is None
    assert contact_changes_at({**moments, "active": False}, NOW) is None, "nobody writes to them anyway"
