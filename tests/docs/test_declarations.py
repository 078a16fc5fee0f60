"""Check 46 of 6.1 SAS: what its kit has an editor declare is answered where operators read, and by things that there are."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.settings_table import settings_classes

ROOT = Path(__file__).parents[2]
ASKED = ("RPPS number", "everybody have one", "IDNST", "HDS", "two factors", "locked out")


def test_46_each_question_of_the_kit_is_answered() -> None:
    guide = (ROOT / "docs/guides/operator.md").read_text(encoding="utf-8")
    section = guide.partition("### What the SAS kit has you declare")[2].partition("\n### ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(ASKED)
    for (question, answer), asked in zip(rows, ASKED, strict=True):
        assert asked in question
        assert answer
    settings = {name.upper() for fields in settings_classes().values() for name in fields.model_fields}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", section))
    assert named <= settings
    files = re.findall(r"`(tests/\S+\.py)`", section)
    assert files
    assert all((ROOT / file).is_file() for file in files)
