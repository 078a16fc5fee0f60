"""Reads e-mail addresses and telephone numbers as people type or paste them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType
from pydantic import AfterValidator

FRANCE = "FR"
"""the region whose numbers are read without a country code"""
_OVERSEAS = ("RE", "YT", "GP", "GF", "MQ")
"""departments that write their numbers like metropolitan ones, each with a country code of its own"""
_OF_A_PLACE = frozenset(
    {PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
)
_TAKES_TEXTS = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_TEN_DIGITS = frozenset({33, 262, 590, 594, 596})
"""country codes of the French ten-digit numbers; 06 and 07 are mobile, even in ranges not yet assigned"""
_FRENCH = _TEN_DIGITS | {508, 681, 687, 689}
"""country codes of France and its places overseas"""
FRENCH_CALLING_CODES = ",".join(map(str, sorted(_FRENCH)))
"""the same, as a setting is written"""
_NO_NUMBER = re.compile(r"[^\d\s().+/‐-―-]")


@dataclass(frozen=True, slots=True)
class Phone:
    """A telephone number as E.164, and whether it can receive text messages (a landline cannot)."""

    number: str
    takes_texts: bool

    @property
    def calling_code(self) -> int:
        """The code of its country: 33, or 262 for La Réunion and Mayotte."""
        return int(phonenumbers.parse(self.number).country_code or 0)


@dataclass(frozen=True, slots=True)
class Countries:
    """The countries to whose numbers text messages are sent."""

    codes: frozenset[int] | None
    """calling codes; None: all"""

    def reach(self, phone: Phone) -> bool:
        """Whether a text message to the number is sent, and arrives."""
        return phone.takes_texts and (self.codes is None or phone.calling_code in self.codes)


def countries_of(text: str) -> Countries:
    """Reads calling codes with commas between (`33,262`), or `*` for all countries. ValueError for anything else."""
    if text.strip() == "*":
        return Countries(None)
    codes = frozenset(int(code) for code in text.split(","))
    if unknown := codes - set(phonenumbers.COUNTRY_CODE_TO_REGION_CODE):
        raise ValueError(f"no calling codes of countries: {sorted(unknown)}")
    return Countries(codes)


def _checked(text: str) -> str:
    countries_of(text)
    return text


CallingCodes = Annotated[str, AfterValidator(_checked)]
"""a setting that `countries_of` reads: a process with another value does not start"""


def mended(text: str) -> str:
    """Removes what was typed or pasted with an address: `mailto:` or `tel:`, blanks around it, invisible characters."""
    visible = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc"))
    return re.sub(r"^(?:mailto|tel):\s*", "", visible.strip(), flags=re.IGNORECASE)


def email_address(text: str) -> str | None:
    """The e-mail address in normal form with an ASCII domain; None when the text is no e-mail address."""
    try:
        # test_environment admits `.test` domains; whether a domain exists is for the mail server to say.
        valid = validate_email(
            mended(text), check_deliverability=False, test_environment=True, allow_smtputf8=False
        )
    except EmailNotValidError:
        return None
    return f"{valid.local_part}@{valid.ascii_domain}"


def phone_of(text: str) -> Phone | None:
    """Reads a telephone number (`06 39 98 00 01`, `+33 (0)6 39 98 00 01`, `0033…`); None when the text is none.

    A number of an overseas department has its country code, however it is written.
    """
    bare = mended(text)
    if _NO_NUMBER.search(bare):
        return None
    try:
        read = phonenumbers.parse(bare, FRANCE)
    except NumberParseException:
        return None
    if not phonenumbers.is_possible_number(read):
        return None
    read = in_its_department(read)
    number = phonenumbers.format_number(read, PhoneNumberFormat.E164)
    return Phone(number, _takes_texts(read))


@lru_cache(maxsize=4096)
def readable_phone(text: str) -> str:
    """A telephone number as people in France write it (`01 99 00 00 01`), a foreign one with its country code. Text that
    is no number stays as it is."""
    phone = phone_of(text)
    if phone is None:
        return text
    read = phonenumbers.parse(phone.number)
    french = read.country_code in _FRENCH
    return phonenumbers.format_number(
        read, PhoneNumberFormat.NATIONAL if french else PhoneNumberFormat.INTERNATIONAL
    )


def _takes_texts(number: PhoneNumber) -> bool:
    kind = phonenumbers.number_type(number)
    if kind != PhoneNumberType.UNKNOWN:
        return kind in _TAKES_TEXTS
    # In no known numbering plan: it may be newer than the library's data, or kept for fiction. Taken for mobile, except
    # French ten-digit numbers other than 06 and 07.
    return number.country_code not in _TEN_DIGITS or str(number.national_number)[0] in "67"


def in_its_department(read: PhoneNumber) -> PhoneNumber:
    """The number with the country code of the overseas department to whose plan it belongs, or whose own beginning it has
    (0590 …: Guadeloupe), however it was written; any other as it is. Numbers at a special rate (08) are in every plan."""
    is_metropolitan = read.country_code == phonenumbers.country_code_for_region(FRANCE)
    if not is_metropolitan or str(read.national_number).startswith("8"):
        return read
    for region in _OVERSEAS:
        there = phonenumbers.parse(f"0{read.national_number}", region)
        begins_so = str(there.national_number).startswith(str(there.country_code))
        if begins_so or phonenumbers.number_type(there) in _OF_A_PLACE:
            return there
    return read
