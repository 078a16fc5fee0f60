"""The commands that the documents name exist."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest
from deploy.local.folder import REPOSITORY
from deploy.local.tokens import SCOPES
from deploy.local.topology import SERVICES
from tests.docs import markdown
from tests.fixtures.sharing_out import LONG
from typer.main import get_command

PAGES = [
    *markdown.files(),
    *(file.relative_to(REPOSITORY) for file in (REPOSITORY / "deploy/gateway/static").rglob("*.html")),
]


def said(file: Path) -> str:
    return (REPOSITORY / file).read_text(encoding="utf-8")


def make_targets() -> set[str]:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.*##", makefile, re.MULTILINE))


def service_commands(service: str) -> set[str]:
    module = importlib.import_module(f"creneau_{service}.main")
    return set(get_command(module.main).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", PAGES, ids=str)
def test_every_make_target_that_is_named_exists(file: Path) -> None:
    named = set(re.findall(r"(?:^|[`$(\s])make (?:-s )?([a-z][a-z-]*)(?=[`\s)]|$)", said(file), re.MULTILINE))
    in_code = {
        name
        for name in named
        if re.search(rf"[`(]make (?:-s )?{name}|^make {name}", said(file), re.MULTILINE)
    }
    assert in_code <= make_targets()


@pytest.mark.parametrize("file", PAGES, ids=str)
def test_every_role_that_is_named_gets_a_token(file: Path) -> None:
    roles = {
        role for named in re.findall(r"ROLE=([a-z|\\]+)", said(file)) for role in re.split(r"[\\|]+", named)
    }
    assert roles <= set(SCOPES)


@pytest.mark.parametrize("service", [*SERVICES, "gateway"])
def test_the_operators_guide_names_each_command(service: str) -> None:
    guide = said(Path("docs/guides/operator.md"))
    unnamed = [
        name
        for name in service_commands(service) - {"api", "worker"}  # the first table has them for all
        if not re.search(rf"\bcreneau-(?:{service}|<service>) {name}\b|`{name}`", guide)
    ]
    assert unnamed == []


@pytest.mark.parametrize("service", [*SERVICES, "gateway"])
@pytest.mark.parametrize("file", PAGES, ids=str)
def test_every_service_command_that_is_named_exists(file: Path, service: str) -> None:
    named = re.findall(rf"creneau-{service} ((?:[a-z][a-z-]*(?: \| )?)+)", said(file))
    commands = {command for names in named for command in names.split(" | ")}
    assert commands - {""} <= service_commands(service)


def test_the_readme_names_every_target_that_a_newcomer_needs() -> None:
    assert {"run", "demo", "token", "test", "lint"} <= set(
        re.findall(r"make (?:-s )?([a-z-]+)", said(Path("README.md")))
    )


def test_make_test_runs_the_tests_of_every_distribution() -> None:
    """pytest looks where `testpaths` says and nowhere else: what is not named there never fails."""
    configured = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    named = set(configured["tool"]["pytest"]["ini_options"]["testpaths"])
    there = {str(folder.relative_to(REPOSITORY)) for folder in REPOSITORY.glob("services/*/tests")}
    assert {"shared/tests", "tests", *there} == named


@pytest.mark.parametrize("file", LONG)
def test_every_file_of_tests_that_is_begun_first_is_there(file: str) -> None:
    assert (REPOSITORY / file).is_file()
