"""What a distribution declares, it imports: nothing is installed that nothing needs."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from tests.fixtures.source import parsed

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = [*sorted(path.parent for path in ROOT.glob("services/*/pyproject.toml")), ROOT / "shared"]
DATA = {"tzdata", "python-multipart"}
"""read by the standard library, or by FastAPI for forms; imported by nobody here"""


def imported(folder: Path) -> Iterator[str]:
    """The names at the head of every import below a folder."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(parsed(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=lambda path: path.name)
def test_what_is_declared_is_imported(distribution: Path) -> None:
    project = tomllib.loads((distribution / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[\[<>=~! ]", dependency)[0].lower() for dependency in project["dependencies"]}
    provided = packages_distributions()
    used = {"creneau-shared"} | {
        name.lower().replace("_", "-")
        for module in {*imported(distribution / "src"), *imported(distribution / "migrations")}
        for name in provided.get(module, ())
    }
    assert {name.replace("_", "-") for name in declared} - used - DATA == set()
