"""The accounts of people who have none elsewhere: whoever proves again that a contact is theirs comes back to the same.

The account's name (`sub`) is a keyed hash of the contact. Whoever has the key can tell of a contact that it is an
account's; nobody can read the contact from the account.
"""

from __future__ import annotations

import hmac
from typing import Literal

from creneau_shared.contact_points import email_address, phone_of

ContactKind = Literal["email", "phone"]

ISSUER = "https://creneau.sante.fr/contact"
"""`iss` of the tokens that the suite itself signs; accounts are known by issuer and subject, so it never changes"""


def proven_contact(kind: ContactKind, value: str) -> str | None:
    """The contact in the spelling in which it is an account's: `email` or `phone`; None for what is none."""
    if kind == "email":
        address = email_address(value)
        return address.lower() if address is not None else None
    phone = phone_of(value)
    return phone.number if phone is not None else None


class ContactAccounts:
    """Names accounts by their contacts. `secret`: the same in all processes and for ever; empty: there are none."""

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()

    def subject(self, kind: ContactKind, value: str) -> str | None:
        """The account of whoever proves this contact; None without a secret, or for what is no contact."""
        spelled = proven_contact(kind, value)
        if not self._key or spelled is None:
            return None
        return hmac.new(self._key, f"contact\0{kind}\0{spelled}".encode(), "sha256").hexdigest()

    def is_proven(self, issuer: str, subject: str, kind: ContactKind, value: str) -> bool:
        """Whether the account is that of whoever has proven this contact."""
        if issuer != ISSUER:
            return False
        expected = self.subject(kind, value)
        return expected is not None and hmac.compare_digest(expected.encode(), subject.encode())
