"""The certificate authorities that outgoing connections trust."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted_roots() -> ssl.SSLContext:
    """The certificate authorities that outgoing connections trust, for `verify=` of a client. Read once a process, since
    reading them costs as much as ten requests."""
    return httpx.create_ssl_context()
