"""The directory's settings."""

from __future__ import annotations

from creneau_shared.settings import ServiceSettings


class DirectorySettings(ServiceSettings):
    """The directory has no settings beyond those of every service."""
