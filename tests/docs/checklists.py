"""The numbers that docs/checklists.md gives, as the tests name them."""

from __future__ import annotations

import re

from deploy.local.folder import REPOSITORY

PAGE = REPOSITORY / "docs" / "checklists.md"
_ROW = re.compile(r"^\| ([POX]?\d+) \|", re.MULTILINE)
_LIST = re.compile(r"^### (6\.\d) .*?(?=^##|\Z)", re.MULTILINE | re.DOTALL)


def numbers() -> frozenset[str]:
    """Every number: `P14` (pages), `48` (scheduling), `6.6.17` (a French guide)."""
    text = PAGE.read_text(encoding="utf-8")
    ours, _, french = text.partition("\n## French guides\n")
    guides = {f"{found[1]}.{number}" for found in _LIST.finditer(french) for number in _ROW.findall(found[0])}
    return frozenset(_ROW.findall(ours)) | guides
