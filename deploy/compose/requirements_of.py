"""`python deploy/compose/requirements_of.py creneau-booking`: what that package needs, pinned and hashed.

Prints the part of deploy/requirements/run.txt that uv.lock says it needs: an image installs no more. Needs nothing but
Python itself, because it runs before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"^([a-z0-9-]+)(?:\[[a-z,-]+\])?==", re.MULTILINE)


def requirements_of(root: str) -> str:
    """The lines of run.txt for a package and everything that it needs; KeyError for one that is not locked."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    packages = {package["name"]: package for package in locked["package"]}
    blocks = _blocks((ROOT / "deploy" / "requirements" / "run.txt").read_text(encoding="utf-8"))
    return "".join(blocks[name] for name in sorted(_closure(packages, root)) if name in blocks)


def _blocks(text: str) -> dict[str, str]:
    """The lines of each requirement by its name."""
    starts = [(match[1], match.start()) for match in _NAME.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return {name: text[start:end] for (name, start), end in zip(starts, ends, strict=True)}


def _closure(packages: Mapping[str, Mapping[str, Any]], root: str) -> set[str]:
    """The root and everything that it needs, on whatever platform."""
    found: set[tuple[str, str]] = set()
    waiting = [(root, "")]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _needed(packages[one[0]], one[1])
    return {name for name, _ in found}


def _needed(package: Mapping[str, Any], extra: str) -> Iterator[tuple[str, str]]:
    """Requirements of a package (or one of its extras): each name alone, and with each extra asked for."""
    needed = (
        package.get("optional-dependencies", {}).get(extra, ()) if extra else package.get("dependencies", ())
    )
    for dependency in needed:
        yield dependency["name"], ""
        for wanted in dependency.get("extra", ()):
            yield dependency["name"], wanted


if __name__ == "__main__":
    sys.stdout.write(requirements_of(sys.argv[1]))
