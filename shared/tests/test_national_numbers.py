"""One number has several spellings; each leads to all others."""

from __future__ import annotations

import pytest

from creneau_shared.national_numbers import NATIONAL_PERSON, NATIONAL_STRUCTURE, spellings

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
        ("http://sirene.fr", "774 800 858 38565"),
    ],
    [("https://sirene.fr", "774800858"), ("http://sirene.fr", "774 800 858")],
    [(NATIONAL_STRUCTURE, "499000000010001"), ("https://rppsrang.esante.gouv.fr", "99000000010001")],
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


def test_a_number_of_one_register_is_none_of_another() -> None:
    assert ("https://sirene.fr", "810004421") not in spellings(NATIONAL_STRUCTURE, "810004421")
    assert not {s for s, _ in spellings(NATIONAL_PERSON, "810101010107")} & {"https://adeli.esante.gouv.fr"}
