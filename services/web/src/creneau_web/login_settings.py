"""Which providers people log in at, and as which client the pages are known there."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import AnyHttpUrl, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ProviderName = Literal["issuer", "franceconnect", "psc"]


class LoginSettings(BaseSettings):
    """How people log in."""

    model_config = SettingsConfigDict(env_prefix="", env_ignore_empty=True, extra="ignore", frozen=True)

    public_site_url: str = Field(
        "http://127.0.0.1:8080",
        description="address of the pages as people see it, no trailing slash: providers send people back to `/auth/retour`"
        " and, after a log-out, to `/` below it",
    )
    login_providers: str = Field(
        "issuer",
        description="at whom people log in, comma between several, in the order in which they are offered: `issuer` (the "
        "deployment's own), `franceconnect`, `psc`",
    )
    login_lasts_min: float = Field(
        15.0, gt=0, description="time for logging in at the provider, from leaving to coming back, minutes"
    )
    login_timeout_s: float = Field(
        10.0, gt=0, description="longest that one answer of a provider may take, seconds"
    )
    login_refresh_ahead_s: float = Field(
        60.0, ge=0, description="an access token is renewed when it ends sooner than this, seconds"
    )
    login_published_kept_s: float = Field(
        3600.0,
        gt=0,
        description="how long what a provider publishes (addresses, keys) is cached, seconds; an unknown key "
        "asks again at once",
    )
    login_clock_skew_s: float = Field(
        30.0, ge=0, description="by how much a provider's clock may differ from ours, seconds"
    )
    logout_token_lasts_s: float = Field(
        120.0,
        gt=0,
        description="greatest age of a provider's notice that somebody has logged out there, seconds",
    )

    oidc_issuer: AnyHttpUrl | None = Field(
        None, description="issuer whose tokens the services accept; none: nobody can log in"
    )
    oidc_client_id: str = Field("creneau-web", description="client id by which OIDC_ISSUER knows the pages")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="secret of OIDC_CLIENT_ID")
    oidc_level: str = Field(
        "",
        description="`acr` values that OIDC_ISSUER must vouch for, blank between several; `eidas1` takes higher ones too; "
        "empty: any",
    )

    franceconnect_issuer: AnyHttpUrl | None = Field(
        None, description="FranceConnect, by the name in its discovery document"
    )
    franceconnect_client_id: str = Field("", description="client id by which FranceConnect knows the pages")
    franceconnect_client_secret: SecretStr = Field(
        SecretStr(""), description="secret of FRANCECONNECT_CLIENT_ID"
    )
    franceconnect_level: str = Field("eidas1", description="`acr` that FranceConnect must vouch for at least")

    psc_issuer: AnyHttpUrl | None = Field(
        None, description="Pro Santé Connect, by the name in its discovery document"
    )
    psc_client_id: str = Field("", description="client id by which Pro Santé Connect knows the pages")
    psc_client_secret: SecretStr = Field(SecretStr(""), description="secret of PSC_CLIENT_ID")
    psc_level: str = Field("eidas1", description="`acr` that Pro Santé Connect must vouch for at least")

    @property
    def providers(self) -> tuple[ProviderName, ...]:
        """The providers offered, in order; none if no issuer gives tokens for the services."""
        if self.oidc_issuer is None:
            return ()
        return tuple(name.strip() for name in self.login_providers.split(",") if name.strip())  # type: ignore[misc]

    @model_validator(mode="after")
    def _providers_are_whole(self) -> Self:
        for name in self.providers:
            if name not in get_args(ProviderName):
                raise ValueError(f"LOGIN_PROVIDERS: {name} is none of {', '.join(get_args(ProviderName))}")
            if name != "issuer" and not (
                getattr(self, f"{name}_issuer") and getattr(self, f"{name}_client_id")
            ):
                raise ValueError(
                    f"LOGIN_PROVIDERS has {name}: {name.upper()}_ISSUER and _CLIENT_ID are needed"
                )
        return self
