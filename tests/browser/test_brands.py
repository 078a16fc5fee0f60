"""X19: nothing of a brand that is not ours is in what the pages ship."""

from __future__ import annotations

import re

from tests.fixtures.broker import REPOSITORY

SHIPPED = REPOSITORY / "services" / "web" / "src"
BRANDS = re.compile(r"dsfr|marianne|govuk|gds-?transport|nhsuk|frutiger|fr-btn|\brf-logo", re.IGNORECASE)
TEXT = {".css", ".html", ".svg", ".js"}
KINDS = TEXT | {".py", ".po", ".csv", ".typed", ".fragment"}
"""no font, no picture but our own drawings"""


def test_x19_no_asset_of_the_state_or_another_service() -> None:
    files = [f for f in SHIPPED.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    assert not [f.name for f in files if f.suffix not in KINDS or BRANDS.search(f.name)]
    assert not [f.name for f in files if f.suffix in TEXT and BRANDS.search(f.read_text())]
