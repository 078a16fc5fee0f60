"""The checklist of scheduling (docs/checklists.md), C to F: each number has a test that bears it in its name."""

from __future__ import annotations

import re

from deploy.local.folder import REPOSITORY
from tests.docs.checklists import numbers

NUMBERS = {int(number) for number in numbers() if number.isdigit() and int(number) >= 36}
"""those before them, of REST and search, stand in one file each: `tests/conformance/test_checklist_*`"""
FOLDERS = ("services/booking/tests", "tests/conformance", "tests/resilience", "tests/e2e")
NAMED = re.compile(r"def test_((?:\d\d_)+)")


def test_each_number_is_in_the_name_of_a_test() -> None:
    files = (file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("test_*.py"))
    named = {
        int(n) for file in files for found in NAMED.findall(file.read_text()) for n in found.split("_") if n
    }
    assert [number for number in sorted(NUMBERS) if number not in named] == []
