"""The guide to roles says what the code's table says, and has a section for each role."""

from __future__ import annotations

import re
from typing import get_args

from tests.docs.roles_table import GUIDE, table, written

from creneau_shared.security.principal import Role


def test_the_guide_has_the_code_s_table() -> None:
    """When this fails: python -m tests.docs.roles_table."""
    assert written() == table()


def test_every_role_has_a_section() -> None:
    headings = re.findall(r"^### (\w+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted(get_args(Role))
