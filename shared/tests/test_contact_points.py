"""Addresses and numbers as people type and paste them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from creneau_shared.contact_points import Phone, email_address, mended, phone_of, readable_phone


@pytest.mark.parametrize(
    "typed",
    [
        "06 39 98 00 01",
        "+33639980001",
        "0033 6 39 98 00 01",
        "+33 (0)6.39.98.00.01",
        "06-39-98-00-01",
        "06\u201139\u201198\u201100\u201101",
        "tel:+33639980001",
        "06\u00a039\u00a098\u00a000\u00a001\u200b",
    ],
)
def test_a_number_has_one_spelling(typed: str) -> None:
    assert phone_of(typed) == Phone("+33639980001", takes_texts=True)


@pytest.mark.parametrize(
    ("typed", "number", "takes_texts"),
    [
        ("01 99 00 00 01", "+33199000001", False),
        ("05 36 49 00 01", "+33536490001", False),
        ("09 70 12 34 56", "+33970123456", False),
        ("0 800 12 34 56", "+33800123456", False),
        ("07 12 34 56 78", "+33712345678", True),
        # Overseas: with the country, and as they are dialled there.
        ("+262262123456", "+262262123456", False),
        ("0262 12 34 56", "+262262123456", False),
        ("+262692123456", "+262692123456", True),
        ("0692 12 34 56", "+262692123456", True),
        ("+590590123456", "+590590123456", False),
        ("0690 12 34 56", "+590690123456", True),
        ("+594594123456", "+594594123456", False),
        ("0694 20 12 34", "+594694201234", True),
        ("+596596123456", "+596596123456", False),
        ("0696 20 12 34", "+596696201234", True),
        ("0596 31 77 12", "+596596317712", False),
        ("+33 5 96 31 77 12", "+596596317712", False),
        ("0806 22 48 59", "+33806224859", False),
        ("+508411234", "+508411234", False),
        ("+508551234", "+508551234", True),
        ("+687231234", "+687231234", False),
        ("+687751234", "+687751234", True),
        ("+68987123456", "+68987123456", True),
        # Where the two cannot be told apart, and abroad.
        ("+1 415 555 2671", "+14155552671", True),
        ("+44 20 7946 0000", "+442079460000", False),
    ],
)
def test_text_messages_reach_no_landline(typed: str, number: str, takes_texts: bool) -> None:
    assert phone_of(typed) == Phone(number, takes_texts)


@pytest.mark.parametrize(
    "typed", ["", "bonjour", "+33 6 appelle-moi", "15", "0639980001; 0639980002", "+" * 9, "+33639980001\nX"]
)
def test_what_is_no_number_is_none(typed: str) -> None:
    assert phone_of(typed) is None


@pytest.mark.parametrize(
    "typed",
    [
        "camille@exemple.fr",
        " camille@Exemple.fr\u00a0",
        "MAILTO: camille@exemple.fr",
        "\u200bcamille@exemple.fr\r\n",
    ],
)
def test_what_was_pasted_with_an_address_is_not_part_of_it(typed: str) -> None:
    assert email_address(typed) == "camille@exemple.fr"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "camille",
        "a@b",
        "camille martin@exemple.fr",
        "a@b.fr, c@d.fr",
        "a@b.fr\r\nBcc: c@d.fr",
        "@exemple.fr",
    ],
)
def test_what_is_no_address_is_none(typed: str) -> None:
    assert email_address(typed) is None


@given(st.text(max_size=80))
def test_any_text_is_an_address_in_normal_form_or_none(text: str) -> None:
    """And what is read once is read the same again."""
    address, phone = email_address(text), phone_of(text)
    assert address is None or (address.isascii() and email_address(address) == address == mended(address))
    assert phone is None or phone_of(phone.number) == phone


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("+33199000001", "01 99 00 00 01"),
        ("0199000001", "01 99 00 00 01"),
        ("0262980143", "0262 98 01 43"),
        ("+262262980143", "0262 98 01 43"),
        ("+687231234", "23.12.34"),
        ("+442079460000", "+44 20 7946 0000"),
        ("poste 12, le matin", "poste 12, le matin"),
        ("15", "15"),
    ],
)
def test_a_number_is_shown_as_it_is_dialled(stored: str, shown: str) -> None:
    """On pages and in messages alike."""
    assert readable_phone(stored) == shown
