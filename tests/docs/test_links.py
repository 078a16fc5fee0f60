"""Every link within the repository leads somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from deploy.local.folder import REPOSITORY
from tests.docs import markdown


def broken(file: Path) -> list[str]:
    """The relative links of a file that name no file or no heading."""
    wrong = []
    for link in markdown.links((REPOSITORY / file).read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / file).parent / path if path else REPOSITORY / file
        if not target.exists() or (
            anchor and anchor not in markdown.anchors(target.read_text(encoding="utf-8"))
        ):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("file", markdown.files(), ids=str)
def test_relative_links_resolve(file: Path) -> None:
    assert broken(file) == []


def test_a_link_to_nothing_is_found(tmp_path: Path) -> None:
    """The check sees a missing file and a missing heading, and leaves code and foreign addresses alone."""
    file = tmp_path / "page.md"
    file.write_text(
        "# One heading\n[a](gone.md) [b](#no-heading) [c](#one-heading) [d](https://example.org/x)\n"
        "```\n[e](in-code.md)\n```\n"
    )
    assert broken(file) == ["gone.md", "#no-heading"]
