"""The operator's guide as the operator's page shows it: its part on what to do when.

`python -m tests.docs.runbook` draws it into the pages.
"""

from __future__ import annotations

import re
from pathlib import Path

from deploy.local.folder import REPOSITORY
from markdown_it import MarkdownIt
from tests.docs.markdown import anchors

GUIDE = REPOSITORY / "docs" / "guides" / "operator.md"
DRAWN = REPOSITORY / "services/web/src/creneau_web/ops/runbook.fragment"
BEGIN = "## What to do when\n"
_LINK = re.compile(r'<a href="([^"]*)">(.*?)</a>', re.DOTALL)
_HEADING = re.compile(r"<h3>(.*?)</h3>")


def guide() -> str:
    """The part as HTML: its headings a level up, each with the anchor that links to it have."""
    text = GUIDE.read_text(encoding="utf-8").partition(BEGIN)[2]
    html = MarkdownIt("commonmark").enable("table").render(text)
    ours = anchors(text)

    def link(match: re.Match[str]) -> str:
        """Within the part as it is; what leads elsewhere in the repository is named only."""
        inside = match[1].startswith("#") and match[1][1:] in ours
        return match[0] if inside or match[1].startswith("http") else match[2]

    def heading(match: re.Match[str]) -> str:
        plain = re.sub(r"<[^>]+>", "", match[1])
        (anchor,) = anchors(f"### {plain}")
        return f'<h2 id="{anchor}">{match[1]}</h2>'

    html = _HEADING.sub(heading, _LINK.sub(link, html))
    return html.replace("<pre>", '<pre tabindex="0">')


def main() -> None:
    Path(DRAWN).write_text(guide(), encoding="utf-8")


if __name__ == "__main__":
    main()
