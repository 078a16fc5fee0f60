"""What an e-mail address is, and which spellings are one letter box."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from creneau_notifications.domain.address import Address, InvalidAddressError

NAME = "email"
DOTS_MEAN_NOTHING = frozenset({"gmail.com", "googlemail.com"})
"""Providers that deliver a.b@ and ab@ to the same person."""


def email_address(given: str) -> Address:
    """The address in normal form, with an ASCII domain; confirmed however it is capitalised. Raises
    InvalidAddressError."""
    value = valid_address(given)
    return Address(NAME, value, exact=value.lower(), mailbox=letter_box(value))


def valid_address(given: str | None) -> str:
    """The address in normal form, with an ASCII domain. Raises InvalidAddressError."""
    try:
        # test_environment admits `.test` domains; whether a domain exists is for the mail server to say.
        valid = validate_email(
            given or "", check_deliverability=False, test_environment=True, allow_smtputf8=False
        )
    except EmailNotValidError as error:
        raise InvalidAddressError(str(error)) from error
    return f"{valid.local_part}@{valid.ascii_domain}"


def letter_box(address: str) -> str:
    """Where it arrives: `camille+creneau@…` arrives where `camille@…` does (RFC 5233)."""
    local, _, domain = address.lower().rpartition("@")
    local = local.partition("+")[0] or local
    return f"{local.replace('.', '') if domain in DOTS_MEAN_NOTHING else local}@{domain}"
