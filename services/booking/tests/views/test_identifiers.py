"""National identifiers and telephone numbers, in whichever form they are stored or asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_booking.views.sas.identifiers import person_number, structure_number
from creneau_booking.views.sas.phones import international
from creneau_shared.contact_points import Phone, phone_of
from creneau_shared.national_numbers import NATIONAL_PERSON, NATIONAL_STRUCTURE

RPPS = "https://rpps.esante.gouv.fr"
ADELI = "https://adeli.esante.gouv.fr"
FINESS = "https://finess.esante.gouv.fr"
SIRENE = "https://sirene.fr"
RPPS_RANG = "https://rppsrang.esante.gouv.fr"
ADELI_RANG = "https://adelirang.esante.gouv.fr"


def known(system: str, value: str) -> dict[str, str]:
    return {"system": system, "value": value}


@pytest.mark.parametrize(
    ("stored", "number"),
    [
        ([known(NATIONAL_PERSON, "899000000016")], "899000000016"),
        ([known(NATIONAL_PERSON, "99000000016")], "899000000016"),
        ([known(RPPS, "99000000016")], "899000000016"),
        ([known("http://rpps.fr", "99000000016")], "899000000016"),
        ([known(ADELI, "759912345")], "0759912345"),
        ([known("http://adeli.fr", "759912345")], "0759912345"),
        ([known(NATIONAL_PERSON, "759912345")], "0759912345"),
        ([known(NATIONAL_PERSON, "75 991234 5")], "0759912345"),
        ([known(ADELI, "0759912345")], "0759912345"),
        ([known(RPPS, "899000000016"), known(SIRENE, "26670005200012")], "899000000016"),
        ([known(SIRENE, "26670005200012")], None),
        ([known(RPPS, "12")], None),
        ([known(ADELI, "759912345"), known(RPPS, "99000000016")], "899000000016"),
        ([known(NATIONAL_PERSON, "3456780581/11242343")], "3456780581/11242343"),
        ([known("https://editeur.example", "12")], None),
        ([{"system": RPPS}], None),
        ([], None),
    ],
)
def test_a_professional_has_one_prefixed_number(stored: list[dict[str, str]], number: str | None) -> None:
    assert person_number(stored) == number


@pytest.mark.parametrize(
    ("stored", "number"),
    [
        ([known(NATIONAL_STRUCTURE, "1810004421")], "1810004421"),
        ([known(NATIONAL_STRUCTURE, "810004421")], "1810004421"),
        ([known(NATIONAL_STRUCTURE, "2A0004421")], "12A0004421"),
        ([known(FINESS, "810004421")], "1810004421"),
        ([known(FINESS, "2A0004421")], "12A0004421"),
        ([known("http://finess.sante.gouv.fr", "810004421")], "1810004421"),
        ([known(SIRENE, "26670005200012")], "326670005200012"),
        ([known("http://sirene.fr", "26670005200012")], "326670005200012"),
        ([known("http://sirene.fr", "266 700 052 00012")], "326670005200012"),
        ([known(NATIONAL_STRUCTURE, "77480085838565")], "377480085838565"),
        ([known(NATIONAL_STRUCTURE, "35600000000048")], "335600000000048"),  # La Poste
        ([known(NATIONAL_STRUCTURE, "99000000010001")], "499000000010001"),
        ([known(NATIONAL_STRUCTURE, "26670005200013")], "326670005200013"),  # no key holds
        ([known(ADELI_RANG, "75991234501")], "075991234501"),
        ([known(SIRENE, "266700052")], None),  # a SIREN is no place of practice
        ([known(RPPS_RANG, "99000000016001")], "499000000016001"),
        ([known(RPPS_RANG, "99000000016001"), known(SIRENE, "26670005200012")], "326670005200012"),
        ([known(NATIONAL_STRUCTURE, "326670005200012"), known(FINESS, "810004421")], "1810004421"),
        ([{"value": "412345678912345"}], "412345678912345"),  # the official example gives no system
        ([known("https://editeur.example", "1810004421")], None),
    ],
)
def test_a_structure_is_told_by_finess_before_siret_before_rank(
    stored: list[dict[str, str]], number: str | None
) -> None:
    assert structure_number(stored) == number


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("+33658913859", "+33658913859"),
        ("06 58 91 38 59", "+33658913859"),
        ("06.58.91.38.59", "+33658913859"),
        ("0033 6 58 91 38 59", "+33658913859"),
        ("+33 (0)6 58 91 38 59", "+33658913859"),
        ("0262 12 34 56", "+262262123456"),
        ("0692 12 34 56", "+262692123456"),
        ("0263 12 34 56", "+262263123456"),
        ("0800 123 456", "+33800123456"),
        ("0806 22 48 59", "+33806224859"),
        ("0590 12 34 56", "+590590123456"),
        ("0694 12 34 56", "+594694123456"),
        ("0596 12 34 56", "+596596123456"),
        ("0639 69 12 34", "+262639691234"),
        ("+33 692 12 34 56", "+262692123456"),
        ("tel:+33-1-42-34-56-78", "+33142345678"),
        ("01 42 34 56 78 poste 12", "+33142345678"),
        ("06 39 98 12 34", "+33639981234"),
        ("+508 41 12 34", None),
        ("+44 20 7946 0000", None),
        ("15", None),
        ("", None),
    ],
)
def test_a_telephone_number_is_international_or_left_out(written: str, dialled: str | None) -> None:
    assert international(written) == dialled


@given(st.from_regex(r"0[1-9][0-9]{8}", fullmatch=True))
def test_the_sas_and_messages_dial_one_number(written: str) -> None:
    read = phone_of(written)
    assert isinstance(read, Phone)
    assert international(written) == read.number
