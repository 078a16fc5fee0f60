"""The settings that every service has. Each names its unit; each comes from the environment."""

from __future__ import annotations

import json
from typing import Literal
from urllib.parse import unquote

from pydantic import AnyHttpUrl, Field, FilePath, PostgresDsn, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Settings common to the three services; a service subclasses it and adds its own."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="address that the process listens on")
    port: int = Field(0, description="port that the process listens on; 0 picks a free one")
    public_base_url: str = Field(
        "http://127.0.0.1:8080/fhir", description="FHIR base as clients see it, no trailing slash"
    )

    database_url: PostgresDsn = Field(
        description="this service's own PostgreSQL database, as the role that reads and writes rows; TLS: "
        "?sslmode=verify-full&sslrootcert=/…; several servers: //h1:5432,h2:5432/db?target_session_attrs=primary"
    )
    database_owner_url: PostgresDsn | None = Field(
        None, description="for `migrate`: the same database as its owner; none: DATABASE_URL's role owns it"
    )
    database_read_url: PostgresDsn | None = Field(
        None,
        description="standbys of the same database, for api processes: what is read without a token is read there, and"
        " from the primary while none is usable; none: always from DATABASE_URL",
    )
    database_read_lag_max_s: float = Field(
        5.0, gt=0, description="a standby that has applied nothing for longer is not read from, seconds"
    )
    database_pool_size: int = Field(
        10, description="connections to the database that one process keeps at the most"
    )
    database_pool_wait_s: float = Field(
        2.0,
        gt=0,
        description="longest that a request waits for a connection to the database before 503 `throttled`, "
        "seconds",
    )
    database_pool_reads: int = Field(
        3,
        ge=0,
        description="connections to the database, of DATABASE_POOL_SIZE, that transactions of an api process "
        "leave to reads",
    )
    database_wakeup_pause_s: float = Field(
        0.1,
        gt=0,
        description="shortest time between two wake-up notices that a process sends to the workers after "
        "commits, seconds",
    )
    database_listen_check_s: float = Field(
        30.0, gt=0, description="pause between two checks that a worker still hears wake-up notices, seconds"
    )
    database_statement_timeout_s: float = Field(
        20.0, description="longest that one statement may run, seconds"
    )

    kafka_bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma between several")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how brokers are spoken to: encrypted (SSL), with a login (SASL), or both"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how one logs in to Kafka, with SASL"
    )
    kafka_sasl_username: str = Field("", description="user who logs in to Kafka, with SASL")
    kafka_sasl_password: SecretStr = Field(SecretStr(""), description="password of KAFKA_SASL_USERNAME")
    kafka_ssl_ca: FilePath | None = Field(
        None, description="file of the CAs (PEM) that vouch for brokers; none: the system's"
    )
    kafka_ssl_certificate: FilePath | None = Field(
        None, description="file of our certificate (PEM), for brokers that ask for one"
    )
    kafka_ssl_key: FilePath | None = Field(
        None, description="file of the private key (PEM) of KAFKA_SSL_CERTIFICATE"
    )
    kafka_broker: Literal["apache", "in-memory"] = Field(
        "apache",
        description="apache: Kafka or a broker that behaves like it; in-memory: the broker of a local run "
        "alone",
    )
    kafka_partitions: int = Field(12, description="partitions of a topic that the relay creates")
    kafka_replication_factor: int = Field(1, description="replicas of a topic that the relay creates")

    oidc_issuer: AnyHttpUrl | None = Field(
        None, description="issuer whose tokens are accepted; none: no one can log in"
    )
    oidc_audience: str = Field("creneau", description="audience that a token must name")
    oidc_token_type: Literal["any", "at+jwt"] = Field(
        "any",
        description="at+jwt: only tokens that say so in their header (RFC 9068); any: also those that say JWT or "
        "nothing, of issuers that do not; never ID, refresh or logout tokens",
    )
    oidc_token_lifetime_max_s: float = Field(
        86_400.0, description="a token that ends later than this from now is refused, seconds"
    )
    oidc_introspection: Literal["off", "always"] = Field(
        "off", description="always: the issuer is asked whether each token still holds (RFC 7662)"
    )
    oidc_introspection_client_id: str = Field(
        "", description="the client as which the issuer is asked, at introspection"
    )
    oidc_introspection_client_secret: SecretStr = Field(
        SecretStr(""), description="secret of OIDC_INTROSPECTION_CLIENT_ID"
    )
    oidc_introspection_cache_s: float = Field(
        10.0, description="how long an introspection answer is cached, seconds"
    )
    revocation_refresh_s: float = Field(
        5.0,
        description="pause between two checks for tokens that were taken back (`revoke-tokens`): within it "
        "every process refuses them, seconds",
    )
    dpop_proof_age_max_s: float = Field(
        60.0, description="greatest age of a DPoP proof that is accepted, seconds"
    )
    gateway_secret: SecretStr = Field(
        SecretStr(""),
        description="shared by nginx and the services: only beside it they believe what nginx says of a request (the "
        "client's address and certificate); empty: never",
    )
    regulation_certificates: str = Field(
        "",
        description="`CN/OU` of the client certificates by which the regulation of unscheduled care (SAS) is known"
        " without a token, comma between several; needs GATEWAY_SECRET and GATEWAY_CLIENT_CA",
    )
    oidc_role_claim: str = Field(
        "creneau_role",
        description="claim that says the role: patient, practitioner, secretary, software, regulator, counsellor, operator,"
        " system",
    )
    oidc_organizations_claim: str = Field(
        "creneau_organizations",
        description="claim with the ids of the Organizations that the token speaks for",
    )
    oidc_practitioner_claim: str = Field(
        "creneau_practitioner", description="claim with the id of the Practitioner whose token it is"
    )
    oidc_national_id_claim: str = Field(
        "SubjectNameID",
        description="claim with a professional's national identifier (Pro Santé Connect), by which the directory knows them",
    )
    oidc_acting_for_claim: str = Field(
        "creneau_for", description="claim with the Patient for whom a counsellor acts"
    )
    oidc_mandate_claim: str = Field(
        "creneau_mandate", description="claim that says by what a counsellor may act: a mandate, or presence"
    )
    anonymous_read: bool = Field(
        True, description="directory, Schedule and Slot may be read without a token (public information)"
    )

    cursor_secret: str = Field(
        "",
        description="key that seals paging cursors and the values in links, and hashes whom requests are counted for; the"
        " same in all processes of a service; empty: random, and each process counts for itself",
    )
    vouching_secret: str = Field(
        "",
        description="key by which booking tells notifications that a caller may have a person's messages, and what whoever"
        " comes by a link must know, the same in both; empty: only a token that names its Patient gets them, and nobody acts"
        " by a link",
    )

    contact_keys: str = Field(
        "",
        description="public keys (JWK Set, JSON) of the tokens that the suite itself signs for people without an account, as"
        " `creneau-notifications new-contact-key` prints them, the same in all services; empty: none are accepted",
    )
    contact_secret: SecretStr = Field(
        SecretStr(""),
        description="names the accounts of people without an account by their contacts, the same in booking and"
        " notifications and for ever: with another one nobody comes back to their account; empty: no codes are sent",
    )

    anonymous_body_bytes_max: int = Field(64 * 1024, description="longest body without a token, bytes")
    patient_body_bytes_max: int = Field(256 * 1024, description="longest body with a patient's token, bytes")
    request_body_bytes_max: int = Field(
        4 * 1024 * 1024, description="longest body with another token (a Bundle, `$validate`), bytes"
    )
    feed_body_bytes_max: int = Field(
        16 * 1024 * 1024,
        description="longest body of `$sync-slots`, the slots of an agenda all at once, bytes",
    )
    resource_bytes_max: int = Field(
        256 * 1024,
        le=800_000,
        description="largest resource that is stored, or judged within a Bundle, bytes",
    )
    bundle_answer_bytes_max: int = Field(
        8 * 1024 * 1024,
        ge=1,
        description="answers to the entries of one batch or transaction together, bytes; entries after that are 413",
    )
    text_characters_max: int = Field(
        10_000,
        description="longest text of one element that is stored, narratives and files apart, characters",
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
        30.0, description="requests a second from one address without a token, after the burst; 0: no limit"
    )
    anonymous_requests_burst: int = Field(600, ge=1, description="requests from one address at once")
    patient_requests_per_s: float = Field(
        20.0, description="requests a second of one patient's account, after the burst; 0: no limit"
    )
    patient_requests_burst: int = Field(200, ge=1, description="requests of one patient's account at once")
    staff_requests_per_s: float = Field(
        50.0,
        description="requests a second of one professional, counsellor or operator, after the burst; 0: no limit",
    )
    staff_requests_burst: int = Field(
        1_000, ge=1, description="requests of one professional, counsellor or operator at once"
    )
    software_requests_per_s: float = Field(
        500.0,
        description="requests a second of one software (OAuth client), patients' tokens apart, after the burst; 0: no limit",
    )
    software_requests_burst: int = Field(5_000, ge=1, description="requests of one software at once")
    system_requests_per_s: float = Field(
        0.0, description="requests a second of one `system` account (trusted loaders); 0: no limit"
    )
    system_requests_burst: int = Field(10_000, ge=1, description="requests of one `system` account at once")
    request_timeout_s: float = Field(30.0, description="longest that a request may take, seconds")
    shutdown_grace_s: float = Field(10.0, description="time to drain after SIGTERM, seconds")

    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: Literal["json", "console"] = Field(
        "json", description="json for machines, console for people"
    )

    @field_validator("contact_keys")
    @classmethod
    def _are_public_keys(cls, value: str) -> str:
        if not value:
            return value
        keys = json.loads(value).get("keys")
        if not isinstance(keys, list) or not keys or any("d" in key or "kid" not in key for key in keys):
            raise ValueError("CONTACT_KEYS is a JWK Set of public keys, each with its kid")
        return value

    @property
    def migration_url(self) -> str:
        """The URL with which the database is migrated: the owner's."""
        return str(self.database_owner_url or self.database_url)

    @property
    def runtime_role(self) -> str | None:
        """The role to which the owner grants reading and writing rows; None when it is the owner itself."""
        role = self.database_url.hosts()[0]["username"]
        return unquote(role) if role and self.database_owner_url is not None else None
