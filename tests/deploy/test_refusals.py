"""Refusals are facts: no rule, no store and no handler of a service builds an error, nor has words for one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.source import parsed

from creneau_shared import errors

ROOT = Path(__file__).parents[2]
ROOMS = ("domain", "storage", "handlers")
MODULES = sorted(
    path
    for room in ROOMS
    for pattern in (f"services/*/src/*/{room}.py", f"services/*/src/*/{room}/**/*.py")
    for path in ROOT.glob(pattern)
)
ERRORS = {name for name, value in vars(errors).items() if isinstance(value, type)} - {"Any", "ClassVar"}
CAUGHT = "CreneauError"
"""what the platform refuses may be caught: whose a slot is, is judged there"""
LANGUAGES = {"fr", "en"}


def words_in(tree: ast.Module) -> Iterator[str]:
    """Everything in a module that builds an error, or says one in a language."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "creneau_shared.errors":
            yield from (alias.name for alias in node.names if alias.name != CAUGHT)
        elif isinstance(node, ast.ImportFrom) and node.module == "creneau_shared":
            yield from (alias.name for alias in node.names if alias.name in ("errors", "words"))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name == "creneau_shared.errors")
        elif isinstance(node, ast.Call) and _called(node) in ERRORS:
            yield _called(node)
        elif isinstance(node, ast.ClassDef):
            yield from (node.name for base in node.bases if ast.unparse(base).split(".")[-1] in ERRORS)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg in LANGUAGES:
            yield f"{node.arg}="


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func).split(".")[-1]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT / "services")))
def test_what_refuses_has_no_words(module: Path) -> None:
    assert list(words_in(parsed(module.read_text()))) == []


def test_every_service_with_rules_is_looked_at() -> None:
    assert {"booking", "directory", "notifications"} <= {path.relative_to(ROOT).parts[1] for path in MODULES}


@pytest.mark.parametrize(
    "source",
    [
        "from creneau_shared.errors import Conflict",
        "from creneau_shared import errors",
        "import creneau_shared.errors",
        "raise CreneauError()",
        "raise errors.Unprocessable('non', 'no')",
        "class Full(errors.Conflict): ...",
        "refuse(fr='non', en='no')",
        "def refuse(fr, en): ...",
    ],
)
def test_words_are_seen(source: str) -> None:
    assert list(words_in(parsed(source)))
