"""The browser: a Chromium that is installed already; nothing is downloaded."""

from __future__ import annotations

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome-stable")
LAUNCH_MS = 120_000

ARGUMENTS = [
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    # As root there is no sandbox to go into.
    *(["--no-sandbox"] if os.geteuid() == 0 else []),
]
"""it finds nothing but this machine"""


def installed() -> str | None:
    """The path of the browser; None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)
