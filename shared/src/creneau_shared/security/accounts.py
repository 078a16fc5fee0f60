"""How an account is named where nobody is to read who has it: on the bus, and in the replicas of other services."""

from __future__ import annotations

import hashlib


def account_digest(issuer: str, subject: str) -> str:
    """The name of the account that a token speaks of (64 hexadecimal digits)."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()
