"""The codes that our extensions take are the same in the definitions that are served and in what the services accept."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import get_args

import pytest
from sqlalchemy import CheckConstraint

from creneau_booking.domain.events import Actor
from creneau_booking.domain.proxies import SCOPES
from creneau_booking.domain.series import Scope
from creneau_booking.domain.waiting import PARTS_OF_DAY
from creneau_booking.storage.openings.extensions import MODES, VISIBILITIES
from creneau_notifications.storage.tables import attempt
from creneau_shared.fhir.structure_definitions import structure_definitions
from creneau_shared.fhir.terminology.catalogue import value_set_catalogue
from creneau_shared.fhir.terminology.expansion import expansion

OWN = "https://creneau.sante.fr/fhir/StructureDefinition/"
OPEN = {"time-zone", "accessibility"}
"""extensions whose codes are others' to say: the IANA database, the practice"""


def results() -> Collection[str]:
    """What the table of tries allows."""
    checks = [c for c in attempt.constraints if isinstance(c, CheckConstraint)]
    return re.findall(r"'(\w+)'", " ".join(str(c.sqltext) for c in checks if "result IN" in str(c.sqltext)))


ACCEPTED: dict[str, Collection[str]] = {
    "waiting-times": PARTS_OF_DAY,
    "cancelled-by": get_args(Actor),
    "series-scope": get_args(Scope),
    "opening-mode": MODES,
    "opening-visibility": VISIBILITIES,
    "opening-school-holidays": ("only", "except"),
    "proxy-scope": SCOPES,
    "message-delivery": results(),
}


def bound() -> dict[str, str]:
    """Extension id → the value set to which its code is bound, empty without."""
    found: dict[str, str] = {}
    for definition in structure_definitions(("Appointment",)):
        if definition["url"].startswith(OWN):
            for element in definition["differential"]["element"]:
                if {"code": "code"} in element.get("type", ()):
                    found[definition["id"]] = element.get("binding", {}).get("valueSet", "")
    return found


def test_whoever_reads_a_definition_knows_which_codes_are_taken() -> None:
    """A code that is sent blindly is refused (422); every extension with codes of ours says which there are."""
    said = bound()
    assert set(said) == {*ACCEPTED, *OPEN}
    assert {id_ for id_, value_set in said.items() if not value_set} == OPEN
    assert {value_set for value_set in said.values() if value_set} <= set(value_set_catalogue())


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_the_value_set_of_an_extension_has_what_the_services_accept(name: str) -> None:
    members = expansion(bound()[name]) or ()
    assert {member.code for member in members} == set(ACCEPTED[name])
