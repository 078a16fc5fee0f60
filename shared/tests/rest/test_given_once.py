"""How often the input of an operation may have a parameter: as often as the OperationDefinition says (max)."""

from __future__ import annotations

from typing import Any

import pytest

from creneau_shared.errors import BadRequest
from creneau_shared.fhir.rest.parameters import OperationInput

DEFINITION: dict[str, Any] = {
    "parameter": [
        {"name": "slot", "use": "in", "max": "*"},
        {"name": "start", "use": "in", "max": "1"},
        {"name": "visit", "use": "in", "max": "1"},
        {"name": "return", "use": "out", "max": "1"},
    ]
}


@pytest.mark.parametrize(
    "names", [(), ("start",), ("slot", "slot", "start"), ("return", "return"), ("other", "other")]
)
def test_as_often_as_the_definition_says(names: tuple[str, ...]) -> None:
    OperationInput([(name, "x") for name in names]).refuse_repeated(DEFINITION)


@pytest.mark.parametrize("names", [("start", "start"), ("slot", "visit", "visit.identifier")])
def test_oftener_is_refused_by_name(names: tuple[str, ...]) -> None:
    with pytest.raises(BadRequest) as refused:
        OperationInput([(name, "x") for name in names]).refuse_repeated(DEFINITION)
    name = "visit" if "visit" in names else "start"
    [issue] = refused.value.issues
    assert issue.expression == (f"Parameters.parameter.where(name='{name}')",)
