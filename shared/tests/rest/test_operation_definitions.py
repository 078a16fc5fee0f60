"""Our OperationDefinitions: what they are called, and at which levels they can be called."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_shared.fhir.rest.definitions import operation_definition, parameter


def defined(**levels: Any) -> dict[str, Any]:
    asked = [parameter("text", "string", "What was typed."), parameter("found", None, part=[])]
    return operation_definition("find-care", "Search", "Finds.", asked, affects_state=False, **levels)


@pytest.mark.parametrize(
    ("levels", "id_", "name", "at"),
    [
        ({}, "find-care", "FindCare", (True, False, False)),
        ({"id_": "system-find-care"}, "system-find-care", "FindCare", (True, False, False)),
        ({"resources": ["Slot"]}, "slot-find-care", "SlotFindCare", (False, True, False)),
        (
            {"resources": ["Slot", "Schedule"], "type_level": False, "instance": True},
            "slot-find-care",
            "SlotFindCare",
            (False, False, True),
        ),
    ],
)
def test_an_operation_is_on_the_base_or_on_types(
    levels: dict[str, Any], id_: str, name: str, at: tuple[bool, bool, bool]
) -> None:
    made = defined(**levels)
    assert (made["id"], made["name"]) == (id_, name)
    assert made["url"] == f"https://creneau.sante.fr/fhir/OperationDefinition/{id_}"
    assert (made["system"], made["type"], made["instance"]) == at
    assert made.get("resource", []) == levels.get("resources", [])
