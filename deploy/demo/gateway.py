"""Where the gateway of the running system is."""

from __future__ import annotations

import os


def gateway_url() -> str:
    """CRENEAU_URL, or this machine at CRENEAU_PORT (default 8080), without a slash at its end."""
    port = os.environ.get("CRENEAU_PORT") or "8080"
    return (os.environ.get("CRENEAU_URL") or f"http://127.0.0.1:{port}").rstrip("/")
