"""What the code and its tests refer to can be looked up: in this repository, or where the public does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from deploy.local.folder import REPOSITORY
from tests.docs.checklists import numbers

SUFFIXES = {".py", ".md", ".html", ".js", ".yaml"}
ELSEWHERE = re.compile(
    r"\b(?:frontends|french|scheduling)\.md\b|(?<!shared/)\bspecs/|\bissue \d+\b|\bthe (?:\w+ )?digest of the guide"
)
"""papers of whoever wrote it, which a reader does not have"""
_CHECKLIST = re.compile(r"\(checklist ([\d, -]+)[):]")
_GUIDE = re.compile(r"(?<![\d.])(6\.[1-7]\.\d+)\b|\btest_(6_[1-7]_\d+)_")
_PAGES = re.compile(r"\b[POX]\d{1,2}\b(?= ?[:,.)]| and\b)|(?<=def test_)[pox]\d+(?=_)")


def sources() -> Iterator[tuple[Path, str]]:
    """Each text of the repository that people read, but this module, with its path in it."""
    for folder in ("shared", "services", "deploy", "tests", "docs"):
        for file in sorted((REPOSITORY / folder).rglob("*")):
            if file.suffix in SUFFIXES and file != Path(__file__):
                yield file.relative_to(REPOSITORY), file.read_text(encoding="utf-8")


def named(text: str) -> set[str]:
    """The numbers of checklists that a module speaks of, as the page writes them; a range as both of its ends."""
    scheduling = {number for found in _CHECKLIST.findall(text) for number in re.findall(r"\d+", found)}
    guides = {(by_point or by_name).replace("_", ".") for by_point, by_name in _GUIDE.findall(text)}
    return scheduling | guides | {number.upper() for number in _PAGES.findall(text)}


def test_nothing_refers_to_a_paper_that_is_not_here() -> None:
    found = [f"{file}: {match[0]}" for file, text in sources() for match in ELSEWHERE.finditer(text)]
    assert found == []


def test_the_page_defines_every_number_that_a_test_names() -> None:
    known = numbers()
    undefined = [
        f"{file}: {number}"
        for file, text in sources()
        if file.name.startswith("test_") and "tests" in file.parts
        for number in sorted(named(text) - known)
    ]
    assert undefined == []


def test_numbers_are_found_in_every_spelling() -> None:
    text = '"""Waiting (checklist 48, 82)."""\ndef test_6_6_17_an_export(): ...\n'
    text += 'def test_p14_by_link(): """P15: and 6.7.14, of 1.2.250.1.213.1.6.1.66."""'
    assert named(text) == {"48", "82", "6.6.17", "6.7.14", "P14", "P15"}
