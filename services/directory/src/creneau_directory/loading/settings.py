"""The settings of loading."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class LoadSettings(BaseSettings):
    """Sizes of batches, and the shares of refused or missing entries above which a file is not believed."""

    load_batch_lines: int = Field(
        2000, ge=1, description="lines of a file read and laid down in one transaction"
    )
    load_batch_resources: int = Field(
        2000, ge=1, description="resources compared and written in one transaction"
    )
    load_gone_share_max: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of what a source had given that may be missing from its next full file;"
        " more is taken for a truncated file, and nothing is written",
    )
    load_gone_free: int = Field(
        20, ge=0, description="missing entries up to which LOAD_GONE_SHARE_MAX does not matter (small files)"
    )
    load_refused_share_max: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of lines that may be refused; more is taken for a damaged file, and nothing is"
        " written",
    )
    load_refusals_kept_max: int = Field(
        10_000, ge=0, description="refused lines of a load whose reasons are kept"
    )
    load_line_bytes_max: int = Field(
        16_777_216, ge=1024, description="longest line or record of a file, bytes"
    )
    load_progress_s: float = Field(
        5, gt=0, description="pause between two reports of a load's progress, seconds"
    )
