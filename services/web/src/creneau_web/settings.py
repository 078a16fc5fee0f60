"""The settings of the pages. Each names its unit; each comes from the environment."""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote

from pydantic import DirectoryPath, Field, FilePath, HttpUrl, PostgresDsn, SecretStr
from pydantic_settings import SettingsConfigDict

from creneau_shared.contact_points import FRENCH_CALLING_CODES, CallingCodes, Countries, countries_of
from creneau_web.login_settings import LoginSettings


class WebSettings(LoginSettings):
    """Where the FHIR base is, how long a session lasts, and who runs these pages."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address that the process listens on")
    port: int = Field(0, description="port that the process listens on; 0 picks a free one")
    fhir_url: str = Field(
        "http://127.0.0.1:8080/fhir",
        description="the FHIR base as the pages reach it, through the entrance; no trailing slash",
    )
    fhir_ca: FilePath | None = Field(
        None, description="file of the CA (PEM) that vouches for the entrance; none: the system's"
    )
    fhir_timeout_s: float = Field(
        30.0, gt=0, description="longest that an answer of the FHIR base may take, seconds"
    )
    fhir_connections_max: int = Field(100, ge=1, description="connections to the FHIR base of one process")

    database_url: PostgresDsn = Field(
        description="the pages' own PostgreSQL database (sessions and drafts), as the role that reads and writes rows"
    )
    database_owner_url: PostgresDsn | None = Field(
        None, description="for `migrate`: the same database as its owner; none: DATABASE_URL's role owns it"
    )
    database_pool_size: int = Field(
        10, description="connections to the database that one process keeps at the most"
    )
    database_pool_wait_s: float = Field(
        2.0, gt=0, description="longest that a page waits for a connection to the database, seconds"
    )
    database_statement_timeout_s: float = Field(
        10.0, description="longest that one statement may run, seconds"
    )

    gateway_secret: SecretStr = Field(
        SecretStr(""),
        description="shared by nginx and the services: only beside it the client's address is believed and handed on",
    )
    session_cookie: str = Field(
        "__Host-creneau",
        description="name of the one cookie; browsers take `__Host-` over HTTPS, and over HTTP from this machine only",
    )
    session_cookie_secure: bool = Field(
        True,
        description="the cookie travels over HTTPS only (or within this machine); off for tests over HTTP",
    )
    session_idle_min: float = Field(
        30.0, gt=0, description="time without a request after which a session ends, minutes"
    )
    session_max_h: float = Field(
        12.0, gt=0, description="time after which a session ends whatever is done, hours"
    )
    session_sweep_s: float = Field(
        300.0, gt=0, description="pause between two removals of ended sessions, seconds"
    )

    results_cache_s: float = Field(
        10.0,
        ge=0,
        description="how long who fits the words of a search is kept, seconds; when they are free is asked "
        "each time",
    )
    directory_cache_s: float = Field(
        60.0,
        ge=0,
        description="how long what anybody may read of a professional and their place is kept, seconds",
    )

    close_visits_days: int = Field(
        6,
        ge=0,
        description="days within which a second booking of the same speciality is asked about (keep both?); "
        "0: never",
    )

    admission_looking_below: int = Field(
        32,
        ge=1,
        description="pages that only look (home, results, times) are made while fewer requests are in progress in one"
        " process; beyond that they wait",
    )
    admission_finishing_below: int = Field(
        256,
        ge=1,
        description="pages that do more than look, and every page of whoever holds a time, are made while "
        "fewer requests are in progress in one process",
    )
    admission_wait_s: float = Field(
        2.0,
        ge=0,
        description="longest that a request waits to be let in, seconds; then it is asked to come back",
    )
    admission_waiting_max: int = Field(
        128,
        ge=0,
        description="requests that wait to be let in at once in one process, of those who look and of those "
        "who finish each",
    )
    admission_retry_s: int = Field(
        10,
        ge=1,
        description="shortest time after which whoever was asked to come back does so, seconds; the longest "
        "is twice that",
    )

    sms_sender: Literal["off", "log"] = Field(
        "off",
        description="SMS_SENDER of notifications; off: the pages promise no message to whoever has a "
        "telephone alone",
    )
    sms_calling_codes: CallingCodes = Field(
        FRENCH_CALLING_CODES,
        description="SMS_CALLING_CODES of notifications; the pages promise no message to a number of another country",
    )

    contact_keys: str = Field(
        "",
        description="CONTACT_KEYS of the services; empty: the pages offer no code in the place of an account",
    )
    link_token_s: float = Field(
        1800.0,
        ge=60,
        description="LINK_TOKEN_S of notifications: how long the pages say that a message's link opens its visit, seconds",
    )

    theme_folder: DirectoryPath | None = Field(
        None,
        description="folder whose `templates/` and `static/` stand before the package's own: another header, footer, colours",
    )
    reports_keep_days: float = Field(
        365.0, gt=0, description="how long what people report of a page is kept, days"
    )
    reports_per_hour_max: int = Field(
        100,
        ge=1,
        description="reports of pages that are taken in an hour, of everybody together; more are refused",
    )
    reports_per_network_hour_max: int = Field(
        10,
        ge=1,
        description="reports that one web process takes from one network (an IPv4 address, an IPv6 /64) at once, and in an hour "
        "after that",
    )
    operator_name: str = Field(
        "", description="who runs this deployment, as the legal notices name them; empty: nobody by name"
    )
    operator_contact: str = Field(
        "", description="address to which people write about the pages; empty: none is shown"
    )
    help_phone: str = Field(
        "", description="telephone number that helps people with the pages; empty: none is shown"
    )
    counsellor_directory: HttpUrl = Field(
        HttpUrl("https://www.france-services.gouv.fr"),
        description="page where people find a counsellor (France services), named where one may be stuck; none asks it",
    )
    hosting_name: str = Field(
        "",
        description="who hosts the data, as the notices name them (for health data a certified host, HDS); empty: nobody by"
        " name",
    )
    data_protection_contact: str = Field(
        "",
        description="address of the operator's data protection officer; empty: the pages say that none is named",
    )
    appointment_kept_days: int = Field(
        730,
        ge=1,
        description="APPOINTMENT_KEPT_DAYS of booking: how long the pages say that past appointments are "
        "kept, days",
    )
    audit_kept_days: int = Field(
        1064,
        ge=1,
        description="AUDIT_KEPT_DAYS of the services: how long the pages say that the trail of accesses is "
        "kept, days",
    )
    demonstration: bool = Field(
        False, description="the pages say on top that this is a demonstration with invented people"
    )

    shutdown_grace_s: float = Field(10.0, description="time to drain after SIGTERM, seconds")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people"
    )

    @property
    def sends_texts(self) -> bool:
        """Whether this deployment sends text messages."""
        return self.sms_sender != "off"

    @property
    def texted(self) -> Countries:
        """To which countries this deployment sends text messages."""
        return countries_of(self.sms_calling_codes) if self.sends_texts else Countries(frozenset())

    @property
    def sends_codes(self) -> bool:
        """Whether this deployment lets people in by a one-time code."""
        return bool(self.contact_keys)

    @property
    def link_minutes(self) -> int:
        """How long a message's link opens its visit, full minutes."""
        return int(self.link_token_s // 60)

    @property
    def migration_url(self) -> str:
        """Database address for migrations."""
        return str(self.database_owner_url or self.database_url)

    @property
    def runtime_role(self) -> str | None:
        """The role that the owner lets read and write rows; None when that is the owner itself."""
        role = self.database_url.hosts()[0]["username"]
        return unquote(role) if role and self.database_owner_url is not None else None
