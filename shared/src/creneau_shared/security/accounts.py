"""The name of an account in events and in other services' replicas, where its subject must not be readable."""

from __future__ import annotations

import hashlib


def account_digest(issuer: str, subject: str) -> str:
    """The name of the account of a token (64 hexadecimal digits)."""
    return hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()
