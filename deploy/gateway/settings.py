"""Settings of the entrance (nginx). Each comes from the environment of the process that writes its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class EntranceSettings(BaseSettings):
    """TLS, limits for each address, and whom the entrance believes."""

    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True, extra="ignore", frozen=True)

    gateway_secret: SecretStr = Field(
        SecretStr(""),
        description="shared with the services, which only beside it believe what nginx tells them",
    )
    gateway_tls: Literal["off", "self-signed"] = Field(
        "off", description="self-signed: TLS with a certificate made here, for development"
    )
    gateway_tls_certificate: Path | None = Field(
        None, description="file of the certificate and its chain (PEM): TLS"
    )
    gateway_tls_key: Path | None = Field(
        None, description="file of the private key (PEM) of GATEWAY_TLS_CERTIFICATE"
    )
    gateway_client_ca: Path | None = Field(
        None,
        description="file of the CAs (PEM) whose client certificates are accepted, for mTLS; needs TLS; none: no client "
        "is asked for one",
    )
    gateway_client_crl: Path | None = Field(
        None,
        description="file of the lists of revoked certificates (PEM) of each CA of GATEWAY_CLIENT_CA; nginx "
        "reads it when it reloads",
    )
    gateway_hsts_max_age_s: int = Field(
        31_536_000, description="with TLS: how long browsers shall insist on it (HSTS), seconds; 0: not said"
    )
    gateway_requests_per_s: int = Field(
        100, ge=1, description="requests a second that one address may make, after the burst; then 429"
    )
    gateway_requests_burst: int = Field(1_000, ge=1, description="requests that one address may make at once")
    gateway_connections_max: int = Field(
        200, ge=1, description="connections (with HTTP/2: requests at once) of one address"
    )
    gateway_addresses_mib: int = Field(
        10,
        ge=1,
        description="memory in which addresses are counted, each limit, MiB: about 16,000 addresses each",
    )
    gateway_trusted_addresses: str = Field(
        "",
        description="addresses or networks to which no limit of requests and connections applies, comma "
        "between several",
    )
    gateway_proxies: str = Field(
        "",
        description="load balancers before nginx, comma between several, whose X-Forwarded-For says who calls; none: "
        "who connects is who calls",
    )

    gateway_resolver: str = Field(
        "",
        description="name servers, comma between several, that nginx asks for the services' addresses again and again "
        "(whole names: no search domain is added); system: those of /etc/resolv.conf where the configuration is written; "
        "none: names are resolved once, as nginx starts",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = (self.gateway_tls_certificate is not None, self.gateway_tls_key is not None)
        if any(given) and (not all(given) or self.gateway_tls != "off"):
            raise ValueError(
                "TLS needs GATEWAY_TLS_CERTIFICATE and GATEWAY_TLS_KEY, or GATEWAY_TLS=self-signed alone"
            )
        if self.gateway_client_ca is not None and not self.tls:
            raise ValueError("GATEWAY_CLIENT_CA needs TLS")
        if self.gateway_client_crl is not None and self.gateway_client_ca is None:
            raise ValueError("GATEWAY_CLIENT_CRL needs GATEWAY_CLIENT_CA")
        return self

    @property
    def tls(self) -> bool:
        """Whether the entrance speaks TLS."""
        return self.gateway_tls != "off" or self.gateway_tls_certificate is not None
