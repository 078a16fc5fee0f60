"""One of several known words."""

from __future__ import annotations

import pytest

from creneau_shared.choices import one_of


@pytest.mark.parametrize(
    ("said", "expected"), [("fr", "fr"), ("FR", None), ("", None), (None, None), (["fr"], None), ({}, None)]
)
def test_what_is_none_of_them_is_none(said: object, expected: str | None) -> None:
    assert one_of(("fr", "en"), said) == expected
