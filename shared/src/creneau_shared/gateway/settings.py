"""The gateway process's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class GatewaySettings(BaseSettings):
    """Where the services are and how long they may take."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address that the process listens on")
    port: int = Field(0, description="port that the process listens on; 0 picks a free one")
    public_base_url: str = Field("http://127.0.0.1:8080/fhir", description="FHIR base as clients see it")
    upstreams_booking: str = Field(description="base addresses of booking, comma between several")
    upstreams_directory: str = Field(description="base addresses of the directory")
    upstreams_notifications: str = Field(description="base addresses of notifications")
    upstream_timeout_s: float = Field(30.0, description="longest that a service may take, seconds")
    cursor_secret: str = Field(
        "", description="key that seals the values in links, the same in all gateway processes; empty: random"
    )
    request_body_bytes_max: int = Field(8 * 1024 * 1024, description="longest body, bytes")
    batch_parallel: int = Field(8, description="entries of one batch that are asked for at once")
    shutdown_grace_s: float = Field(10.0, description="time to drain after SIGTERM, seconds")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people"
    )
