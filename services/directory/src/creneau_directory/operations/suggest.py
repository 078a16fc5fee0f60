"""`PractitionerRole/$suggest`: completions of a typed text, in groups. The typed text is not stored."""

from __future__ import annotations

from creneau_directory.domain.care.criteria import day_of
from creneau_directory.domain.care.suggestions import GROUPS, Suggestion, endings, suggestions
from creneau_directory.operations.care_answer import coding_of
from creneau_directory.storage.care import professionals_starting
from creneau_directory.views import require_ror_headers
from creneau_shared.errors import BadRequest
from creneau_shared.fhir.datatypes import whole_number
from creneau_shared.fhir.json import dumps
from creneau_shared.fhir.rest.definitions import operation_definition, parameter
from creneau_shared.fhir.rest.exchange import Answer
from creneau_shared.fhir.rest.operation import Operation, OperationCall
from creneau_shared.fhir.rest.parameters import OperationInput, parameter_named
from creneau_shared.fhir.storage.store import Resource

COUNT_DEFAULT = 5
COUNT_MAX = 20
LETTERS_MIN = 2

DEFINITION = operation_definition(
    "suggest",
    "Suggestions while typing",
    "Specialities, motives, professionals and places that go on as the text ends. Each is a parameter “suggestion” with"
    " its group, the whole text once it is taken, how it is shown, and its code or its reference.",
    [
        parameter("text", "string", "What has been typed so far; two letters at least."),
        parameter("_count", "integer", f"Of each group; {COUNT_DEFAULT} unless said, {COUNT_MAX} at most."),
        parameter("return", "Parameters", "The suggestions.", use="out", minimum=1),
    ],
    affects_state=False,
    resources=["PractitionerRole", "HealthcareService"],
)


class SuggestOperation:
    """`$suggest` over the vocabulary, the places and the names of the index."""

    def __init__(self, text_characters_max: int, *, headers_required: bool = False) -> None:
        self._headers_required = headers_required
        self._text_characters_max = text_characters_max

    def declare(self) -> Operation:
        return Operation(DEFINITION, self.handle)

    async def handle(self, call: OperationCall) -> Answer:
        """Answers with suggestions in groups; none if the text is too short."""
        call.request.access("PractitionerRole", "s")
        if self._headers_required:
            require_ror_headers(call.request)
        given = OperationInput.of(call)
        text = str(given.first("text", "q") or "")[: self._text_characters_max].strip()
        most = _count(given)
        found = suggestions(text, most) if len(text) >= LETTERS_MIN else []
        readings = [reading for reading in endings(text) if len(reading[-1][0]) >= LETTERS_MIN]
        if readings:
            day = day_of(call.service.clock.now())
            async with call.service.connection() as connection:
                rows = {
                    row
                    for reading in readings
                    for row in await professionals_starting(connection, reading, most, day)
                }
            found += [
                Suggestion("professional", label, label, f"PractitionerRole/{role}")
                for role, label in sorted(rows, key=lambda row: row[::-1])[:most]
            ]
        found.sort(key=lambda one: GROUPS.index(one.group))
        parameters: Resource = {"resourceType": "Parameters"}
        if found:
            parameters["parameter"] = [_told(one) for one in found]
        return Answer(200, dumps(parameters))


def _told(one: Suggestion) -> Resource:
    parts: list[Resource] = [
        {"name": "group", "valueCode": one.group},
        {"name": "text", "valueString": one.text},
        {"name": "display", "valueString": one.label},
    ]
    if one.group == "professional":
        parts.append({"name": "reference", "valueReference": {"reference": one.code, "display": one.label}})
    elif one.group == "place" and one.code is not None:
        parts.append({"name": "place", "valueString": one.code})
    elif one.code is not None:
        parts.append({"name": "code", "valueCoding": coding_of(one.code)})
    return {"name": "suggestion", "part": parts}


def _count(given: OperationInput) -> int:
    value = given.first("_count")
    if value is None or value == "":
        return COUNT_DEFAULT
    count = whole_number(value)
    if count is None:
        raise BadRequest(
            f"_count attend un nombre entier positif ; reçu « {value} ».",
            f"_count takes a positive whole number; got “{value}”.",
            code="value",
            expression=parameter_named("_count"),
        )
    return max(1, min(count, COUNT_MAX))
