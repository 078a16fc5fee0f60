"""The directory's settings."""

from __future__ import annotations

from pydantic import Field

from creneau_shared.settings import ServiceSettings


class DirectorySettings(ServiceSettings):
    """Settings of the directory."""

    care_compared_max: int = Field(
        2_000, ge=100, description="situations that one search of people's search compares and counts at most"
    )
    care_text_characters_max: int = Field(
        300, ge=10, description="longest text of people's search, characters"
    )
    care_due_interval_s: float = Field(
        1.0,
        gt=0,
        description="how often the worker looks for situations to enter into people's search, seconds",
    )
    offers_per_page: int = Field(
        200,
        ge=1,
        le=1000,
        description="offers (HealthcareService) on a page when a search does not say, as in the ROR",
    )
    offers_counted_max: int = Field(
        1_000_000,
        ge=1,
        description="offers up to which the total of a search is counted without being asked for",
    )
    ror_headers_required: bool = Field(
        False,
        description="whether searches and reads of the directory take a token and the ROR's four headers"
        " (Ror-Profil-Utilisateur-…, Ror-Role-Metier-…), as the national ROR demands; otherwise the directory is open",
    )
    export_file_resources: int = Field(
        10_000, ge=1, le=100_000, description="resources in one file of an $export, at most"
    )
