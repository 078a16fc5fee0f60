"""The repository's own Markdown: its files, their links and their headings."""

from __future__ import annotations

import re
from pathlib import Path

from deploy.local.folder import REPOSITORY

NOT_OURS = frozenset({"node_modules", "site-packages"})
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def files() -> list[Path]:
    """Every Markdown file of the repository, none of a hidden or installed folder."""
    found = (file.relative_to(REPOSITORY) for file in REPOSITORY.rglob("*.md"))
    ours = (f for f in found if not any(p.startswith(".") or p in NOT_OURS for p in f.parts))
    return sorted(ours)


def prose(text: str) -> str:
    """The text without its code blocks."""
    return _CODE.sub("", text)


def links(text: str) -> list[str]:
    """The targets of the links, in order."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """The anchors that a reader of Markdown (as GitHub) gives to the headings."""
    titles = (re.sub(r"[`*]", "", title) for title in _HEADING.findall(prose(text)))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}
