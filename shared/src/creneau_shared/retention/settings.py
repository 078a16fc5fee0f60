"""How long the data that every service has are kept. Each names its unit; each comes from the environment."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetentionSettings(BaseSettings):
    """Retention of the data that all services have, and the job's settings."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    audit_kept_days: int = Field(
        1064,
        ge=1,
        description="the trail of accesses to personal data is kept, days; it goes by whole months, up to 31 days later",
    )
    superseded_kept_days: int = Field(
        365,
        ge=1,
        description="superseded versions of resources are kept after they were replaced, days; they go by whole months,"
        " up to 31 days later",
    )
    partition_months_ahead: int = Field(
        3, ge=1, description="months of the trail and of superseded versions that are made ready ahead"
    )
    idempotency_kept_h: float = Field(
        48.0, gt=0, description="answers to requests with an Idempotency-Key are kept, hours"
    )
    rate_bucket_kept_h: float = Field(
        2.0, gt=0, description="counts of requests are kept after the last one was counted, hours"
    )
    retention_report_kept_days: int = Field(
        1095, ge=1, description="the reports on what was removed are kept, days"
    )
    retention_interval_s: float = Field(
        3600.0, gt=0, description="pause between two rounds of removing what is past keeping, seconds"
    )
    retention_batch_rows: int = Field(
        1000, ge=1, description="rows that are removed in one transaction, at the most"
    )
    retention_pause_s: float = Field(
        0.05,
        ge=0,
        description="pause between two transactions that remove what is past keeping, so that others get "
        "their turn, seconds",
    )
