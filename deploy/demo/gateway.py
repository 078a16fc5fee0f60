"""Where the gateway of the running system is, and how to know it."""

from __future__ import annotations

import os
import ssl


def gateway_url() -> str:
    """CRENEAU_URL, or this machine at CRENEAU_PORT (default 8080), without a slash at its end."""
    port = os.environ.get("CRENEAU_PORT") or "8080"
    return (os.environ.get("CRENEAU_URL") or f"http://127.0.0.1:{port}").rstrip("/")


def trusted() -> ssl.SSLContext:
    """TLS context for the gateway; trusts the self-made certificate in the file CRENEAU_CA too."""
    context = ssl.create_default_context()
    if own := os.environ.get("CRENEAU_CA"):
        context.load_verify_locations(own)
    return context
