"""Whom outgoing connections trust."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted_roots() -> ssl.SSLContext:
    """The authorities that this machine trusts, for `verify=` of a client. Reading them costs as much as ten requests, so they
    are read once a process."""
    return httpx.create_ssl_context()
