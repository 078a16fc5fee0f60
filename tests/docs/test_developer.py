"""The developers' guides name files and folders that there are, and every folder of tests has its line."""

from __future__ import annotations

import re

import pytest
from deploy.local.folder import REPOSITORY
from deploy.local.topology import WITH_DATABASE

GUIDE = REPOSITORY / "docs" / "guides" / "developer.md"
BELOW = (
    REPOSITORY,
    REPOSITORY / "shared/src/creneau_shared",
    *(REPOSITORY / f"services/{name}/src/creneau_{name}" for name in (*WITH_DATABASE, "gateway")),
)
"""where a path of the guide may begin, as it says"""
_PATH = re.compile(r"`(\w[\w./{},<>-]*(?:/|\.py)[\w./{},<>…-]*)`")
_FILLED = re.compile(r"<[^<>]*>|…[^/]*")


def paths(text: str) -> list[str]:
    """What stands in backquotes and is a path or a file, each choice by itself, with `*` for what the reader fills in."""
    found = [_FILLED.sub("*", path) for path in _PATH.findall(text)]
    return [one for path in found for one in _choices(path)]


def _choices(path: str) -> list[str]:
    if (choice := re.search(r"\{([^{}]*)\}", path)) is None:
        return [path]
    return [path.replace(choice[0], name) for name in choice[1].split(",")]


def test_every_path_of_the_guide_exists() -> None:
    missing = [
        path
        for path in paths(GUIDE.read_text(encoding="utf-8"))
        if not any(next(folder.glob(path.rstrip("/")), None) for folder in BELOW)
    ]
    assert missing == []


def test_a_choice_of_paths_is_each_of_them() -> None:
    text = "`locale/{fr,en}.po`, `domain/<theme>.py`, `app.py`, `make run`"
    assert paths(text) == ["locale/fr.po", "locale/en.po", "domain/*.py", "app.py"]


@pytest.mark.parametrize(
    "folder",
    sorted(
        f.name for f in (REPOSITORY / "tests").iterdir() if f.is_dir() and not f.name.startswith(("_", "."))
    ),
)
def test_each_folder_of_tests_has_its_line(folder: str) -> None:
    assert f"| `{folder}` |" in (REPOSITORY / "tests" / "README.md").read_text(encoding="utf-8")
