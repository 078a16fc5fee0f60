"""The directory's settings."""

from __future__ import annotations

from pydantic import Field

from creneau_shared.settings import ServiceSettings


class DirectorySettings(ServiceSettings):
    """Settings of the directory."""

    care_compared_max: int = Field(
        3_000, ge=100, description="situations that one search of people's search compares and counts at most"
    )
    care_text_characters_max: int = Field(
        300, ge=10, description="longest text of people's search, characters"
    )
    care_due_interval_s: float = Field(
        1.0, gt=0, description="how often the worker looks for situations to enter into people's search, seconds"
    )
