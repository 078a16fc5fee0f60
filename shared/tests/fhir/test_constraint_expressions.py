"""The constraints of our StructureDefinitions are FHIRPath that says what our functions judge."""

from __future__ import annotations

from typing import Any

import fhirpathpy
import pytest

from creneau_shared.fhir.invariants import all_invariants
from creneau_shared.fhir.structure_definitions import structure_definitions
from creneau_shared.fhir.structure_definitions.expressions import EXPRESSIONS
from creneau_shared.type_table import TYPES

CODE = {"coding": [{"code": "x"}]}
QUANTITY = {"value": 1, "code": "min"}
CASES: dict[str, list[dict[str, Any]]] = {
    "app-1": [{"type": [CODE]}, {"actor": {"reference": "Patient/1"}}, {"status": "accepted"}],
    "app-2": [{"start": "2026-01-01T08:00:00Z"}, {"status": "booked"}],
    "app-3": [{"status": "booked"}, {"status": "waitlist"}, {"status": "booked", "start": "x", "end": "y"}],
    "app-4": [{"status": "booked", "cancelationReason": CODE}, {"status": "noshow", "cancelationReason": CODE}],
    "apr-1": [{"actor": {"reference": "Patient/1"}}, {"participantStatus": "accepted"}],
    "att-1": [{"data": "AA=="}, {"data": "AA==", "contentType": "a/b"}, {"title": "t"}],
    "cpt-2": [{"value": "1"}, {"value": "1", "system": "phone"}, {"use": "home"}],
    "drq-1": [{"path": "a"}, {"path": "a", "searchParam": "b"}, {"valueSet": "v"}],
    "drq-2": [{"path": "a"}, {"path": "a", "searchParam": "b"}, {"valueSet": "v"}],
    "drt-1": [QUANTITY, {**QUANTITY, "system": "http://unitsofmeasure.org"}, {"value": 1}],
    "exp-1": [{"expression": "a"}, {"language": "text/fhirpath"}],
    "ext-1": [{"url": "u"}, {"url": "u", "extension": [{"url": "v"}]}],
    "org-1": [{"name": "n"}, {"identifier": [{"value": "1"}]}, {"active": True}],
    "org-2": [{"use": "home"}, {"use": "work"}],
    "org-3": [{"use": "home"}, {"use": "work"}],
    "pat-1": [{"gender": "female"}, {"address": {"city": "Nantes"}}],
    "qty-3": [QUANTITY, {**QUANTITY, "system": "http://unitsofmeasure.org"}],
    "rat-1": [{"numerator": QUANTITY}, {"numerator": QUANTITY, "denominator": QUANTITY}, {"id": "1"}],
    "sev-1": [{"name": "n", "query": "AA=="}, {"name": "n"}],
    "sqty-1": [{"comparator": "<"}, {"value": 1}],
    "tim-1": [{"duration": 1}, {"duration": 1, "durationUnit": "h"}],
    "tim-2": [{"period": 1}, {"period": 1, "periodUnit": "h"}],
    "tim-4": [{"duration": -1}, {"duration": 1}, {"count": 1}],
    "tim-5": [{"period": -1}, {"period": 1}, {"count": 1}],
    "tim-6": [{"periodMax": 1}, {"periodMax": 1, "period": 1}],
    "tim-7": [{"durationMax": 1}, {"durationMax": 1, "duration": 1}],
    "tim-8": [{"countMax": 1}, {"countMax": 1, "count": 1}],
    "tim-9": [{"offset": 1}, {"offset": 1, "when": ["C"]}, {"offset": 1, "when": ["AC", "PC"]}],
    "tim-10": [{"timeOfDay": ["08:00:00"], "when": ["AC"]}, {"when": ["AC"]}],
    "trd-2": [{"condition": {"expression": "a"}}, {"name": "n"}],
}  # fmt: skip
BEYOND = {"per-1", "rng-2", "trd-1"}
"""those that compare dates or quantities, or look at a choice, which needs the model of R4"""


def test_every_constraint_has_its_expression() -> None:
    for definition in structure_definitions(tuple(sorted(TYPES))):
        for part in ("snapshot", "differential"):
            for element in definition[part]["element"]:
                for constraint in element.get("constraint", ()):
                    assert constraint["expression"], (definition["id"], constraint["key"])


@pytest.mark.parametrize("key", sorted(EXPRESSIONS))
def test_expression_and_function_judge_alike(key: str) -> None:
    fhirpathpy.compile(EXPRESSIONS[key])
    if key in BEYOND:
        return
    rule = next(rule for rule in all_invariants() if rule.key == key)
    judged = [rule.holds(case) for case in CASES[key]]
    assert [fhirpathpy.evaluate(case, EXPRESSIONS[key]) == [True] for case in CASES[key]] == judged
    assert False in judged
