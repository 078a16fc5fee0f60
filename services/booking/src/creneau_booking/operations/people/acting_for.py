"""`Patient/$acting-for`: the Patients for whom the caller's account acts, and which of them is the person themselves.

A Patient does not say why an account may see it: the person and their carer read the same record. A page must tell one
from the other.
"""

from __future__ import annotations

from typing import Any

from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall

TYPE = "Patient"

DEFINITION = operation_definition(
    "acting-for",
    "For whom this account acts",
    "Each Patient for whom the caller's account acts at this moment, whether that is the person themselves, and what the"
    " account may do for them: see, book, cancel, register, manage; and the RelatedPerson by which it acts.",
    [
        parameter(
            "person",
            None,
            use="out",
            maximum="*",
            part=[
                parameter("patient", "Reference", use="out", minimum=1),
                parameter("oneself", "boolean", use="out", minimum=1),
                parameter("may", "code", use="out", maximum="*"),
                parameter("by", "Reference", use="out"),
            ],
        ),
    ],
    affects_state=False,
    resources=[TYPE],
)


class ActingForOperation:
    """`$acting-for` on Patient. It shows nothing of anybody's record, so the trail records nothing."""

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        rights = call.request.access(TYPE, "r").rights
        people = [
            _person(id_, id_ in rights.oneself, rights.people[id_], rights.statements.get(id_))
            for id_ in sorted(rights.people, key=lambda id_: (id_ not in rights.oneself, id_))
        ]
        answer = {"resourceType": "Parameters", **({"parameter": people} if people else {})}
        return Answer(200, dumps(answer))


def _person(id_: str, oneself: bool, may: frozenset[str], statement: str | None) -> dict[str, Any]:
    by = {"name": "by", "valueReference": {"reference": f"RelatedPerson/{statement}"}}
    return {
        "name": "person",
        "part": [
            {"name": "patient", "valueReference": {"reference": f"Patient/{id_}"}},
            {"name": "oneself", "valueBoolean": oneself},
            *({"name": "may", "valueCode": code} for code in sorted(may)),
            *([by] if statement else []),
        ],
    }
