"""The gateway process's settings."""

from __future__ import annotations

from typing import Literal

from pydantic import AnyHttpUrl, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from creneau_shared.type_table import ServiceName


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
    oidc_issuer: AnyHttpUrl | None = Field(
        None, description="issuer whose tokens the services accept, for `.well-known/smart-configuration`"
    )
    cursor_secret: str = Field(
        "", description="key that seals the values in links, the same in all gateway processes; empty: random"
    )
    gateway_secret: SecretStr = Field(
        SecretStr(""), description="secret beside which nginx's word on the client's address is believed"
    )
    anonymous_body_bytes_max: int = Field(64 * 1024, description="longest body without a token, bytes")
    request_body_bytes_max: int = Field(4 * 1024 * 1024, description="longest body with a token, bytes")
    bundle_answer_bytes_max: int = Field(
        8 * 1024 * 1024,
        ge=1,
        description="answers to the entries of one batch together, bytes; the gateway's own entries after that are 413",
    )
    heavy_bytes_min: int = Field(
        16 * 1024,
        description="size from which bodies and answers are worked on in a second process beside the one that"
        " answers, bytes",
    )
    heavy_waiting_max: int = Field(
        16, description="large bodies and answers that may wait for the second process before 503 `throttled`"
    )
    anonymous_requests_per_s: float = Field(
        30.0,
        description="requests a second to one gateway process from one address, after the burst, without an Authorization "
        "header or for what no service is asked (definitions, terminology, the statement); 0: no limit",
    )
    anonymous_requests_burst: int = Field(
        600,
        ge=1,
        description="requests to one gateway process from one address at once, without an Authorization "
        "header or for what no service is asked",
    )
    authorization_requests_per_s: float = Field(
        200.0,
        description="requests a second to one gateway process from one address with an Authorization header, whatever it "
        "holds, after the burst (a Bundle: 1, and 1 each 16 KiB); 0: no limit",
    )
    authorization_requests_burst: int = Field(
        2_000,
        ge=1,
        description="requests to one gateway process from one address at once, with an Authorization header",
    )
    batch_parallel: int = Field(8, description="entries of one batch that are asked for at once")
    shutdown_grace_s: float = Field(10.0, description="time to drain after SIGTERM, seconds")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people"
    )

    @property
    def upstreams(self) -> dict[ServiceName, list[str]]:
        """The base addresses of each service's processes."""
        lists: dict[ServiceName, str] = {
            "booking": self.upstreams_booking,
            "directory": self.upstreams_directory,
            "notifications": self.upstreams_notifications,
        }
        return {name: [a.strip() for a in text.split(",") if a.strip()] for name, text in lists.items()}
