"""What is written down of a contact that somebody typed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from creneau_shared.clock import PARIS
from creneau_web.people.records import corrected, patient

NOW = datetime(2026, 12, 1, 9, tzinfo=PARIS)
MOBILE, LANDLINE = "06 39 98 00 01", "01 99 00 00 01"


def _phones(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in resource["telecom"] if one["system"] == "phone"]


@pytest.mark.parametrize(("typed", "use"), [(MOBILE, {"use": "mobile"}), (LANDLINE, {})])
def test_only_a_number_that_takes_texts_is_said_to_be_mobile(typed: str, use: dict[str, str]) -> None:
    written = {"system": "phone", "value": typed, **use}
    new = patient(
        given="Camille",
        birth_name="Exemple",
        usual_name="",
        birth_date=NOW.date(),
        email="",
        phone=typed,
        language="fr",
    )
    assert _phones(new) == [written]
    for before in (MOBILE, LANDLINE):
        held = {"system": "phone", "value": before, "use": "mobile"}
        assert _phones(corrected({"telecom": [held]}, NOW, "", "", typed, "fr")) == [written]


def test_what_else_a_number_is_for_stays_with_the_one_in_its_place() -> None:
    """Another number, or the same one with another language."""
    held = {"system": "phone", "value": LANDLINE, "use": "work", "rank": 1}
    for typed in ("01 99 00 00 02", MOBILE, LANDLINE):
        [written] = _phones(corrected({"telecom": [held]}, NOW, "", "", typed, "en"))
        assert written == {**held, "value": typed}
