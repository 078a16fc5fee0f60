"""The checklist of the pages (docs/checklists.md): each number has a test that names it.

What needs a person to judge has a line in docs/guides/review-list.md beside its tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from deploy.local.folder import REPOSITORY
from tests.docs.checklists import numbers
from tests.fixtures.source import parsed

NUMBERS = {number for number in numbers() if number[0] in "POX"}
FOLDERS = ("tests/browser", "tests/e2e", "tests/resilience", "tests/docs", *(f"services/{name}/tests" for name in (
    "booking", "directory", "notifications", "web")))  # fmt: skip
NAMED = re.compile(r"\b[POX]\d{1,2}\b")


def test_each_number_has_a_test() -> None:
    """Named in the function's name, in its docstring, or as its parameter; a module's docstring is not enough."""
    files = (file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("test_*.py"))
    found = {number for file in files for number in _named(file.read_text())}
    assert sorted(NUMBERS - found) == []


def _named(source: str) -> Iterator[str]:
    """The numbers that the tests of a file name."""
    if NAMED.search(source.upper().replace("_", " ")) is None:
        return
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or not node.name.startswith("test_"):
            continue
        said = [
            ast.get_docstring(node) or "",
            node.name.upper().replace("_", " "),
            *map(ast.unparse, node.decorator_list),
        ]
        yield from NAMED.findall(" ".join(said))


def test_the_review_list_is_about_numbers_of_the_checklist() -> None:
    text = (REPOSITORY / "docs" / "guides" / "review-list.md").read_text()
    numbers = {
        number
        for line in text.splitlines()
        if line.startswith("| ")
        for number in NAMED.findall(line.split("|")[1])
    }
    assert numbers
    assert numbers <= NUMBERS
