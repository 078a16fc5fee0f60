"""The settings of the operator's page and of the rehearsal. Each names its unit; each comes from the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class Place:
    """Something to ask, by the name that the page gives it: `booking-worker`, `PostgreSQL`."""

    name: str
    url: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)

    @property
    def is_http(self) -> bool:
        return urlsplit(self.url).scheme in ("http", "https")


class OpsSettings(BaseSettings):
    """What is watched, and from when on a figure is bad. The bounds are those of the alerts."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    ops_processes: str = Field(
        "",
        description="every process, `name=http://host:port`, comma between several; a host that is several addresses is as"
        " many processes; none: /ops knows nothing",
    )
    ops_dependencies: str = Field(
        "",
        description="what the processes of OPS_PROCESSES stand on, `name=tcp://host:port` (a connection is "
        "made) or `name=http://…` (answers 200), comma between several",
    )
    ops_interval_s: float = Field(
        10.0, gt=0, description="pause between two checks of every process and dependency, seconds"
    )
    ops_timeout_s: float = Field(
        4.0, gt=0, description="longest that a process or dependency may take to answer a check, seconds"
    )
    ops_kept_min: float = Field(
        15.0, gt=0, description="how long the numbers of processes are kept in memory, minutes"
    )
    ops_failures_min: int = Field(
        2, ge=1, description="checks in a row without an answer after which a process or a dependency is away"
    )
    ops_open: bool = Field(
        False,
        description="/ops is shown to everybody (a local run); its buttons ask for the operator's scope all the same",
    )
    ops_metrics_url: str = Field("", description="where Grafana is, for a link on /ops; none: no link")
    ops_errors_share_max: float = Field(
        0.01, description="share of failed answers from which on a function is bad"
    )
    ops_requests_min: int = Field(
        20,
        ge=1,
        description="answers of a function in five minutes from which on a share of failed ones says "
        "something",
    )
    ops_slow_s: float = Field(2.5, description="p95 of a function from which on it is bad, seconds")
    ops_messages_late_s: float = Field(
        300.0, description="p95 of the lateness of messages from which on they are bad, seconds"
    )
    ops_refused_share_max: float = Field(
        0.2,
        description="share of tries to send, or of log-ins, that failed from which on messages, or logging in, are bad",
    )
    ops_outbox_lag_max_s: float = Field(
        30.0, description="age of the oldest unpublished event that is bad, seconds"
    )
    ops_feed_silent_h: float = Field(
        24.0,
        gt=0,
        description="hours without a publication after which software that has published agendas is named",
    )
    rehearsal_interval_s: float = Field(
        40.0,
        gt=0,
        description="pause between two rehearsed bookings, seconds: with OPS_INTERVAL_S it is to be a minute",
    )

    @property
    def processes(self) -> tuple[Place, ...]:
        return places(self.ops_processes)

    @property
    def dependencies(self) -> tuple[Place, ...]:
        return places(self.ops_dependencies)


class RehearsalSettings(BaseSettings):
    """Client and addresses with which bookings are rehearsed."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address that the process listens on")
    port: int = Field(0, description="port that the process listens on; 0 picks a free one")
    fhir_url: str = Field(
        "http://127.0.0.1:8080/fhir",
        description="the FHIR base as people reach it, through the entrance; no trailing slash",
    )
    fhir_ca: FilePath | None = Field(
        None, description="file of the CA (PEM) of the entrance, where it is not one of the system's"
    )
    oidc_issuer: str = Field("", description="issuer that gives the rehearsal's token, by client credentials")
    rehearsal_client_id: str = Field(
        "rehearsal",
        description="client that rehearses: role software, for the Organization creneau-rehearsal alone, with the scopes"
        " system/Slot.rs system/Appointment.cu",
    )
    rehearsal_client_secret: SecretStr = Field(SecretStr(""), description="secret of REHEARSAL_CLIENT_ID")
    rehearsal_interval_s: float = Field(
        40.0,
        gt=0,
        description="pause between two rehearsed bookings, seconds: with OPS_INTERVAL_S it is to be a minute",
    )
    rehearsal_timeout_s: float = Field(
        10.0, gt=0, description="longest that one step of a rehearsed booking may take, seconds"
    )
    shutdown_grace_s: float = Field(10.0, description="time to drain after SIGTERM, seconds")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people"
    )


def places(text: str) -> tuple[Place, ...]:
    """`a=http://h:1,b=tcp://h:2` → places; ValueError for what is no such list."""
    found = []
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, given, url = word.partition("=")
        if not given or urlsplit(url).scheme not in ("http", "https", "tcp") or not urlsplit(url).hostname:
            raise ValueError(f"`{word}`: it is name=http://host:port or name=tcp://host:port")
        found.append(Place(name.strip(), url.strip().rstrip("/")))
    return tuple(found)
