"""Accounts for people without one elsewhere: whoever proves the same contact again gets the same account.

The account's name (`sub`) is a keyed hash of the contact. With the key one can check whether a contact belongs to an
account; nobody can read the contact from the account.
"""

from __future__ import annotations

import hmac
from typing import Literal

from creneau_shared.contact_points import email_address, phone_of

ContactKind = Literal["email", "phone"]

ISSUER = "https://creneau.sante.fr/contact"
"""`iss` of the tokens that the suite itself signs. It never changes, since issuer and subject identify accounts"""


def proven_contact(kind: ContactKind, value: str) -> str | None:
    """The normal form of a contact (`email` or `phone`), from which the account is named; None if it is invalid."""
    if kind == "email":
        address = email_address(value)
        return address.lower() if address is not None else None
    phone = phone_of(value)
    return phone.number if phone is not None else None


class ContactAccounts:
    """Names accounts by their contacts. `secret`: the same in all processes and for ever; empty: no such accounts."""

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()

    def subject(self, kind: ContactKind, value: str) -> str | None:
        """The account (`sub`) of whoever proves this contact; None without a secret, or for an invalid contact."""
        spelled = proven_contact(kind, value)
        if not self._key or spelled is None:
            return None
        return hmac.new(self._key, f"contact\0{kind}\0{spelled}".encode(), "sha256").hexdigest()

    def is_proven(self, issuer: str, subject: str, kind: ContactKind, value: str) -> bool:
        """Whether the account was made by proving this contact."""
        if issuer != ISSUER:
            return False
        expected = self.subject(kind, value)
        return expected is not None and hmac.compare_digest(expected.encode(), subject.encode())
