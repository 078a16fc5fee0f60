"""One number has several spellings; each leads to all others."""

from __future__ import annotations

import pytest
from hypothesis import given as over
from hypothesis import strategies as st
from stdnum import luhn
from stdnum.fr import siret

from creneau_shared.national_numbers import (
    NATIONAL_PERSON,
    NATIONAL_STRUCTURE,
    prefixed,
    spellings,
    without_blanks,
)

REGISTERS = {
    "https://rpps.esante.gouv.fr": (NATIONAL_PERSON, "8", 11),
    "https://adeli.esante.gouv.fr": (NATIONAL_PERSON, "0", 9),
    "https://finess.esante.gouv.fr": (NATIONAL_STRUCTURE, "1", 9),
    "https://sirene.fr": (NATIONAL_STRUCTURE, "3", 14),
    "https://rppsrang.esante.gouv.fr": (NATIONAL_STRUCTURE, "4", 14),
    "https://adelirang.esante.gouv.fr": (NATIONAL_STRUCTURE, "0", 11),
}
"""system of a register → the national system, the digit of the register there, and how many digits a number has"""

OF_ONE_NUMBER = (
    [
        (NATIONAL_PERSON, "899000000016"),
        (NATIONAL_PERSON, "99000000016"),
        ("https://rpps.esante.gouv.fr", "99000000016"),
        ("http://rpps.fr", "99000000016"),
    ],
    [
        (NATIONAL_PERSON, "0759912345"),
        (NATIONAL_PERSON, "759912345"),
        ("https://adeli.esante.gouv.fr", "759912345"),
        ("http://adeli.fr", "759912345"),
    ],
    [
        (NATIONAL_STRUCTURE, "12A0004421"),
        (NATIONAL_STRUCTURE, "2A0004421"),
        ("https://finess.esante.gouv.fr", "2A0004421"),
        ("http://finess.sante.gouv.fr", "2A0004421"),
    ],
    [
        (NATIONAL_STRUCTURE, "377480085838565"),
        (NATIONAL_STRUCTURE, "77480085838565"),
        ("https://sirene.fr", "77480085838565"),
        ("http://sirene.fr", "77480085838565"),
    ],
    [("https://sirene.fr", "774800858"), ("http://sirene.fr", "774800858")],
    [
        (NATIONAL_STRUCTURE, "499000000010001"),
        (NATIONAL_STRUCTURE, "99000000010001"),
        ("https://rppsrang.esante.gouv.fr", "99000000010001"),
    ],
    [(NATIONAL_STRUCTURE, "075991234501"), ("https://adelirang.esante.gouv.fr", "75991234501")],
)


@pytest.mark.parametrize("spelled", OF_ONE_NUMBER)
def test_each_spelling_leads_to_all_others(spelled: list[tuple[str, str]]) -> None:
    for given in spelled:
        found = spellings(*given)
        assert found[0] == given
        assert set(spelled) <= set(found)


@pytest.mark.parametrize(
    "given",
    [
        (NATIONAL_PERSON, "3456780581/11242343"),
        (NATIONAL_PERSON, ""),
        ("https://rpps.esante.gouv.fr", "12"),
        ("https://editeur.example", "99000000016"),
    ],
)
def test_another_identifier_stands_alone(given: tuple[str, str]) -> None:
    assert spellings(*given) == [given]


@pytest.mark.parametrize("value", ["774 800 858 38565", "77 480 085 838 565", "77480085838565"])
def test_blanks_make_no_other_number(value: str) -> None:
    """What is stored with blanks is also indexed without them: any way to group the digits leads there."""
    assert without_blanks("http://sirene.fr", value) == "77480085838565"
    assert ("https://sirene.fr", "77480085838565") in spellings("http://sirene.fr", value)


def test_blanks_of_another_identifier_stay() -> None:
    assert without_blanks("https://editeur.example", "774 800 858") == "774 800 858"


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str]:
    """A number of some register, whatever its key, in one of its spellings."""
    system, (national, prefix, length) = draw(st.sampled_from(sorted(REGISTERS.items())))
    number = "".join(draw(st.lists(st.sampled_from("0123456789"), min_size=length, max_size=length)))
    return draw(st.sampled_from([(system, number), (national, prefix + number), (national, number)]))


@over(written())
def test_a_number_is_of_one_register_and_leads_to_none_of_another(one: tuple[str, str]) -> None:
    """Of one national number, too: that which the SAS is told is the one by which it finds."""
    found = spellings(*one)
    assert len({system for system, _ in found} & REGISTERS.keys()) == 1
    told = {
        prefixed(national, *spelled)
        for spelled in found
        for national in {n for n, _, _ in REGISTERS.values()}
    }
    assert len(told - {None}) == 1
    assert all(set(spellings(*spelled)) == set(found) for spelled in found)


@pytest.mark.parametrize(
    ("system", "value", "number"),
    [
        (NATIONAL_PERSON, "75 991234 5", "0759912345"),
        ("https://adeli.esante.gouv.fr", "0759912345", "0759912345"),
        ("http://rpps.fr", "899000000016", "899000000016"),
        (NATIONAL_PERSON, "3456780581/11242343", None),
        (NATIONAL_PERSON, "", None),
        ("https://sirene.fr", "77480085838565", None),
        ("https://editeur.example", "99000000016", None),
    ],
)
def test_a_number_is_told_with_the_digit_of_its_register(system: str, value: str, number: str | None) -> None:
    assert prefixed(NATIONAL_PERSON, system, value) == number


@over(st.from_regex(r"(356000000|[0-9]{9})[0-9]{5}", fullmatch=True))
def test_fourteen_digits_are_a_rank_if_only_its_key_holds(number: str) -> None:
    for one in (number, luhn_completed(number[:10]) + number[11:]):
        is_rank = luhn.is_valid(one[:11]) and not siret.is_valid(one)
        assert prefixed(NATIONAL_STRUCTURE, NATIONAL_STRUCTURE, one) == ("4" if is_rank else "3") + one


def luhn_completed(number: str) -> str:
    return number + str(luhn.calc_check_digit(number))


def test_a_number_of_one_register_is_none_of_another() -> None:
    assert ("https://sirene.fr", "810004421") not in spellings(NATIONAL_STRUCTURE, "810004421")
    assert not {s for s, _ in spellings(NATIONAL_PERSON, "810101010107")} & {"https://adeli.esante.gouv.fr"}
