"""The name of an account where its subject must not be readable: on the bus, and in other services' replicas."""

from __future__ import annotations

import hashlib


def account_digest(issuer: str, subject: str) -> str:
    """The name of the account that a token speaks of (64 hexadecimal digits)."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()
